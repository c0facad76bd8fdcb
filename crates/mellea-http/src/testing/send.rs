//! Puts one reply on the wire.

use std::io::{self, Write as _};

use reqwest::StatusCode;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::recorded::Recorded;
use super::reply::{Framing, Reply, Step};

/// A write of more than this may wait for the client to read.
const SMALL: usize = 16 * 1024;

/// What becomes of the connection after a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Keep,
    Close,
    Reset,
}

/// Sends a reply. The `flight` is dropped before the last byte is written: a client that has the whole
/// answer can count on the server not counting it any more.
pub(super) async fn send<W, F>(writer: &mut W, reply: &Reply, request: &Recorded, flight: F) -> io::Result<End>
where
    W: AsyncWrite + Unpin,
{
    if !reply.delay.is_zero() {
        tokio::time::sleep(reply.delay).await;
    }
    if reply.hang {
        std::future::pending::<()>().await;
    }
    let bodiless = request.method == "HEAD" || matches!(reply.status, 100..200 | 204 | 304);
    let closes = request.closes() || asks_to_close(reply) || matches!(reply.framing, Framing::Close | Framing::Raw);
    let end = if closes { End::Close } else { End::Keep };

    let mut out = Vec::with_capacity(512);
    if reply.framing != Framing::Raw {
        head(&mut out, reply, closes)?;
    }
    if bodiless && reply.framing != Framing::Raw {
        finish(writer, &out, flight).await?;
        return Ok(end);
    }
    // A stream's head goes alone: its first step may be long in coming.
    if !matches!(reply.framing, Framing::Whole | Framing::Raw) {
        writer.write_all(&out).await?;
        out.clear();
    }

    let chunked = reply.framing == Framing::Chunked;
    let mut sent = 0_u64;
    for (index, step) in reply.body.iter().enumerate() {
        match step {
            Step::Send(bytes) => {
                let mut pieces = bytes.chunks(reply.piece).peekable();
                let last_step = index + 1 == reply.body.len();
                while let Some(piece) = pieces.next() {
                    sent += piece.len() as u64;
                    if chunked {
                        write!(out, "{:x}\r\n", piece.len())?;
                    }
                    out.extend_from_slice(piece);
                    if chunked {
                        out.extend_from_slice(b"\r\n");
                    }
                    // The last piece waits for the end of the body, to go in one write with it.
                    if pieces.peek().is_some() || !last_step {
                        writer.write_all(&out).await?;
                        out.clear();
                    }
                }
            }
            Step::Wait(time) => tokio::time::sleep(*time).await,
            Step::Gate(gate) => gate.wait().await,
            Step::Hang => std::future::pending().await,
            Step::Cut => return Ok(End::Close),
            Step::Reset => return Ok(End::Reset),
        }
    }
    if chunked {
        out.extend_from_slice(b"0\r\n\r\n");
    }
    finish(writer, &out, flight).await?;
    let lied = matches!(reply.framing, Framing::Length(length) if length != sent);
    Ok(if lied { End::Close } else { end })
}

fn asks_to_close(reply: &Reply) -> bool {
    reply.headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close"))
}

fn head(out: &mut Vec<u8>, reply: &Reply, closes: bool) -> io::Result<()> {
    let reason = StatusCode::from_u16(reply.status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    write!(out, "HTTP/1.1 {} {reason}\r\n", reply.status)?;
    for (name, value) in &reply.headers {
        write!(out, "{name}: {value}\r\n")?;
    }
    match reply.framing {
        Framing::Whole if matches!(reply.status, 100..200 | 204) => {}
        Framing::Whole => {
            let sends = reply.body.iter().map(|step| if let Step::Send(bytes) = step { bytes.len() } else { 0 });
            write!(out, "content-length: {}\r\n", sends.sum::<usize>())?;
        }
        Framing::Length(length) => write!(out, "content-length: {length}\r\n")?,
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::Close | Framing::Raw => {}
    }
    if closes && !asks_to_close(reply) {
        out.extend_from_slice(b"connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Writes the last bytes of a reply. Of many bytes the last is written alone, as the client may be slow.
async fn finish<W, F>(writer: &mut W, out: &[u8], flight: F) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    let (most, last) = if out.len() > SMALL { out.split_at(out.len() - 1) } else { (&[][..], out) };
    writer.write_all(most).await?;
    drop(flight);
    writer.write_all(last).await
}
