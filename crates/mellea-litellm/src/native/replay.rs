//! Reading an answer whose bytes are at hand, for tests and fuzz targets: as the client reads it, without its clock.

use mellea_core::Event;
use mellea_http::Framer;
use mellea_wire::{Reader, Rules};

use super::backend::Wire;

/// What ended an answer.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Bytes that cannot be framed.
    Frames(mellea_http::error::Fault),
    /// A frame that is not the next piece of an answer.
    Answer(mellea_wire::Fault),
}

type Outcome = (Vec<Event>, Option<Broken>);

/// Reads a stream that comes in these pieces.
pub(crate) fn stream<W: Wire>(rules: Rules, pieces: &[&[u8]]) -> Outcome {
    let (mut framer, mut reader) = (W::Framer::default(), Reader::new(W::Decoder::default(), rules));
    let error = read::<W>(&mut framer, &mut reader, pieces).err();
    (std::iter::from_fn(|| reader.pop()).collect(), error)
}

fn read<W: Wire>(framer: &mut W::Framer, reader: &mut Reader<W::Decoder>, pieces: &[&[u8]]) -> Result<(), Broken> {
    for piece in pieces {
        framer.push(piece);
        while let Some(frame) = framer.next() {
            take::<W>(reader, frame, false)?;
            if reader.is_complete() {
                return Ok(());
            }
        }
    }
    if let Some(frame) = framer.finish() {
        take::<W>(reader, frame, true)?;
    }
    reader.body_ended().map_err(Broken::Answer)
}

fn take<W: Wire>(
    reader: &mut Reader<W::Decoder>,
    frame: Result<<W::Framer as Framer>::Frame, mellea_http::error::Fault>,
    last: bool,
) -> Result<(), Broken> {
    match frame {
        Ok(frame) => reader.frame(frame, last).map_err(Broken::Answer),
        Err(_) if reader.has_finished() => {
            reader.give_up_waiting();
            Ok(())
        }
        Err(fault) => {
            reader.flush();
            Err(Broken::Frames(fault))
        }
    }
}

/// Reads a body that came as a whole.
pub(crate) fn whole<W: Wire>(rules: Rules, body: &[u8]) -> Outcome {
    let mut reader = Reader::new(W::Decoder::default(), rules);
    let error = reader.whole(body).err().map(Broken::Answer);
    (std::iter::from_fn(|| reader.pop()).collect(), error)
}
