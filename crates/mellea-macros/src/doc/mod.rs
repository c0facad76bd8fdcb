//! Doc comments as texts for a model.

mod sections;

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, Expr, ExprLit, Lit, Meta};

use sections::Sections;

/// What a doc comment says.
#[derive(Debug)]
pub(crate) enum Doc {
    /// A text that is known now.
    Text(String),
    /// A text that the compiler puts together, as with `#[doc = include_str!("…")]`.
    Expression(TokenStream),
}

/// A function's doc comment: what it says about the function, and what about its parameters.
#[derive(Debug)]
pub(crate) struct FunctionDoc {
    pub(crate) text: Doc,
    /// The parameters that have a text, by name.
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Doc {
    /// The doc comment among these attributes, if there is one and it is not empty.
    pub(crate) fn find(attributes: &[Attribute]) -> Option<Self> {
        match lines(attributes) {
            Ok(lines) => Some(join(lines.iter().map(String::as_str))).filter(|text| !text.is_empty()).map(Self::Text),
            Err(expression) => Some(Self::Expression(expression)),
        }
    }
}

impl FunctionDoc {
    /// The doc comment of a function with these parameters. Sections on parameters, in any of the
    /// usual styles, are read; a text that the compiler puts together is taken as it is.
    pub(crate) fn find(attributes: &[Attribute], parameters: &[String]) -> Option<Self> {
        match lines(attributes) {
            Ok(lines) => {
                let Sections { text, parameters } = sections::read(&lines, parameters);
                let text = join(text.iter().map(String::as_str));
                (!text.is_empty()).then_some(Self { text: Doc::Text(text), parameters })
            }
            Err(expression) => Some(Self { text: Doc::Expression(expression), parameters: BTreeMap::new() }),
        }
    }
}

/// The lines of the doc comment, or what the compiler makes it from.
fn lines(attributes: &[Attribute]) -> Result<Vec<String>, TokenStream> {
    let values: Vec<&Expr> = attributes.iter().filter_map(value).collect();
    let texts: Option<Vec<String>> = values.iter().map(|value| literal(value)).collect();
    match texts {
        Some(texts) => Ok(texts.iter().flat_map(|text| block(text)).collect()),
        None => Err(quote!(::core::concat!(#(#values, "\n"),*).trim())),
    }
}

/// The lines of one doc attribute, without the margin that they share.
fn block(text: &str) -> Vec<String> {
    if !text.contains('\n') {
        let line = text.strip_prefix(' ').unwrap_or(text);
        return vec![line.trim_end().to_owned()];
    }
    let mut lines: Vec<&str> = text.split('\n').map(str::trim_end).collect();
    let (first, rest) = lines.split_first_mut().map_or(("", &mut [][..]), |(first, rest)| (first.trim_start(), rest));
    let starred = |line: &str| line.trim_start().starts_with('*') && !line.trim_start().starts_with("**");
    let filled = || rest.iter().filter(|line| !line.trim().is_empty());
    if filled().count() > 1 && filled().all(|line| starred(line)) {
        for line in rest.iter_mut() {
            let inner = line.trim_start();
            *line = inner.strip_prefix('*').unwrap_or(inner);
        }
    }
    let margin = indent_of(rest);
    let rest = rest.iter().map(|line| line.get(margin..).unwrap_or_default());
    std::iter::once(first).chain(rest).map(str::to_owned).collect()
}

/// How far all lines are indented that are not empty.
fn indent_of(lines: &[&str]) -> usize {
    let filled = lines.iter().filter(|line| !line.trim().is_empty());
    filled.map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0)
}

impl ToTokens for Doc {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Text(text) => text.to_tokens(tokens),
            Self::Expression(expression) => expression.to_tokens(tokens),
        }
    }
}

fn value(attribute: &Attribute) -> Option<&Expr> {
    match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => Some(&meta.value),
        _ => None,
    }
}

fn literal(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

/// Lines joined to paragraphs. Where Markdown keeps a line apart (lists, headings, tables, code) it
/// stays apart, so that a prompt does not change when a doc comment is wrapped anew.
fn join<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let (mut text, mut fenced, mut open, mut blank) = (String::new(), false, false, false);
    for line in lines {
        if line.is_empty() && !fenced {
            blank = true;
            continue;
        }
        let fence = line.trim_start().starts_with("```");
        let prose = !fenced && !fence;
        if !text.is_empty() {
            text.push_str(match () {
                () if blank => "\n\n",
                () if open && prose && !stands_apart(line) => " ",
                () => "\n",
            });
        }
        text.push_str(line);
        (fenced, open, blank) = (fenced ^ fence, prose && !line.starts_with(['#', '|']), false);
    }
    text.trim().to_owned()
}

fn stands_apart(line: &str) -> bool {
    let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = number.len() < line.len() && (number.starts_with(". ") || number.starts_with(") "));
    numbered || line.starts_with([' ', '\t', '#', '>', '|']) || ["- ", "* ", "+ "].iter().any(|bullet| line.starts_with(bullet))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::{ItemStruct, parse_quote};

    fn doc(item: &ItemStruct) -> Option<String> {
        Doc::find(&item.attrs).map(|doc| match doc {
            Doc::Text(text) => text,
            Doc::Expression(tokens) => tokens.to_string(),
        })
    }

    #[test]
    fn lines_become_paragraphs() {
        let item = parse_quote! {
            /// One sentence that is
            /// wrapped.
            ///
            ///
            /// Another paragraph.
            #[derive(Debug)]
            struct X;
        };
        assert_eq!(doc(&item).as_deref(), Some("One sentence that is wrapped.\n\nAnother paragraph."));
    }

    #[test]
    fn lists_headings_and_code_keep_their_lines() {
        let item = parse_quote! {
            /// Rules:
            /// - be brief
            /// - be kind,
            ///   always
            /// 1. first
            /// 2) second
            /// # Heading
            /// Text.
            /// ```text
            /// a
            ///
            ///   b
            /// ```
            /// End,
            /// really.
            struct X;
        };
        let expected = "Rules:\n- be brief\n- be kind,\n  always\n1. first\n2) second\n# Heading\nText.\n```text\na\n\n  b\n```\nEnd, really.";
        assert_eq!(doc(&item).as_deref(), Some(expected));
    }

    #[test]
    fn the_same_words_wrapped_differently_are_the_same_text() {
        let (one, other) = (join(["a b", "c d"].into_iter()), join(["a", "b c", "d"].into_iter()));
        assert_eq!(one, other);
    }

    #[test]
    fn no_text_is_no_doc() {
        assert_eq!(
            doc(&parse_quote!(
                struct X;
            )),
            None
        );
        assert_eq!(
            doc(&parse_quote!(
                #[doc(hidden)]
                #[doc = " "]
                struct X;
            )),
            None
        );
    }

    #[test]
    fn texts_from_files_are_left_to_the_compiler() {
        let doc = doc(&parse_quote!(
            #[doc = include_str!("prompt.md")]
            struct X;
        ))
        .unwrap();
        assert!(doc.contains("include_str ! (\"prompt.md\")"), "{doc}");
    }
}
