//! Numbers and values compared as JSON compares them: `1` is `1.0`.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use super::path::Path;
use super::validate::Mismatch;

/// The same number as an integer, if it is one.
pub(crate) fn whole(number: &Number) -> Option<Number> {
    if number.is_i64() || number.is_u64() {
        return Some(number.clone());
    }
    let float = number.as_f64().filter(|f| f.fract() == 0.0)?;
    // The bounds are exact powers of two; a float beyond them fits neither integer type.
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&float) {
        #[expect(clippy::cast_possible_truncation, reason = "the float is whole and within range")]
        return Some(Number::from(float as i64));
    }
    if (0.0..18_446_744_073_709_551_616.0).contains(&float) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the float is whole and within range")]
        return Some(Number::from(float as u64));
    }
    None
}

fn integer(number: &Number) -> Option<i128> {
    let number = whole(number)?;
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn compare(a: &Number, b: &Number) -> Option<Ordering> {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

pub(super) fn check_number(rules: &Map<String, Value>, number: &Number, at: &Path<'_>) -> Result<(), Mismatch> {
    type Fits = fn(Ordering) -> bool;
    let bounds: [(&str, &str, Fits); 4] = [
        ("minimum", "at least", Ordering::is_ge),
        ("maximum", "at most", Ordering::is_le),
        ("exclusiveMinimum", "more than", Ordering::is_gt),
        ("exclusiveMaximum", "less than", Ordering::is_lt),
    ];
    for (keyword, words, fits) in bounds {
        if let Some(Value::Number(bound)) = rules.get(keyword)
            && !compare(number, bound).is_some_and(fits)
        {
            return Err(Mismatch::new(at, format!("a number of {words} {bound}"), number.to_string()));
        }
    }
    if let Some(Value::Number(step)) = rules.get("multipleOf") {
        let multiple = match (integer(number), integer(step)) {
            (Some(n), Some(step)) => step != 0 && n % step == 0,
            _ => match (number.as_f64(), step.as_f64()) {
                (Some(n), Some(step)) => (n / step - (n / step).round()).abs() < 1e-9,
                _ => true,
            },
        };
        if !multiple {
            return Err(Mismatch::new(at, format!("a multiple of {step}"), number.to_string()));
        }
    }
    Ok(())
}

/// Whether two values are equal as JSON: `1` and `1.0` are.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare(a, b) == Some(Ordering::Equal),
        (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_)) => canonical(a) == canonical(b),
        _ => a == b,
    }
}

/// One text for all values that are equal as JSON.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => whole(number).unwrap_or_else(|| number.clone()).to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(map) => {
            let mut members: Vec<String> =
                map.iter().map(|(k, v)| format!("{}:{}", Value::from(k.as_str()), canonical(v))).collect();
            members.sort();
            format!("{{{}}}", members.join(","))
        }
        plain => plain.to_string(),
    }
}
