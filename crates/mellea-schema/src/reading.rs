//! Which value of an answer's text is the answer.
//!
//! 1. A text that is one JSON value and nothing else is the answer, and is right or wrong as a whole.
//! 2. Otherwise reasoning is cut off: what stands between the tags of reasoning, and everything before a
//!    closing tag that nothing opened. What is left may be one value, alone or in a code fence: as above.
//! 3. Otherwise the JSON objects and arrays in what is left are candidates. The last one that fits is the
//!    answer, unless another one that fits says something else. Then the last must be marked more strongly
//!    than every other: by a tag such as `<answer>`, by a code fence, by words such as "final answer".
//!    Two different values with nothing between them are not an answer.
//! 4. A value behind the last one that fits, made of the same names and marked no less, is a better answer
//!    that failed. So is JSON that the end of the text cuts off. Neither makes an earlier draft right.
//!
//! A value in which a name stands twice with different values does not fit, however it is read.
//!
//! JSON is read strictly first. What is no JSON is read leniently (see [`lenient`](crate::lenient)), and
//! words of enumerations and lists are mended (see [`mend`](crate::mend)), each with a note.

use std::collections::VecDeque;

use serde_json::Value;

use crate::check::Checker;
use crate::conform::conform;
use crate::equal::same;
use crate::error::{Mismatches, SchemaError};
use crate::explain::explain;
use crate::extract::{self, Found};
use crate::lenient;
use crate::mend::{Slips, mend};
use crate::node::Id;
use crate::path::Path;
use crate::strict;
use crate::tags::{Mark, announces, marks};
use crate::words::cut;
use crate::{Inner, Parsed, Reading, WRAPPER};

/// How many candidates are held against the schema: the last ones.
const MAX_CANDIDATES: usize = 1_000;

/// Reads the value out of an answer.
pub(crate) fn parse(schema: &Inner, text: &str, reading: Reading) -> Result<Parsed, SchemaError> {
    let mut reader = Reader { schema, fuel: fuel(text.len()), reading };
    let trimmed = text.trim_start();
    let marked = trimmed.strip_prefix('\u{feff}');
    let bare = marked.unwrap_or(trimmed).trim();
    let broken = match strict::read(bare) {
        Ok(read) => {
            let mut parsed = reader.whole(read)?;
            if marked.is_some() && reading == Reading::Lenient {
                parsed.note("a byte order mark".to_owned());
            }
            return Ok(parsed);
        }
        Err(error) => error,
    };
    if reading == Reading::Strict {
        return Err(SchemaError::Broken(broken));
    }
    reader.dig(text, broken)
}

/// How many steps an answer of this length is worth.
pub(crate) fn fuel(length: usize) -> u64 {
    1_000_000 + 64 * length as u64
}

struct Reader<'s> {
    schema: &'s Inner,
    fuel: u64,
    reading: Reading,
}

/// What speaks for a candidate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(u8);

struct Candidate {
    found: Found,
    rank: Rank,
}

impl Reader<'_> {
    /// A text that is one value.
    fn whole(&mut self, read: strict::Read) -> Result<Parsed, SchemaError> {
        let strict::Read { value, repeated } = read;
        if !repeated.faults.is_empty() {
            return Err(self.mismatch(self.root_of(&value), &value, repeated));
        }
        let text = match &value {
            Value::String(text) if self.reading == Reading::Lenient => Some(text.clone()),
            _ => None,
        };
        let value = match self.accept(value, true) {
            Ok(parsed) => return Ok(parsed),
            Err(value) => value,
        };
        // JSON that was written as a text once more.
        if let Some(inner) = text.and_then(|text| strict::read(&text).ok()).filter(|inner| inner.value.is_object()) {
            if !inner.repeated.faults.is_empty() {
                return Err(self.mismatch(self.root_of(&inner.value), &inner.value, inner.repeated));
            }
            if let Ok(mut parsed) = self.accept(inner.value, true) {
                parsed.note("JSON inside a text".to_owned());
                return Ok(parsed);
            }
        }
        Err(self.mismatch(self.root_of(&value), &value, Mismatches::default()))
    }

    /// The node of an answer that is this value, with or without its wrapper.
    fn root_of(&self, value: &Value) -> Id {
        let looks_bare = self.schema.wrapped && value.get(WRAPPER).is_none();
        if looks_bare { self.schema.bare_root } else { self.schema.root }
    }

    /// Why a value does not fit, beside the names that stand twice in it.
    fn mismatch(&self, root: Id, value: &Value, mut faults: Mismatches) -> SchemaError {
        let mut checker = self.checker();
        // The explanation follows from the check.
        if !checker.fits(root, value) || faults.faults.is_empty() {
            let others = explain(&mut checker, root, value, &Path::Root);
            others.faults.into_iter().for_each(|fault| faults.push(fault));
            faults.more += others.more;
        }
        SchemaError::Mismatch(faults)
    }

    fn checker(&self) -> Checker<'_> {
        Checker::new(&self.schema.program, true, self.fuel)
    }

    /// Takes a value that fits, conformed and unwrapped; `bare` lets the wrapper be missing.
    fn accept(&mut self, value: Value, bare: bool) -> Result<Parsed, Value> {
        let schema = self.schema;
        let value = match self.take(schema.root, value, schema.wrapped) {
            Ok(parsed) => return Ok(parsed),
            Err(value) => value,
        };
        if !(schema.wrapped && bare) {
            return Err(value);
        }
        let mut parsed = self.take(schema.bare_root, value, false)?;
        parsed.note("the value without its wrapper".to_owned());
        Ok(parsed)
    }

    fn take(&mut self, root: usize, mut value: Value, wrapped: bool) -> Result<Parsed, Value> {
        // What fits as it is needs no reading of `null`.
        let mut exact = Checker::new(&self.schema.program, false, self.fuel);
        let nulls = !exact.fits(root, &value);
        let mut checker = Checker::new(&self.schema.program, nulls, exact.fuel());
        let mut notes = Vec::new();
        if nulls && !checker.fits(root, &value) {
            checker.forget();
            let fuel = checker.fuel();
            if self.reading == Reading::Strict || checker.is_exhausted() {
                self.fuel = fuel;
                return Err(value);
            }
            let mut mended = value.clone();
            mend(&mut checker, root, &mut mended, Slips::Answer, &mut notes);
            checker.forget();
            if mended == value || !checker.fits(root, &mended) {
                self.fuel = checker.fuel();
                return Err(value);
            }
            value = mended;
        }
        checker.forget();
        let read = nulls.then(|| value.clone());
        conform(&mut checker, root, &mut value, false);
        self.fuel = checker.fuel();
        // Under a rule that turns others around, what is left out may decide.
        if let Some(read) = read {
            let mut exact = Checker::new(&self.schema.program, false, self.fuel);
            let fits = exact.fits(root, &value);
            self.fuel = exact.fuel();
            if !fits {
                return Err(read);
            }
        }
        if wrapped {
            value = value.as_object_mut().and_then(|map| map.shift_remove(WRAPPER)).unwrap_or(Value::Null);
        }
        let lenient = (!notes.is_empty()).then(|| notes.join(", "));
        Ok(Parsed { value, lenient })
    }

    /// Reads a text that is more than one value.
    fn dig(&mut self, text: &str, broken: serde_json::Error) -> Result<Parsed, SchemaError> {
        let mut survey = survey(text);
        let answer = text.get(survey.answer..).unwrap_or_default();
        let alone = answer.trim_matches(['\u{feff}', ' ', '\n', '\r', '\t']);
        let inside = unfenced(alone);
        if let Some(mut parsed) = self.alone(inside)? {
            if inside.len() < alone.len() {
                parsed.note_first("a code fence");
            }
            if survey.answer > 0 {
                parsed.note_first("reasoning before it");
            }
            return Ok(parsed);
        }
        let note = |parsed: &mut Parsed, found: &Found| {
            let (answer, range) = match found.range.start.checked_sub(survey.answer) {
                Some(start) => (answer, start..found.range.end - survey.answer),
                // It stands between two pieces of reasoning.
                None => (text, found.range.clone()),
            };
            let slips: Vec<&str> = found.slips.iter().map(|slip| slip.words()).collect();
            if !slips.is_empty() {
                parsed.note_first(&slips.join(", "));
            }
            if let Some(around) = extract::surroundings(answer, &range) {
                parsed.note_first(&around);
            }
            if survey.answer > 0 {
                parsed.note_first("reasoning before it");
            }
        };
        let candidates = std::mem::take(&mut survey.candidates);
        for bare in [false, true] {
            if bare && !self.schema.wrapped {
                break;
            }
            if let Some((mut parsed, found)) = self.choose(&candidates, bare, survey.cut)? {
                note(&mut parsed, found);
                return Ok(parsed);
            }
        }
        let attempt = candidates.iter().rev().find(|c| self.is_attempt(&c.found.value) || !c.found.repeated.faults.is_empty());
        let last = || candidates.iter().rev().find(|c| c.found.value.is_object());
        match attempt.or_else(last) {
            Some(candidate) if survey.cut.is_none() => {
                let Found { value, repeated, .. } = &candidate.found;
                Err(self.mismatch(self.root_of(value), value, repeated.clone()))
            }
            _ if survey.cut.is_some() || alone.starts_with(['{', '[']) => Err(SchemaError::Broken(broken)),
            _ => Err(SchemaError::NoJson),
        }
    }

    /// A text that is one value, perhaps almost.
    fn alone(&mut self, text: &str) -> Result<Option<Parsed>, SchemaError> {
        if let Ok(read) = strict::read(text) {
            return self.whole(read).map(Some);
        }
        match lenient::read(text, 0) {
            Ok(read) if text.get(read.end..).is_some_and(|rest| rest.trim().is_empty()) => {
                let mut parsed = self.whole(strict::Read { value: read.value, repeated: read.repeated })?;
                let slips: Vec<&str> = read.slips.iter().map(|slip| slip.words()).collect();
                parsed.note_first(&slips.join(", "));
                Ok(Some(parsed))
            }
            _ => Ok(None),
        }
    }

    /// The candidate that counts, from the last to the first.
    fn choose<'c>(
        &mut self,
        candidates: &'c VecDeque<Candidate>,
        bare: bool,
        cut_at: Option<usize>,
    ) -> Result<Option<(Parsed, &'c Found)>, SchemaError> {
        let mut chosen: Option<(Parsed, &Candidate)> = None;
        let mut failed: Option<&Candidate> = None;
        for candidate in candidates.iter().rev() {
            let root = if bare { self.schema.bare_root } else { self.schema.root };
            // Mending is for what was meant as an answer.
            let attempt = bare || self.is_attempt(&candidate.found.value);
            let fits = attempt || {
                let mut checker = self.checker();
                let fits = checker.fits(root, &candidate.found.value);
                self.fuel = checker.fuel();
                fits
            };
            let repeated = !candidate.found.repeated.faults.is_empty();
            let parsed = if fits && !repeated {
                self.take(root, candidate.found.value.clone(), !bare && self.schema.wrapped).ok()
            } else {
                None
            };
            match (parsed, &chosen) {
                (None, None) if (attempt && !bare) || (fits && repeated) => failed = failed.or(Some(candidate)),
                (None, _) => {}
                (Some(parsed), None) => chosen = Some((parsed, candidate)),
                (Some(parsed), Some((last, by))) if same(&parsed.value, &last.value) || candidate.rank < by.rank => {}
                (Some(parsed), Some((last, _))) => {
                    let short = |value: &Value| cut(value.to_string(), 120);
                    return Err(SchemaError::Ambiguous { first: short(&parsed.value), last: short(&last.value) });
                }
            }
        }
        let Some((mut parsed, candidate)) = chosen else { return Ok(None) };
        if let Some(failed) = failed.filter(|failed| failed.rank >= candidate.rank) {
            let Found { value, repeated, .. } = &failed.found;
            return Err(self.mismatch(self.root_of(value), value, repeated.clone()));
        }
        if let Some(start) = cut_at.filter(|start| *start > candidate.found.range.start && candidate.rank < Rank(4)) {
            let error = format!("the value that starts at byte {start} breaks off");
            return Err(SchemaError::Broken(<serde_json::Error as serde::de::Error>::custom(error)));
        }
        if bare {
            parsed.note("the value without its wrapper".to_owned());
        }
        Ok(Some((parsed, &candidate.found)))
    }

    /// Whether a value was meant as an answer: an object with a name of the type's.
    fn is_attempt(&self, value: &Value) -> bool {
        value.as_object().is_some_and(|map| map.keys().any(|name| self.schema.names.contains(name)))
    }
}

/// What a text holds.
struct Survey {
    candidates: VecDeque<Candidate>,
    /// Where the reasoning at the beginning ends.
    answer: usize,
    /// Where JSON starts that the end of the text cuts off.
    cut: Option<usize>,
}

/// Finds the candidates, and what marks them. Marks inside a JSON value are its own.
fn survey(text: &str) -> Survey {
    let mut values = extract::values(text, true);
    let mut candidates: VecDeque<Candidate> = VecDeque::new();
    let (mut at, mut answer) = (0, 0);
    let (mut thinking, mut fenced, mut tagged) = (false, false, false);
    loop {
        let found = values.next();
        let end = found.as_ref().map_or(text.len(), |found| found.range.start);
        let gap = text.get(at..end).unwrap_or_default();
        for (mark, behind) in marks(gap) {
            match mark {
                Mark::Reasoning => thinking = true,
                Mark::ReasoningEnd => {
                    if !thinking {
                        candidates.clear();
                    }
                    (thinking, fenced, tagged) = (false, false, false);
                    answer = at + behind;
                }
                Mark::Answer => {
                    if thinking {
                        answer = at + behind;
                    }
                    (thinking, tagged) = (false, true);
                }
                Mark::AnswerEnd => tagged = false,
                Mark::Fence => fenced = !fenced,
            }
        }
        let Some(found) = found else { break };
        at = found.range.end;
        if thinking {
            continue;
        }
        let rank = Rank(u8::from(tagged) * 4 + u8::from(fenced) * 2 + u8::from(announces(gap)));
        if candidates.len() == MAX_CANDIDATES {
            candidates.pop_front();
        }
        candidates.push_back(Candidate { found, rank });
    }
    let cut = values.cut.filter(|cut| *cut >= answer && !thinking);
    Survey { candidates, answer, cut }
}

/// What stands in the one code fence that is the whole text, or the text itself.
fn unfenced(text: &str) -> &str {
    let inside = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```")).filter(|inside| !inside.contains("```"));
    let Some(inside) = inside else { return text };
    match inside.split_once('\n') {
        Some((language, rest)) if language.trim().chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') => rest.trim(),
        _ => inside.trim(),
    }
}
