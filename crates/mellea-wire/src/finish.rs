//! What services call the reasons for which a model stops.

use mellea_core::FinishReason;

/// What a service's word for the end means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finish {
    /// The model had finished, or met a stop sequence.
    Stop,
    /// The answer was cut at a limit on tokens.
    Length,
    /// The window is full.
    WindowFull,
    /// The model wants tools to be called.
    ToolCalls,
    /// A filter cut the answer, or the model declined.
    ContentFilter,
    /// The model's run failed.
    Failed,
    /// The service could not read what the model wrote, such as a call of a tool.
    Broken,
    /// The model said the same over and over, and the service ended it.
    Repeating,
    /// A word that is not known here.
    Unknown,
}

impl Finish {
    /// What a word means. Case, hyphens, underscores and blanks do not count.
    ///
    /// ```
    /// use mellea_wire::Finish;
    ///
    /// assert_eq!(Finish::of("MAX_TOKENS"), Finish::Length);
    /// assert_eq!(Finish::of("content-filter"), Finish::ContentFilter);
    /// assert_eq!(Finish::of("network_error"), Finish::Failed);
    /// assert_eq!(Finish::of("brand_new"), Finish::Unknown);
    /// ```
    #[must_use]
    pub fn of(word: &str) -> Self {
        let word: String = word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        match word.strip_prefix("finishreason").unwrap_or(&word) {
            "" | "stop" | "stopped" | "stopsequence" | "stoptoken" | "eos" | "eostoken" | "endoftext" | "endturn" | "end"
            | "complete" | "completed" | "done" | "finished" | "unspecified" | "null" => Self::Stop,
            "length"
            | "maxtokens"
            | "maxlength"
            | "modellength"
            | "maxoutputtokens"
            | "maxnewtokens"
            | "tokenlimit"
            | "limit"
            | "maxcompletiontokens" => Self::Length,
            "modelcontextwindowexceeded" | "errorlimit" | "contextwindowexceeded" | "contextlengthexceeded" | "contextlength" => {
                Self::WindowFull
            }
            "toolcalls" | "toolcall" | "tooluse" | "functioncall" | "functioncalls" => Self::ToolCalls,
            "contentfilter"
            | "contentfiltered"
            | "safety"
            | "sensitive"
            | "refusal"
            | "recitation"
            | "blocklist"
            | "prohibitedcontent"
            | "spii"
            | "imagesafety"
            | "imageprohibitedcontent"
            | "imagerecitation"
            | "language"
            | "guardrail"
            | "guardrailintervened"
            | "moderation"
            | "blocked"
            | "filtered"
            | "contentpolicy"
            | "contentpolicyviolation"
            | "safetyfilter"
            | "modelarmor"
            | "errortoxic" => Self::ContentFilter,
            "error"
            | "failed"
            | "failure"
            | "abort"
            | "aborted"
            | "cancelled"
            | "canceled"
            | "timeout"
            | "networkerror"
            | "insufficientsystemresource"
            | "insufficientsystemresources"
            | "servererror"
            | "internalerror"
            | "modelerror"
            | "internalservererror"
            | "upstreamerror"
            | "overloaded"
            | "interrupted"
            | "disconnected"
            | "usercancel"
            | "engineerror" => Self::Failed,
            "malformedfunctioncall"
            | "malformedmodeloutput"
            | "malformedtooluse"
            | "malformedtoolcall"
            | "malformedresponse"
            | "unexpectedtoolcall"
            | "toolparseerror"
            | "toolcallparseerror"
            | "toomanytoolcalls" => Self::Broken,
            "repetitiontruncation" | "repetition" | "repetitiondetected" => Self::Repeating,
            _ => Self::Unknown,
        }
    }

    /// The core's reason. Actual calls count more than a word: services say `stop` after calls, and `tool_calls` without.
    #[must_use]
    pub fn reason(self, word: &str, called: bool) -> FinishReason {
        match self {
            Self::Length | Self::WindowFull => FinishReason::Length,
            Self::ContentFilter => FinishReason::ContentFilter,
            _ if called => FinishReason::ToolCalls,
            Self::Stop | Self::ToolCalls => FinishReason::Stop,
            Self::Failed | Self::Broken | Self::Repeating | Self::Unknown => FinishReason::Other(word.to_owned()),
        }
    }
}
