//! From the text of a schema to its nodes. What cannot be checked is named, and left out.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Number, Value};

use crate::error::Unchecked;
use crate::node::{
    Allowed, ArrayRules, Contains, Id, Logic, Node, NumberRules, ObjectRules, Program, Property, StringRules, Types,
};
use crate::path::escape;
use crate::pattern::Pattern;
use crate::resolve::Resolver;

/// How many parts a schema may have.
const MAX_NODES: usize = 200_000;

/// How many nodes a value may be held against in one chain of references and unions.
const MAX_CHAIN: usize = 128;

/// Whether a keyword only describes, so that it never decides whether a value fits.
pub(crate) fn is_annotation(keyword: &str) -> bool {
    matches!(
        keyword,
        "title"
            | "description"
            | "default"
            | "examples"
            | "example"
            | "format"
            | "deprecated"
            | "readOnly"
            | "writeOnly"
            | "contentEncoding"
            | "contentMediaType"
            | "contentSchema"
            | "discriminator"
            | "externalDocs"
            | "xml"
    )
}

/// Whether a keyword belongs to the schema as a document.
pub(crate) fn is_structural(keyword: &str) -> bool {
    matches!(
        keyword,
        "$schema" | "$id" | "id" | "$comment" | "$defs" | "definitions" | "$anchor" | "$dynamicAnchor" | "$vocabulary"
    ) || keyword.starts_with("x-")
}

/// Whether an address stands for a draft of JSON Schema, or for that of OpenAPI.
fn is_known_dialect(address: &str) -> bool {
    let address = address.trim_start_matches("https://").trim_start_matches("http://");
    address.starts_with("json-schema.org/") || address.starts_with("spec.openapis.org/")
}

/// A compiled schema, and what it leaves unchecked.
pub(crate) struct Compiled {
    pub(crate) program: Program,
    pub(crate) root: Id,
    pub(crate) unchecked: Vec<Unchecked>,
}

/// Compiles a schema.
pub(crate) fn compile(source: &Value) -> Compiled {
    let mut compiler = Compiler {
        resolver: Resolver::new(source),
        nodes: Vec::new(),
        by_pointer: HashMap::new(),
        queue: Vec::new(),
        unchecked: Vec::new(),
    };
    let root = compiler.part(String::new(), source);
    while let Some((id, pointer, schema)) = compiler.queue.pop() {
        let node = compiler.node(&pointer, schema);
        if let Some(place) = compiler.nodes.get_mut(id) {
            *place = node;
        }
    }
    if compiler.nodes.len() >= MAX_NODES {
        compiler.unchecked.push(Unchecked::new("$ref", "", Some("the schema has too many parts")));
    }
    let Compiler { mut nodes, mut unchecked, .. } = compiler;
    if let Some(reason) = endless(&nodes) {
        unchecked.push(Unchecked::new("$ref", "", Some(reason)));
        // Nothing can be checked by a schema that leads in circles.
        nodes = vec![Node { tainted: true, ..Node::any() }; nodes.len()];
    }
    // A part that others lean on for what they leave over must be known in full.
    let mut shaky = nodes.clone();
    spread_taint(&mut shaky, false);
    for (node, _) in nodes.iter_mut().zip(&shaky).filter(|(_, shaky)| shaky.tainted) {
        if let Some(object) = node.object.as_deref_mut() {
            object.unevaluated = None;
        }
        if let Some(array) = node.array.as_deref_mut() {
            array.unevaluated = None;
        }
    }
    spread_taint(&mut nodes, true);
    let program = Program { nodes };
    let program = without_tainted_negations(program);
    let mut program = nulls(program);
    program.nodes.iter_mut().for_each(|node| {
        if let Some(object) = node.object.take() {
            node.object = Some(Box::new(object.indexed()));
        }
    });
    // A queue that works from its end meets the parts in no order that a reader knows.
    unchecked.sort_by(|a, b| (a.path.len(), &a.path, &a.keyword).cmp(&(b.path.len(), &b.path, &b.keyword)));
    Compiled { program, root, unchecked }
}

struct Compiler<'a> {
    resolver: Resolver<'a>,
    nodes: Vec<Node>,
    by_pointer: HashMap<String, Id>,
    queue: Vec<(Id, String, &'a Value)>,
    unchecked: Vec<Unchecked>,
}

impl<'a> Compiler<'a> {
    /// The node of a part, which is compiled later.
    fn part(&mut self, pointer: String, schema: &'a Value) -> Id {
        if let Some(id) = self.by_pointer.get(&pointer) {
            return *id;
        }
        let id = self.nodes.len();
        if id >= MAX_NODES {
            return 0;
        }
        self.nodes.push(Node::any());
        self.by_pointer.insert(pointer.clone(), id);
        self.queue.push((id, pointer, schema));
        id
    }

    fn parts(&mut self, pointer: &str, keyword: &str, schemas: &'a [Value]) -> Vec<Id> {
        let parts = schemas.iter().enumerate();
        parts.map(|(index, schema)| self.part(format!("{pointer}/{keyword}/{index}"), schema)).collect()
    }

    fn named(&mut self, pointer: &str, keyword: &str, schemas: &'a Map<String, Value>) -> Vec<(String, Id)> {
        let parts = schemas.iter();
        parts.map(|(name, s)| (name.clone(), self.part(format!("{pointer}/{keyword}/{}", escape(name)), s))).collect()
    }

    fn node(&mut self, pointer: &str, schema: &'a Value) -> Node {
        let mut node = Node::any();
        let rules = match schema {
            Value::Bool(true) => return node,
            Value::Bool(false) => return Node { types: Types::NONE, ..node },
            Value::Object(rules) => rules,
            _ => {
                self.unchecked.push(Unchecked::new("schema", pointer, Some("a schema is an object or a boolean")));
                return Node { tainted: true, ..node };
            }
        };
        let mut parts = Parts::default();
        for (keyword, value) in rules {
            if keyword == "$schema" && !value.as_str().is_some_and(is_known_dialect) {
                self.unchecked.push(Unchecked::new(keyword, pointer, Some("its rules are not known")));
            }
            if is_annotation(keyword) || is_structural(keyword) {
                continue;
            }
            if let Err(reason) = self.keyword(&mut node, &mut parts, pointer, rules, keyword, value) {
                node.tainted = true;
                self.unchecked.push(Unchecked::new(keyword, pointer, reason.as_deref()));
            }
        }
        parts.into_node(node)
    }

    /// Takes one keyword; the error is why it cannot be checked, if more is to be said than that.
    fn keyword(
        &mut self,
        node: &mut Node,
        parts: &mut Parts,
        pointer: &str,
        rules: &'a Map<String, Value>,
        keyword: &str,
        value: &'a Value,
    ) -> Result<(), Option<String>> {
        let single = |this: &mut Self| this.part(format!("{pointer}/{keyword}"), value);
        let size = || size(value).ok_or(None);
        match keyword {
            "$ref" => {
                let target = value.as_str().and_then(|reference| self.resolver.resolve(reference, pointer));
                let (target, schema) = target.ok_or_else(|| Some("it leads out of the schema".to_owned()))?;
                node.reference = Some(self.part(target, schema));
            }
            "type" => node.types = types(value).ok_or_else(|| Some("there is no such type".to_owned()))?,
            "nullable" => node.nullable = value.as_bool().ok_or(None)?,
            "enum" | "const" => {
                let values = match (keyword, value) {
                    ("const", only) => vec![only.clone()],
                    (_, Value::Array(values)) => values.clone(),
                    _ => return Err(Some("it needs a list of values".to_owned())),
                };
                node.allowed = Some(Allowed::new(match node.allowed.take() {
                    Some(others) => {
                        others.values.into_iter().filter(|v| values.iter().any(|w| crate::equal::same(v, w))).collect()
                    }
                    None => values,
                }));
            }
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
                let number = &mut parts.number;
                let limit = match value {
                    Value::Number(limit) => limit.clone(),
                    // As in OpenAPI 3.0, where it says how to read `minimum` and `maximum`.
                    Value::Bool(exclusive) if keyword.starts_with("exclusive") => {
                        let beside = if keyword == "exclusiveMinimum" { "minimum" } else { "maximum" };
                        match (exclusive, rules.get(beside)) {
                            (true, Some(Value::Number(limit))) => limit.clone(),
                            _ => return Ok(()),
                        }
                    }
                    _ => return Err(None),
                };
                match keyword {
                    "minimum" => number.minimum = Some(limit),
                    "maximum" => number.maximum = Some(limit),
                    "exclusiveMinimum" => number.above = Some(limit),
                    "exclusiveMaximum" => number.below = Some(limit),
                    _ if limit.as_f64().is_some_and(|step| step > 0.0) => number.step = Some(limit),
                    _ => return Err(None),
                }
                parts.has_number = true;
            }
            "minLength" => parts.string().min = Some(size()?),
            "maxLength" => parts.string().max = Some(size()?),
            "pattern" => parts.string().pattern = Some(Pattern::new(value.as_str().ok_or(None)?)?),
            "minItems" => parts.array().min = Some(size()?),
            "maxItems" => parts.array().max = Some(size()?),
            "uniqueItems" => parts.array().unique = value.as_bool().ok_or(None)?,
            "prefixItems" => {
                let schemas = value.as_array().filter(|s| !s.is_empty()).ok_or(None)?;
                parts.array().prefix = self.parts(pointer, keyword, schemas);
            }
            // As in older drafts.
            "items" if value.is_array() => {
                parts.array().prefix = self.parts(pointer, keyword, value.as_array().map_or(&[], Vec::as_slice));
            }
            "additionalItems" => {
                if rules.get("items").is_some_and(Value::is_array) {
                    parts.array().items = Some(single(self));
                }
            }
            "items" => parts.array().items = Some(single(self)),
            "contains" => {
                let bound = |key: &str| rules.get(key).map(|v| self::size(v).ok_or(None)).transpose();
                let (min, max) = (bound("minContains")?.unwrap_or(1), bound("maxContains")?);
                parts.array().contains = Some(Contains { id: single(self), min, max });
            }
            "minContains" | "maxContains" => _ = size()?,
            "unevaluatedItems" => parts.array().unevaluated = Some(single(self)),
            "properties" => {
                let schemas = value.as_object().ok_or(None)?;
                let named = self.named(pointer, keyword, schemas).into_iter();
                parts.object().properties =
                    named.map(|(name, id)| (name, Property { id, required: false, null_is_absent: false })).collect();
            }
            "patternProperties" => {
                for (pattern, schema) in value.as_object().ok_or(None)? {
                    let id = self.part(format!("{pointer}/{keyword}/{}", escape(pattern)), schema);
                    match Pattern::new(pattern) {
                        Ok(pattern) => parts.object().patterns.push((pattern, id)),
                        Err(reason) => {
                            // Without it nobody knows which members are additional.
                            parts.open = true;
                            return Err(Some(reason));
                        }
                    }
                }
            }
            "additionalProperties" => parts.object().additional = Some(single(self)),
            "unevaluatedProperties" => parts.object().unevaluated = Some(single(self)),
            "propertyNames" => parts.object().names = Some(single(self)),
            "minProperties" => parts.object().min = Some(size()?),
            "maxProperties" => parts.object().max = Some(size()?),
            // The list of names, though older drafts have a boolean in each property.
            "required" if value.is_boolean() => {}
            "required" => parts.required = names(value).ok_or(None)?,
            "dependentRequired" => {
                for (name, needed) in value.as_object().ok_or(None)? {
                    parts.object().dependent_required.push((name.clone(), names(needed).ok_or(None)?));
                }
            }
            "dependentSchemas" => {
                let schemas = value.as_object().ok_or(None)?;
                let named = self.named(pointer, keyword, schemas);
                parts.object().dependent_schemas.extend(named);
            }
            "dependencies" => {
                for (name, needed) in value.as_object().ok_or(None)? {
                    if let Some(names) = names(needed) {
                        parts.object().dependent_required.push((name.clone(), names));
                    } else {
                        let id = self.part(format!("{pointer}/{keyword}/{}", escape(name)), needed);
                        parts.object().dependent_schemas.push((name.clone(), id));
                    }
                }
            }
            "allOf" | "anyOf" | "oneOf" => {
                let schemas = value.as_array().filter(|s| !s.is_empty()).ok_or(None)?;
                let ids = self.parts(pointer, keyword, schemas);
                match keyword {
                    "allOf" => parts.logic().all_of = ids,
                    "anyOf" => parts.logic().any_of = ids,
                    _ => parts.logic().one_of = ids,
                }
            }
            "not" => parts.logic().not = Some(single(self)),
            "if" => parts.logic().condition = Some(single(self)),
            "then" if rules.contains_key("if") => parts.logic().then = Some(single(self)),
            "else" if rules.contains_key("if") => parts.logic().otherwise = Some(single(self)),
            "then" | "else" => {}
            _ => return Err(None),
        }
        Ok(())
    }
}

/// The rules of a node while its keywords are read.
#[derive(Default)]
struct Parts {
    number: NumberRules,
    has_number: bool,
    string: Option<Box<StringRules>>,
    array: Option<Box<ArrayRules>>,
    object: Option<Box<ObjectRules>>,
    logic: Option<Box<Logic>>,
    required: Vec<String>,
    /// Whether which members are additional cannot be said.
    open: bool,
}

impl Parts {
    fn string(&mut self) -> &mut StringRules {
        self.string.get_or_insert_default()
    }

    fn array(&mut self) -> &mut ArrayRules {
        self.array.get_or_insert_default()
    }

    fn object(&mut self) -> &mut ObjectRules {
        self.object.get_or_insert_default()
    }

    fn logic(&mut self) -> &mut Logic {
        self.logic.get_or_insert_default()
    }

    fn into_node(mut self, mut node: Node) -> Node {
        if !self.required.is_empty() {
            let required = std::mem::take(&mut self.required);
            let object = self.object();
            for (name, property) in &mut object.properties {
                property.required = required.iter().any(|needed| needed == name);
            }
            let known: BTreeMap<&str, ()> = object.properties.iter().map(|(name, _)| (name.as_str(), ())).collect();
            let others: Vec<String> = required.into_iter().filter(|name| !known.contains_key(name.as_str())).collect();
            object.required = others;
        }
        if self.open
            && let Some(object) = &mut self.object
        {
            object.additional = None;
            object.unevaluated = None;
        }
        node.number = self.has_number.then(|| Box::new(self.number));
        node.string = self.string;
        node.array = self.array;
        node.object = self.object;
        node.logic = self.logic;
        node
    }
}

/// A count: whole, and not negative. `2.0` is one.
fn size(value: &Value) -> Option<u64> {
    value.as_number().and_then(crate::equal::whole).as_ref().and_then(Number::as_u64)
}

fn names(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

fn types(value: &Value) -> Option<Types> {
    match value {
        Value::String(name) => Types::named(name),
        Value::Array(names) if !names.is_empty() => {
            names.iter().map(|name| Types::named(name.as_str()?)).try_fold(Types::NONE, |all, one| Some(all.with(one?)))
        }
        _ => None,
    }
}

/// Why the same value would be held against nodes without end, if it would.
fn endless(nodes: &[Node]) -> Option<&'static str> {
    /// Not met yet, being followed, or done with the length of its longest chain.
    #[derive(Clone, Copy)]
    enum Seen {
        New,
        Open,
        Done(usize),
    }
    let mut seen = vec![Seen::New; nodes.len()];
    let state = |seen: &[Seen], id: Id| seen.get(id).copied().unwrap_or(Seen::Done(0));
    for start in 0..nodes.len() {
        let mut open = vec![start];
        while let Some(id) = open.last().copied() {
            let node = nodes.get(id)?;
            match state(&seen, id) {
                Seen::Done(_) => _ = open.pop(),
                Seen::New => {
                    if let Some(place) = seen.get_mut(id) {
                        *place = Seen::Open;
                    }
                    for next in node.in_place() {
                        match state(&seen, next) {
                            Seen::New => open.push(next),
                            Seen::Open => return Some("it leads back to itself"),
                            Seen::Done(_) => {}
                        }
                    }
                }
                Seen::Open => {
                    let mut longest = 0;
                    for next in node.in_place() {
                        match state(&seen, next) {
                            Seen::Done(length) => longest = longest.max(length),
                            _ => return Some("it leads back to itself"),
                        }
                    }
                    if longest >= MAX_CHAIN {
                        return Some("it leads too far");
                    }
                    if let Some(place) = seen.get_mut(id) {
                        *place = Seen::Done(longest + 1);
                    }
                    open.pop();
                }
            }
        }
    }
    None
}

/// Marks every node that depends on one with an unchecked keyword; `within` counts parts of the value too.
fn spread_taint(nodes: &mut [Node], within: bool) {
    if nodes.iter().all(|node| !node.tainted) {
        return;
    }
    let mut users: Vec<Vec<Id>> = vec![Vec::new(); nodes.len()];
    for (id, node) in nodes.iter().enumerate() {
        for used in node.in_place().chain(node.within().filter(|_| within)) {
            if let Some(users) = users.get_mut(used) {
                users.push(id);
            }
        }
    }
    let mut open: Vec<Id> = nodes.iter().enumerate().filter(|(_, node)| node.tainted).map(|(id, _)| id).collect();
    while let Some(id) = open.pop() {
        for user in users.get(id).into_iter().flatten() {
            if let Some(node) = nodes.get_mut(*user).filter(|node| !node.tainted) {
                node.tainted = true;
                open.push(*user);
            }
        }
    }
}

/// A part that is only checked in part lets too much through. Where a value must *not* fit it, that would
/// refuse good values, so such rules are left out.
fn without_tainted_negations(mut program: Program) -> Program {
    let tainted: Vec<bool> = program.nodes.iter().map(|node| node.tainted).collect();
    if tainted.iter().all(|tainted| !tainted) {
        return program;
    }
    let is = |id: Id| tainted.get(id).copied().unwrap_or(false);
    for node in &mut program.nodes {
        if let Some(logic) = node.logic.as_deref_mut() {
            logic.not = logic.not.filter(|id| !is(*id));
            if logic.condition.is_some_and(is) {
                (logic.condition, logic.then, logic.otherwise) = (None, None, None);
            }
            if logic.one_of.iter().any(|id| is(*id)) {
                // At least one still must fit.
                let branches = std::mem::take(&mut logic.one_of);
                if logic.any_of.is_empty() {
                    logic.any_of = branches;
                }
            }
        }
        if let Some(contains) = node.array.as_deref_mut().and_then(|array| array.contains.as_mut())
            && is(contains.id)
        {
            contains.max = None;
        }
    }
    program
}

/// Finds the properties for which `null` can only mean that they are not there.
fn nulls(mut program: Program) -> Program {
    let mut known = vec![None; program.nodes.len()];
    for at in 0..program.nodes.len() {
        let Some(object) = program.nodes.get(at).and_then(|node| node.object.as_deref()) else { continue };
        let absent: Vec<bool> =
            object.properties.iter().map(|(_, p)| !p.required && !admits_null(&program, &mut known, p.id)).collect();
        if let Some(object) = program.nodes.get_mut(at).and_then(|node| node.object.as_deref_mut()) {
            for ((_, property), absent) in object.properties.iter_mut().zip(absent) {
                property.null_is_absent = absent;
            }
        }
    }
    program
}

/// Whether `null` gets through the node, as far as types, values and unions say.
fn admits_null(program: &Program, known: &mut [Option<bool>], id: Id) -> bool {
    if let Some(Some(known)) = known.get(id) {
        return *known;
    }
    let node = program.node(id);
    let mut admits =
        node.nullable || (node.types.has(Types::NULL) && node.allowed.as_ref().is_none_or(|allowed| allowed.has(&Value::Null)));
    if admits && !node.nullable {
        let mut all = |ids: &[Id]| ids.iter().all(|id| admits_null(program, known, *id));
        admits = all(node.reference.as_slice()) && node.logic.as_deref().is_none_or(|logic| all(&logic.all_of));
        for union in node.logic.iter().flat_map(|logic| [&logic.any_of, &logic.one_of]).filter(|union| !union.is_empty()) {
            admits = admits && union.iter().any(|id| admits_null(program, known, *id));
        }
    }
    if let Some(place) = known.get_mut(id) {
        *place = Some(admits);
    }
    admits
}
