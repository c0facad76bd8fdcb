//! Which way dependencies point: facade, backends, shared client, core, schemas.

use crate::workspace::Member;

const BACKENDS_MAY_USE: &[&str] = &["mellea-core", "mellea-http", "mellea-wire"];

/// What each package may use of the others. Development dependencies are free.
const LAYERS: [(&str, &[&str]); 18] = [
    ("mellea-schema", &[]),
    ("mellea-core", &["mellea-schema"]),
    ("mellea-macros", &[]),
    ("mellea-pico", &[]),
    ("mellea-wire", &["mellea-core"]),
    ("mellea-http", &["mellea-core", "mellea-wire"]),
    ("mellea-hf", &["mellea-core", "mellea-pico", "mellea-wire"]),
    ("mellea-ollama", BACKENDS_MAY_USE),
    ("mellea-openai", BACKENDS_MAY_USE),
    ("mellea-watsonx", BACKENDS_MAY_USE),
    ("mellea-litellm", &["mellea-core", "mellea-http", "mellea-ollama", "mellea-openai", "mellea-watsonx", "mellea-wire"]),
    (
        "mellea",
        &["mellea-core", "mellea-macros", "mellea-hf", "mellea-ollama", "mellea-openai", "mellea-litellm", "mellea-watsonx"],
    ),
    ("mellea-macros-fixture-core-only", &["mellea-core", "mellea-macros"]),
    ("mellea-macros-fixture-renamed", &["mellea"]),
    ("mellea-examples", EVERYTHING),
    ("mellea-tests", EVERYTHING),
    ("mellea-wire-tests", EVERYTHING),
    ("xtask", &[]),
];

const EVERYTHING: &[&str] = &[
    "mellea",
    "mellea-core",
    "mellea-hf",
    "mellea-http",
    "mellea-litellm",
    "mellea-macros",
    "mellea-ollama",
    "mellea-openai",
    "mellea-pico",
    "mellea-schema",
    "mellea-watsonx",
    "mellea-wire",
];

/// Checks one package's dependencies on the others.
pub(super) fn check(member: &Member, members: &[Member]) -> Vec<String> {
    let name = &member.name;
    let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| layer == name) else {
        return vec![format!("{name}: a new package needs its place in xtask/src/tidy/layers.rs")];
    };
    let ours = |name: &str| members.iter().any(|m| m.name == name);
    let wrong = member.dependencies.iter().filter(|d| !d.dev && ours(&d.name) && !allowed.contains(&d.name.as_str()));
    wrong.map(|d| format!("{name} must not depend on {}", d.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn member(name: &str, dependencies: &[(&str, bool)]) -> Member {
        let dependencies = dependencies.iter().map(|(name, dev)| Dependency { name: (*name).to_owned(), dev: *dev }).collect();
        Member { name: name.to_owned(), dependencies, ..Member::default() }
    }

    #[test]
    fn a_dependency_in_the_wrong_direction_is_found() {
        let members = [
            member("mellea", &[("mellea-hf", false), ("serde", false)]),
            member("mellea-core", &[("mellea-hf", false), ("mellea-macros", true)]),
            member("mellea-hf", &[("mellea-core", false), ("mellea-ollama", false)]),
            member("mellea-macros", &[]),
            member("mellea-ollama", &[("mellea-core", false)]),
            member("other", &[]),
        ];
        let found: Vec<String> = members.iter().flat_map(|m| check(m, &members)).collect();
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], "mellea-core must not depend on mellea-hf");
        assert_eq!(found[1], "mellea-hf must not depend on mellea-ollama");
        assert!(found[2].starts_with("other: "), "{found:?}");
    }
}
