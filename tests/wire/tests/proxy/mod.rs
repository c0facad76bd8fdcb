//! LiteLLM's proxy as a process, and the scripted server that it forwards to.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use mellea_http::testing::{Recorded, Reply, Server, Step};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The key that the proxy asks its own clients for.
pub(crate) const KEY: &str = "sk-key-of-the-clients";

/// Aliases of the proxy, and the models of the scripted server behind them.
const MODELS: [(&str, &str); 4] = [("small", "answers"), ("tools", "calls"), ("limited", "refuses"), ("broken", "breaks")];

/// Starting the proxy is importing half of PyPI.
const READY: Duration = Duration::from_secs(180);

/// Ends the proxy when standard input closes, and the system closes it when this process ends.
const KEEPER: &str = r#"exec 3<&0; "$@" 3<&- </dev/null & p=$!; { cat <&3 >/dev/null; kill $p; } & exec 3<&-; wait $p"#;

/// A running proxy. There is one for all tests: it takes its time to start.
pub(crate) struct Proxy {
    /// What the scripted server runs on.
    pub(crate) runtime: Runtime,
    server: Server,
    port: u16,
    _keeper: Child,
    _directory: TempDir,
}

impl Proxy {
    pub(crate) fn shared() -> &'static Self {
        static PROXY: OnceLock<Proxy> = OnceLock::new();
        PROXY.get_or_init(Self::start)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// The requests for a model of the scripted server.
    pub(crate) fn asked(&self, model: &str) -> Vec<Recorded> {
        self.server.requests().into_iter().filter(|request| request.json()["model"] == model).collect()
    }

    fn start() -> Self {
        let program = std::env::var("MELLEA_LITELLM_PROXY")
            .expect("MELLEA_LITELLM_PROXY, the path of the program `litellm`; `cargo xtask integration litellm-proxy` sets it");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let server = runtime.block_on(Server::start()).unwrap();
        server.handle(reply);

        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config.yaml");
        std::fs::write(&config, configuration(&server.url()).to_string()).unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut command = Command::new("sh");
        command
            .args(["-c", KEEPER, "keeper", &program, "--host", "127.0.0.1", "--port", &port.to_string(), "--config"])
            .arg(&config);
        // Otherwise it asks GitHub for prices.
        command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").current_dir(directory.path()).stdin(Stdio::piped());
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let mut keeper = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        wait_until_ready(port, &mut keeper, directory.path());
        Self { runtime, server, port, _keeper: keeper, _directory: directory }
    }
}

/// JSON is YAML.
fn configuration(upstream: &str) -> Value {
    let models = MODELS.map(|(alias, model)| {
        let to = format!("openai/{model}");
        json!({"model_name": alias, "litellm_params":
            {"model": to, "api_base": format!("{upstream}/v1"), "api_key": "key-of-the-proxy", "max_retries": 0}})
    });
    json!({
        "model_list": models,
        "litellm_settings": {"num_retries": 0},
        "router_settings": {"num_retries": 0, "disable_cooldowns": true},
        "general_settings": {"master_key": KEY},
    })
}

fn wait_until_ready(port: u16, keeper: &mut Child, directory: &Path) {
    let start = Instant::now();
    let log = || std::fs::read_to_string(directory.join("log")).unwrap_or_default();
    while !is_ready(port) {
        if let Some(status) = keeper.try_wait().unwrap() {
            panic!("the proxy ended with {status}:\n{}", log());
        }
        assert!(start.elapsed() < READY, "the proxy was not ready after {READY:?}:\n{}", log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn is_ready(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /health/liveliness HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.take(1 << 16).read_to_end(&mut answer)?;
        Ok(answer.get(8..12) == Some(b" 200"))
    };
    ask().unwrap_or(false)
}

/// What the scripted server says, by model.
fn reply(request: &Recorded) -> Reply {
    let asked = request.json();
    let stream = asked["stream"] == true;
    let whole = |message: Value, finish: &str| {
        let choice = json!({"index": 0, "message": message, "finish_reason": finish});
        let usage = json!({"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12});
        Reply::json(
            200,
            &json!({"id": "r1", "object": "chat.completion", "created": 1, "model": asked["model"], "choices": [choice], "usage": usage}),
        )
    };
    match asked["model"].as_str() {
        Some("answers") if stream => {
            let mut events = ["Hello ", "from ", "far away."].map(|text| chunk(json!({"content": text}), None)).to_vec();
            events.push(chunk(json!({}), Some("stop")));
            events.push(json!({"id": "r1", "object": "chat.completion.chunk", "created": 1, "model": "answers", "choices": [],
                "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}}));
            Reply::sse(events.iter().map(data).chain(["data: [DONE]\n\n".to_owned()]))
        }
        Some("answers") => whole(json!({"role": "assistant", "content": "Hello from far away."}), "stop"),
        Some("calls") if asked["messages"].as_array().is_some_and(|messages| messages.len() > 1) => {
            whole(json!({"role": "assistant", "content": "It is 15:20."}), "stop")
        }
        Some("calls") => {
            let call =
                json!({"id": "call_7", "type": "function", "function": {"name": "get_time", "arguments": "{\"city\":\"Lima\"}"}});
            whole(json!({"role": "assistant", "content": null, "tool_calls": [call]}), "tool_calls")
        }
        Some("breaks") => {
            let steps = ["Hello ", "from "].map(|text| Step::send(data(&chunk(json!({"content": text}), None))));
            Reply::stream("text/event-stream", steps.into_iter().chain([Step::Reset]))
        }
        Some("refuses") => Reply::json(
            429,
            &json!({"error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}}),
        ),
        _ => Reply::json(
            404,
            &json!({"error": {"message": "no such model", "type": "invalid_request_error", "code": "model_not_found"}}),
        ),
    }
}

fn chunk(delta: Value, finish: Option<&str>) -> Value {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    json!({"id": "r1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})
}

fn data(event: &Value) -> String {
    format!("data: {event}\n\n")
}
