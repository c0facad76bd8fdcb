//! Rules on the text of files.

use super::Findings;

/// Lines after which a source file should be looked at again, and may not go on.
const LOOK_AGAIN: usize = 600;
const TOO_LONG: usize = 1000;

/// Macros and attributes that may not stay in the tree, in two halves so that this file has none.
const LEFT_BEHIND: [(&str, &str); 4] = [("todo", "!("), ("unimplemented", "!("), ("dbg", "!("), ("#[ign", "ore")];

/// The first directory of a path that names somebody's machine.
const MACHINE: [&str; 5] = ["farm", "home", "root", "tmp", "work"];

/// Where white space at the end of a line can matter: data and generated text.
const KEEPS_SPACE: [&str; 9] = ["jinja", "json", "jsonl", "lock", "ndjson", "snap", "sse", "stderr", "txt"];

/// Turns that a native writer would not use, in words for the ear of whoever reads the documents.
const FORBIDDEN: [&str; 12] = [
    "as it stands",
    "by way of",
    "for ever",
    "in silence",
    "inside of",
    "it is no",
    "of one's own",
    "outside of",
    "that is no",
    "the way of",
    "this is no",
    "without a word",
];

/// Checks one file.
pub(super) fn check(path: &str, content: &str, findings: &mut Findings) {
    if content.contains('\0') {
        return;
    }
    let extension = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, extension)| extension);
    for (i, line) in content.split('\n').enumerate() {
        let mut report = |what: &str| findings.errors.push(format!("{path}:{}: {what}", i + 1));
        if !KEEPS_SPACE.contains(&extension) && line.ends_with([' ', '\t', '\r']) {
            report("white space at the end of the line");
        }
        if names_machine(line) {
            report("a path of somebody's machine");
        }
        if extension == "rs" {
            for (start, end) in LEFT_BEHIND {
                if line.contains(&format!("{start}{end}")) {
                    report(&format!("`{start}{end}` left behind"));
                }
            }
        }
    }
    for (line, turn) in turns(extension, content) {
        findings.errors.push(format!("{path}:{line}: `{turn}` is not how a native writer says it"));
    }
    if extension == "rs" && needs_first_line(path) && !content.starts_with("//!") && !content.starts_with("#![doc") {
        findings.errors.push(format!("{path}: the first line does not say what the file is for (`//!`)"));
    }
    if ["rs", "py", "sh"].contains(&extension) {
        match content.lines().count() {
            lines if lines > TOO_LONG => findings.errors.push(format!("{path}: {lines} lines, more than {TOO_LONG}")),
            lines if lines > LOOK_AGAIN => findings.warnings.push(format!("{path}: {lines} lines, more than {LOOK_AGAIN}")),
            _ => {}
        }
    }
}

/// The forbidden turns in a document or in doc comments, also those broken over two lines.
fn turns(extension: &str, content: &str) -> Vec<(usize, &'static str)> {
    let words = |line: &str| -> String {
        let line = line.trim_start();
        let text = match extension {
            "md" => line,
            "rs" => line.strip_prefix("///").or_else(|| line.strip_prefix("//!")).unwrap_or_default(),
            _ => "",
        };
        text.trim().to_ascii_lowercase()
    };
    let lines: Vec<String> = content.lines().map(words).collect();
    let mut found = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let next = lines.get(i + 1).map(String::as_str).unwrap_or_default();
        let both = format!("{line} {next} ");
        for turn in FORBIDDEN {
            let is_word = |at: usize| {
                let (before, after) = (both.get(..at), both.get(at + turn.len()..));
                let letter = |c: char| c.is_ascii_alphanumeric();
                at < line.len() && !before.is_some_and(|b| b.ends_with(letter)) && !after.is_some_and(|a| a.starts_with(letter))
            };
            if both.match_indices(turn).any(|(at, _)| is_word(at)) {
                found.push((i + 1, turn));
            }
        }
    }
    found
}

/// Source files say what they are for; tests, which stand beside what they test, need not.
fn needs_first_line(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.any(|part| part == "src") && !parts.any(|part| part == "tests" || part == "tests.rs")
}

/// Whether a line holds an absolute path into a directory of some machine.
fn names_machine(line: &str) -> bool {
    line.match_indices('/').any(|(at, _)| {
        let (before, after) = line.split_at(at);
        let starts_here = !before.ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
        let inside = |name| after.strip_prefix('/').and_then(|a| a.strip_prefix(name)).and_then(|a: &str| a.strip_prefix('/'));
        starts_here && MACHINE.iter().any(|name| inside(name).is_some_and(|a| a.starts_with(|c: char| c.is_ascii_lowercase())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, content: &str) -> Vec<String> {
        let mut findings = Findings::default();
        check(path, content, &mut findings);
        findings.errors.into_iter().chain(findings.warnings).collect()
    }

    #[track_caller]
    fn one(path: &str, content: &str, word: &str) {
        let all = found(path, content);
        assert!(matches!(&all[..], [only] if only.contains(word)), "{all:?}");
    }

    #[test]
    fn a_source_file_begins_with_what_it_is_for() {
        one("crates/a/src/b.rs", "use std::fmt;\n", "first line");
        for (path, content) in [
            ("crates/a/src/b.rs", "//! Says it.\n"),
            ("crates/a/src/lib.rs", "#![doc = include_str!(\"../README.md\")]\n"),
            ("crates/a/src/b/tests.rs", "use super::*;\n"),
            ("crates/a/tests/ui/fail.rs", "fn main() {}\n"),
        ] {
            assert_eq!(found(path, content), [""; 0], "{path}");
        }
    }

    #[test]
    fn long_files_are_found() {
        let lines = |n: usize| format!("//! Long.\n{}", "//\n".repeat(n - 1));
        assert_eq!(found("src/a.rs", &lines(600)), [""; 0]);
        one("src/a.rs", &lines(601), "601 lines");
        let mut findings = Findings::default();
        check("src/a.rs", &lines(1001), &mut findings);
        assert_eq!((findings.errors.len(), findings.warnings.len()), (1, 0));
    }

    #[test]
    fn white_space_at_the_end_of_a_line_is_found() {
        one("README.md", "one \ntwo\n", "README.md:1: white space");
        one("a.py", "one\r\n", "white space");
        assert_eq!(found("a.jinja", "one \n"), [""; 0]);
    }

    #[test]
    fn paths_of_machines_are_found() {
        for name in MACHINE {
            one("a.md", &format!("see /{name}/abc"), "machine");
            one("a.md", &format!("\"/{name}/abc\""), "machine");
        }
        for line in ["https://example.org/home/abc", "a/tmp/abc", "../work/abc", "/home/", "/usr/lib", "/homes/abc"] {
            assert_eq!(found("a.md", line), [""; 0], "{line}");
        }
    }

    #[test]
    fn foreign_turns_are_found_in_documents_and_doc_comments() {
        one("a.md", "It runs Inside of the process.\n", "`inside of`");
        one("a.md", "It is\nno PNG.\n", "`it is no`");
        one("src/b.rs", "//! A file.\n\n/// It is no PNG.\nfn f() {}\n", "src/b.rs:3");
        for (path, content) in [
            ("a.md", "It is not a PNG. There is no other, for everything.\n"),
            ("src/b.rs", "//! A file.\nconst A: &str = \"inside of\"; // inside of\n"),
            ("a.json", "inside of"),
        ] {
            assert_eq!(found(path, content), [""; 0], "{path}");
        }
    }

    #[test]
    fn what_was_left_behind_is_found() {
        for (start, end) in LEFT_BEHIND {
            one("tests/a.rs", &format!("fn f() {{ {start}{end}) }}"), "left behind");
            assert_eq!(found("a.md", &format!("never {start}{end})")), [""; 0]);
        }
    }
}
