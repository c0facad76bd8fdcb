//! What a decoder finds, turned into events: the part of reading that all wires share.

use std::collections::VecDeque;

use mellea_core::{Event, TokenLogprob, ToolCall, Usage, Warning};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::calls::unique;
use crate::json::{self, join_halves};
use crate::repeat::Heard;
use crate::spoken::{Spoken, SpokenCalls};
use crate::{CallPiece, Fault, Finish, JSON_TOOL, Piece, Rules, Splitter, ToolCalls};

/// The most bytes that all pieces of one answer may have: parts of it are kept to its end.
const MAX_BYTES: usize = 256 << 20;
/// The most pieces of one answer that may be unreadable, where they are left out.
const MAX_UNREADABLE: usize = 16;

/// An answer that is being read: a decoder tells it what it finds, and events come out.
///
/// What is said here is what the wire says, in its order. Repeats, reasoning in tags, calls that are written as text,
/// halves of characters and counts that are zero are dealt with here, and the same for every wire.
#[derive(Debug)]
pub struct Answer {
    rules: Rules,
    queue: VecDeque<Event>,
    splitter: Splitter,
    spoken: SpokenCalls,
    pieces: Vec<Piece>,
    heard: Heard,
    heard_thinking: Heard,
    /// The first half of a character, whose second is still to come.
    half: Option<char>,
    /// Some piece was mended, so that texts may hold halves of characters.
    mended: bool,
    /// Text that waits for a call of the JSON tool, which would be the answer.
    aside: String,
    /// The answer came as a call of the JSON tool.
    json_called: bool,
    calls: ToolCalls,
    called: Vec<ToolCall>,
    usage: Usage,
    has_id: bool,
    has_model: bool,
    refused: bool,
    word: Option<String>,
    announced: bool,
    begun: bool,
    /// How many pieces of the answer itself have come.
    content: u64,
    bytes: usize,
    unread: usize,
    first_fault: Option<String>,
}

impl Answer {
    pub(crate) fn new(rules: Rules) -> Self {
        let splitter = Splitter::new(rules.tags.clone(), rules.thinking_open);
        let spoken = SpokenCalls::new(rules.tools.clone(), rules.tool_format, rules.bare_calls);
        Self {
            rules,
            queue: VecDeque::with_capacity(8),
            splitter,
            spoken,
            pieces: Vec::new(),
            heard: Heard::default(),
            heard_thinking: Heard::default(),
            half: None,
            mended: false,
            aside: String::new(),
            json_called: false,
            calls: ToolCalls::default(),
            called: Vec::new(),
            usage: Usage::default(),
            has_id: false,
            has_model: false,
            refused: false,
            word: None,
            announced: false,
            begun: false,
            content: 0,
            bytes: 0,
            unread: 0,
            first_fault: None,
        }
    }

    /// How it is read.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Reads a piece as JSON, mending it if it does not parse. `spare` is room for the mended text.
    ///
    /// # Errors
    /// [`Fault::Unreadable`] if that does not help.
    pub fn read<'a, T: Deserialize<'a>>(&mut self, text: &'a str, spare: &'a mut String) -> Result<T, Fault> {
        let value = json::read(text, spare).map_err(|error| Fault::unreadable(&error, text))?;
        self.mended = true;
        Ok(value)
    }

    /// Reads a whole body as JSON, mending it if it does not parse.
    ///
    /// # Errors
    /// [`Fault::Malformed`] if that does not help.
    pub fn read_body<'a, T: Deserialize<'a>>(&mut self, body: &'a [u8], spare: &'a mut String) -> Result<T, Fault> {
        if body.trim_ascii().is_empty() {
            return Err(Fault::malformed("", "it is empty"));
        }
        let value = json::read_body(body, spare);
        self.mended = true;
        value.map_err(|error| match Fault::unreadable(&error, &String::from_utf8_lossy(body)) {
            Fault::Unreadable { reason, .. } => Fault::malformed("", reason),
            other => other,
        })
    }

    /// The answer's id; the first one counts.
    pub fn id(&mut self, id: impl Into<String> + AsRef<str>) {
        if !self.has_id && !id.as_ref().is_empty() {
            self.has_id = true;
            self.queue.push_back(Event::ResponseId(id.into()));
        }
    }

    /// The model that answers; the first one counts.
    pub fn model(&mut self, model: impl Into<String> + AsRef<str>) {
        if !self.has_model && !model.as_ref().is_empty() {
            self.has_model = true;
            self.queue.push_back(Event::Model(model.into()));
        }
    }

    /// The next piece of the text.
    pub fn text(&mut self, text: impl Into<String>) {
        let mut text = text.into();
        if self.mended {
            text = self.joined(text);
        }
        if text.is_empty() {
            return;
        }
        self.heard.piece(&text);
        self.begin();
        if self.splitter.passes(&text) {
            self.say(text);
        } else {
            self.splitter.push(text, &mut self.pieces);
            self.take_pieces();
        }
    }

    /// A piece of the text that came with the finish: servers repeat the whole text there.
    pub fn last_text(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.repeats(&text) {
            self.text(text);
        }
    }

    /// Whether this piece is all of the text so far once more; so servers repeat it with the finish.
    #[must_use]
    pub fn repeats(&self, text: &str) -> bool {
        self.heard.is_repeated_by(text)
    }

    /// The whole text, after its pieces if there were any.
    pub fn whole_text(&mut self, text: &str) {
        let rest = self.heard.rest_of(text).to_owned();
        self.text(rest);
    }

    /// Whether any text has come.
    #[must_use]
    pub fn has_text(&self) -> bool {
        !self.heard.is_empty()
    }

    /// Whether any tool call has come, even in part.
    #[must_use]
    pub fn has_calls(&self) -> bool {
        !self.calls.is_empty() || !self.called.is_empty()
    }

    /// How many tool calls have come.
    #[must_use]
    pub fn call_count(&self) -> usize {
        self.calls.len() + self.called.len()
    }

    /// Whether the service has said why the model stopped.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.word.is_some()
    }

    /// The calls that are complete. Those that came in pieces are among them when the decoder
    /// [concludes](crate::Decoder::conclude).
    #[must_use]
    pub fn calls(&self) -> &[ToolCall] {
        &self.called
    }

    /// The next piece of reasoning that the wire sets apart itself.
    pub fn thinking(&mut self, text: impl Into<String>) {
        let mut text = text.into();
        if self.mended {
            join_halves(&mut text, false);
        }
        if !text.is_empty() {
            self.heard_thinking.piece(&text);
            self.begin();
            self.splitter.thought_elsewhere();
            self.queue.push_back(Event::Thinking(text));
        }
    }

    /// A piece of reasoning that came with the finish: servers repeat the whole there.
    pub fn last_thinking(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.heard_thinking.is_repeated_by(&text) {
            self.thinking(text);
        }
    }

    /// The whole reasoning, after its pieces if there were any.
    pub fn whole_thinking(&mut self, text: &str) {
        let rest = self.heard_thinking.rest_of(text).to_owned();
        self.thinking(rest);
    }

    /// Why the model declines, in its own words.
    pub fn refusal(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.refused = true;
            self.begin();
            self.queue.push_back(Event::Text(text));
        }
    }

    /// A tool call, or a piece of one; `position` is its place in the list it came in.
    ///
    /// # Errors
    /// [`Fault::Malformed`] if there is too much of it.
    pub fn call(&mut self, piece: CallPiece, position: usize) -> Result<(), Fault> {
        self.begin();
        self.calls.push(piece, position)
    }

    /// A whole tool call, after its pieces if there were any.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn whole_call(&mut self, piece: CallPiece, position: usize) -> Result<(), Fault> {
        self.begin();
        self.calls.repeat(piece, position)
    }

    /// A tool call that is complete, with everything in its place; gives the id under which it goes on.
    pub fn complete_call(&mut self, call: ToolCall) -> String {
        self.begin();
        let call = unique(call, &self.called);
        let id = call.id.clone();
        self.called.push(call.clone());
        self.queue.push_back(Event::ToolCall(call));
        id
    }

    /// Whether a call of this name is the answer: one of [`JSON_TOOL`], where [`Rules::json_tool`] says so.
    #[must_use]
    pub fn is_json_call(&self, name: &str) -> bool {
        self.rules.json_tool && name == JSON_TOOL
    }

    /// Such a call begins. False if there was one before: then that one counts.
    pub fn begin_json(&mut self) -> bool {
        if std::mem::replace(&mut self.json_called, true) {
            self.note("the answer came twice; the first one counts");
            return false;
        }
        self.set_aside();
        true
    }

    /// A piece of the answer that the model gives as arguments of [`JSON_TOOL`]. What it said before was not the answer.
    pub fn json_text(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.json_called = true;
        self.begin();
        if !text.is_empty() {
            self.queue.push_back(Event::Text(text));
        }
    }

    /// How likely tokens were.
    pub fn logprobs(&mut self, tokens: Vec<TokenLogprob>) {
        if !tokens.is_empty() {
            self.queue.push_back(Event::Logprobs(tokens));
        }
    }

    /// Figures of usage, whole or in part; a zero after another number is none.
    pub fn usage(&mut self, later: Usage) {
        let known = self.usage;
        let real = |later: Option<u64>, known: Option<u64>| later.filter(|n| *n > 0 || known.is_none()).or(known);
        self.usage.prompt_tokens = real(later.prompt_tokens, known.prompt_tokens);
        self.usage.completion_tokens = real(later.completion_tokens, known.completion_tokens);
        self.usage.cached_tokens = real(later.cached_tokens, known.cached_tokens);
        self.usage.reasoning_tokens = real(later.reasoning_tokens, known.reasoning_tokens);
        if self.usage != known {
            self.queue.push_back(Event::Usage(self.usage));
        }
    }

    /// The figures so far.
    #[must_use]
    pub const fn used(&self) -> Usage {
        self.usage
    }

    /// What the provider wants back with this turn.
    pub fn replay(&mut self, value: Value) {
        self.queue.push_back(Event::Replay(value));
    }

    /// What the provider sent, for those who need it.
    pub fn raw(&mut self, value: Value) {
        self.queue.push_back(Event::Raw(value));
    }

    /// Something about the answer that is good to know.
    pub fn note(&mut self, message: impl Into<String>) {
        self.warn(Warning::Note { message: message.into() });
    }

    /// Something that was not honoured.
    pub fn warn(&mut self, warning: Warning) {
        self.queue.push_back(Event::Warning(warning));
    }

    /// Why the model stopped, in the service's word. The last one that is known counts.
    ///
    /// # Errors
    /// [`Fault::Refused`] or [`Fault::Broken`] if the word stands for a failure.
    pub fn finish(&mut self, word: &str) -> Result<(), Fault> {
        match Finish::of(word) {
            Finish::Failed => return Err(Fault::failed(word)),
            Finish::Broken => return Err(Fault::Broken(format!("the service could not read what the model wrote (`{word}`)"))),
            Finish::Repeating => {
                return Err(Fault::Repeating(format!("the model repeated itself, and the service ended it (`{word}`)")));
            }
            Finish::Unknown if self.word.is_some() => {}
            _ => self.word = Some(word.to_owned()),
        }
        self.begun = true;
        Ok(())
    }

    /// Why the model stopped, in the word of a service behind the one that answers: it counts if it stands for a failure.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn finish_behind(&mut self, word: &str) -> Result<(), Fault> {
        match Finish::of(word) {
            Finish::Failed | Finish::Broken | Finish::Repeating => self.finish(word),
            _ => Ok(()),
        }
    }

    /// The service announces that nothing more will come.
    pub const fn end(&mut self) {
        self.announced = true;
    }

    /// Counts the bytes of a piece.
    pub(crate) fn count(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_BYTES {
            return Err(Fault::malformed("", format!("the answer has more than {MAX_BYTES} bytes")));
        }
        Ok(())
    }

    /// Leaves out a piece that cannot be read, if that is wanted.
    pub(crate) fn skip(&mut self, reason: String, fault: Fault) -> Result<(), Fault> {
        if !self.rules.skip_unreadable || self.unread >= MAX_UNREADABLE {
            return Err(fault);
        }
        self.unread += 1;
        self.first_fault.get_or_insert(reason);
        Ok(())
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.queue.pop_front()
    }

    const fn begin(&mut self) {
        self.begun = true;
        self.content += 1;
    }

    pub(crate) const fn content(&self) -> u64 {
        self.content
    }

    pub(crate) const fn has_begun(&self) -> bool {
        self.begun
    }

    pub(crate) const fn is_announced(&self) -> bool {
        self.announced
    }

    /// Whether a call is there in part only.
    pub(crate) fn is_cut_in_a_call(&self) -> bool {
        self.calls.any_broken()
    }

    /// Gives what was held back, when nothing more will come.
    pub(crate) fn flush(&mut self) {
        if self.half.take().is_some() {
            self.text(char::REPLACEMENT_CHARACTER);
        }
        self.splitter.finish(&mut self.pieces);
        self.take_pieces();
        let mut out = Vec::new();
        self.spoken.finish(&mut out);
        self.take_spoken(out);
    }

    /// Gives what only the end can tell, but for the finish: calls; and by their ids what belongs to them.
    pub(crate) fn conclude(&mut self) -> Map<String, Value> {
        self.flush();
        if self.calls.any_nameless() {
            self.note("a tool call without a name was left out");
        }
        let (calls, extra) = self.calls.finish();
        let mut json = None;
        for call in calls {
            if self.rules.json_tool && call.name == JSON_TOOL {
                json.get_or_insert(call.arguments);
            } else {
                self.complete_call(call);
            }
        }
        if let Some(arguments) = json {
            let text = match arguments {
                Value::String(text) => text,
                value => value.to_string(),
            };
            self.set_aside();
            self.json_text(text);
        }
        self.set_aside();
        extra
    }

    /// Text that waited for a call: with one it was said on the way, without one it is the answer.
    fn set_aside(&mut self) {
        let aside = std::mem::take(&mut self.aside);
        let called = self.json_called || !self.calls.is_empty();
        if !aside.is_empty() {
            self.queue.push_back(if called { Event::Thinking(aside) } else { Event::Text(aside) });
        }
    }

    /// Gives the finish.
    pub(crate) fn close(&mut self) {
        if self.unread > 0 {
            let fault = self.first_fault.take().unwrap_or_default();
            self.note(format!("{} pieces of the answer could not be read and were left out: {fault}", self.unread));
        }
        let word = self.word.take().unwrap_or_default();
        let finish = if self.refused { Finish::ContentFilter } else { Finish::of(&word) };
        match finish {
            Finish::Unknown => self.note(format!("the service gave `{word}` as the reason for which the model stopped")),
            Finish::WindowFull => self.note("the answer was cut because the window is full; more `max_new_tokens` will not help"),
            _ => {}
        }
        let reason = finish.reason(&word, !self.called.is_empty());
        self.queue.push_back(Event::Finish(reason));
    }

    /// The text with its halves of characters joined, across pieces.
    fn joined(&mut self, mut text: String) -> String {
        if let Some(half) = self.half.take() {
            text.insert(0, half);
        }
        self.half = join_halves(&mut text, true);
        text
    }

    fn take_pieces(&mut self) {
        for piece in std::mem::take(&mut self.pieces) {
            match piece {
                Piece::Text(text) => self.say(text),
                Piece::Thinking(text) => self.queue.push_back(Event::Thinking(text)),
                Piece::WasThinking if self.rules.json_tool => {
                    let aside = std::mem::take(&mut self.aside);
                    self.queue.push_back(Event::Thinking(aside));
                }
                Piece::WasThinking => self.queue.push_back(Event::TextWasThinking),
                Piece::Call(name, arguments) => {
                    self.complete_call(ToolCall::new(name, arguments));
                }
            }
        }
    }

    /// Text of the answer, in which calls may be written.
    fn say(&mut self, text: String) {
        if self.spoken.passes(&text) {
            return self.tell(text);
        }
        let mut out = Vec::new();
        self.spoken.push(&text, &mut out);
        self.take_spoken(out);
    }

    fn take_spoken(&mut self, out: Vec<Spoken>) {
        for one in out {
            match one {
                Spoken::Text(text) => self.tell(text),
                Spoken::Call(name, arguments) => {
                    if self.rules.tool_format.is_none() {
                        self.note(format!("the model wrote a call of `{name}` as text; it was taken for a call"));
                    }
                    self.complete_call(ToolCall::new(name, arguments));
                }
            }
        }
    }

    fn tell(&mut self, text: String) {
        if text.is_empty() {
        } else if self.rules.json_tool {
            self.aside.push_str(&text);
        } else {
            self.queue.push_back(Event::Text(text));
        }
    }
}
