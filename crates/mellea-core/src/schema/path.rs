//! Where something stands in a JSON document: a chain on the stack, written out only when needed.

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
                    steps.push(key.replace('~', "~0").replace('/', "~1"));
                    parent
                }
                Self::Index(parent, index) => {
                    steps.push(index.to_string());
                    parent
                }
            };
        }
        steps.iter().rev().fold(String::new(), |out, step| out + "/" + step)
    }
}
