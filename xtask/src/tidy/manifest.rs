//! Manifests take from the workspace what is said there once.

/// Keys that every package takes from the workspace.
const SHARED: [&str; 4] = ["version", "edition", "rust-version", "license"];

/// Checks one manifest.
pub(super) fn check(path: &str, manifest: &str) -> Vec<String> {
    let lines = with_sections(manifest);
    let has = |section: &str, line: &str| lines.iter().any(|(s, l)| *s == section && l.replace(' ', "") == line);
    let missing = SHARED.iter().filter(|key| !has("package", &format!("{key}.workspace=true")));
    let mut errors: Vec<String> = missing.map(|key| format!("{path}: `{key}.workspace = true` is missing")).collect();
    // Examples and the like print, and may have lints of their own.
    if !has("lints", "workspace=true") && !has("package", "publish=false") {
        errors.push(format!("{path}: `[lints] workspace = true` is missing"));
    }
    for (section, line) in lines.iter().filter(|(section, _)| section.ends_with("dependencies")) {
        // A renamed package cannot be taken from the workspace, and a development dependency that leads back to
        // its dependent must have no version.
        let by_path = section.ends_with("dev-dependencies") && line.contains("path");
        if !line.replace(' ', "").contains("workspace=true") && !line.contains("package") && !by_path {
            errors.push(format!("{path}: `{line}` under [{section}] should be in [workspace.dependencies]"));
        }
    }
    errors
}

/// The lines that say something, each with the section it stands in. A value over several lines is one.
fn with_sections(manifest: &str) -> Vec<(&str, String)> {
    let mut section = "";
    let mut lines: Vec<(&str, String)> = Vec::new();
    let mut open = 0;
    for line in manifest.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if open == 0 && line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
            continue;
        }
        match lines.last_mut().filter(|_| open > 0) {
            Some((_, last)) => last.push_str(line),
            None => lines.push((section, line.to_owned())),
        }
        open += line.matches(['[', '{']).count();
        open = open.saturating_sub(line.matches([']', '}']).count());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "[package]\nname = \"a\"\nversion.workspace = true\nedition.workspace = true\nrust-version.workspace = true
license.workspace = true\n
[dependencies]\nserde.workspace = true\ntokio = { workspace = true, features = [\n  \"rt\",\n] }\n
[dev-dependencies]\nother = { package = \"serde\", version = \"1\" }\n
[lints]\nworkspace = true\n";

    #[test]
    fn what_the_workspace_says_is_not_said_again() {
        assert_eq!(check("Cargo.toml", GOOD), [""; 0]);
        for (from, to, word) in [
            ("version.workspace = true\nedition", "version = \"1.2.3\"\nedition", "`version.workspace"),
            ("license.workspace = true", "license = \"MIT\"", "`license.workspace"),
            ("serde.workspace = true", "serde = \"1\"", "`serde = \"1\"`"),
            ("[lints]\nworkspace = true", "", "[lints]"),
        ] {
            let found = check("Cargo.toml", &GOOD.replace(from, to));
            assert!(matches!(&found[..], [only] if only.contains(word)), "{found:?}");
        }
        let example =
            GOOD.replace("name = \"a\"", "name = \"a\"\npublish = false").replace("[lints]\nworkspace", "[lints.rust]\nx");
        assert_eq!(check("Cargo.toml", &example), [""; 0]);
    }
}
