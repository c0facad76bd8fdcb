//! The options as one table: names, documentation, defaults, fields and checks follow from its rows.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::read;
use super::{DEFAULT_STREAM_TIMEOUT, DEFAULT_TIMEOUT, Shown, Thinking, ToolChoice};
use crate::error::{Error, Result};

/// Each row: the option's documentation and name, what it takes (said in errors too), its default in
/// words, whether `null` is a value rather than the option's absence, and, for all that is part of
/// [`RequestOptions`], how the field is written, called and typed, its default, and what reads it.
macro_rules! option_table {
    ($(
        $(#[doc = $doc:literal])+
        $option:ident = $name:literal, takes $takes:literal, default $words:literal, null $null:literal
        $(, $(#[$serde:meta])? $field:ident: $type:ty = $default:expr, $read:path)?;
    )+) => {
        /// An option that means the same on every backend.
        ///
        /// A backend's own options go beside these under their own names, see
        /// [`ModelOptions::extra`](crate::ModelOptions::extra).
        ///
        /// | Option | Name | Takes | Default |
        /// |---|---|---|---|
        $(#[doc = concat!(
            "| [`", stringify!($option), "`](Self::", stringify!($option), ") | `", $name, "` | ", $takes, " | ", $words, " |"
        )])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum ModelOption {
            $(
                $(#[doc = $doc])+
                #[doc = concat!("\n\nTakes ", $takes, ". Default: ", $words, ".")]
                #[serde(rename = $name)]
                $option,
            )+
        }

        impl ModelOption {
            /// All options.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$option),+];

            /// The option's name in errors, warnings and stored options.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$option => $name,)+
                }
            }

            /// What the option takes, in words.
            #[must_use]
            pub const fn expected(self) -> &'static str {
                match self {
                    $(Self::$option => $takes,)+
                }
            }

            /// Whether `null` is a value of this option. For all others it is the option's absence.
            #[must_use]
            pub const fn takes_null(self) -> bool {
                match self {
                    $(Self::$option => $null,)+
                }
            }
        }

        /// The options of one request, checked and typed. `None` leaves a choice to the backend.
        #[derive(Clone, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        #[non_exhaustive]
        pub struct RequestOptions {
            $($(
                #[doc = concat!("See [`ModelOption::", stringify!($option), "`]. Default: ", $words, ".")]
                $(#[$serde])?
                pub $field: $type,
            )?)+
            /// The backend's own options, as they were given.
            #[serde(skip_serializing_if = "Map::is_empty")]
            pub extra: Map<String, Value>,
        }

        impl Default for RequestOptions {
            fn default() -> Self {
                Self { $($($field: $default,)?)+ extra: Map::new() }
            }
        }

        impl fmt::Debug for RequestOptions {
            /// Without what is secret in [`extra`](Self::extra).
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct("RequestOptions")
                    $($(.field(stringify!($field), &self.$field))?)+
                    .field("extra", &Shown(&self.extra))
                    .finish()
            }
        }

        impl RequestOptions {
            /// Sets an option's field. Options that are not a field of a request are ignored.
            ///
            /// # Errors
            /// [`ErrorKind::InvalidOption`](crate::ErrorKind::InvalidOption) for a value that the option does not take.
            pub(super) fn take(&mut self, option: ModelOption, value: &Value) -> Result<()> {
                match option {
                    $($(ModelOption::$option => self.$field = $read(value).ok_or_else(|| invalid(option, value))?,)?)+
                    _ => return Err(invalid(option, value)),
                }
                Ok(())
            }
        }
    };
}

option_table! {
    /// Sampling temperature, where 0 is greedy.
    Temperature = "temperature", takes "a number of at least 0", default "the model's", null false,
        #[serde(skip_serializing_if = "Option::is_none")] temperature: Option<f64> = None, read::at_least_zero;
    /// The most tokens that may be generated.
    MaxNewTokens = "max_new_tokens", takes "an integer of at least 1", default "the backend's", null false,
        #[serde(skip_serializing_if = "Option::is_none")] max_new_tokens: Option<u64> = None, read::positive;
    /// Seed of the sampling. Attempt *k* of a sampling strategy derives its own from it, see
    /// [`sampling::attempt_seed`](crate::sampling::attempt_seed).
    Seed = "seed", takes "an integer of at least 0", default "none", null false,
        #[serde(skip_serializing_if = "Option::is_none")] seed: Option<u64> = None, read::unsigned;
    /// A system message that comes first.
    SystemPrompt = "system_prompt", takes "a text", default "none", null false;
    /// Reasoning. See [`Thinking`].
    Thinking = "thinking", takes "true, false, \"low\", \"medium\" or \"high\"", default "the model's", null false,
        #[serde(skip_serializing_if = "Option::is_none")] thinking: Option<Thinking> = None, read::thinking;
    /// Whether to ask the provider for a streamed answer. [`stream`](crate::Instruct::stream) sets it.
    Stream = "stream", takes "true or false", default "false", null false,
        stream: bool = false, Value::as_bool;
    /// Seconds of silence after which an answer is given up.
    StreamTimeout = "stream_timeout", takes "a positive number of seconds (at most 1e9), or null for none",
        default "300", null true,
        stream_timeout: Option<Duration> = Some(DEFAULT_STREAM_TIMEOUT), read::limit;
    /// Seconds that one answer may take from the request to its end, however much the model writes.
    Timeout = "timeout", takes "a positive number of seconds (at most 1e9), or null for none",
        default "3600", null true,
        #[serde(skip_serializing_if = "is_default_timeout")]
        timeout: Option<Duration> = Some(DEFAULT_TIMEOUT), read::limit;
    /// Tools offered to the model.
    Tools = "tools", takes "a set of tools", default "none", null false;
    /// Whether tools may or must be called. See [`ToolChoice`].
    ToolChoice = "tool_choice", takes "\"auto\", \"none\", \"required\" or {\"tool\": name}",
        default "the provider's", null false,
        #[serde(skip_serializing_if = "Option::is_none")] tool_choice: Option<ToolChoice> = None, read::tool_choice;
    /// The window, in tokens, that a server should give the model.
    ContextWindow = "context_window", takes "an integer of at least 1", default "the backend's", null false,
        #[serde(skip_serializing_if = "Option::is_none")] context_window: Option<u64> = None, read::positive;
    /// Texts at which generation stops; they are not part of the answer.
    StopSequences = "stop_sequences", takes "texts that are not empty", default "none", null false,
        #[serde(skip_serializing_if = "Vec::is_empty")] stop_sequences: Vec<String> = Vec::new(), read::texts;
    /// Keep the scores of each generated token after sampling's processors.
    Logits = "logits", takes "true or false", default "false", null false,
        logits: bool = false, Value::as_bool;
    /// Keep the scores of each generated token as the model gave them.
    RawLogits = "raw_logits", takes "true or false", default "false", null false,
        raw_logits: bool = false, Value::as_bool;
}

#[expect(clippy::ref_option, reason = "serde asks for this form")]
fn is_default_timeout(timeout: &Option<Duration>) -> bool {
    *timeout == Some(DEFAULT_TIMEOUT)
}

impl fmt::Display for ModelOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ModelOption {
    type Err = Error;

    /// The option of this [name](Self::name).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`](crate::ErrorKind::InvalidOption) if there is none.
    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|option| option.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            super::invalid_option("option", name, &format!("one of {names}"))
        })
    }
}

pub(super) fn invalid(option: ModelOption, value: &Value) -> Error {
    super::invalid_option(option.name(), &value.to_string(), option.expected())
}
