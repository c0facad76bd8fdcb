//! What the service sends, piece by piece or as a whole.

use mellea_core::Warning;
use mellea_http::SseEvent;
use mellea_wire::{Answer, CallPiece, Decoder as Wire, Fault};

use crate::wire::{Chat, Choice, System};

/// Reads one answer, streamed or whole.
///
/// ```
/// use mellea_core::{Event, FinishReason};
/// use mellea_http::SseEvent;
/// use mellea_watsonx::stream::Decoder;
/// use mellea_wire::{Fault, Reader, Rules};
///
/// let mut reader = Reader::new(Decoder::default(), Rules::new());
/// for data in [r#"{"choices": [{"delta": {"content": "Hi"}}]}"#, r#"{"choices": [{"finish_reason": "stop"}]}"#] {
///     let event = SseEvent { data: data.to_owned(), ..SseEvent::default() };
///     reader.frame(event, false)?;
/// }
/// reader.body_ended()?;
/// let events: Vec<Event> = std::iter::from_fn(|| reader.pop()).collect();
/// assert_eq!(events, [Event::Text("Hi".into()), Event::Finish(FinishReason::Stop)]);
/// # Ok::<(), Fault>(())
/// ```
#[derive(Debug, Default)]
pub struct Decoder {
    warned: bool,
    /// Pieces came as `delta`, so that a `message` is the whole.
    in_deltas: bool,
    /// The answer came as a whole, so that each call in it is complete.
    at_once: bool,
    /// The choice whose text is the answer's, and the one whose calls are.
    spoken: Option<u64>,
    calling: Option<u64>,
}

impl Wire for Decoder {
    type Frame = SseEvent;

    fn frame(&mut self, frame: SseEvent, answer: &mut Answer) -> Result<(), Fault> {
        let data = frame.data.trim();
        match data {
            "" => Ok(()),
            "[DONE]" => {
                answer.end();
                Ok(())
            }
            _ if frame.name == "error" => Err(Fault::of_error_event(data)),
            _ => {
                let chat = answer.read(data, &mut String::new())?;
                self.piece(chat, answer)
            }
        }
    }

    fn whole(&mut self, body: &[u8], answer: &mut Answer) -> Result<(), Fault> {
        self.at_once = true;
        let chat: Chat = answer.read_body(body, &mut String::new())?;
        let answered = !chat.choices.is_empty();
        self.piece(chat, answer)?;
        if answered { Ok(()) } else { Err(Fault::malformed("choices", "there are none")) }
    }

    fn size(frame: &SseEvent) -> usize {
        frame.data.len()
    }
}

impl Decoder {
    fn piece(&mut self, chat: Chat, answer: &mut Answer) -> Result<(), Fault> {
        let refusal = chat.refusal();
        chat.id.into_iter().for_each(|id| answer.id(id));
        chat.model.or(chat.model_id).into_iter().for_each(|model| answer.model(model));
        if let Some(system) = chat.system.filter(|_| !self.warned) {
            self.warned = true;
            remarks(&system).for_each(|warning| answer.warn(warning));
        }
        let mut choices = chat.choices;
        choices.sort_by_key(|choice| choice.index.unwrap_or_default());
        choices.into_iter().try_for_each(|choice| self.choice(choice, answer))?;
        if let Some(usage) = chat.usage {
            answer.usage(usage.usage());
        }
        refusal.map_or(Ok(()), |refusal| Err(Fault::Refused(refusal)))
    }

    fn choice(&mut self, choice: Choice, answer: &mut Answer) -> Result<(), Fault> {
        let index = choice.index.unwrap_or_default();
        self.in_deltas |= choice.delta.is_some();
        let finish = choice.finish_reason.filter(|word| !word.is_empty());
        let whole = choice.message.is_some() && self.in_deltas;
        for message in choice.delta.into_iter().chain(choice.message) {
            let speaks = [&message.content, &message.reasoning_content].into_iter().flatten().any(|text| !text.is_empty());
            if speaks && *self.spoken.get_or_insert(index) == index {
                let (thinking, text) = (message.reasoning_content.unwrap_or_default(), message.content.unwrap_or_default());
                match &finish {
                    _ if whole => {
                        answer.whole_thinking(&thinking);
                        answer.whole_text(&text);
                    }
                    Some(_) => {
                        answer.last_thinking(thinking);
                        answer.last_text(text);
                    }
                    None => {
                        answer.thinking(thinking);
                        answer.text(text);
                    }
                }
            }
            if message.tool_calls.is_empty() || *self.calling.get_or_insert(index) != index {
                continue;
            }
            for (position, call) in message.tool_calls.into_iter().enumerate() {
                let mut call = CallPiece::from(call);
                if self.at_once {
                    call.index = u64::try_from(position).ok();
                }
                if whole { answer.whole_call(call, position)? } else { answer.call(call, position)? }
            }
        }
        if let Some(logprobs) = choice.logprobs {
            answer.logprobs(logprobs.content.into_iter().filter_map(|token| token.logprob()).collect());
        }
        let counts = self.spoken.is_none_or(|spoken| spoken == index) || self.calling == Some(index);
        finish.filter(|_| counts).map_or(Ok(()), |word| answer.finish(&word))
    }
}

/// The service's remarks, as warnings. The disclaimer that comes with each answer of some models
/// is about no request.
pub(crate) fn remarks(system: &System) -> impl Iterator<Item = Warning> + use<'_> {
    let of_request = system.warnings.iter().filter(|remark| remark.id.as_deref() != Some("disclaimer_warning"));
    of_request.filter_map(|remark| Some(Warning::Other { message: remark.message.clone()? }))
}

#[cfg(test)]
mod tests;
