//! Checks that run while an answer arrives, and can end it early.

use std::fmt;

use crate::error::{ErrorKind, Result};

/// The longest run of white space outside a string that JSON may have while it is generated.
const MAX_WHITESPACE_RUN: usize = 256;

/// What a [`StreamCheck`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamVerdict {
    /// Not decided yet. At the end of the answer it counts as a pass.
    NotYet,
    /// The answer passes, whatever comes next: the check is not asked again.
    Pass,
    /// The answer is refused, for this reason. The generation is cancelled.
    Fail(String),
}

/// A check on the text of one answer while it arrives.
///
/// One value checks one answer, so it may keep state: [`Requirement::stream_check`] makes a new one for
/// each attempt. It sees the raw text in the pieces in which the provider sends it, so it must give the
/// same verdict for any cut. A failed check stops the generation, which saves the tokens that were still
/// to come; the attempt keeps the text up to there.
///
/// Checks run on streamed and awaited calls alike.
///
/// [`Requirement::stream_check`]: crate::Requirement::stream_check
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use mellea_core::{Session, StreamCheck, StreamVerdict, check, testing::ScriptedBackend};
///
/// /// Stops an answer at its first digit.
/// struct NoDigits;
///
/// impl StreamCheck for NoDigits {
///     fn feed(&mut self, text: &str) -> StreamVerdict {
///         match text.contains(|c: char| c.is_ascii_digit()) {
///             true => StreamVerdict::Fail("It has a digit.".into()),
///             false => StreamVerdict::NotYet,
///         }
///     }
/// }
///
/// let m = Session::new(ScriptedBackend::new(["Call 555-0199.", "Call me."]));
/// let answer = m.instruct("Say how to reach you.").require(check("No digits.").stream_check(|| NoDigits)).await?;
/// assert_eq!(*answer, "Call me.");
/// # Ok::<(), mellea_core::Error>(()) }).unwrap();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot check an answer while it arrives",
    label = "not a `StreamCheck`",
    note = "implement `StreamCheck` for a type that keeps the state of one answer, and give a closure that makes a new one"
)]
pub trait StreamCheck: Send {
    /// Looks at the next piece of text.
    fn feed(&mut self, text: &str) -> StreamVerdict;

    /// Looks at the whole answer's end. By default it passes.
    fn end(&mut self) -> StreamVerdict {
        StreamVerdict::Pass
    }
}

impl<C: StreamCheck + ?Sized> StreamCheck for Box<C> {
    fn feed(&mut self, text: &str) -> StreamVerdict {
        (**self).feed(text)
    }

    fn end(&mut self) -> StreamVerdict {
        (**self).end()
    }
}

/// The checks of one generation, each with the name that errors give it.
#[derive(Default)]
pub(crate) struct StreamChecks(Vec<Running>);

struct Running {
    /// The requirement's description; none for the library's own guard.
    name: Option<String>,
    check: Box<dyn StreamCheck>,
    passed: bool,
}

impl StreamChecks {
    /// Adds the check of a requirement.
    pub(crate) fn add(&mut self, name: impl Into<String>, check: Box<dyn StreamCheck>) {
        self.0.push(Running { name: Some(name.into()), check, passed: false });
    }

    /// Adds the guard for answers that must be JSON.
    pub(crate) fn guard_json(&mut self) {
        self.0.push(Running { name: None, check: Box::new(WhitespaceGuard::default()), passed: false });
    }

    /// # Errors
    /// [`ErrorKind::StreamCheck`] for the first check that fails; [`ErrorKind::Degenerate`] for the guard.
    pub(crate) fn feed(&mut self, text: &str) -> Result<()> {
        self.ask(|check| check.feed(text))
    }

    /// # Errors
    /// As [`feed`](Self::feed).
    pub(crate) fn end(&mut self) -> Result<()> {
        self.ask(|check| check.end())
    }

    fn ask(&mut self, mut ask: impl FnMut(&mut dyn StreamCheck) -> StreamVerdict) -> Result<()> {
        for running in self.0.iter_mut().filter(|running| !running.passed) {
            match ask(&mut *running.check) {
                StreamVerdict::NotYet => {}
                StreamVerdict::Pass => running.passed = true,
                StreamVerdict::Fail(reason) => {
                    return Err(match &running.name {
                        Some(name) => ErrorKind::StreamCheck { check: name.clone(), reason },
                        None => ErrorKind::Degenerate(reason),
                    }
                    .into());
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for StreamChecks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|running| &running.name)).finish()
    }
}

/// Fails when a model writes white space without end where JSON is due.
///
/// Models that are forced to write JSON sometimes do this; nothing but the token limit would stop them.
#[derive(Clone, Debug, Default)]
pub struct WhitespaceGuard {
    run: usize,
    in_string: bool,
    escaped: bool,
}

impl StreamCheck for WhitespaceGuard {
    fn feed(&mut self, text: &str) -> StreamVerdict {
        for c in text.chars() {
            if self.in_string {
                match c {
                    _ if self.escaped => self.escaped = false,
                    '\\' => self.escaped = true,
                    '"' => self.in_string = false,
                    _ => {}
                }
            } else if c.is_whitespace() {
                self.run += 1;
                if self.run > MAX_WHITESPACE_RUN {
                    return StreamVerdict::Fail(format!("{MAX_WHITESPACE_RUN} characters of white space where JSON is due"));
                }
            } else {
                self.run = 0;
                self.in_string = c == '"';
            }
        }
        StreamVerdict::NotYet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_counts_only_outside_strings() {
        let mut guard = WhitespaceGuard::default();
        assert_eq!(guard.feed(&format!("{{\"a\": \"\\\"{}\"", " ".repeat(1000))), StreamVerdict::NotYet);
        assert_eq!(guard.feed(&" ".repeat(MAX_WHITESPACE_RUN)), StreamVerdict::NotYet);
        assert!(matches!(guard.feed("\n"), StreamVerdict::Fail(_)));
    }

    #[test]
    fn a_check_that_passed_is_not_asked_again() {
        struct Once(usize);
        impl StreamCheck for Once {
            fn feed(&mut self, _: &str) -> StreamVerdict {
                self.0 += 1;
                if self.0 == 1 { StreamVerdict::Pass } else { StreamVerdict::Fail("asked again".into()) }
            }
        }
        let mut checks = StreamChecks::default();
        checks.add("once", Box::new(Once(0)));
        assert!(checks.feed("a").is_ok() && checks.feed("b").is_ok() && checks.end().is_ok());
    }
}
