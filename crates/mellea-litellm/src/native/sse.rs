//! What server-sent events have in common on all wires that use them.

use mellea_http::SseEvent;
use mellea_wire::{Answer, Fault};

/// The JSON of an event, unless it has none: signs of life are passed over, and gateways end every stream as OpenAI
/// does.
///
/// # Errors
/// [`Fault::Refused`] if the event is an error by its name.
pub(crate) fn json<'a>(event: &'a SseEvent, answer: &mut Answer) -> Result<Option<&'a str>, Fault> {
    match event.data.trim() {
        "" => Ok(None),
        "[DONE]" => {
            answer.end();
            Ok(None)
        }
        data if event.name == "error" => Err(Fault::of_error_event(data)),
        data => Ok(Some(data)),
    }
}
