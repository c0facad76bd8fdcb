//! A schema compiled: one node for each of its parts, references resolved to nodes.

use std::collections::HashSet;

use serde_json::{Map, Number, Value};

use crate::equal::{canonical, is_whole, same};
use crate::pattern::Pattern;

/// The place of a node in its program.
pub(crate) type Id = usize;

/// The types that a node lets through, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Types(pub(crate) u8);

impl Types {
    pub(crate) const NULL: Self = Self(1);
    pub(crate) const BOOLEAN: Self = Self(2);
    pub(crate) const STRING: Self = Self(4);
    pub(crate) const ARRAY: Self = Self(8);
    pub(crate) const OBJECT: Self = Self(16);
    pub(crate) const INTEGER: Self = Self(32);
    pub(crate) const NUMBER: Self = Self(64);
    pub(crate) const ALL: Self = Self(127);
    pub(crate) const NONE: Self = Self(0);

    /// The names of JSON Schema.
    pub(crate) const NAMED: [(&'static str, Self); 7] = [
        ("object", Self::OBJECT),
        ("array", Self::ARRAY),
        ("string", Self::STRING),
        ("integer", Self::INTEGER),
        ("number", Self::NUMBER),
        ("boolean", Self::BOOLEAN),
        ("null", Self::NULL),
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(known, _)| *known == name).map(|(_, types)| *types)
    }

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether these types let a value through. A whole float is an integer.
    pub(crate) fn admit(self, value: &Value) -> bool {
        if self == Self::ALL {
            return true;
        }
        match value {
            Value::Null => self.has(Self::NULL),
            Value::Bool(_) => self.has(Self::BOOLEAN),
            Value::String(_) => self.has(Self::STRING),
            Value::Array(_) => self.has(Self::ARRAY),
            Value::Object(_) => self.has(Self::OBJECT),
            Value::Number(number) => self.has(Self::NUMBER) || (self.has(Self::INTEGER) && is_whole(number)),
        }
    }

    /// Whether only integers are numbers here.
    pub(crate) fn only_integers(self) -> bool {
        self.has(Self::INTEGER) && !self.has(Self::NUMBER)
    }
}

/// One part of a schema.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) types: Types,
    /// `nullable: true`: `null` fits, whatever else is said.
    pub(crate) nullable: bool,
    pub(crate) reference: Option<Id>,
    pub(crate) allowed: Option<Allowed>,
    pub(crate) number: Option<Box<NumberRules>>,
    pub(crate) string: Option<Box<StringRules>>,
    pub(crate) array: Option<Box<ArrayRules>>,
    pub(crate) object: Option<Box<ObjectRules>>,
    pub(crate) logic: Option<Box<Logic>>,
    /// Whether a keyword of this part, or of one within, is not checked.
    pub(crate) tainted: bool,
}

impl Node {
    pub(crate) const fn any() -> Self {
        Self {
            types: Types::ALL,
            nullable: false,
            reference: None,
            allowed: None,
            number: None,
            string: None,
            array: None,
            object: None,
            logic: None,
            tainted: false,
        }
    }

    /// Whether it says nothing but what the node says that it refers to.
    fn is_only_reference(&self) -> bool {
        self.types == Types::ALL
            && !self.nullable
            && self.allowed.is_none()
            && self.number.is_none()
            && self.string.is_none()
            && self.array.is_none()
            && self.object.is_none()
            && self.logic.is_none()
    }

    /// The nodes that the same value must be held against.
    pub(crate) fn in_place(&self) -> impl Iterator<Item = Id> {
        let logic = self.logic.as_deref();
        let unions = logic.into_iter().flat_map(|l| {
            let branches = l.all_of.iter().chain(&l.any_of).chain(&l.one_of).copied();
            branches.chain(l.not).chain(l.condition).chain(l.then).chain(l.otherwise)
        });
        let dependent = self.object.as_deref().into_iter().flat_map(|o| o.dependent_schemas.iter().map(|(_, id)| *id));
        self.reference.into_iter().chain(unions).chain(dependent)
    }

    /// The nodes that parts of the value are held against.
    pub(crate) fn within(&self) -> impl Iterator<Item = Id> {
        let array =
            self.array.as_deref().into_iter().flat_map(|a| {
                a.prefix.iter().copied().chain(a.items).chain(a.unevaluated).chain(a.contains.as_ref().map(|c| c.id))
            });
        let object = self.object.as_deref().into_iter().flat_map(|o| {
            let named = o.properties.iter().map(|(_, property)| property.id);
            let matched = o.patterns.iter().map(|(_, id)| *id);
            named.chain(matched).chain(o.additional).chain(o.unevaluated).chain(o.names)
        });
        array.chain(object)
    }
}

/// The values of `enum` or `const`.
#[derive(Clone, Debug)]
pub(crate) struct Allowed {
    pub(crate) values: Vec<Value>,
    /// Their canonical texts, once there are many.
    known: Option<HashSet<String>>,
}

impl Allowed {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        let known = (values.len() > 8).then(|| values.iter().map(canonical).collect());
        Self { values, known }
    }

    pub(crate) fn has(&self, value: &Value) -> bool {
        match &self.known {
            Some(known) => known.contains(&canonical(value)),
            None => self.values.iter().any(|allowed| same(allowed, value)),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct NumberRules {
    pub(crate) minimum: Option<Number>,
    pub(crate) maximum: Option<Number>,
    pub(crate) above: Option<Number>,
    pub(crate) below: Option<Number>,
    pub(crate) step: Option<Number>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct StringRules {
    pub(crate) min: Option<u64>,
    pub(crate) max: Option<u64>,
    pub(crate) pattern: Option<Pattern>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct ArrayRules {
    pub(crate) min: Option<u64>,
    pub(crate) max: Option<u64>,
    pub(crate) unique: bool,
    pub(crate) prefix: Vec<Id>,
    pub(crate) items: Option<Id>,
    pub(crate) contains: Option<Contains>,
    pub(crate) unevaluated: Option<Id>,
}

#[derive(Clone, Debug)]
pub(crate) struct Contains {
    pub(crate) id: Id,
    pub(crate) min: u64,
    pub(crate) max: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct ObjectRules {
    pub(crate) properties: Vec<(String, Property)>,
    /// Where each property stands in the list, once there are many.
    pub(crate) index: Option<std::collections::HashMap<String, usize>>,
    pub(crate) patterns: Vec<(Pattern, Id)>,
    pub(crate) additional: Option<Id>,
    /// Required members that have no property of their own.
    pub(crate) required: Vec<String>,
    pub(crate) min: Option<u64>,
    pub(crate) max: Option<u64>,
    pub(crate) names: Option<Id>,
    pub(crate) dependent_required: Vec<(String, Vec<String>)>,
    pub(crate) dependent_schemas: Vec<(String, Id)>,
    pub(crate) unevaluated: Option<Id>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Property {
    pub(crate) id: Id,
    pub(crate) required: bool,
    /// Whether `null` can only mean that the member is not there.
    pub(crate) null_is_absent: bool,
}

impl ObjectRules {
    pub(crate) fn property(&self, name: &str) -> Option<&Property> {
        match &self.index {
            Some(index) => self.properties.get(*index.get(name)?).map(|(_, property)| property),
            None => self.properties.iter().find(|(known, _)| known == name).map(|(_, property)| property),
        }
    }

    /// Builds the index of a long list.
    pub(crate) fn indexed(mut self) -> Self {
        if self.properties.len() > 12 {
            self.index = Some(self.properties.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect());
        }
        self
    }

    /// The required names that are missing.
    pub(crate) fn missing<'s>(&'s self, map: &'s Map<String, Value>) -> impl Iterator<Item = (&'s str, Option<Id>)> {
        let named = self.properties.iter().filter(|(_, p)| p.required).map(|(name, p)| (name.as_str(), Some(p.id)));
        let others = self.required.iter().map(|name| (name.as_str(), None));
        named.chain(others).filter(|(name, _)| !map.contains_key(*name))
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Logic {
    pub(crate) all_of: Vec<Id>,
    pub(crate) any_of: Vec<Id>,
    pub(crate) one_of: Vec<Id>,
    pub(crate) not: Option<Id>,
    pub(crate) condition: Option<Id>,
    pub(crate) then: Option<Id>,
    pub(crate) otherwise: Option<Id>,
}

/// A compiled schema.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) nodes: Vec<Node>,
}

static ANY: Node = Node::any();

impl Program {
    pub(crate) fn node(&self, id: Id) -> &Node {
        self.nodes.get(id).unwrap_or(&ANY)
    }

    /// The node itself, or the one that it is nothing but a reference to.
    pub(crate) fn resolved(&self, id: Id) -> (Id, &Node) {
        let (mut id, mut node) = (id, self.node(id));
        // References in a circle are refused when a schema is compiled.
        while let Some(next) = node.reference.filter(|_| node.is_only_reference()) {
            (id, node) = (next, self.node(next));
        }
        (id, node)
    }
}
