//! What the fuzz targets reach of the native wires; it exists under `--cfg fuzzing` only.

use mellea_core::{Error, Event};
use mellea_http::{Place, fuzzing};
use mellea_wire::Rules;

use super::backend::Wire;
use super::replay::{self, Broken};

/// What came of an answer: its events, and the error it ended with.
pub type Outcome = (Vec<Event>, Option<Error>);

/// The wires.
#[derive(Clone, Copy, Debug)]
pub enum Family {
    /// The Messages API.
    #[cfg(feature = "anthropic")]
    Anthropic,
    /// The Converse API.
    #[cfg(feature = "bedrock")]
    Bedrock,
    /// Cohere's chat API.
    #[cfg(feature = "cohere")]
    Cohere,
    /// `generateContent`.
    #[cfg(feature = "gemini")]
    Gemini,
}

impl Family {
    /// Reads a stream that comes in these pieces; `json_tool` says that the answer is due as a call of a tool.
    #[must_use]
    pub fn stream(self, place: &Place, json_tool: bool, pieces: &[&[u8]]) -> Outcome {
        match self {
            #[cfg(feature = "anthropic")]
            Self::Anthropic => stream::<super::anthropic::Messages>(place, json_tool, pieces),
            #[cfg(feature = "bedrock")]
            Self::Bedrock => stream::<super::bedrock::Converse>(place, json_tool, pieces),
            #[cfg(feature = "cohere")]
            Self::Cohere => stream::<super::cohere::Chat>(place, json_tool, pieces),
            #[cfg(feature = "gemini")]
            Self::Gemini => stream::<super::gemini::Contents>(place, json_tool, pieces),
        }
    }

    /// Reads an answer that comes as a whole.
    #[must_use]
    pub fn whole(self, place: &Place, json_tool: bool, body: &[u8]) -> Outcome {
        match self {
            #[cfg(feature = "anthropic")]
            Self::Anthropic => whole::<super::anthropic::Messages>(place, json_tool, body),
            #[cfg(feature = "bedrock")]
            Self::Bedrock => whole::<super::bedrock::Converse>(place, json_tool, body),
            #[cfg(feature = "cohere")]
            Self::Cohere => whole::<super::cohere::Chat>(place, json_tool, body),
            #[cfg(feature = "gemini")]
            Self::Gemini => whole::<super::gemini::Contents>(place, json_tool, body),
        }
    }
}

fn rules(json_tool: bool) -> Rules {
    let mut rules = Rules::new();
    rules.json_tool = json_tool;
    rules
}

fn error(place: &Place, broken: Broken) -> Error {
    match broken {
        Broken::Frames(fault) => fuzzing::fault(place, fault),
        Broken::Answer(fault) => place.unread(fault),
    }
}

fn stream<W: Wire>(place: &Place, json_tool: bool, pieces: &[&[u8]]) -> Outcome {
    let (events, broken) = replay::stream::<W>(rules(json_tool), pieces);
    (events, broken.map(|broken| error(place, broken)))
}

fn whole<W: Wire>(place: &Place, json_tool: bool, body: &[u8]) -> Outcome {
    let (events, broken) = replay::whole::<W>(rules(json_tool), body);
    (events, broken.map(|broken| error(place, broken)))
}
