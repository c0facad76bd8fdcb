//! Where the references of a schema lead: pointers, anchors and identifiers inside the schema itself.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::path::escape;

/// The identifiers and anchors of a schema.
pub(crate) struct Resolver<'a> {
    root: &'a Value,
    /// The base address of each schema with an `$id`, by its pointer.
    bases: BTreeMap<String, String>,
    /// The pointer of each such schema, by its address.
    ids: HashMap<String, String>,
    /// The pointer of each anchor, by its schema's pointer and its name.
    anchors: HashMap<(String, String), String>,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(root: &'a Value) -> Self {
        let mut resolver = Self { root, bases: BTreeMap::new(), ids: HashMap::new(), anchors: HashMap::new() };
        resolver.bases.insert(String::new(), String::new());
        // Most schemas have neither: then nothing needs to be walked.
        let mut open = vec![(root, String::new(), String::new())];
        while let Some((value, pointer, mut resource)) = open.pop() {
            match value {
                Value::Object(map) => {
                    if let Some(id) = map.get("$id").and_then(Value::as_str)
                        && !id.starts_with('#')
                    {
                        let base = resolver.bases.get(&resource).map_or("", String::as_str);
                        let address = join(base, id.split('#').next().unwrap_or(id));
                        resolver.ids.entry(address.clone()).or_insert_with(|| pointer.clone());
                        resolver.bases.insert(pointer.clone(), address);
                        resource.clone_from(&pointer);
                    }
                    for anchor in ["$anchor", "$dynamicAnchor"].iter().filter_map(|key| map.get(*key)?.as_str()) {
                        resolver.anchors.insert((resource.clone(), anchor.to_owned()), pointer.clone());
                    }
                    for (key, value) in map.iter().filter(|(key, v)| !is_data(key) && (v.is_object() || v.is_array())) {
                        open.push((value, format!("{pointer}/{}", escape(key)), resource.clone()));
                    }
                }
                Value::Array(items) => {
                    for (index, value) in items.iter().enumerate().filter(|(_, v)| v.is_object() || v.is_array()) {
                        open.push((value, format!("{pointer}/{index}"), resource.clone()));
                    }
                }
                _ => {}
            }
        }
        resolver
    }

    /// The pointer and the schema that a reference at a place leads to.
    pub(crate) fn resolve(&self, reference: &str, at: &str) -> Option<(String, &'a Value)> {
        let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let resource = self.resource(at);
        let resource = if address.is_empty() {
            resource.to_owned()
        } else {
            let base = self.bases.get(resource).map_or("", String::as_str);
            self.ids.get(&join(base, address))?.clone()
        };
        let fragment = percent_decode(fragment);
        let pointer = match fragment.strip_prefix('/') {
            Some(_) => format!("{resource}{fragment}"),
            None if fragment.is_empty() => resource,
            None => self.anchors.get(&(resource, fragment))?.clone(),
        };
        let target = self.root.pointer(&pointer)?;
        Some((pointer, target))
    }

    /// The pointer of the nearest schema with an address around a place.
    fn resource(&self, at: &str) -> &str {
        if self.bases.len() == 1 {
            return "";
        }
        let mut here = at;
        loop {
            if let Some((pointer, _)) = self.bases.get_key_value(here) {
                return pointer;
            }
            here = here.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
    }
}

/// Whether a keyword holds data rather than schemas.
fn is_data(keyword: &str) -> bool {
    matches!(keyword, "enum" | "const" | "default" | "examples" | "example")
}

/// An address relative to another.
fn join(base: &str, reference: &str) -> String {
    if reference.split(['/', '?']).next().is_some_and(|start| start.contains(':')) || base.is_empty() {
        return reference.to_owned();
    }
    let (scheme, rest) = base.split_once("://").unwrap_or(("", base));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = match reference.strip_prefix('/') {
        Some(absolute) => absolute.to_owned(),
        None => match path.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/{reference}"),
            None => reference.to_owned(),
        },
    };
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/') {
        match step {
            "." => {}
            ".." => _ = steps.pop(),
            step => steps.push(step),
        }
    }
    if scheme.is_empty() { steps.join("/") } else { format!("{scheme}://{host}/{}", steps.join("/")) }
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        if let Some(value) = escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(value);
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}
