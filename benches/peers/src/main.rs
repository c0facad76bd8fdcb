//! Mellea's OpenAI backend beside bare reqwest, genai and async-openai, on one loopback server.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`. All peers run in this process and
//! take turns call by call, so that what disturbs one disturbs all. Figures are medians. With the name of
//! a peer it only calls that one, for a profiler; `serve` is the server alone, for `python_mellea.py`.

use std::future::Future;
use std::time::{Duration, Instant};

use async_openai::config::OpenAIConfig;
use async_openai::types::chat::{ChatCompletionRequestUserMessage, CreateChatCompletionRequest, CreateChatCompletionRequestArgs};
use futures_util::StreamExt;
use genai::adapter::AdapterKind;
use genai::resolver::{AuthData, Endpoint};
use genai::{ModelIden, ModelSpec, ServiceTarget};
use mellea_core::{Backend, ChatRequest, Message, RequestOptions, Session};
use mellea_http::testing::{Reply, Server};
use mellea_openai::OpenAi;
use serde_json::{Value, json};

const CALLS: usize = 3_000;
const CHUNKS: usize = 2_000;
const STREAMS: usize = 60;
const LANES: usize = 256;
const ROUNDS: usize = 40;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn whole() -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello there, how can I help you today?"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}})
}

/// The body of a stream of `CHUNKS` pieces.
fn stream() -> String {
    let event = |delta: Value, finish: Value| {
        let event = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m",
            "system_fingerprint": "fp_1", "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]});
        format!("data: {event}\n\n")
    };
    let mut body = event(json!({"role": "assistant", "content": ""}), Value::Null);
    body.extend((0..CHUNKS).map(|n| event(json!({"content": format!(" word{}", n % 10)}), Value::Null)));
    body + &event(json!({}), json!("stop")) + "data: [DONE]\n\n"
}

/// Every peer, ready to call.
#[derive(Clone)]
struct Peers {
    url: String,
    http: reqwest::Client,
    backend: std::sync::Arc<OpenAi>,
    session: Session,
    genai: genai::Client,
    spec: ModelSpec,
    openai: async_openai::Client<OpenAIConfig>,
}

const NAMES: [&str; 5] = ["reqwest", "mellea backend", "mellea session", "genai", "async-openai"];

impl Peers {
    fn new(url: &str) -> Result<Self, Failure> {
        let base = format!("{url}/v1");
        let backend = std::sync::Arc::new(OpenAi::builder().model("m").base_url(&base).api_key("k").build()?);
        let target = ServiceTarget {
            endpoint: Endpoint::from_owned(format!("{base}/")),
            auth: AuthData::from_single("k"),
            model: ModelIden::new(AdapterKind::OpenAI, "m"),
        };
        Ok(Self {
            session: Session::new(backend.clone()),
            backend,
            url: format!("{base}/chat/completions"),
            http: reqwest::Client::builder().tcp_nodelay(true).build()?,
            genai: genai::Client::new()?,
            spec: ModelSpec::Target(target),
            openai: async_openai::Client::with_config(OpenAIConfig::new().with_api_base(&base).with_api_key("k")),
        })
    }

    fn request(&self) -> Result<CreateChatCompletionRequest, Failure> {
        let message = ChatCompletionRequestUserMessage { content: "Say hello.".into(), name: None };
        Ok(CreateChatCompletionRequestArgs::default().model("m").messages([message.into()]).build()?)
    }

    /// One call without a stream; the length of the answer.
    async fn call(&self, peer: usize) -> Result<usize, Failure> {
        Ok(match peer {
            0 => {
                let body = json!({"model": "m", "messages": [{"role": "user", "content": "Say hello."}]});
                let answer: Value = self.http.post(&self.url).bearer_auth("k").json(&body).send().await?.json().await?;
                answer["choices"][0]["message"]["content"].as_str().unwrap_or_default().len()
            }
            1 => {
                let mut events = self.backend.chat(ChatRequest::new(vec![Message::user("Say hello.")])).await?;
                let mut length = 0;
                while let Some(event) = events.next().await {
                    if let mellea_core::Event::Text(text) = event? {
                        length += text.len();
                    }
                }
                length
            }
            2 => self.session.chat("Say hello.").await?.output().text.len(),
            3 => {
                let request = genai::chat::ChatRequest::new(vec![genai::chat::ChatMessage::user("Say hello.")]);
                self.genai.exec_chat(self.spec.clone(), request, None).await?.first_text().unwrap_or_default().len()
            }
            _ => {
                let answer = self.openai.chat().create(self.request()?).await?;
                answer.choices.first().and_then(|c| c.message.content.as_ref()).map_or(0, String::len)
            }
        })
    }

    /// One stream; the length of the answer.
    async fn stream(&self, peer: usize) -> Result<usize, Failure> {
        let mut length = 0;
        match peer {
            0 => {
                let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "Say hello."}]});
                let mut chunks = self.http.post(&self.url).bearer_auth("k").json(&body).send().await?.bytes_stream();
                while let Some(chunk) = chunks.next().await {
                    length += chunk?.len();
                }
            }
            1 => {
                let mut options = RequestOptions::default();
                options.stream = true;
                let mut events = self.backend.chat(ChatRequest::new(vec![Message::user("Say hello.")]).options(options)).await?;
                while let Some(event) = events.next().await {
                    if let mellea_core::Event::Text(text) = event? {
                        length += text.len();
                    }
                }
            }
            2 => length = self.session.chat("Say hello.").stream().await?.finish().await?.output().text.len(),
            3 => {
                let request = genai::chat::ChatRequest::new(vec![genai::chat::ChatMessage::user("Say hello.")]);
                let mut events = self.genai.exec_chat_stream(self.spec.clone(), request, None).await?.stream;
                while let Some(event) = events.next().await {
                    if let genai::chat::ChatStreamEvent::Chunk(chunk) = event? {
                        length += chunk.content.len();
                    }
                }
            }
            _ => {
                let mut events = self.openai.chat().create_stream(self.request()?).await?;
                while let Some(event) = events.next().await {
                    for choice in event?.choices {
                        length += choice.delta.content.map_or(0, |text| text.len());
                    }
                }
            }
        }
        Ok(length)
    }
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

fn middle(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The median time of each peer, in microseconds; the peers take turns.
async fn in_turn<F: Future<Output = Result<usize, Failure>>>(times: usize, call: impl Fn(usize) -> F) -> Result<Vec<f64>, Failure> {
    let mut all = vec![Vec::with_capacity(times); NAMES.len()];
    for round in 0..times + times / 10 {
        for step in 0..NAMES.len() {
            let peer = (round + step) % NAMES.len();
            let start = Instant::now();
            let length = call(peer).await?;
            let time = start.elapsed();
            assert!(length > 30, "{} gave {length} bytes", NAMES[peer]);
            if round >= times / 10 {
                all[peer].push(time);
            }
        }
    }
    Ok(all.iter_mut().map(|times| median(times)).collect())
}

/// How many calls a second each peer makes with `LANES` at once, and how many for each of reqwest's: medians of
/// rounds, in each of which the peers take turns.
async fn throughput(peers: &Peers) -> Result<Vec<(f64, f64)>, Failure> {
    let mut all = vec![Vec::new(); NAMES.len()];
    for round in 0..ROUNDS {
        for step in 0..NAMES.len() {
            let peer = (round + step) % NAMES.len();
            let start = Instant::now();
            lanes(peers, peer).await?;
            all[peer].push(start.elapsed().as_secs_f64());
        }
    }
    let calls = (LANES * 16) as f64;
    let rates = all.iter().map(|times| {
        let mut paired: Vec<f64> = all[0].iter().zip(times).map(|(reqwest, peer)| reqwest / peer).collect();
        (calls / middle(&mut times.clone()), middle(&mut paired))
    });
    Ok(rates.collect())
}

/// Calls one peer for ten seconds, for a profiler.
fn load(peers: &Peers, name: &str) -> Result<(), Failure> {
    let peer = NAMES.iter().position(|known| *known == name).ok_or_else(|| format!("the peers are {NAMES:?}"))?;
    let two = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (start, mut rounds) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(10) {
        two.block_on(lanes(peers, peer))?;
        rounds += 1;
    }
    println!("{:.0} calls/s", f64::from(rounds) * (LANES * 16) as f64 / start.elapsed().as_secs_f64());
    Ok(())
}

/// Sixteen calls in each of `LANES` lanes.
async fn lanes(peers: &Peers, peer: usize) -> Result<(), Failure> {
    let lanes: Vec<_> = (0..LANES)
        .map(|_| {
            let peers = peers.clone();
            tokio::spawn(async move {
                for _ in 0..16 {
                    peers.call(peer).await?;
                }
                Ok::<_, Failure>(())
            })
        })
        .collect();
    for lane in lanes {
        lane.await??;
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    let server_side = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let server = server_side.block_on(Server::start())?;
    server.record(false);
    let (answer, streamed) = (Reply::json(200, &whole()), Reply::bytes(200, stream(), "text/event-stream"));
    server.handle(move |request| {
        let asks = request.body.windows(13).any(|window| window == b"\"stream\":true");
        if asks { streamed.clone() } else { answer.clone() }
    });
    let peers = Peers::new(&server.url())?;
    match std::env::args().nth(1).as_deref() {
        None => {}
        // For peers that are no part of this program.
        Some("serve") => {
            println!("{}", server.url());
            std::io::stdin().read_line(&mut String::new())?;
            return Ok(());
        }
        Some(name) => return load(&peers, name),
    }

    let one = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let calls = one.block_on(in_turn(CALLS, |peer| peers.call(peer)))?;
    let streams = one.block_on(in_turn(STREAMS, |peer| peers.stream(peer)))?;
    let two = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let peers = Peers::new(&server.url())?;
    let rates = two.block_on(throughput(&peers))?;

    println!("| peer | one call, µs | over reqwest, µs | a chunk over reqwest's bytes, µs | {LANES} at once, calls/s | of reqwest |");
    println!("|---|---|---|---|---|---|");
    for (index, name) in NAMES.iter().enumerate() {
        let chunk = (streams[index] - streams[0]) / CHUNKS as f64;
        println!(
            "| {name} | {:.0} | {:+.0} | {chunk:.2} | {:.0} | {:.2} |",
            calls[index],
            calls[index] - calls[0],
            rates[index].0,
            rates[index].1
        );
    }
    Ok(())
}
