//! The sections of a doc comment: `Args:` in Google's style, `# Arguments` in rustdoc's,
//! `Parameters` with a line of dashes in NumPy's, and `:param x:` in Sphinx's.

use std::collections::BTreeMap;

use super::join;

/// A doc comment with its sections read.
#[derive(Debug)]
pub(super) struct Sections {
    /// The lines that are not about single parameters.
    pub(super) text: Vec<String>,
    /// The parameters that have a text, by name.
    pub(super) parameters: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Parameters,
    Returns,
    Raises,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Style {
    /// `Args:`, and the section is indented.
    Google,
    /// `# Arguments`, and the section is a list.
    Markdown,
    /// `Parameters`, underlined.
    Numpy,
}

/// A section's first line.
struct Heading<'a> {
    kind: Kind,
    style: Style,
    /// The heading without what marks it as one.
    title: &'a str,
    /// How many lines it takes.
    lines: usize,
}

/// Reads the sections of a function with these parameters. Nothing is lost: what is not the text of
/// a parameter stays in the text.
pub(super) fn read(lines: &[String], names: &[String]) -> Sections {
    let mut sections = Sections { text: Vec::new(), parameters: BTreeMap::new() };
    let (mut at, mut fenced) = (0, false);
    while let Some(line) = lines.get(at) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let rest = lines.get(at..).unwrap_or_default();
        if !fenced && let Some(heading) = heading(rest) {
            let body = rest.get(heading.lines..).unwrap_or_default();
            let length = extent(body, heading.style, names);
            let body = body.get(..length).unwrap_or_default();
            if !body.iter().all(|line| line.is_empty()) {
                at += heading.lines + length;
                sections.section(&heading, body, names);
                continue;
            }
        }
        if !fenced && line.starts_with(':') {
            let length = 1 + rest.iter().skip(1).take_while(|line| indent(line) > 0).count();
            if sections.field(rest.get(..length).unwrap_or_default(), names) {
                at += length;
                continue;
            }
        }
        sections.text.push(line.clone());
        at += 1;
    }
    sections
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn kind(title: &str) -> Option<Kind> {
    match title.to_ascii_lowercase().as_str() {
        "args" | "arguments" | "parameters" | "params" | "keyword args" | "keyword arguments" | "other parameters" => {
            Some(Kind::Parameters)
        }
        "return" | "returns" | "yields" => Some(Kind::Returns),
        "raises" | "throws" => Some(Kind::Raises),
        _ => None,
    }
}

fn heading(lines: &[String]) -> Option<Heading<'_>> {
    let line = lines.first()?;
    if indent(line) > 0 {
        return None;
    }
    if let Some(title) = line.strip_prefix('#') {
        let title = title.trim_start_matches('#').trim().trim_end_matches(':');
        // Rustdoc's other sections are Markdown that can stay.
        let kind = kind(title).filter(|kind| *kind == Kind::Parameters)?;
        return Some(Heading { kind, style: Style::Markdown, title, lines: 1 });
    }
    if let Some(title) = line.strip_suffix(':') {
        return Some(Heading { kind: kind(title)?, style: Style::Google, title, lines: 1 });
    }
    let underlined = lines.get(1).is_some_and(|next| next.len() > 2 && next.chars().all(|c| c == '-'));
    let kind = kind(line).filter(|_| underlined)?;
    Some(Heading { kind, style: Style::Numpy, title: line, lines: 2 })
}

/// How many lines a section has.
fn extent(body: &[String], style: Style, names: &[String]) -> usize {
    let indented = body.iter().find(|line| !line.is_empty()).is_some_and(|line| indent(line) > 0);
    let mut after_blank = false;
    for (at, line) in body.iter().enumerate() {
        if line.is_empty() {
            after_blank = true;
            continue;
        }
        let rest = body.get(at..).unwrap_or_default();
        let deeper = indent(line) > 0;
        let entry = !deeper && entry(line, style, names).is_some_and(|entry| entry.known || bullet(line).is_some());
        let ends = line.starts_with('#')
            || heading(rest).is_some()
            || match style {
                Style::Google if indented => !deeper,
                Style::Google | Style::Markdown => after_blank && !deeper && !entry,
                Style::Numpy => after_blank && !deeper && rest.get(1).is_none_or(|next| indent(next) == 0),
            };
        if ends {
            return at;
        }
        after_blank = false;
    }
    body.len()
}

/// One entry of a section: the names, and the text on the same line.
struct Entry<'a> {
    names: Vec<&'a str>,
    text: &'a str,
    /// Whether all names are parameters.
    known: bool,
}

fn bullet(line: &str) -> Option<&str> {
    let line = line.trim_start();
    ["* ", "- ", "+ "].iter().find_map(|bullet| line.strip_prefix(bullet)).map(str::trim_start)
}

/// Reads `name: text`, `` * `name` - text ``, `name (type, optional): text` and, in NumPy's style,
/// `name : type`.
fn entry<'a>(line: &'a str, style: Style, names: &[String]) -> Option<Entry<'a>> {
    let line = bullet(line).unwrap_or(line.trim());
    let (mut found, mut rest) = (Vec::new(), line);
    loop {
        let (name, after) = name(rest)?;
        found.push(name);
        match after.strip_prefix(", ") {
            Some(after) => rest = after,
            None => {
                rest = after;
                break;
            }
        }
    }
    let known = found.iter().all(|found| names.iter().any(|name| name == found));
    if style == Style::Numpy {
        let typed = rest.is_empty() || rest.trim_start().starts_with(':');
        return typed.then_some(Entry { names: found, text: "", known });
    }
    let mut rest = rest.trim_start();
    if rest.starts_with('(') {
        rest = closed(rest)?.trim_start();
    }
    let text = if rest.is_empty() && known {
        rest
    } else {
        [":", "-", "–", "—"].iter().find_map(|separator| rest.strip_prefix(separator))?
    };
    Some(Entry { names: found, text: text.trim(), known })
}

/// A name, plain or marked as code or strong, and what comes after it.
fn name(text: &str) -> Option<(&str, &str)> {
    for mark in ["`", "**", "*", "_"] {
        if let Some(marked) = text.strip_prefix(mark)
            && let Some((name, after)) = marked.split_once(mark)
            && is_name(name)
        {
            return Some((name, after));
        }
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (name, after) = text.split_at(end);
    is_name(name).then_some((name, after))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_') && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// What comes after a pair of parentheses.
fn closed(text: &str) -> Option<&str> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return text.get(at + 1..);
        }
    }
    None
}

impl Sections {
    fn section(&mut self, heading: &Heading<'_>, body: &[String], names: &[String]) {
        let filled = body.iter().filter(|line| !line.is_empty());
        let margin = filled.map(|line| indent(line)).min().unwrap_or(0);
        let body: Vec<&str> = body.iter().map(|line| line.get(margin..).unwrap_or_default()).collect();
        match heading.kind {
            Kind::Parameters => self.parameters(heading, &body, names),
            Kind::Returns if heading.style == Style::Google => self.paragraphs(heading.title, &body),
            Kind::Returns | Kind::Raises => {
                let items = items(&body, |line| !line.is_empty() && indent(line) == 0);
                let separator = if heading.style == Style::Numpy { ": " } else { " " };
                let items: Vec<String> = items
                    .into_iter()
                    .map(|(first, more)| {
                        let more = join(more.into_iter().map(str::trim));
                        if more.is_empty() { first.to_owned() } else { format!("{first}{separator}{more}") }
                    })
                    .collect();
                self.list(heading.title, &items);
            }
        }
    }

    fn parameters(&mut self, heading: &Heading<'_>, body: &[&str], names: &[String]) {
        let starts = |line: &str| indent(line) == 0 && entry(line, heading.style, names).is_some();
        let mut others = Vec::new();
        for (first, more) in items(body, starts) {
            let entry = entry(first, heading.style, names).filter(|entry| entry.known);
            let more = more.into_iter().map(str::trim);
            match entry {
                Some(entry) => {
                    let text = join(std::iter::once(entry.text).chain(more));
                    for name in entry.names.iter().filter(|_| !text.is_empty()) {
                        self.parameters.entry((*name).to_owned()).or_insert_with(|| text.clone());
                    }
                }
                None => others.push(join(std::iter::once(bullet(first).unwrap_or(first)).chain(more))),
            }
        }
        self.list(heading.title, &others);
    }

    /// Reads `:param name: text` and its like.
    fn field(&mut self, lines: &[String], names: &[String]) -> bool {
        let Some((field, first)) = lines.first().and_then(|line| line.strip_prefix(':')).and_then(|l| l.split_once(':')) else {
            return false;
        };
        let more = lines.iter().skip(1).map(|line| line.trim());
        let text = join(std::iter::once(first.trim()).chain(more));
        let mut words = field.split_whitespace();
        match (words.next(), words.last()) {
            (Some("param" | "parameter" | "arg" | "argument" | "key"), Some(name)) if names.iter().any(|n| n == name) => {
                self.parameters.entry(name.to_owned()).or_insert(text);
            }
            (Some("type"), Some(name)) if names.iter().any(|n| n == name) => {}
            (Some("rtype"), None) => {}
            (Some("return" | "returns"), None) => self.list("Returns", &[text]),
            (Some("raise" | "raises"), Some(error)) => self.list("Raises", &[format!("{error}: {text}")]),
            _ => return false,
        }
        true
    }

    fn paragraphs(&mut self, title: &str, body: &[&str]) {
        let (first, rest) = body.split_first().unwrap_or((&"", &[]));
        self.text.extend([String::new(), format!("{title}: {first}")]);
        self.text.extend(rest.iter().map(|line| (*line).to_owned()));
        self.text.push(String::new());
    }

    fn list(&mut self, title: &str, items: &[String]) {
        match items {
            [] => self.text.push(String::new()),
            [only] => self.text.extend([String::new(), format!("{title}: {only}"), String::new()]),
            _ => {
                self.text.extend([String::new(), format!("{title}:")]);
                self.text.extend(items.iter().map(|item| format!("- {item}")));
                self.text.push(String::new());
            }
        }
    }
}

/// The items of a section: the line that starts each, and the others up to the next.
fn items<'a>(body: &[&'a str], starts: impl Fn(&str) -> bool) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut items: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in body {
        match items.last_mut() {
            Some((_, more)) if !starts(line) => more.push(line),
            _ if line.is_empty() => {}
            _ => items.push((line, Vec::new())),
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections(text: &str, names: &[&str]) -> String {
        let lines: Vec<String> = text.lines().map(|line| line.trim_end().to_owned()).collect();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let Sections { text, parameters } = read(&lines, &names);
        let parameters: Vec<String> = parameters.iter().map(|(name, text)| format!("[{name}] {text}")).collect();
        format!("{}\n{}", join(text.iter().map(String::as_str)), parameters.join("\n"))
    }

    #[test]
    fn google() {
        let text = "Current weather\nof a city.\n\nLook it up first.\n\nArgs:\n    city: The city's\n        name: in English.\n\n        \
                    No countries.\n    unit (Unit, optional): Celsius or\n    Fahrenheit.\n    nope: Not there.\n\nReturns:\n    The \
                    weather\n    as text.\n\nRaises:\n    Gone: If the station\n        is gone.\n    Late: If it is late.\nMore prose.";
        insta::assert_snapshot!(sections(text, &["city", "unit"]));
    }

    #[test]
    fn rustdoc() {
        let text = "Current weather.\n\n# Arguments\n\n* `city` - The city's name,\n  in English.\n- **unit**: Celsius.\n* `days` — How \
                    many.\n\n# Errors\nIf the station is gone.\n\n# Examples\n```\n# Arguments\nlet x = 1;\n```";
        insta::assert_snapshot!(sections(text, &["city", "unit", "days"]));
    }

    #[test]
    fn numpy() {
        let text = "Current weather.\n\nParameters\n----------\ncity : str\n    The city's\n    name.\nlow, high : float, optional\n    \
                    Bounds.\nunit\n    Celsius.\n\nReturns\n-------\nstr\n    The weather.\n\nMore.";
        insta::assert_snapshot!(sections(text, &["city", "low", "high", "unit"]));
    }

    #[test]
    fn sphinx() {
        let text = "Current weather.\n\n:param city: The city's\n    name.\n:param int days: How many.\n:type days: int\n:returns: The \
                    weather.\n:raises Gone: If it is gone.\n:other: stays";
        insta::assert_snapshot!(sections(text, &["city", "days"]));
    }

    #[test]
    fn flush_entries_and_prose() {
        let text = "Adds.\nArgs:\na: First.\nb - Second.\n\nThe end: of it.";
        assert_eq!(sections(text, &["a", "b"]), "Adds.\n\nThe end: of it.\n[a] First.\n[b] Second.");
        let prose = "Say:\nReturns: nothing\nParameters:";
        assert_eq!(sections(prose, &["a"]), "Say: Returns: nothing Parameters:\n");
    }
}
