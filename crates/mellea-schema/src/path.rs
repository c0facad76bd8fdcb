//! Where something stands in a JSON document: a chain on the stack, written out only when needed.

use std::borrow::Cow;

/// How long a pointer in a message may be: a model chooses the keys.
const MAX_POINTER: usize = 300;

/// A place in a JSON document.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path<'a> {
    /// The document itself.
    Root,
    /// A member of the object at a place.
    Key(&'a Self, &'a str),
    /// An item of the array at a place.
    Index(&'a Self, usize),
}

impl Path<'_> {
    /// The place as a JSON pointer; empty for the document itself.
    pub(crate) fn pointer(&self) -> String {
        let mut steps = Vec::new();
        let mut here = self;
        loop {
            here = match here {
                Self::Root => break,
                Self::Key(parent, key) => {
                    let key = key.char_indices().nth(MAX_POINTER).map_or(*key, |(end, _)| key.get(..end).unwrap_or_default());
                    steps.push(escape(key));
                    parent
                }
                Self::Index(parent, index) => {
                    steps.push(Cow::Owned(index.to_string()));
                    parent
                }
            };
        }
        let mut out = String::new();
        for step in steps.iter().rev() {
            if out.len() > MAX_POINTER {
                out.push_str("/…");
                break;
            }
            out.push('/');
            out.push_str(step);
        }
        out
    }
}

/// A key as a step of a JSON pointer.
pub(crate) fn escape(key: &str) -> Cow<'_, str> {
    if key.contains(['~', '/']) { Cow::Owned(key.replace('~', "~0").replace('/', "~1")) } else { Cow::Borrowed(key) }
}
