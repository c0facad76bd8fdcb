//! From core's request to a prompt in tokens, a way of sampling, a constraint and rules for the output.

use std::sync::atomic::{AtomicUsize, Ordering};

use mellea_core::{ChatRequest, Content, Format, Message, RawRequest, RequestOptions, Role, Thinking, ToolChoice, Warning};
use serde_json::{Map, Value, json};

use super::{PROVIDER, RawPrompts, Shared};
use crate::engine::{KeepLogits, Request};
use crate::error::{Error, ErrorKind, Result};
use crate::generation_config::SamplingRequest;
use crate::grammar::Constraint;
use crate::output::{OutputRules, ToolFormat};
use crate::template::{Conversation, Prompt};

/// Native options that are read here; others go to the chat template if it reads them.
const SAMPLING: [&str; 7] =
    ["do_sample", "top_k", "top_p", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty"];
const DOCUMENTS: &str = "documents";
const VARIABLES: &str = "chat_template_kwargs";

impl Shared {
    /// Renders the chat template.
    pub(super) fn prompt(&self, request: &ChatRequest) -> Result<Prompt> {
        let template = self.template.as_ref();
        let template = template.ok_or_else(|| ErrorKind::NoTemplate { model: self.name.clone() })?;
        let messages = request.messages.iter().map(message).collect::<Result<Vec<_>>>()?;
        let options = &request.options;
        let documents = match options.extra.get(DOCUMENTS) {
            Some(Value::Array(documents)) => documents.as_slice(),
            _ => &[],
        };
        let tools = if offers_tools(request) { tools(request) } else { Vec::new() };
        template.render(
            &Conversation { messages: &messages, tools: &tools, documents, open_turn: true, variables: &variables(options) },
            &self.tokenizer,
        )
    }

    pub(super) fn chat_request(&self, request: &ChatRequest) -> Result<Request> {
        if request.messages.iter().all(Message::is_empty) {
            return Err(ErrorKind::EmptyPrompt.into());
        }
        self.refuse_hopeless(request.messages.iter().map(|message| message.text().len()).sum(), &request.options)?;
        let prompt = self.prompt(request)?;
        let tokens = self.tokenizer.encode_prompt(&prompt.text, prompt.mark)?;
        let source = self.template.as_ref().map_or("", |template| template.source());
        // Under a constraint everything is the answer.
        let free = request.format.is_none();
        let thinks = source.contains("</think>") || self.tokenizer.id("</think>").is_some();
        let output = OutputRules {
            stop: request.options.stop_sequences.clone(),
            thinks: free && thinks,
            thinking_open: free && prompt.text.trim_end().ends_with("<think>"),
            tools: offers_tools(request).then(|| ToolFormat::detect(source)),
            tool_names: request.tools.iter().map(|tool| tool.name.clone()).collect(),
        };
        self.request(tokens, &request.options, request.format.as_ref(), output)
    }

    pub(super) fn raw_request(&self, request: &RawRequest) -> Result<Request> {
        if request.prompt.is_empty() {
            return Err(ErrorKind::EmptyPrompt.into());
        }
        self.refuse_hopeless(request.prompt.len(), &request.options)?;
        let tokens = match self.raw_prompts {
            RawPrompts::Plain => self.tokenizer.encode_plain(&request.prompt)?,
            RawPrompts::WithControlTokens => self.tokenizer.encode_raw(&request.prompt)?,
        };
        let output = OutputRules { stop: request.options.stop_sequences.clone(), ..OutputRules::default() };
        self.request(tokens, &request.options, request.format.as_ref(), output)
    }

    /// The tokens that prompt and answer may have together.
    fn limit(&self, options: &RequestOptions) -> usize {
        let asked = options.context_window.and_then(|window| usize::try_from(window).ok());
        self.window.min(asked.unwrap_or(usize::MAX))
    }

    /// Refuses a text that cannot fit even if it were all of the longest tokens: to count the tokens of a hundred
    /// megabytes takes minutes and gigabytes. The margin allows for tokenizers that drop characters.
    fn refuse_hopeless(&self, bytes: usize, options: &RequestOptions) -> Result<()> {
        const MARGIN: usize = 4;
        let limit = self.limit(options);
        let prompt = bytes / self.tokenizer.longest().max(1);
        if prompt > limit.saturating_mul(MARGIN) { Err(ErrorKind::ContextOverflow { prompt, limit }.into()) } else { Ok(()) }
    }

    fn request(
        &self,
        prompt: Vec<u32>,
        options: &RequestOptions,
        format: Option<&Format>,
        output: OutputRules,
    ) -> Result<Request> {
        let limit = self.limit(options);
        if prompt.is_empty() || prompt.len() >= limit {
            return Err(ErrorKind::ContextOverflow { prompt: prompt.len(), limit }.into());
        }
        let bound = options.max_new_tokens.map(|bound| usize::try_from(bound).unwrap_or(usize::MAX));
        let bound = bound.or(self.defaults.max_new_tokens).unwrap_or(usize::MAX);
        let keep_logits = match (options.logits, options.raw_logits) {
            (true, _) => KeepLogits::Processed,
            (false, true) => KeepLogits::Raw,
            (false, false) => KeepLogits::None,
        };
        Ok(Request {
            max_new_tokens: bound.min(limit - prompt.len()),
            prompt,
            sampling: self.defaults.resolve(&sampling(options)?)?,
            constraint: format.map(constraint).transpose()?,
            output,
            keep_logits,
        })
    }

    /// What of a request cannot be honoured.
    pub(super) fn unsupported(&self, request: &ChatRequest) -> Vec<Warning> {
        let source = self.template.as_ref().map_or("", |template| template.source());
        let unknown = |option: &str| Warning::UnsupportedOption { option: option.to_owned(), provider: PROVIDER.to_owned() };
        let mut warnings = Vec::new();
        for key in request.options.extra.keys() {
            let read = SAMPLING.contains(&key.as_str()) || key == VARIABLES;
            // A template that does not name a variable cannot read it.
            if !read && !source.contains(key.as_str()) {
                warnings.push(unknown(key));
            }
        }
        if matches!(request.options.tool_choice, Some(ToolChoice::Required | ToolChoice::Tool(_))) {
            warnings.push(unknown("tool_choice"));
        }
        if request.options.thinking.is_some() && !source.contains("thinking") && !source.contains("reasoning_effort") {
            warnings.push(unknown("thinking"));
        }
        if request.format.is_some() && !request.tools.is_empty() {
            let message = "the tools were left out, because the answer's form is constrained".to_owned();
            warnings.push(Warning::Other { message });
        }
        warnings
    }
}

/// Tools are offered unless the answer's form is fixed or calls are forbidden.
fn offers_tools(request: &ChatRequest) -> bool {
    !request.tools.is_empty() && request.format.is_none() && request.options.tool_choice != Some(ToolChoice::None)
}

fn message(message: &Message) -> Result<Value> {
    if message.content.iter().any(|block| !matches!(block, Content::Text(_))) {
        let (what, hint) = ("an image or audio block".to_owned(), "use a backend with a multimodal model".to_owned());
        return Err(ErrorKind::Unsupported { what, hint }.into());
    }
    let mut map = Map::new();
    map.insert("role".to_owned(), message.role.as_str().into());
    map.insert("content".to_owned(), message.text().into());
    if let Some(thinking) = &message.thinking {
        map.insert("reasoning_content".to_owned(), thinking.as_str().into());
    }
    if !message.tool_calls.is_empty() {
        let call = |call: &mellea_core::ToolCall| {
            let function = json!({"name": call.name, "arguments": call.arguments});
            json!({"id": call.id, "type": "function", "function": function})
        };
        map.insert("tool_calls".to_owned(), message.tool_calls.iter().map(call).collect());
    }
    if message.role == Role::Tool {
        for (key, value) in [("tool_call_id", &message.tool_call_id), ("name", &message.tool_name)] {
            if let Some(value) = value {
                map.insert(key.to_owned(), value.as_str().into());
            }
        }
    }
    Ok(Value::Object(map))
}

fn tools(request: &ChatRequest) -> Vec<Value> {
    request.tools.iter().map(mellea_core::ToolSpec::to_openai).collect()
}

/// Every option that is not for sampling is offered to the template, whose switches for thinking have two names.
fn variables(options: &RequestOptions) -> Map<String, Value> {
    let mut variables = Map::new();
    if let Some(thinking) = options.thinking {
        let on = thinking != Thinking::Off;
        variables.insert("thinking".to_owned(), on.into());
        variables.insert("enable_thinking".to_owned(), on.into());
        let effort = match thinking {
            Thinking::Low => Some("low"),
            Thinking::Medium => Some("medium"),
            Thinking::High => Some("high"),
            _ => None,
        };
        if let Some(effort) = effort {
            variables.insert("reasoning_effort".to_owned(), effort.into());
        }
    }
    for (key, value) in &options.extra {
        match value {
            Value::Object(more) if key == VARIABLES => variables.extend(more.clone()),
            _ if SAMPLING.contains(&key.as_str()) || key == DOCUMENTS => {}
            value => {
                variables.insert(key.clone(), value.clone());
            }
        }
    }
    variables
}

fn sampling(options: &RequestOptions) -> Result<SamplingRequest> {
    let extra = |name: &'static str| options.extra.get(name).filter(|value| !value.is_null());
    let wrong = |option, value: &Value, expected| Error::from(ErrorKind::Option { option, found: value.to_string(), expected });
    let float = |name| -> Result<Option<f32>> {
        let read = |value: &Value| value.as_f64().map(|value| value as f32).ok_or_else(|| wrong(name, value, "a number"));
        extra(name).map(read).transpose()
    };
    let top_k = |value: &Value| {
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        size.ok_or_else(|| wrong("top_k", value, "an integer of at least 0"))
    };
    let flag = |value: &Value| value.as_bool().ok_or_else(|| wrong("do_sample", value, "true or false"));
    Ok(SamplingRequest {
        do_sample: extra("do_sample").map(flag).transpose()?,
        temperature: options.temperature.map(|temperature| temperature as f32),
        top_k: extra("top_k").map(top_k).transpose()?,
        top_p: float("top_p")?,
        min_p: float("min_p")?,
        repetition_penalty: float("repetition_penalty")?,
        presence_penalty: float("presence_penalty")?,
        frequency_penalty: float("frequency_penalty")?,
        seed: options.seed,
    })
}

fn constraint(format: &Format) -> Result<Constraint> {
    match format {
        Format::JsonSchema(schema) => Ok(Constraint::JsonSchema(schema.plain().clone())),
        Format::Regex(pattern) => Ok(Constraint::Regex(pattern.clone())),
        other => Err(ErrorKind::Unsupported {
            what: format!("the format {other:?}"),
            hint: "use a JSON schema or a regular expression".to_owned(),
        }
        .into()),
    }
}

/// Nine letters and digits: some templates accept nothing else.
pub(super) fn call_id() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("call{:05}", NEXT.fetch_add(1, Ordering::Relaxed) % 100_000)
}
