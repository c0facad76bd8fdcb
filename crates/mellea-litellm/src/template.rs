//! Names in braces, such as `{region}` in an address, and what takes their place.

use mellea_core::{Error, Result};

/// The names in braces.
pub(crate) fn names(text: &str) -> Vec<&str> {
    pieces(text).filter_map(|(_, name)| name).collect()
}

/// The text with each name replaced.
pub(crate) fn fill(text: &str, value: impl Fn(&str) -> Result<String>) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    for (before, name) in pieces(text) {
        out.push_str(before);
        if let Some(name) = name {
            out.push_str(&value(name)?);
        }
    }
    Ok(out)
}

/// What may appear in an address without changing where it leads: letters, digits, `-`, `_` and `.`.
pub(crate) fn safe(name: &str, value: &str) -> Result<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if value.is_empty() || value.starts_with('.') || value.contains("..") || !value.chars().all(fits) {
        let message = format!("`{name}` is part of an address: only letters, digits, `-`, `_` and `.` may stand there");
        return Err(Error::config(name.to_owned(), message));
    }
    Ok(value.to_owned())
}

/// A text as one segment of a path: everything but letters, digits, `-`, `_`, `.` and `~` is encoded.
pub(crate) fn segment(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    // These two would be taken for a step in the path, encoded or not.
    if matches!(out.as_str(), "." | "..") { String::new() } else { out }
}

/// Text, each time with the name in braces that follows it. A brace without its partner is text.
fn pieces(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let split = text.split_once('{').and_then(|(before, after)| {
            let (name, after) = after.split_once('}')?;
            Some((before, name, after))
        });
        match split {
            Some((before, name, after)) => {
                rest = Some(after);
                Some((before, Some(name)))
            }
            None => {
                rest = None;
                Some((text, None))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_and_single_braces_kept() {
        assert_eq!(names("https://{a}.x/{b}/c"), ["a", "b"]);
        assert_eq!(fill("{a}-{b}}{", |name| Ok(name.to_uppercase())).unwrap(), "A-B}{");
        assert_eq!(fill("plain", |_| unreachable!()).unwrap(), "plain");
    }

    #[test]
    fn no_value_leads_elsewhere() {
        assert_eq!(safe("region", "eu-west-1").unwrap(), "eu-west-1");
        for bad in ["", ".", "..", "a..b", ".evil", "evil.example/", "a@b", "a:1", "a?b", "a#b", "a b", "ä", "%2f", "a\\b"] {
            assert!(safe("region", bad).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_a_template_and_no_value_an_address(text in ".{0,40}", value in ".{0,12}") {
            proptest::prop_assert_eq!(&fill(&text, |name| Ok(format!("{{{name}}}"))).unwrap(), &text);
            let url = |part: &str| mellea_http::BaseUrl::parse(&format!("https://{part}.known.example/{part}/end")).unwrap();
            if let Ok(value) = safe("x", &value) && mellea_http::BaseUrl::parse(&format!("https://{value}.known.example")).is_ok() {
                let url = url(&value);
                proptest::prop_assert!(url.host().ends_with(".known.example") && url.as_url().path().ends_with("/end"), "{}", url);
            }
            let path = mellea_http::BaseUrl::parse("https://known.example/a").unwrap().join(&format!("{}/end", segment(&value)), &[]);
            proptest::prop_assert!(path.path().starts_with("/a/") && path.path().ends_with("/end"), "{}", path);
        }
    }

    #[test]
    fn a_segment_stays_one() {
        assert_eq!(segment("gpt-4.1_x~"), "gpt-4.1_x~");
        assert_eq!(segment("a/b?c=d#e%ä"), "a%2Fb%3Fc%3Dd%23e%25%C3%A4");
        assert_eq!((segment(".."), segment("...")), (String::new(), "...".to_owned()));
    }
}
