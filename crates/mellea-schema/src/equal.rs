//! Numbers and values compared as JSON compares them: `1` is `1.0`.

use std::cmp::Ordering;
use std::collections::HashSet;

use serde_json::{Number, Value};

use crate::node::NumberRules;

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

/// Whether it is an integer, however large.
pub(crate) fn is_whole(number: &Number) -> bool {
    number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|float| float.fract() == 0.0)
}

fn integer(number: &Number) -> Option<i128> {
    if let Some(number) = number.as_i64() {
        return Some(number.into());
    }
    let number = whole(number)?;
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

pub(crate) fn compare(a: &Number, b: &Number) -> Option<Ordering> {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

/// What a number must be and is not.
pub(crate) fn check_number(rules: &NumberRules, number: &Number) -> Option<String> {
    type Fits = fn(Ordering) -> bool;
    let bounds: [(&Option<Number>, &str, Fits); 4] = [
        (&rules.minimum, "at least", Ordering::is_ge),
        (&rules.maximum, "at most", Ordering::is_le),
        (&rules.above, "more than", Ordering::is_gt),
        (&rules.below, "less than", Ordering::is_lt),
    ];
    for (bound, words, fits) in bounds {
        if let Some(bound) = bound
            && !compare(number, bound).is_some_and(fits)
        {
            return Some(format!("a number of {words} {bound}"));
        }
    }
    let step = rules.step.as_ref()?;
    let multiple = match (integer(number), integer(step)) {
        (Some(n), Some(step)) => step != 0 && n % step == 0,
        _ => match (number.as_f64(), step.as_f64()) {
            (Some(n), Some(step)) => is_multiple(n, step),
            _ => false,
        },
    };
    (!multiple).then(|| format!("a multiple of {step}"))
}

/// Whether one float is a multiple of another, as their decimal forms are: 0.3 is one of 0.1.
fn is_multiple(number: f64, step: f64) -> bool {
    let count = number / step;
    if !count.is_finite() {
        // So large a number is whole; it is a multiple of a step that divides one.
        return (1.0 / step).fract() == 0.0 && number.fract() == 0.0;
    }
    let rounded = count.round();
    // The decimal forms are off by half a unit in the last place each.
    (count - rounded).abs() <= rounded.abs().max(1.0) * 4.0 * f64::EPSILON
}

/// Whether two values are equal as JSON: `1` and `1.0` are.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare(a, b) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// One text for all values that are equal as JSON.
pub(crate) fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => match whole(number) {
            Some(whole) => whole.to_string(),
            None => number.to_string(),
        },
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

/// The first item that an earlier one equals.
pub(crate) fn first_repeated(items: &[Value]) -> Option<usize> {
    if items.len() <= 8 {
        return items.iter().enumerate().position(|(at, item)| items.iter().take(at).any(|earlier| same(earlier, item)));
    }
    let mut seen = HashSet::with_capacity(items.len());
    items.iter().position(|item| !seen.insert(canonical(item)))
}
