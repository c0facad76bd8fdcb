//! Doc comments as texts for a model.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// What a doc comment says.
#[derive(Debug)]
pub(crate) enum Doc {
    /// A text that is known now.
    Text(String),
    /// A text that the compiler puts together, as with `#[doc = include_str!("…")]`.
    Expression(TokenStream),
}

impl Doc {
    /// The doc comment among these attributes, if there is one and it is not empty.
    pub(crate) fn find(attributes: &[Attribute]) -> Option<Self> {
        let values: Vec<&Expr> = attributes.iter().filter_map(value).collect();
        let texts: Option<Vec<String>> = values.iter().map(|value| literal(value)).collect();
        match texts {
            Some(texts) => {
                Some(join(texts.iter().flat_map(|text| text.split('\n')))).filter(|text| !text.is_empty()).map(Self::Text)
            }
            None => Some(Self::Expression(quote!(::core::concat!(#(#values, "\n"),*).trim()))),
        }
    }
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
        let line = line.strip_prefix(' ').unwrap_or(line).trim_end();
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
