//! An answer read: whole or cut, checked against its form, and made a value, once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::backend::Format;
use crate::component::{Answer, DynComponent};
use crate::error::{Error, ErrorKind, Result};
use crate::generate::{self, AnyValue};
use crate::output::{FinishReason, ModelOutput, Warning};
use crate::schema::{Reading, read_answer};

/// What is done with an answer that was cut at the token limit or by a provider's filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CutPolicy {
    /// It is refused where it has a type or requirements, and has a warning otherwise.
    #[default]
    Auto,
    /// It is taken, with a warning. A typed one must still fit its type.
    Accept,
    /// It is refused, and so tried again.
    Refuse,
}

/// Reads the typed value of an answer. A cut is seen before anything is parsed; what was read leniently is
/// noted as a warning.
pub(super) fn read(
    action: &dyn DynComponent,
    format: Option<&Format>,
    limit: Option<u64>,
    refuses_cut: bool,
    reading: Reading,
    mut output: Arc<ModelOutput>,
) -> (Arc<ModelOutput>, Result<AnyValue>) {
    let cut = match output.finish {
        FinishReason::Length => Some(generate::truncated(&output, limit)),
        FinishReason::ContentFilter => Some(ErrorKind::ContentFiltered),
        _ => None,
    };
    match cut {
        Some(kind) if refuses_cut => return (output, Err(kind.into())),
        Some(kind) => Arc::make_mut(&mut output).warnings.push(Warning::Cut { reason: kind.to_string() }),
        None => {}
    }
    let json = match format {
        None => None,
        Some(Format::JsonSchema(schema)) => match read_answer(schema, &output, reading) {
            Ok(parsed) => {
                if let Some(reason) = parsed.lenient {
                    Arc::make_mut(&mut output).warnings.push(Warning::LenientJson { reason });
                }
                Some(parsed.value)
            }
            Err(error) => return (output, Err(error)),
        },
        Some(format @ Format::Regex(_)) => {
            match format.matched(&output.text).map(|text| (text.len() < output.text.len()).then(|| text.to_owned())) {
                Ok(None) => {}
                Ok(Some(text)) => Arc::make_mut(&mut output).text = text,
                Err(error) => return (output, Err(error)),
            }
            None
        }
    };
    let answer = Answer::new(&output, json.as_ref());
    let value = catch_unwind(AssertUnwindSafe(|| action.read_any(&answer)));
    let value = value.unwrap_or_else(|panic| Err(Error::from(ErrorKind::Parse(generate::panic_text(&*panic)))));
    (output, value)
}
