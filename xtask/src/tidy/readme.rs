//! READMEs are read on other sites than docs.rs, which know neither hidden lines nor intra-doc links.

/// Checks one document; `exists` tells whether a path, relative to the root, is a file or a directory.
pub(super) fn check(path: &str, content: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    if !path.ends_with(".md") {
        return Vec::new();
    }
    let is_readme =
        path == "README.md" || path.starts_with("crates/") && path.ends_with("/README.md") && path.matches('/').count() == 2;
    let (mut errors, mut fence, mut has_program) = (Vec::new(), None, false);
    for (i, line) in content.lines().enumerate() {
        let mut report = |what: &str| errors.push(format!("{path}:{}: {what}", i + 1));
        if let Some(info) = line.strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(info) };
            if is_readme && fence == Some("") {
                report("a fence without a language: `rust`, `text` or another");
            }
            has_program |= fence.is_some_and(|info| info.split(',').next() == Some("rust"));
            continue;
        }
        match fence {
            Some(info) if is_readme && info.starts_with("rust") && (line == "#" || line.starts_with("# ")) => {
                report("a hidden line, which other sites show");
            }
            Some(_) => {}
            None => {
                if is_readme && has_bare_link(line) {
                    report("a link without an address, which only rustdoc resolves");
                }
                for target in targets(line).filter(|target| !target.contains(':') && !target.starts_with('#')) {
                    let file = target.split('#').next().unwrap_or(target);
                    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
                    if !exists(&joined(directory, file)) {
                        report(&format!("a link to `{target}`, which is not there"));
                    }
                }
            }
        }
    }
    if is_readme && !has_program {
        errors.push(format!("{path}: no `rust` fence, so that nothing shows how it is used"));
    }
    errors
}

/// Whether a line has a link such as ``[`Session`]`` with no address behind it.
fn has_bare_link(line: &str) -> bool {
    line.match_indices("`]").any(|(at, end)| {
        let opens =
            line.get(..at).and_then(|before| before.rfind(['[', ']'])).is_some_and(|open| line.get(open..open + 2) == Some("[`"));
        opens && !line.get(at + end.len()..).is_some_and(|after| after.starts_with('('))
    })
}

/// The addresses of a line's links.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// A path of a document's directory, with `..` resolved.
fn joined(directory: &str, target: &str) -> String {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, content: &str) -> Vec<String> {
        check(path, content, |file| ["LICENSE-MIT", "crates/a/src"].contains(&file))
    }

    #[test]
    fn what_other_sites_show_badly_is_found() {
        let good = "# a\n\nSee [`A`](https://example.org) and [the licence](../../LICENSE-MIT), [code](src).\n\n```rust\n#[test]\nfn f() {}\n```\n";
        assert_eq!(found("crates/a/README.md", good), [""; 0]);
        for (from, to, word) in [
            ("fn f", "# fn f", "README.md:7: a hidden line"),
            ("](https://example.org)", "]", "README.md:3: a link without an address"),
            ("```rust", "```text", "no `rust` fence"),
            ("LICENSE-MIT", "LICENSE-GPL", "`../../LICENSE-GPL`, which is not there"),
        ] {
            let all = found("crates/a/README.md", &good.replace(from, to));
            assert!(matches!(&all[..], [only] if only.contains(word)), "{word}: {all:?}");
        }
        assert!(found("README.md", "```\nx\n```\n").iter().any(|e| e.contains("without a language")));
    }

    #[test]
    fn other_documents_may_be_for_rustdoc() {
        assert_eq!(found("crates/a/docs/b.md", "[`A`]\n```rust\n# hidden\n```\n"), [""; 0]);
        assert_eq!(found("docs/b.md", "[there](gone.md)").len(), 1);
        assert_eq!(found("docs/b.rs", "[there](gone.md)"), [""; 0]);
    }
}
