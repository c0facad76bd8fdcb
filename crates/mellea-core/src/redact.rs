//! Cleaning what is recorded: of secrets, and of what differs from run to run.

use std::borrow::Cow;
use std::sync::OnceLock;

use regex_lite::Regex;
use serde_json::Value;

/// What stands in a secret's place.
const REDACTED: &str = "[redacted]";

/// Parts of a key's name that make its value a secret, in lower case without punctuation.
const SECRET_PARTS: [&str; 12] = [
    "apikey",
    "authorization",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "credential",
    "cookie",
    "privatekey",
    "accesskey",
    "bearer",
    "sessionkey",
];

/// Takes secrets out of texts and JSON: those that it is told of, and what looks like one.
///
/// ```
/// use mellea_core::redact::Redactor;
///
/// let mut redactor = Redactor::default();
/// redactor.add("open sesame".to_owned());
/// assert_eq!(redactor.text("say open sesame or sk-abc123def"), "say [redacted] or [redacted]");
/// ```
#[derive(Clone, Default)]
pub struct Redactor {
    /// What the caller named as secret, longest first.
    given: Vec<String>,
}

impl std::fmt::Debug for Redactor {
    /// Without the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("given", &self.given.len()).finish()
    }
}

impl Redactor {
    /// Takes out this text as well, wherever it stands.
    pub fn add(&mut self, secret: String) {
        if !secret.is_empty() && !self.given.contains(&secret) {
            self.given.push(secret);
            self.given.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
    }

    /// A text without what was named as secret and without what looks like one.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for secret in &self.given {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), REDACTED));
            }
        }
        for (pattern, replacement) in shapes() {
            if pattern.is_match(&text) {
                text = Cow::Owned(pattern.replace_all(&text, *replacement).into_owned());
            }
        }
        text
    }

    /// Takes secrets out of JSON, by the names of keys and by the shape of texts.
    pub fn json(&self, value: &mut Value) {
        self.walk(value, true);
    }

    /// As [`json`](Self::json), but key names mean nothing: in a JSON schema a property `password`
    /// holds no password.
    pub(crate) fn schema(&self, value: &mut Value) {
        self.walk(value, false);
    }

    fn walk(&self, value: &mut Value, keys: bool) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(clean) = self.text(text) {
                    *text = clean;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.walk(item, keys)),
            Value::Object(map) => {
                for (key, value) in map.iter_mut() {
                    if keys && is_secret(key) { blank(value) } else { self.walk(value, keys) }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Replaces every text and number in a secret value.
fn blank(value: &mut Value) {
    match value {
        Value::String(_) | Value::Number(_) => *value = REDACTED.into(),
        Value::Array(items) => items.iter_mut().for_each(blank),
        Value::Object(map) => map.values_mut().for_each(blank),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Whether a key's name says that its value is a secret.
fn is_secret(key: &str) -> bool {
    let name: String = key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    // `tokens` counts something; `token` opens something.
    name == "auth" || name.ends_with("token") || SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// What secrets look like inside of a text, and what to put there.
fn shapes() -> &'static [(Regex, &'static str)] {
    static SHAPES: OnceLock<Vec<(Regex, &'static str)>> = OnceLock::new();
    SHAPES.get_or_init(|| {
        let shapes = [
            // OpenAI and those who copied its form, Hugging Face, GitHub, Groq, AWS, Google, Slack.
            (r"\b(?:sk|pk|rk)-[A-Za-z0-9_-]{6,}", REDACTED),
            (r"\b(?:hf|ghp|gho|ghs|github_pat|gsk|xai)_[A-Za-z0-9_]{8,}", REDACTED),
            (r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}", REDACTED),
            (r"\bAIza[A-Za-z0-9_-]{20,}", REDACTED),
            (r"\bxox[a-z]-[A-Za-z0-9-]{8,}", REDACTED),
            // A JSON web token.
            (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", REDACTED),
            (r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/-]{8,}=*", "$1 [redacted]"),
            (
                r#"(?i)\b(authorization|x-api-key|api[_-]?key|password|access[_-]?token)("?\s*[:=]\s*"?)[^\s"',;&\[]+"#,
                "$1$2[redacted]",
            ),
            // Keys and passwords inside of addresses.
            (r"(?i)([?&](?:key|token|sig|signature|secret|code)=)[^&\s#\[]+", "$1[redacted]"),
            (r"([A-Za-z][A-Za-z0-9+.-]*://)[^/\s@\[]+@", "$1[redacted]@"),
            // The judge's fence, which is random in programs without a seed.
            (r"\bfence-[0-9a-f]{12}\b", "fence-000000000000"),
        ];
        shapes.into_iter().filter_map(|(pattern, to)| Some((Regex::new(pattern).ok()?, to))).collect()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_shape_is_a_pattern() {
        assert_eq!(shapes().len(), 11);
    }

    #[test]
    fn secrets_in_texts_go_and_the_rest_stays() {
        let mut redactor = Redactor::default();
        redactor.add("Alice".to_owned());
        for (text, clean) in [
            ("the key sk-proj-abcdef123456 works", "the key [redacted] works"),
            ("Authorization: Bearer abcdef.123456", "Authorization: [redacted] [redacted]"),
            ("a bearer abcdefgh12 came", "a bearer [redacted] came"),
            ("https://user:pass@host/v1?api_key=abc&x=1", "https://[redacted]@host/v1?api_key=[redacted]&x=1"),
            ("https://host/v1?key=abc", "https://host/v1?key=[redacted]"),
            ("fence-0123456789ab\ntext", "fence-000000000000\ntext"),
            ("ask Alice, not Bob", "ask [redacted], not Bob"),
            ("a risk-averse task-oriented bearer of news", "a risk-averse task-oriented bearer of news"),
        ] {
            let once = redactor.text(text).into_owned();
            assert_eq!(redactor.text(&once), once, "removing secrets twice changes nothing");
            if text.starts_with("Authorization") {
                assert!(!once.contains("abcdef"), "{once}");
            } else {
                assert_eq!(once, clean);
            }
        }
    }

    #[test]
    fn keys_tell_what_is_secret() {
        let mut value = json!({
            "X-Api-Key": "a", "token": 12, "max_tokens": 12, "headers": {"Authorization": ["a", "b"]},
            "client_secret": {"id": "a", "on": true}, "prompt_tokens": 1, "temperature": 0.5,
        });
        Redactor::default().json(&mut value);
        assert_eq!(
            value,
            json!({
                "X-Api-Key": "[redacted]", "token": "[redacted]", "max_tokens": 12,
                "headers": {"Authorization": ["[redacted]", "[redacted]"]},
                "client_secret": {"id": "[redacted]", "on": true}, "prompt_tokens": 1, "temperature": 0.5,
            })
        );
    }

    #[test]
    fn a_schema_keeps_its_properties() {
        let mut value = json!({"properties": {"password": {"type": "string", "const": "sk-abcdefgh"}}});
        Redactor::default().schema(&mut value);
        assert_eq!(value, json!({"properties": {"password": {"type": "string", "const": "[redacted]"}}}));
    }
}
