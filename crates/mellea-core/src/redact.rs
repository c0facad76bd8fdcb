//! Keeping secrets out of what is shown and recorded.
//!
//! A secret that stands in a header or in an option of a provider has no name that a list could
//! know. So [`Redactor::options`] shows only what is known to be harmless, and blanks the rest. In
//! content, which a program must get back, [`Redactor::json`] takes out what looks like a secret.

mod allowed;
#[cfg(any(test, feature = "testing"))]
mod recording;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::OnceLock;

use regex_lite::Regex;
use serde_json::{Map, Value};

use allowed::Kind;

/// What stands in a secret's place.
pub(crate) const REDACTED: &str = "[redacted]";

/// Parts of a key's name that make its value a secret, in lower case without punctuation.
const SECRET_PARTS: [&str; 18] = [
    "apikey",
    "subscriptionkey",
    "connectionstring",
    "signingkey",
    "accountkey",
    "jwt",
    "passcode",
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

/// Names that make a value a secret only as a whole: as a part they stand in innocent words.
const SECRET_NAMES: [&str; 8] = ["auth", "pin", "otp", "pat", "sas", "sig", "pwd", "dsn"];

/// Takes secrets out of texts, JSON and options.
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
    /// Names of options and headers that the caller allows, in lower case.
    allowed: BTreeSet<String>,
}

impl std::fmt::Debug for Redactor {
    /// Without the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("given", &self.given.len()).field("allowed", &self.allowed).finish()
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

    /// Shows the value of this option or header, in any case of letters; see [`options`](Self::options).
    pub fn allow(&mut self, name: impl Into<String>) {
        self.allowed.insert(name.into().to_ascii_lowercase());
    }

    /// Blanks the values of a provider's own options, except those that are known to be harmless
    /// (such as `top_p`) or [allowed](Self::allow).
    ///
    /// Options that hold options (`extra_body`) are looked into, and so are headers
    /// (`extra_headers`), of which only a few are known to be harmless (such as `accept`). What is
    /// not looked into is blanked as a whole. `true`, `false` and `null` stay everywhere.
    ///
    /// ```
    /// use mellea_core::redact::Redactor;
    /// use serde_json::json;
    ///
    /// let mut options = json!({"top_p": 0.9, "pin": 1234, "extra_headers": {"X-Team": "blue", "X-Any": "abc"}});
    /// let mut redactor = Redactor::default();
    /// redactor.allow("x-team");
    /// redactor.options(options.as_object_mut().unwrap());
    /// let blanked = json!({"top_p": 0.9, "pin": "[redacted]", "extra_headers": {"X-Team": "blue", "X-Any": "[redacted]"}});
    /// assert_eq!(options, blanked);
    /// ```
    pub fn options(&self, options: &mut Map<String, Value>) {
        self.by_name(options, allowed::option);
    }

    fn by_name(&self, map: &mut Map<String, Value>, known: fn(&str) -> Option<Kind>) {
        for (name, value) in map.iter_mut() {
            if self.allowed.contains(&name.to_ascii_lowercase()) {
                self.walk(value, true);
                continue;
            }
            match (known(name), &mut *value) {
                (_, Value::Null | Value::Bool(_)) | (Some(Kind::Number | Kind::Text), Value::Number(_)) => {}
                (Some(Kind::Number), Value::Array(items)) if items.iter().all(Value::is_number) => {}
                (Some(Kind::Text), Value::String(_)) => self.walk(value, true),
                (Some(Kind::Text), Value::Array(items)) if items.iter().all(Value::is_string) => self.walk(value, true),
                (Some(Kind::Options), Value::Object(inner)) => self.by_name(inner, allowed::option),
                (Some(Kind::Headers), Value::Object(inner)) => self.by_name(inner, allowed::header),
                _ => *value = REDACTED.into(),
            }
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

    /// Takes secrets out of JSON, by the names of keys and by the shape of texts. Headers are blanked
    /// as in [`options`](Self::options).
    pub fn json(&self, value: &mut Value) {
        self.walk(value, true);
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
                    match value {
                        Value::Object(headers) if keys && allowed::option(key) == Some(Kind::Headers) => {
                            self.by_name(headers, allowed::header);
                        }
                        value if keys && is_secret(key) => blank(value),
                        value => self.walk(value, keys),
                    }
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
    SECRET_NAMES.contains(&name.as_str()) || name.ends_with("token") || SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// Whether an option is, or holds, headers or something that is a secret by its name.
pub(crate) fn holds_secret(name: &str, value: &Value) -> bool {
    is_secret(name)
        || allowed::option(name) == Some(Kind::Headers)
        || match value {
            Value::Object(map) => map.iter().any(|(name, value)| holds_secret(name, value)),
            Value::Array(items) => items.iter().any(|item| holds_secret("", item)),
            _ => false,
        }
}

/// What secrets look like in a text, and what to put there.
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
            // Keys and passwords in addresses.
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
            "X-Api-Key": "a", "token": 12, "max_tokens": 12, "headers": {"Authorization": ["a", "b"], "X-Any": "a"},
            "client_secret": {"id": "a", "on": true}, "prompt_tokens": 1, "temperature": 0.5,
        });
        Redactor::default().json(&mut value);
        assert_eq!(
            value,
            json!({
                "X-Api-Key": "[redacted]", "token": "[redacted]", "max_tokens": 12,
                "headers": {"Authorization": "[redacted]", "X-Any": "[redacted]"},
                "client_secret": {"id": "[redacted]", "on": true}, "prompt_tokens": 1, "temperature": 0.5,
            })
        );
    }

    #[test]
    fn options_are_shown_only_by_name() {
        let mut value = json!({
            "top_p": 0.9, "stop": ["a", "b"], "service_tier": "flex", "logit_bias": {"50256": -100}, "keep": true,
            "Ocp-Apim-Subscription-Key": "s", "jwt": "s", "pin": 1, "connection_string": "s", "x": {"top_p": "s"},
            "TOP_K": 3, "seed": "s", "temperature": {"seed": 1},
            "extra_body": {"min_p": 0.1, "vault": {"temperature": 1}, "extra_headers": {"seed": "s", "Accept": "text/plain"}},
            "extra_headers": ["s"],
        });
        Redactor::default().options(value.as_object_mut().unwrap());
        let no = "[redacted]";
        assert_eq!(
            value,
            json!({
                "top_p": 0.9, "stop": ["a", "b"], "service_tier": "flex", "logit_bias": no, "keep": true,
                "Ocp-Apim-Subscription-Key": no, "jwt": no, "pin": no, "connection_string": no, "x": no,
                "TOP_K": 3, "seed": no, "temperature": no,
                "extra_body": {"min_p": 0.1, "vault": no, "extra_headers": {"seed": no, "Accept": "text/plain"}},
                "extra_headers": no,
            })
        );
        let once = value.clone();
        Redactor::default().options(value.as_object_mut().unwrap());
        assert_eq!(value, once, "blanking twice changes nothing");
    }

    #[test]
    fn what_is_allowed_by_name_is_shown_but_for_what_looks_like_a_secret() {
        let mut redactor = Redactor::default();
        redactor.allow("Guided_Choice");
        redactor.allow("x-team");
        let mut value = json!({
            "guided_choice": ["yes", "sk-abcdefgh"], "extra_headers": {"X-Team": "blue"}, "extra_body": {"guided_choice": {"password": "s"}},
        });
        redactor.options(value.as_object_mut().unwrap());
        assert_eq!(
            value,
            json!({
                "guided_choice": ["yes", "[redacted]"], "extra_headers": {"X-Team": "blue"},
                "extra_body": {"guided_choice": {"password": "[redacted]"}},
            })
        );
    }
}
