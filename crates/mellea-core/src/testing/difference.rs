//! Where two requests first differ, in words.

use serde_json::Value;

/// How many characters are shown of a differing value.
const SHOWN: usize = 80;

/// What to say about a request that was not recorded: how the nearest recorded one differs.
pub(super) fn nearest(recorded: &[&Value], request: &Value) -> String {
    let differences = |other: &&Value| {
        let mut found = Differences::default();
        found.compare("", other, request);
        found
    };
    match recorded.iter().map(differences).min_by_key(|found| found.count) {
        None => "this request was not recorded; the cassette has no such calls".to_owned(),
        Some(Differences { first: None, .. }) => "this request was not recorded".to_owned(),
        Some(Differences { first: Some(first), count }) => {
            let more = if count > 1 { format!(" ({} more differences)", count - 1) } else { String::new() };
            format!("this request was not recorded; the nearest one differs {first}{more}")
        }
    }
}

#[derive(Default)]
struct Differences {
    count: usize,
    first: Option<String>,
}

impl Differences {
    fn compare(&mut self, path: &str, recorded: &Value, asked: &Value) {
        match (recorded, asked) {
            (Value::Object(one), Value::Object(other)) => {
                for (key, value) in one {
                    let path = format!("{path}/{key}");
                    match other.get(key) {
                        Some(asked) => self.compare(&path, value, asked),
                        None => self.add(|| format!("at {path}: recorded {}, now missing", shown(value))),
                    }
                }
                for (key, value) in other.iter().filter(|(key, _)| !one.contains_key(*key)) {
                    self.add(|| format!("at {path}/{key}: not in the recording, now {}", shown(value)));
                }
            }
            (Value::Array(one), Value::Array(other)) => {
                for (i, (recorded, asked)) in one.iter().zip(other).enumerate() {
                    self.compare(&format!("{path}/{i}"), recorded, asked);
                }
                if one.len() != other.len() {
                    self.add(|| format!("at {path}: recorded {} entries, now {}", one.len(), other.len()));
                }
            }
            (Value::String(one), Value::String(other)) if one != other => self.add(|| {
                let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
                let (one, other) = (from(one, same), from(other, same));
                format!("at {path}, character {same}: recorded {one:?}, now {other:?}")
            }),
            (one, other) if one != other => self.add(|| format!("at {path}: recorded {}, now {}", shown(one), shown(other))),
            _ => {}
        }
    }

    fn add(&mut self, text: impl FnOnce() -> String) {
        self.count += 1;
        self.first.get_or_insert_with(text);
    }
}

/// What stands around the first character that differs.
fn from(text: &str, same: usize) -> String {
    let start = same.saturating_sub(SHOWN / 4);
    let shown: String = text.chars().skip(start).take(SHOWN).collect();
    let before = if start > 0 { "…" } else { "" };
    let after = if text.chars().count() > start + SHOWN { "…" } else { "" };
    format!("{before}{shown}{after}")
}

fn shown(value: &Value) -> String {
    from(&value.to_string(), 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_nearest_request_is_shown_by_its_first_difference() {
        let far = json!({"messages": ["a", "b"], "options": {"seed": 1}});
        let near = json!({"messages": ["write to Alice"], "options": {"seed": 7}});
        let asked = json!({"messages": ["write to Bob"], "options": {"seed": 7}});
        let said = nearest(&[&far, &near], &asked);
        assert!(said.contains("at /messages/0, character 9: recorded \"write to Alice\", now \"write to Bob\""), "{said}");
    }

    #[test]
    fn missing_and_new_keys_are_named() {
        let (old, new) = (json!({"a": 1}), json!({"b": [2]}));
        assert!(nearest(&[&old], &new).contains("at /a: recorded 1, now missing (1 more differences)"));
        assert!(nearest(&[&json!({})], &new).contains("at /b: not in the recording, now [2]"));
        assert!(nearest(&[], &new).contains("no such calls"));
    }
}
