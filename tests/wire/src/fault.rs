//! What can go wrong on a wire.

use std::time::Duration;

use mellea_http::testing::{Reply, Step};
use serde_json::{Value, json};

use crate::Peer;

/// A way to fail.
#[derive(Clone, Copy)]
pub struct Fault {
    /// Its name in tables.
    pub name: &'static str,
    /// What the service does.
    pub send: fn(&Peer, bool) -> Sent,
    /// The error that it must come to, see the suite for the names; `ok` where the call must succeed.
    pub expected: &'static str,
    /// The requests that it must come to, of at most two attempts.
    pub requests: usize,
    /// What differs without a stream: a response that is read as a whole is a part of its attempt.
    pub whole: Option<(&'static str, usize)>,
    /// How long silence may last.
    pub silence: Duration,
}

impl Fault {
    const fn whole(mut self, expected: &'static str, requests: usize) -> Self {
        self.whole = Some((expected, requests));
        self
    }

    const fn patient(mut self) -> Self {
        self.silence = Duration::from_secs(30);
        self
    }

    /// The outcome and the number of requests that this peer must come to.
    pub fn expected(&self, peer: &Peer, streamed: bool) -> (&'static str, usize) {
        match self.whole {
            // Cohere's errors are a message alone, which does not say whose fault it is.
            _ if self.name == "an error in the middle" && !peer.streams(streamed) && peer.name == "cohere" => ("Provider", 2),
            Some(whole) if !peer.streams(streamed) => whole,
            // Ollama's errors in a stream have no code, so nothing says that another attempt may help.
            _ if self.name == "an error as the first event" && peer.name == "ollama" => (self.expected, 1),
            _ => (self.expected, self.requests),
        }
    }
}

/// What a service does.
pub enum Sent {
    /// Nobody is there.
    Nobody,
    /// There is no such host.
    NoHost,
    /// There is no TLS where it is expected.
    NoTls,
    /// It answers, each time with the next of these; the last repeats.
    Replies(Vec<Reply>),
}

const fn fault(name: &'static str, expected: &'static str, requests: usize, send: fn(&Peer, bool) -> Sent) -> Fault {
    Fault { name, send, expected, requests, whole: None, silence: Duration::from_millis(300) }
}

fn one(reply: Reply) -> Sent {
    Sent::Replies(vec![reply])
}

/// The service's error in its own form.
fn refused(peer: &Peer, status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &(peer.error)(code, message)).header("x-request-id", "req-1")
}

fn status(peer: &Peer, status: u16, code: &str, message: &str) -> Sent {
    one(refused(peer, status, code, message))
}

fn html(status: u16) -> Sent {
    one(Reply::text(status, "<html><head><title>Bad Gateway</title></head><body>nginx</body></html>", "text/html"))
}

fn text(status: u16) -> Sent {
    one(Reply::text(status, "upstream connect error", "text/plain"))
}

/// An answer that is stopped after its first texts by these steps.
fn stopped(peer: &Peer, streamed: bool, by: Vec<Step>) -> Sent {
    let (kind, mut steps) = if peer.streams(streamed) {
        (peer.stream_type, peer.hello().into_iter().take(3).map(Step::Send).collect())
    } else {
        let whole = (peer.whole)(&json!("Hello world"), peer.finish).to_string().into_bytes();
        ("application/json", vec![Step::Send(whole[..whole.len() / 2].to_vec())])
    };
    steps.extend(by);
    one(Reply::stream(kind, steps))
}

/// The start of a piece, up to and without `until`, and these bytes.
fn part(peer: &Peer, until: &str, then: &[u8]) -> Vec<u8> {
    let piece = peer.hello()[3].clone();
    let at = piece.windows(until.len()).position(|window| window == until.as_bytes()).unwrap();
    [&piece[..at], then].concat()
}

fn overflow(peer: &Peer, status: u16, message: &str) -> Sent {
    one(refused(peer, status, "invalid_request_error", message))
}

fn limited(peer: &Peer, header: &str, value: &str) -> Reply {
    refused(peer, 429, "rate_limit_exceeded", "slow down").header(header, value)
}

fn answered(peer: &Peer, streamed: bool, text: [Value; 4], finish: &str) -> Sent {
    let [whole, a, b, c] = text;
    one(if peer.streams(streamed) {
        peer.stream((peer.pieces)(&[a, b, c], finish))
    } else {
        Reply::json(200, &(peer.whole)(&whole, finish))
    })
}

/// A whole answer, after which the connection stays open.
fn after_the_end(peer: &Peer, streamed: bool, then: Vec<Step>) -> Sent {
    if !peer.streams(streamed) {
        return one(peer.answer(streamed));
    }
    let steps = peer.hello().into_iter().map(Step::Send).chain(then);
    one(Reply::stream(peer.stream_type, steps.collect::<Vec<_>>()))
}

fn body(peer: &Peer, streamed: bool, stream: Vec<Vec<u8>>, whole: &str) -> Sent {
    one(if peer.streams(streamed) { peer.stream(stream) } else { Reply::text(200, whole, "application/json") })
}

fn endless(peer: &Peer, streamed: bool) -> Sent {
    let kind = if peer.streams(streamed) { peer.stream_type } else { "application/json" };
    let start = if kind == "text/event-stream" { "data: {\"a\":\"" } else { "{\"a\":\"" };
    let mut steps = vec![Step::send(start)];
    steps.extend((0..64).map(|_| Step::Send(vec![b'a'; 1_000_000])));
    one(Reply::stream(kind, steps))
}

/// All of them.
pub const FAULTS: [Fault; 65] = [
    fault("none", "ok", 1, |peer, streamed| one(peer.answer(streamed))),
    fault("connection refused", "Connection", 0, |_, _| Sent::Nobody),
    fault("no such host", "Connection", 0, |_, _| Sent::NoHost),
    fault("no TLS where it is expected", "Connection", 0, |_, _| Sent::NoTls),
    fault("connection closed without an answer", "Connection", 2, |_, _| one(Reply::stream("", vec![Step::Cut]).raw())),
    fault("something that is no HTTP", "Connection", 2, |_, _| one(Reply::text(200, "SSH-2.0-OpenSSH_9.6\r\n", "").raw())),
    fault("headers never come", "Timeout FirstToken", 1, |_, _| one(Reply::status(200).hang())),
    fault("the first piece never comes", "Timeout FirstToken", 1, |peer, streamed| {
        let kind = if peer.streams(streamed) { peer.stream_type } else { "application/json" };
        one(Reply::stream(kind, vec![Step::Hang]))
    }),
    fault("silence in the middle", "Timeout NextToken", 1, |peer, streamed| stopped(peer, streamed, vec![Step::Hang])),
    fault("cut within a line", "StreamInterrupted", 1, |peer, streamed| {
        stopped(peer, streamed, vec![Step::Send(part(peer, "rld", b"")), Step::Cut])
    })
    .whole("StreamInterrupted", 2),
    fault("cut within a character", "StreamInterrupted", 1, |peer, streamed| {
        stopped(peer, streamed, vec![Step::Send(part(peer, "rld", "日".as_bytes().split_last().unwrap().1)), Step::Cut])
    })
    .whole("StreamInterrupted", 2),
    fault("reset within a line", "StreamInterrupted", 1, |peer, streamed| {
        stopped(peer, streamed, vec![Step::Send(part(peer, "rld", b"")), Step::Reset])
    })
    .whole("StreamInterrupted", 2),
    fault("a clean end within a line", "StreamInterrupted", 1, |peer, streamed| {
        stopped(peer, streamed, vec![Step::Send(part(peer, "rld", b""))])
    })
    .whole("MalformedResponse", 1),
    fault("a clean end before the terminator", "StreamInterrupted", 1, |peer, streamed| {
        if !peer.streams(streamed) {
            return stopped(peer, streamed, vec![]);
        }
        let mut pieces = peer.hello();
        pieces.truncate(pieces.len() - peer.terminator);
        one(peer.stream(pieces))
    })
    .whole("MalformedResponse", 1),
    fault("an error as the first event", "Provider", 2, |peer, streamed| {
        body(peer, streamed, vec![(peer.error_piece)()], &(peer.error)("server_error", "it broke").to_string())
    }),
    fault("an error in the middle", "Provider", 1, |peer, streamed| {
        let mut pieces = peer.hello();
        pieces.truncate(3);
        pieces.push((peer.error_piece)());
        body(peer, streamed, pieces, &(peer.error)("invalid_request_error", "it broke").to_string())
    }),
    fault("401", "Provider 401", 1, |peer, _| status(peer, 401, "authentication_error", "invalid key sk-canary-0123456789")),
    fault("403", "Provider 403", 1, |peer, _| status(peer, 403, "permission_error", "not allowed")),
    fault("404 for the model", "ModelNotFound", 1, |peer, _| status(peer, 404, "model_not_found", "model 'm' not found")),
    fault("404 for the path", "Provider 404", 1, |_, _| one(Reply::text(404, "404 page not found", "text/plain"))),
    fault("405", "Provider 405", 1, |_, _| one(Reply::status(405))),
    fault("408", "Provider 408", 2, |peer, _| status(peer, 408, "timeout", "too slow")),
    fault("422", "Provider 422", 1, |_, _| {
        one(Reply::json(422, &json!({"detail": [{"loc": ["body", "x"], "msg": "field required"}]})))
    }),
    fault("413", "Provider 413", 1, |_, _| one(Reply::status(413))),
    fault("overflow: OpenAI", "ContextWindowExceeded", 1, |peer, _| {
        overflow(peer, 400, "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.")
    }),
    fault("overflow: Anthropic", "ContextWindowExceeded", 1, |peer, _| {
        overflow(peer, 400, "prompt is too long: 210000 tokens > 200000 maximum")
    }),
    fault("overflow: Gemini", "ContextWindowExceeded", 1, |peer, _| {
        overflow(peer, 400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).")
    }),
    fault("overflow: Bedrock", "ContextWindowExceeded", 1, |peer, _| {
        overflow(peer, 400, "Input is too long for requested model.")
    }),
    fault("overflow: vLLM", "ContextWindowExceeded", 1, |peer, _| {
        overflow(
            peer,
            400,
            "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the messages, 1000 in the completion).",
        )
    }),
    fault("overflow: llama.cpp", "ContextWindowExceeded", 1, |peer, _| {
        overflow(peer, 400, "the request exceeds the available context size, try increasing it")
    }),
    fault("overflow: TGI", "ContextWindowExceeded", 1, |peer, _| {
        overflow(
            peer,
            422,
            "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 100 `max_new_tokens`",
        )
    }),
    fault("overflow: watsonx", "ContextWindowExceeded", 1, |peer, _| {
        overflow(peer, 400, "the number of input tokens 5000 cannot exceed the total tokens limit 4096 for this model")
    }),
    fault("overflow: with status 413", "ContextWindowExceeded", 1, |peer, _| {
        overflow(peer, 413, "prompt too long; exceeded max context length by 12 tokens")
    }),
    fault("429, wait 120 seconds", "Provider 429", 1, |peer, _| one(limited(peer, "retry-after", "120"))),
    fault("429, wait until 2099", "Provider 429", 1, |peer, _| {
        one(limited(peer, "retry-after", "Thu, 01 Jan 2099 00:00:00 GMT"))
    }),
    fault("429, wait 90000 milliseconds", "Provider 429", 1, |peer, _| one(limited(peer, "retry-after-ms", "90000"))),
    fault("429, wait 5 milliseconds, then fine", "ok", 2, |peer, streamed| {
        Sent::Replies(vec![limited(peer, "retry-after-ms", "5"), peer.answer(streamed)])
    }),
    fault("429 without a word on when", "Provider 429", 2, |peer, _| status(peer, 429, "rate_limit_exceeded", "slow down")),
    fault("429 because of a quota", "QuotaExhausted", 1, |peer, _| {
        status(peer, 429, "insufficient_quota", "You exceeded your current quota.")
    }),
    fault("402", "QuotaExhausted", 1, |peer, _| status(peer, 402, "payment_required", "Insufficient Balance")),
    fault("500", "Provider 500", 2, |peer, _| status(peer, 500, "server_error", "it broke")),
    fault("500, then fine", "ok", 2, |peer, streamed| {
        Sent::Replies(vec![refused(peer, 500, "server_error", "it broke"), peer.answer(streamed)])
    }),
    fault("500 in HTML", "Provider 500", 2, |_, _| html(500)),
    fault("500 in plain text", "Provider 500", 2, |_, _| text(500)),
    fault("502 in HTML", "Provider 502", 2, |_, _| html(502)),
    fault("503", "Provider 503", 2, |peer, _| status(peer, 503, "service_unavailable", "come back later")),
    fault("503 in plain text", "Provider 503", 2, |_, _| text(503)),
    fault("529", "Provider 529", 2, |peer, _| status(peer, 529, "overloaded_error", "Overloaded")),
    fault("malformed JSON", "MalformedResponse", 1, |peer, streamed| {
        let mut pieces = peer.hello();
        pieces[3] = (peer.piece)("{\"broken\": }");
        body(peer, streamed, pieces, "{\"broken\": }")
    }),
    fault("JSON that is not an object", "MalformedResponse", 1, |peer, streamed| {
        let mut pieces = peer.hello();
        pieces[3] = (peer.piece)("17");
        body(peer, streamed, pieces, "17")
    }),
    fault("a number where text is due", "no answer", 1, |peer, streamed| {
        answered(peer, streamed, [json!(42), json!(4), json!(2), json!(0)], peer.finish)
    }),
    fault("an unknown reason to finish", "ok with a warning", 1, |peer, streamed| {
        answered(peer, streamed, [json!("Hello world"), json!("Hel"), json!("lo"), json!(" world")], "brand_new")
    }),
    fault("a reason to finish that is a failure", "Provider 502", 1, |peer, streamed| {
        answered(peer, streamed, [json!("Hello world"), json!("Hel"), json!("lo"), json!(" world")], "network_error")
    }),
    fault("a reason to finish that is the model's fault", "Parse", 1, |peer, streamed| {
        answered(peer, streamed, [json!("Hello world"), json!("Hel"), json!("lo"), json!(" world")], "malformed_tool_call")
    }),
    fault("a reason to finish in another spelling", "ok", 1, |peer, streamed| {
        answered(peer, streamed, [json!("Hello world"), json!("Hel"), json!("lo"), json!(" world")], "End-Turn")
    }),
    fault("silence after the end", "ok", 1, |peer, streamed| after_the_end(peer, streamed, vec![Step::Hang])),
    fault("signs of life after the end", "ok", 1, |peer, streamed| {
        let beat = || {
            [
                Step::Wait(Duration::from_millis(50)),
                Step::send(if peer.stream_type == "text/event-stream" { ": ping\n\n" } else { "\n" }),
            ]
        };
        let beats = if peer.name == "bedrock" { vec![Step::Hang] } else { (0..100).flat_map(|_| beat()).collect() };
        after_the_end(peer, streamed, beats)
    }),
    fault("a whole answer under the type of a stream", "ok", 1, |peer, _| {
        one(Reply::text(200, &(peer.whole)(&json!("Hello world"), peer.finish).to_string(), peer.stream_type))
    }),
    fault("an answer without a type", "ok", 1, |peer, streamed| {
        if peer.streams(streamed) {
            return one(Reply::stream("", peer.hello().into_iter().map(Step::Send).collect::<Vec<_>>()));
        }
        one(Reply::text(200, &(peer.whole)(&json!("Hello world"), peer.finish).to_string(), ""))
    }),
    fault("an answer without text", "EmptyResponse", 1, |peer, streamed| {
        answered(peer, streamed, [json!(""), json!(""), json!(""), json!("")], peer.finish)
    }),
    fault("an empty body", "StreamInterrupted", 2, |peer, streamed| body(peer, streamed, vec![], ""))
        .whole("MalformedResponse", 1),
    fault("an HTML page with status 200", "MalformedResponse", 1, |_, _| html(200)),
    fault("a piece of 64 MB", "MalformedResponse", 1, endless).patient(),
    fault("compressed though not asked for", "MalformedResponse", 1, |peer, streamed| {
        one(peer.answer(streamed).header("content-encoding", "gzip"))
    }),
    fault("a redirect to another host", "Provider 307", 1, |_, _| {
        one(Reply::status(307).header("location", "http://thief.invalid/v1"))
    }),
];
