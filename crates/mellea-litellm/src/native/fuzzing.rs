//! What the fuzz targets reach of the native wires; it exists under `--cfg fuzzing` only.

use mellea_core::{Error, Event};
use mellea_http::{Framer, Place, fuzzing};

use super::backend::{Plan, Wire};
use super::decode::{Decoder, Events};

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
    /// Reads a stream that comes in these pieces; `emulate` says that the answer is due as a call of a tool.
    #[must_use]
    pub fn stream(self, place: &Place, emulate: bool, pieces: &[&[u8]]) -> Outcome {
        match self {
            #[cfg(feature = "anthropic")]
            Self::Anthropic => stream(&super::anthropic::fuzzed(), place, emulate, pieces),
            #[cfg(feature = "bedrock")]
            Self::Bedrock => stream(&super::bedrock::fuzzed(), place, emulate, pieces),
            #[cfg(feature = "cohere")]
            Self::Cohere => stream(&super::cohere::fuzzed(), place, emulate, pieces),
            #[cfg(feature = "gemini")]
            Self::Gemini => stream(&super::gemini::fuzzed(), place, emulate, pieces),
        }
    }

    /// Reads an answer that comes as a whole.
    #[must_use]
    pub fn whole(self, place: &Place, emulate: bool, body: &[u8]) -> Outcome {
        match self {
            #[cfg(feature = "anthropic")]
            Self::Anthropic => whole(&super::anthropic::fuzzed(), place, emulate, body),
            #[cfg(feature = "bedrock")]
            Self::Bedrock => whole(&super::bedrock::fuzzed(), place, emulate, body),
            #[cfg(feature = "cohere")]
            Self::Cohere => whole(&super::cohere::fuzzed(), place, emulate, body),
            #[cfg(feature = "gemini")]
            Self::Gemini => whole(&super::gemini::fuzzed(), place, emulate, body),
        }
    }
}

fn decoder<W: Wire>(wire: &W, emulate: bool) -> W::Decoder {
    wire.decoder(&Plan { emulate, ..Plan::default() })
}

fn stream<W: Wire>(wire: &W, place: &Place, emulate: bool, pieces: &[&[u8]]) -> Outcome {
    let (mut framer, mut decoder, mut events) = (W::Framer::default(), decoder(wire, emulate), Events::default());
    let mut run = || {
        for piece in pieces {
            framer.push(piece);
            while let Some(frame) = framer.next() {
                let frame = frame.map_err(|fault| fuzzing::fault(place, fault))?;
                decoder.frame(frame, &mut events).map_err(|fault| fault.at(place))?;
                if events.finished() {
                    return Ok(());
                }
            }
        }
        if let Some(frame) = framer.finish() {
            let frame = frame.map_err(|fault| fuzzing::fault(place, fault))?;
            decoder.frame(frame, &mut events).map_err(|fault| fault.at(place))?;
        }
        if events.finished() { Ok(()) } else { decoder.end(&mut events).map_err(|fault| fault.at(place)) }
    };
    let error = run().err();
    (events.into_iter().collect(), error)
}

fn whole<W: Wire>(wire: &W, place: &Place, emulate: bool, body: &[u8]) -> Outcome {
    let mut events = Events::default();
    let error = decoder(wire, emulate).whole(body, &mut events).err().map(|fault| fault.at(place));
    (events.into_iter().collect(), error)
}
