//! Modules of a crate stand on floors: each uses only those below it.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use proc_macro2::{TokenStream, TokenTree};

use super::Findings;

/// Whether a use of a higher module breaks a rule, or is only to be looked at.
const IS_AN_ERROR: bool = true;

/// The modules of each crate that has floors, from the leaves up.
pub(super) const FLOORS: [(&str, &[&str]); 1] = [(
    "crates/mellea-core",
    &[
        "time",
        "text",
        "redact",
        "content",
        "message",
        "model",
        "output",
        "error",
        "join",
        "stream_check",
        "schema",
        "tool",
        "options",
        "limit",
        "backend",
        "telemetry",
        "context",
        "generate",
        "thunk",
        "component",
        "prompt",
        "requirement",
        "sampling",
        "session",
        "expansion",
        "functional",
        "blocking",
        "testing",
    ],
)];

/// A source file of a crate: its path below `src`, and its text.
pub(super) type Source = (String, String);

/// Checks the sources of one crate; gives a line on it.
pub(super) fn check(krate: &str, floors: &[&str], sources: &[Source], findings: &mut Findings) -> String {
    let uses = uses(floors, sources);
    let floor = |module: &str| floors.iter().position(|name| *name == module);
    let mut found = Vec::new();
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (path, from, to) in &uses {
        edges.entry(from).or_default().insert(to);
        match (floor(from), floor(to)) {
            (Some(a), Some(b)) if a < b => found.push(format!("{krate}/src/{path}: `{from}` uses `{to}`, which is above it")),
            _ => {}
        }
    }
    let without: BTreeSet<&str> =
        sources.iter().map(|(path, _)| top(path)).filter(|module| floor(module).is_none() && *module != "lib").collect();
    found.extend(
        without.iter().map(|module| format!("{krate}: the module `{module}` needs its floor in xtask/src/tidy/modules.rs")),
    );
    found.sort();
    found.dedup();
    let circles = circles(&edges);
    let line = format!("{krate}: {} uses against the floors, {} circles of modules", found.len(), circles.len());
    found.extend(circles.iter().map(|circle| format!("{krate}: modules that use each other: {}", circle.join(", "))));
    if IS_AN_ERROR {
        findings.errors.extend(found)
    } else {
        findings.warnings.extend(found)
    }
    line
}

/// The top module that a path below `src` belongs to.
fn top(path: &str) -> &str {
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

/// Which module uses which other one, and where. Tests are left out: they may use all.
fn uses(floors: &[&str], sources: &[Source]) -> Vec<(String, String, String)> {
    let root = sources.iter().find(|(path, _)| path == "lib.rs").map(|(_, text)| reexports(text)).unwrap_or_default();
    let mut uses = Vec::new();
    for (path, text) in sources.iter().filter(|(path, _)| path != "lib.rs" && !is_test(path)) {
        let Ok(tokens) = TokenStream::from_str(text) else { continue };
        let mut names = BTreeSet::new();
        collect(tokens, depth(path), &mut names);
        for name in names {
            let module = if floors.contains(&name.as_str()) { Some(name) } else { root.get(&name).cloned() };
            if let Some(module) = module.filter(|module| module != top(path)) {
                uses.push((path.clone(), top(path).to_owned(), module));
            }
        }
    }
    uses
}

fn is_test(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "tests.rs"))
}

/// How many modules a file stands below the root: `a.rs` and `a/mod.rs` one, `a/b.rs` two.
fn depth(path: &str) -> usize {
    let parts = path.trim_end_matches(".rs").split('/');
    parts.filter(|part| *part != "mod").count()
}

/// The names that follow `crate::`, or a chain of `super::` that ends at the root.
fn collect(tokens: TokenStream, depth: usize, names: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut rest = &tokens[..];
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            TokenTree::Punct(punct) if punct.as_char() == '#' && is_for_tests(after) => rest = behind_item(after),
            TokenTree::Ident(ident) if ident == "crate" => names.extend(behind_colons(after).map(heads).unwrap_or_default()),
            TokenTree::Ident(ident) if ident == "super" => {
                let (mut up, mut at) = (1, after);
                while let Some([TokenTree::Ident(next), more @ ..]) = behind_colons(at)
                    && next == "super"
                {
                    (up, at) = (up + 1, more);
                }
                if up == depth {
                    names.extend(behind_colons(at).map(heads).unwrap_or_default());
                }
                rest = at;
            }
            // An inline module is one step further from the root.
            TokenTree::Ident(ident) if ident == "mod" => {
                if let [TokenTree::Ident(_), TokenTree::Group(group), more @ ..] = after {
                    collect(group.stream(), depth + 1, names);
                    rest = more;
                }
            }
            TokenTree::Group(group) => collect(group.stream(), depth, names),
            _ => {}
        }
    }
}

/// What follows `::`.
fn behind_colons(tokens: &[TokenTree]) -> Option<&[TokenTree]> {
    match tokens {
        [TokenTree::Punct(a), TokenTree::Punct(b), rest @ ..] if a.as_char() == ':' && b.as_char() == ':' => Some(rest),
        _ => None,
    }
}

/// The first name of a path, or of each path in a group.
fn heads(tokens: &[TokenTree]) -> Vec<String> {
    match tokens {
        [TokenTree::Ident(ident), ..] => vec![ident.to_string()],
        [TokenTree::Group(group), ..] => {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            let parts = inner.split(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ','));
            parts.flat_map(heads).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether the tokens behind a `#` are `[cfg(test)]`.
fn is_for_tests(tokens: &[TokenTree]) -> bool {
    let text = match tokens {
        [TokenTree::Group(group), ..] => group.stream().to_string().replace(' ', ""),
        _ => return false,
    };
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

/// What follows the item that an attribute stands on.
fn behind_item(tokens: &[TokenTree]) -> &[TokenTree] {
    let ends = |token: &TokenTree| match token {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == proc_macro2::Delimiter::Brace,
        _ => false,
    };
    let end = tokens.iter().position(ends).map_or(tokens.len(), |at| at + 1);
    tokens.get(end..).unwrap_or_default()
}

/// The names that the root takes from its modules, with the module of each.
fn reexports(lib: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let file = syn::parse_file(lib).map(|file| file.items).unwrap_or_default();
    for item in file {
        let syn::Item::Use(item) = item else { continue };
        if let syn::UseTree::Path(path) = item.tree {
            let module = path.ident.to_string();
            let mut leaves = Vec::new();
            leaves_of(&path.tree, &mut leaves);
            names.extend(leaves.into_iter().map(|name| (name, module.clone())));
        }
    }
    names
}

fn leaves_of(tree: &syn::UseTree, leaves: &mut Vec<String>) {
    match tree {
        syn::UseTree::Path(path) => leaves_of(&path.tree, leaves),
        syn::UseTree::Name(name) => leaves.push(name.ident.to_string()),
        syn::UseTree::Rename(rename) => leaves.push(rename.rename.to_string()),
        syn::UseTree::Group(group) => group.items.iter().for_each(|tree| leaves_of(tree, leaves)),
        syn::UseTree::Glob(_) => {}
    }
}

/// The sets of modules that reach each other.
fn circles<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<Vec<&'a str>> {
    let reach = |from: &'a str| {
        let (mut seen, mut left) = (BTreeSet::new(), vec![from]);
        while let Some(module) = left.pop() {
            for next in edges.get(module).into_iter().flatten() {
                if seen.insert(*next) {
                    left.push(next);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> = edges.keys().map(|module| (*module, reach(module))).collect();
    let mutual =
        |a: &str, b: &str| reached.get(a).is_some_and(|r| r.contains(b)) && reached.get(b).is_some_and(|r| r.contains(a));
    let mut circles: Vec<Vec<&str>> = Vec::new();
    for module in edges.keys().copied().filter(|module| mutual(module, module)) {
        match circles.iter_mut().find(|circle| circle.iter().any(|other| mutual(module, other))) {
            Some(circle) => circle.push(module),
            None => circles.push(vec![module]),
        }
    }
    circles
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &[&str] = &["low", "middle", "high"];

    fn found(sources: &[(&str, &str)]) -> (String, Vec<String>) {
        let sources: Vec<Source> = sources.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let mut findings = Findings::default();
        let line = check("c", ORDER, &sources, &mut findings);
        (line, findings.errors.into_iter().chain(findings.warnings).collect())
    }

    #[track_caller]
    fn one(path: &str, text: &str) {
        let (_, all) = found(&[("lib.rs", "pub use high::{Top, inner::Deep as Renamed};"), (path, text)]);
        assert!(matches!(&all[..], [only] if only.contains("uses `high`") && only.contains(path)), "{text}: {all:?}");
    }

    #[test]
    fn a_use_of_a_higher_module_is_found_however_it_is_written() {
        one("low.rs", "use crate::high::Top;");
        one("low/mod.rs", "use crate::{low, high};");
        one("low.rs", "fn f() { let x = [crate::high::make()]; }");
        one("low.rs", "use super::high::Top;");
        one("middle/part.rs", "use super::super::high;");
        one("middle.rs", "mod inline { use super::super::high; }");
        one("middle.rs", "use crate::Top;");
        one("middle.rs", "use crate::Renamed;");
        one("low.rs", "macro_rules! m { () => { $crate::high::Top } }");
    }

    #[test]
    fn what_is_allowed_is_not_found() {
        for (path, text) in [
            ("high.rs", "use crate::low::A; use crate::middle;"),
            ("middle/part.rs", "use super::high; use crate::middle::x; use crate::low;"),
            ("low.rs", "#[cfg(test)] mod tests { use crate::high; }"),
            ("low.rs", "#[cfg(test)] use crate::high; use std::fmt;"),
            ("low/tests.rs", "use crate::high;"),
            ("low.rs", "/// See [`crate::high::Top`].\nfn f() { g(\"crate::high\") }"),
            ("low.rs", "use crate::not_a_module;"),
        ] {
            assert_eq!(found(&[(path, text)]).1, [""; 0], "{text}");
        }
    }

    #[test]
    fn circles_are_counted() {
        let (line, all) =
            found(&[("low.rs", "use crate::high;"), ("middle.rs", "use crate::low;"), ("high.rs", "use crate::middle;")]);
        assert_eq!(line, "c: 1 uses against the floors, 1 circles of modules");
        assert!(all.iter().any(|f| f.contains("high, low, middle")), "{all:?}");
        let (line, _) = found(&[("middle.rs", "use crate::low;"), ("high.rs", "use crate::{low, middle};")]);
        assert_eq!(line, "c: 0 uses against the floors, 0 circles of modules");
    }

    #[test]
    fn a_new_module_needs_a_floor() {
        let (_, all) = found(&[("new/mod.rs", "")]);
        assert!(matches!(&all[..], [only] if only.contains("`new`")), "{all:?}");
    }
}
