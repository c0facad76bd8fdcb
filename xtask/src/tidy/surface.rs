//! The public surface: which other people's crates stand in signatures, so that a new major version of one of
//! them is a breaking change of ours.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Fields, ImplItem, Item, Signature, TraitItem, UseTree, Visibility};

/// The crates that each of ours may show, and why.
const ALLOWED: &[(&str, &[(&str, &str)])] = &[
    (
        "mellea",
        &[
            ("schemars", "the prelude brings the derive that typed answers need"),
            ("serde", "the prelude brings the derives that typed answers need"),
        ],
    ),
    (
        "mellea-core",
        &[
            ("futures_core", "streams of events and answers are `Stream`"),
            ("futures_util", "`join_all` and `try_join_all` name the futures that they give"),
            ("schemars", "schemas are made from its derive"),
            ("serde", "what is recorded, sent or read is serialisable"),
            ("serde_json", "JSON is `Value` on every path: options, tool arguments, schemas"),
            ("tokio", "cancellation and time"),
        ],
    ),
    (
        "mellea-schema",
        &[
            ("schemars", "schemas are made from its derive"),
            ("serde", "what is read is deserialised"),
            ("serde_json", "schemas and answers are `Value`"),
            ("thiserror", "errors derive their `Error`"),
        ],
    ),
    (
        "mellea-wire",
        &[("serde", "what is read is deserialised"), ("serde_json", "errors, arguments and what goes back are `Value`")],
    ),
    ("mellea-macros", &[]),
    (
        "mellea-http",
        &[
            ("bytes", "frames and bodies are shared slices"),
            ("url", "whoever signs a request sees its address"),
            ("reqwest", "a program may hand in its own client"),
            ("serde", "bodies are anything that serialises"),
            ("serde_json", "bodies and errors are read as `Value`"),
        ],
    ),
    ("mellea-openai", &[("serde", "the wire types are public"), ("serde_json", "unknown fields are kept as `Value`")]),
    ("mellea-ollama", &[("serde", "the wire types are public"), ("serde_json", "unknown fields are kept as `Value`")]),
    ("mellea-watsonx", &[("serde", "the wire types are public"), ("serde_json", "unknown fields are kept as `Value`")]),
    (
        "mellea-litellm",
        &[("serde", "rows of the registry are read from TOML and serialise"), ("serde_json", "options are `Value`")],
    ),
    ("mellea-hf", &[("serde_json", "only in what is hidden for the benchmarks"), ("thiserror", "errors derive their `Error`")]),
    ("mellea-pico", &[]),
];

/// Compares what a crate's public items name with what it may show.
pub(super) fn check(name: &str, dependencies: &[String], sources: &[(String, String)]) -> (Vec<String>, Vec<String>) {
    let allowed = ALLOWED.iter().find(|(krate, _)| *krate == name).map_or(&[][..], |(_, allowed)| *allowed);
    let external: BTreeSet<String> = dependencies.iter().map(|name| name.replace('-', "_")).collect();
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    for (path, text) in sources {
        for (krate, item) in names(text, &external) {
            shown.entry(krate).or_insert_with(|| format!("{path}: {item}"));
        }
    }
    let wrong = shown.iter().filter(|(krate, _)| !allowed.iter().any(|(name, _)| name == krate));
    let errors = wrong.map(|(krate, place)| {
        format!("{name}: the public item {place} shows the crate `{krate}`, which is not in ALLOWED of xtask/src/tidy/surface.rs")
    });
    let unused = allowed.iter().filter(|(krate, _)| !shown.contains_key(*krate));
    let warnings = unused.map(|(krate, _)| format!("{name}: `{krate}` may be shown, but is not; take it out of surface.rs"));
    (errors.collect(), warnings.collect())
}

/// The external crates that the public items of a file name, each with an item.
fn names(source: &str, external: &BTreeSet<String>) -> Vec<(String, String)> {
    let Ok(file) = syn::parse_file(source) else { return Vec::new() };
    let mut reader = Reader { external, found: Vec::new() };
    reader.module(&file.items, &BTreeMap::new());
    reader.found
}

struct Reader<'a> {
    external: &'a BTreeSet<String>,
    found: Vec<(String, String)>,
}

/// Names that `use` brings into a module, with the first part of the path of each.
type Imports = BTreeMap<String, String>;

impl Reader<'_> {
    fn module(&mut self, items: &[Item], outer: &Imports) {
        let mut imports = outer.clone();
        for item in items {
            if let Item::Use(item) = item {
                add_imports(&item.tree, None, &mut imports);
            }
        }
        for item in items {
            self.item(item, &imports);
        }
    }

    fn item(&mut self, item: &Item, imports: &Imports) {
        match item {
            Item::Use(item) if shows(&item.vis, &item.attrs) => {
                let mut leaves = Imports::new();
                add_imports(&item.tree, None, &mut leaves);
                for (name, first) in leaves {
                    self.record(&first, imports, &format!("use {name}"));
                }
            }
            Item::Mod(item) if !hidden(&item.attrs) => {
                if let Some((_, items)) = &item.content {
                    self.module(items, imports);
                }
            }
            Item::Fn(item) if shows(&item.vis, &item.attrs) => self.signature(&item.sig, imports),
            Item::Type(item) if shows(&item.vis, &item.attrs) => self.tokens(&item.ty, imports, &item.ident),
            Item::Const(item) if shows(&item.vis, &item.attrs) => self.tokens(&item.ty, imports, &item.ident),
            Item::Static(item) if shows(&item.vis, &item.attrs) => self.tokens(&item.ty, imports, &item.ident),
            Item::Struct(item) if shows(&item.vis, &item.attrs) => {
                self.derives(&item.attrs, imports, &item.ident);
                self.tokens(&item.generics, imports, &item.ident);
                self.fields(&item.fields, true, imports, &item.ident);
            }
            Item::Enum(item) if shows(&item.vis, &item.attrs) => {
                self.derives(&item.attrs, imports, &item.ident);
                self.tokens(&item.generics, imports, &item.ident);
                for variant in &item.variants {
                    self.fields(&variant.fields, false, imports, &item.ident);
                }
            }
            Item::Trait(item) if shows(&item.vis, &item.attrs) => {
                self.tokens(&item.supertraits, imports, &item.ident);
                self.tokens(&item.generics, imports, &item.ident);
                for part in &item.items {
                    match part {
                        TraitItem::Fn(part) => self.signature(&part.sig, imports),
                        TraitItem::Type(part) => self.tokens(&part.bounds, imports, &part.ident),
                        TraitItem::Const(part) => self.tokens(&part.ty, imports, &part.ident),
                        _ => {}
                    }
                }
            }
            // What an implementation of a trait shows is the trait; the rest of its signatures follows from it.
            Item::Impl(item) if item.trait_.is_none() && !hidden(&item.attrs) => {
                for part in &item.items {
                    if let ImplItem::Fn(part) = part
                        && shows(&part.vis, &part.attrs)
                    {
                        self.signature(&part.sig, imports);
                    }
                }
            }
            _ => {}
        }
    }

    fn signature(&mut self, signature: &Signature, imports: &Imports) {
        self.tokens(&signature.inputs, imports, &signature.ident);
        self.tokens(&signature.output, imports, &signature.ident);
        self.tokens(&signature.generics, imports, &signature.ident);
        self.tokens(&signature.generics.where_clause, imports, &signature.ident);
    }

    fn fields(&mut self, fields: &Fields, only_public: bool, imports: &Imports, item: &dyn ToString) {
        for field in fields.iter().filter(|field| !only_public || shows(&field.vis, &field.attrs)) {
            self.tokens(&field.ty, imports, item);
        }
    }

    fn derives(&mut self, attributes: &[Attribute], imports: &Imports, item: &dyn ToString) {
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
            self.tokens(&attribute.meta, imports, item);
        }
    }

    /// Every path in a piece of a signature: its first part is a crate, or a name that `use` brings in.
    fn tokens(&mut self, part: &impl ToTokens, imports: &Imports, item: &(impl ToString + ?Sized)) {
        self.stream(part.to_token_stream(), imports, &item.to_string());
    }

    fn stream(&mut self, tokens: TokenStream, imports: &Imports, item: &str) {
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) if colons != 2 => {
                    self.record(&ident.to_string(), imports, item);
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.stream(group.stream(), imports, item);
                    colons = 0;
                }
                _ => colons = 0,
            }
        }
    }

    fn record(&mut self, first: &str, imports: &Imports, item: &str) {
        let krate = imports.get(first).map_or(first, String::as_str);
        if self.external.contains(krate) {
            self.found.push((krate.to_owned(), format!("`{item}`")));
        }
    }
}

/// Whether others can name an item. A `pub` item in a private module counts: the lint on unreachable ones sees
/// to it that there is a way to it.
fn shows(visibility: &Visibility, attributes: &[Attribute]) -> bool {
    matches!(visibility, Visibility::Public(_)) && !hidden(attributes)
}

/// Not part of the API: hidden from the documentation, or only there for tests.
fn hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = attribute.meta.to_token_stream().to_string().replace(' ', "");
        text == "doc(hidden)" || text == "cfg(test)" || text == "cfg(fuzzing)"
    })
}

fn add_imports(tree: &UseTree, first: Option<&str>, imports: &mut Imports) {
    let of = |name: &syn::Ident| first.map_or_else(|| name.to_string(), str::to_owned);
    match tree {
        UseTree::Path(path) => add_imports(&path.tree, Some(&of(&path.ident)), imports),
        UseTree::Name(name) if name.ident != "self" => drop(imports.insert(name.ident.to_string(), of(&name.ident))),
        UseTree::Name(_) => {
            if let Some(first) = first {
                imports.insert(first.to_owned(), first.to_owned());
            }
        }
        UseTree::Rename(rename) if rename.rename == "_" => {}
        UseTree::Rename(rename) => drop(imports.insert(rename.rename.to_string(), of(&rename.ident))),
        UseTree::Group(group) => group.items.iter().for_each(|tree| add_imports(tree, first, imports)),
        UseTree::Glob(_) => {
            if let Some(first) = first {
                imports.insert(format!("{first}::*"), first.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> Vec<String> {
        let external = ["url", "reqwest", "serde"].map(str::to_owned).into();
        let found: BTreeSet<String> = names(source, &external).into_iter().map(|(krate, _)| krate).collect();
        found.into_iter().collect()
    }

    #[test]
    fn what_a_public_item_shows_is_found() {
        for source in [
            "pub use url::Url;",
            "pub use url;",
            "pub use url::{self as address};",
            "pub fn f(u: url::Url) {}",
            "use url::Url; pub fn f() -> Option<Url> { None }",
            "use url::{Url as U}; pub fn f<T: Into<U>>(t: T) {}",
            "pub struct S { pub u: url::Url }",
            "pub struct S(pub url::Url);",
            "pub enum E { A { u: url::Url } }",
            "pub trait T { fn f(&self, u: &url::Url); }",
            "pub type A = Vec<url::Url>;",
            "struct S; impl S { pub fn f(&self) -> &url::Url { todo() } }",
            "pub mod inner { use url::Url; pub fn f(u: &[Url]) {} }",
            "pub fn f<T>(t: T) where T: AsRef<url::Url> {}",
        ] {
            assert_eq!(shown(source), ["url"], "{source}");
        }
        assert_eq!(shown("use serde::Serialize; #[derive(Debug, Serialize)] pub struct S;"), ["serde"]);
    }

    #[test]
    fn what_stays_inside_is_not() {
        for source in [
            "use url::Url; fn f(u: Url) {}",
            "pub struct S { u: url::Url }",
            "pub(crate) fn f(u: url::Url) {}",
            "pub fn f() { let u = url::Url::parse(\"\"); }",
            "use url::Url as _; pub fn f(u: &'_ str) {}",
            "#[doc(hidden)] pub mod private { pub use url; }",
            "#[cfg(test)] mod tests { pub fn f(u: url::Url) {} }",
            "impl From<url::Url> for S { fn from(u: url::Url) -> S { S } }",
            "pub fn f(u: crate::url::Url) {}",
        ] {
            assert_eq!(shown(source), [""; 0], "{source}");
        }
    }

    #[test]
    fn a_crate_that_may_not_be_shown_is_named_with_its_place() {
        let sources = [("src/lib.rs".to_owned(), "pub use url::Url;".to_owned())];
        let (errors, _) = check("mellea-pico", &["url".to_owned()], &sources);
        assert!(matches!(&errors[..], [only] if only.contains("src/lib.rs") && only.contains("`url`")), "{errors:?}");
        let (errors, warnings) = check("mellea-http", &["url".to_owned()], &[]);
        assert!(errors.is_empty() && warnings.iter().any(|w| w.contains("`reqwest`")), "{warnings:?}");
    }
}
