//! A list of shared messages.

use std::fmt;
use std::iter::{Chain, FlatMap};
use std::mem;
use std::ops::{Index, IndexMut};
use std::slice;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Message;

/// How many messages share one allocation.
const CHUNK: usize = 64;

type Chunk = Arc<Vec<Arc<Message>>>;

/// The messages of a conversation, oldest first.
///
/// Lists share their messages: a clone copies neither texts nor images, and a list of 20,000 messages
/// clones in a few microseconds. To change a message that others share copies that message alone.
///
/// ```
/// use mellea_core::{Message, Messages};
///
/// let mut messages = Messages::from([Message::system("Be brief."), Message::user("Hello")]);
/// let before = messages.clone();
/// messages.push(Message::assistant("Hi!"));
/// assert_eq!((before.len(), messages.len()), (2, 3));
/// assert_eq!(messages[1].text(), "Hello");
/// assert!(messages.iter().zip(&before).all(|(one, other)| std::ptr::eq(one, other)));
/// ```
#[derive(Clone, Default)]
pub struct Messages {
    full: Vec<Chunk>,
    tail: Vec<Arc<Message>>,
    length: usize,
}

impl Messages {
    /// No messages.
    #[must_use]
    pub const fn new() -> Self {
        Self { full: Vec::new(), tail: Vec::new(), length: 0 }
    }

    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The messages, oldest first.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.full.iter().flat_map(items as Items<'_>).chain(self.tail.iter()))
    }

    /// The messages, oldest first, as they are shared.
    #[must_use]
    pub fn shared(&self) -> impl DoubleEndedIterator<Item = &Arc<Message>> + Clone {
        self.full.iter().flat_map(|chunk| chunk.iter()).chain(&self.tail)
    }

    /// The first message.
    #[must_use]
    pub fn first(&self) -> Option<&Message> {
        self.iter().next()
    }

    /// The last message.
    #[must_use]
    pub fn last(&self) -> Option<&Message> {
        self.iter().next_back()
    }

    /// The message at this place, counted from 0.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Message> {
        match self.place(index) {
            (Some(chunk), at) => self.full.get(chunk)?.get(at),
            (None, at) => self.tail.get(at),
        }
        .map(|message| &**message)
    }

    /// The message at this place, to be changed. Those who share it keep it as it was.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut Message> {
        let (list, at) = self.list_mut(index);
        list.get_mut(at).map(Arc::make_mut)
    }

    /// Adds a message at the end.
    pub fn push(&mut self, message: impl Into<Arc<Message>>) {
        self.tail.push(message.into());
        self.length += 1;
        if self.tail.len() >= CHUNK {
            self.full.push(Arc::new(mem::take(&mut self.tail)));
        }
    }

    /// Puts a message before the one at this place; at the end if there are not so many.
    pub fn insert(&mut self, index: usize, message: impl Into<Arc<Message>>) {
        if index >= self.length {
            return self.push(message);
        }
        if index == 0 && self.full.first().is_some_and(|first| first.len() >= CHUNK) {
            self.full.insert(0, Arc::new(vec![message.into()]));
        } else {
            let (list, at) = self.list_mut(index);
            list.insert(at, message.into());
        }
        self.length += 1;
    }

    /// Takes out the message at this place, if there is one.
    pub fn remove(&mut self, index: usize) -> Option<Arc<Message>> {
        if index >= self.length {
            return None;
        }
        let (list, at) = self.list_mut(index);
        let removed = list.remove(at);
        self.length -= 1;
        Some(removed)
    }

    /// Keeps the first messages only, at most so many.
    pub fn truncate(&mut self, length: usize) {
        if length < self.length {
            *self = self.shared().take(length).cloned().collect();
        }
    }

    /// In which full chunk a message stands, or that it stands in the tail; and where there.
    fn place(&self, index: usize) -> (Option<usize>, usize) {
        let mut at = index;
        for (i, chunk) in self.full.iter().enumerate() {
            if at < chunk.len() {
                return (Some(i), at);
            }
            at -= chunk.len();
        }
        (None, at)
    }

    /// The list in which a message stands, and where there.
    fn list_mut(&mut self, index: usize) -> (&mut Vec<Arc<Message>>, usize) {
        match self.place(index) {
            (Some(chunk), at) => match self.full.get_mut(chunk) {
                Some(chunk) => (Arc::make_mut(chunk), at),
                None => (&mut self.tail, at),
            },
            (None, at) => (&mut self.tail, at),
        }
    }
}

/// The messages of a list, see [`Messages::iter`].
#[derive(Clone)]
pub struct Iter<'a>(Chain<Full<'a>, Tail<'a>>);

type Full<'a> = FlatMap<slice::Iter<'a, Chunk>, Tail<'a>, Items<'a>>;
type Tail<'a> = slice::Iter<'a, Arc<Message>>;
type Items<'a> = fn(&'a Chunk) -> Tail<'a>;

fn items(chunk: &Chunk) -> Tail<'_> {
    chunk.iter()
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Message;

    fn next(&mut self) -> Option<&'a Message> {
        self.0.next().map(|message| &**message)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|message| &**message)
    }
}

impl fmt::Debug for Iter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a> IntoIterator for &'a Messages {
    type Item = &'a Message;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<M: Into<Arc<Message>>> Extend<M> for Messages {
    fn extend<I: IntoIterator<Item = M>>(&mut self, messages: I) {
        messages.into_iter().for_each(|message| self.push(message));
    }
}

impl<M: Into<Arc<Message>>> FromIterator<M> for Messages {
    fn from_iter<I: IntoIterator<Item = M>>(messages: I) -> Self {
        let mut all = Self::new();
        all.extend(messages);
        all
    }
}

impl<M: Into<Arc<Message>>> From<Vec<M>> for Messages {
    fn from(messages: Vec<M>) -> Self {
        messages.into_iter().collect()
    }
}

impl<M: Into<Arc<Message>>, const N: usize> From<[M; N]> for Messages {
    fn from(messages: [M; N]) -> Self {
        messages.into_iter().collect()
    }
}

impl From<Message> for Messages {
    fn from(message: Message) -> Self {
        Self::from([message])
    }
}

/// As a slice's: it panics if there are not so many messages. [`get`](Messages::get) does not.
impl Index<usize> for Messages {
    type Output = Message;

    #[expect(clippy::panic, reason = "what indexing is")]
    fn index(&self, index: usize) -> &Message {
        self.get(index).unwrap_or_else(|| panic!("there are {} messages, none at {index}", self.length))
    }
}

/// As a slice's: it panics if there are not so many messages. [`get_mut`](Messages::get_mut) does
/// not.
impl IndexMut<usize> for Messages {
    #[expect(clippy::panic, reason = "what indexing is")]
    fn index_mut(&mut self, index: usize) -> &mut Message {
        let length = self.length;
        self.get_mut(index).unwrap_or_else(|| panic!("there are {length} messages, none at {index}"))
    }
}

impl PartialEq for Messages {
    fn eq(&self, other: &Self) -> bool {
        let same = |(one, other): (&Message, &Message)| std::ptr::eq(one, other) || one == other;
        self.length == other.length && self.iter().zip(other).all(same)
    }
}

impl PartialEq<[Message]> for Messages {
    fn eq(&self, other: &[Message]) -> bool {
        self.length == other.len() && self.iter().eq(other)
    }
}

impl<const N: usize> PartialEq<[Message; N]> for Messages {
    fn eq(&self, other: &[Message; N]) -> bool {
        self == other.as_slice()
    }
}

impl PartialEq<Vec<Message>> for Messages {
    fn eq(&self, other: &Vec<Message>) -> bool {
        self == other.as_slice()
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl Serialize for Messages {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

impl<'de> Deserialize<'de> for Messages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Message>::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push,
        Insert(usize),
        Remove(usize),
        Change(usize),
        Truncate(usize),
        Keep,
    }

    fn step() -> impl Strategy<Value = Step> {
        let place = 0..300_usize;
        prop_oneof![
            8 => Just(Step::Push),
            2 => place.clone().prop_map(Step::Insert),
            2 => Just(Step::Insert(0)),
            1 => place.clone().prop_map(Step::Remove),
            1 => place.clone().prop_map(Step::Change),
            1 => (100..300_usize).prop_map(Step::Truncate),
            1 => Just(Step::Keep),
        ]
    }

    proptest! {
        #[test]
        fn it_does_what_a_vector_does(steps in prop::collection::vec(step(), 0..400)) {
            let mut list = Messages::new();
            let mut plain: Vec<Message> = Vec::new();
            let mut kept = Vec::new();
            for (i, step) in steps.into_iter().enumerate() {
                let message = Message::user(i.to_string());
                match step {
                    Step::Push => {
                        list.push(message.clone());
                        plain.push(message);
                    }
                    Step::Insert(at) => {
                        list.insert(at, message.clone());
                        plain.insert(at.min(plain.len()), message);
                    }
                    Step::Remove(at) => {
                        let removed = (at < plain.len()).then(|| plain.remove(at));
                        prop_assert_eq!(list.remove(at).map(Arc::unwrap_or_clone), removed);
                    }
                    Step::Change(at) => {
                        if let Some(one) = plain.get_mut(at) {
                            one.clone_from(&message);
                            list[at] = message;
                        }
                    }
                    Step::Truncate(length) => {
                        list.truncate(length);
                        plain.truncate(length);
                    }
                    Step::Keep => kept.push((list.clone(), plain.clone())),
                }
                prop_assert_eq!(list.len(), plain.len());
                prop_assert_eq!((list.first(), list.last()), (plain.first(), plain.last()));
            }
            kept.push((list, plain));
            for (list, plain) in kept {
                prop_assert_eq!(&list, &plain, "a clone stays as it was");
                prop_assert!(list.iter().rev().eq(plain.iter().rev()));
                prop_assert!((0..plain.len() + 1).all(|i| list.get(i) == plain.get(i)));
                let json = serde_json::to_value(&list).unwrap();
                prop_assert_eq!(&json, &serde_json::to_value(&plain).unwrap());
                prop_assert_eq!(serde_json::from_value::<Messages>(json).unwrap(), list);
            }
        }
    }
}
