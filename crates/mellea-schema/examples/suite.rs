//! Holds this crate against the official test suite of JSON Schema.
//!
//! `cargo run -p mellea-schema --example suite -- DIR [--verbose]`, where `DIR` is a checkout of
//! `json-schema-org/JSON-Schema-Test-Suite`, or one of its folders of tests (`tests/draft2020-12`).
//! It ends with an error if a schema was accepted and a verdict was wrong.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a program for the command line; a missing member of a JSON value is null"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mellea_schema::{Schema, SchemaError};
use serde_json::Value;

#[derive(Default)]
struct Tally {
    right: usize,
    refused: usize,
    false_accepts: usize,
    false_refusals: usize,
    /// Verdicts on refused schemas with what can be checked: bad values let through, good ones refused.
    partial: (usize, usize),
    keywords: BTreeMap<String, usize>,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(dir) = arguments.next() else {
        eprintln!("usage: suite DIR [--verbose]");
        return ExitCode::FAILURE;
    };
    let verbose = arguments.any(|argument| argument == "--verbose");
    let root = PathBuf::from(&dir);
    let nested = root.join("tests/draft2020-12");
    let root = if nested.is_dir() { nested } else { root };
    let mut failed = false;
    // The formats are annotations; what is optional is counted by itself.
    for (name, folder) in [("required", root.clone()), ("optional", root.join("optional"))] {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .collect();
        files.sort();
        if files.is_empty() {
            eprintln!("there are no tests in {}", folder.display());
            return ExitCode::FAILURE;
        }
        let mut tally = Tally::default();
        for file in &files {
            if let Err(error) = run(file, verbose, &mut tally) {
                eprintln!("{}: {error}", file.display());
                return ExitCode::FAILURE;
            }
        }
        let wrong = tally.false_accepts + tally.false_refusals;
        println!(
            "{name}: {} right, {wrong} wrong ({} false accepts), {} refused {:?}; partial schemas: {} let through, {} wrongly refused",
            tally.right, tally.false_accepts, tally.refused, tally.keywords, tally.partial.0, tally.partial.1
        );
        failed |= name == "required" && wrong > 0;
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn run(file: &Path, verbose: bool, tally: &mut Tally) -> Result<(), Box<dyn std::error::Error>> {
    let groups: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    for group in groups {
        let schema = Schema::from_value(group["schema"].clone());
        let partial = Schema::from_value_partial(group["schema"].clone());
        if let Err(SchemaError::Unsupported(unchecked)) = &schema {
            *tally.keywords.entry(unchecked.keyword.clone()).or_default() += 1;
            if verbose {
                println!("refused  {}: {}: {unchecked}", file.display(), group["description"]);
            }
        }
        for test in group["tests"].as_array().into_iter().flatten() {
            let valid = test["valid"] == true;
            let Ok(schema) = &schema else {
                tally.refused += 1;
                if let Ok((schema, _)) = &partial {
                    let fits = schema.validate(&test["data"]).is_ok();
                    tally.partial.0 += usize::from(fits && !valid);
                    tally.partial.1 += usize::from(!fits && valid);
                }
                continue;
            };
            match (schema.validate(&test["data"]), valid) {
                (Ok(()), true) | (Err(_), false) => {
                    tally.right += 1;
                    continue;
                }
                (Ok(()), false) => tally.false_accepts += 1,
                (Err(_), true) => tally.false_refusals += 1,
            }
            if verbose {
                println!("wrong    {}: {}: {}", file.display(), group["description"], test["description"]);
            }
        }
    }
    Ok(())
}
