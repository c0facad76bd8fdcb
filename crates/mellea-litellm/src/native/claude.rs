//! What the versions of Claude can do, on whichever platform.

/// What a Claude model can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// It takes `temperature`, `top_p` and `top_k`; from 4.7 on, models refuse them.
    pub(crate) sampling: bool,
    /// It decides itself how much to think; before 4.6, models want a budget.
    pub(crate) adaptive: bool,
    /// It enforces JSON schemas, from 4.5 on.
    pub(crate) schemas: bool,
}

/// What this model can do. A name that tells no version is taken for that of a recent model that
/// still takes all options.
pub(crate) fn facts(model: &str) -> Facts {
    let name = model.to_ascii_lowercase();
    match version(&name) {
        Some(version) => Facts { sampling: version < (4, 7), adaptive: version >= (4, 6), schemas: version >= (4, 5) },
        None => Facts { sampling: !name.contains("mythos"), adaptive: true, schemas: true },
    }
}

/// The version in names such as `claude-opus-4-7`, `claude-3-5-haiku-20241022` and
/// `us.anthropic.claude-sonnet-4-20250514-v1:0`.
fn version(name: &str) -> Option<(u32, u32)> {
    let (_, rest) = name.rsplit_once("claude-")?;
    let small = |part: &&str| part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty();
    let mut parts = rest.split(['-', '@', ':', '.', '_']).skip_while(|part| !small(part)).take_while(|part| small(part));
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next().and_then(|minor| minor.parse().ok()).unwrap_or(0);
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_names() {
        for (name, expected) in [
            ("claude-opus-4-7", Some((4, 7))),
            ("claude-3-5-haiku-20241022", Some((3, 5))),
            ("claude-3-haiku-20240307", Some((3, 0))),
            ("us.anthropic.claude-sonnet-4-20250514-v1:0", Some((4, 0))),
            ("anthropic.claude-haiku-4-5-20251001-v1:0", Some((4, 5))),
            ("claude-opus-4-5@20251101", Some((4, 5))),
            ("claude-sonnet-5", Some((5, 0))),
            ("claude-fable-5-1", Some((5, 1))),
            ("claude-2.1", Some((2, 1))),
            ("claude-mythos-preview", None),
            ("my-alias", None),
        ] {
            assert_eq!(version(name), expected, "{name}");
        }
        assert!(!facts("claude-mythos-preview").sampling && facts("my-alias").sampling);
    }
}
