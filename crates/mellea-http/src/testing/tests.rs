//! The server against raw sockets, and against the client that the crate builds on.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

const LONG: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_secs(3600);
const GET: &[u8] = b"GET /x HTTP/1.1\r\n\r\n";

async fn server() -> Server {
    Server::start().await.unwrap()
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address()).await.unwrap()
}

/// Sends `GET /x` on a fresh connection.
async fn get(server: &Server) -> TcpStream {
    let mut client = connect(server).await;
    client.write_all(GET).await.unwrap();
    client
}

/// Reads until these bytes have come.
async fn read_to(client: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let byte = client.read_u8().await.unwrap_or_else(|error| panic!("{error} after {}", String::from_utf8_lossy(&text)));
        text.push(byte);
    }
    String::from_utf8(text).unwrap()
}

/// The whole answer to `GET /x`, to the end of the connection.
async fn answer(reply: Reply) -> String {
    let server = server().await;
    server.on("GET /x").reply(reply);
    let mut text = String::new();
    get(&server).await.read_to_string(&mut text).await.unwrap();
    text
}

fn client() -> reqwest::Client {
    #[cfg(feature = "rustls")]
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[tokio::test]
async fn replies_come_in_order_and_the_last_repeats() {
    let server = server().await;
    server.on("POST /a").replies([Reply::status(503).header("retry-after", "1"), Reply::json(200, &json!({"n": 1}))]);
    let http = client();
    let post =
        || http.post(format!("{}/a?k=v", server.url())).header("content-type", "application/json").body(r#"{"q":1}"#).send();
    let first = post().await.unwrap();
    assert_eq!((first.status().as_u16(), first.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    for _ in 0..2 {
        assert_eq!(post().await.unwrap().text().await.unwrap(), r#"{"n":1}"#);
    }
    server.on("POST /a").reply(Reply::status(204));
    assert_eq!(post().await.unwrap().status(), 204);

    let requests = server.requests();
    assert_eq!((requests.len(), server.count()), (4, 4));
    assert_eq!((requests[3].path.as_str(), requests[3].query.as_str()), ("/a", "k=v"));
    assert_eq!(requests[3].header("Content-Type"), Some("application/json"));
    assert_eq!((requests[3].json(), requests[3].text().as_str()), (json!({"q": 1}), r#"{"q":1}"#));
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let server = server().await;
    server.handle(|request| Reply::text(200, &request.path, "text/plain"));
    let http = client();
    for path in ["/a", "/b", "/c"] {
        assert_eq!(http.get(server.url() + path).send().await.unwrap().text().await.unwrap(), path);
    }
    assert_eq!((server.connections(), server.open()), (1, 1));
    assert!(server.requests().iter().all(|request| request.connection == 0));
    drop(http);
    assert!(server.wait_until(|server| server.open() == 0, LONG).await);
}

#[tokio::test]
async fn routes_are_chosen_by_method_path_and_query() {
    let server = server().await;
    server.on("/any").reply(Reply::status(201));
    server.on("GET /q?a=1").reply(Reply::status(202));
    server.on("GET /q").reply(Reply::status(203));
    let http = client();
    let status = async |method: &str, path: &str| {
        let method = method.parse().unwrap();
        http.request(method, server.url() + path).send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("GET", "/any?x").await, 201);
    assert_eq!(status("DELETE", "/any").await, 201);
    assert_eq!(status("GET", "/q?a=1").await, 202);
    assert_eq!(status("GET", "/q?a=2").await, 203);
    assert_eq!(status("POST", "/q").await, 404);
    assert_eq!(status("HEAD", "/any").await, 201);
    server.handle(|_| Reply::status(299));
    assert_eq!(status("POST", "/q").await, 299);
}

#[tokio::test]
async fn chunked_bodies_and_leave_to_go_on() {
    let server = server().await;
    server.on("POST /x").reply(Reply::text(200, "ok", "text/plain").header("connection", "close"));
    let mut client = connect(&server).await;
    client.write_all(b"POST /x HTTP/1.1\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    assert_eq!(read_to(&mut client, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n").await.unwrap();
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 2\r\n\r\n";
    assert_eq!(rest, format!("{head}ok"));
    assert_eq!(server.requests()[0].body, b"abc");
}

#[tokio::test]
async fn what_is_no_http_gets_400_and_a_close() {
    let server = server().await;
    let mut client = connect(&server).await;
    client.write_all(b"hello\r\n\r\n").await.unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn the_wire_is_what_was_asked() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n";
    let text = || Reply::text(200, "hello", "text/plain");
    assert_eq!(answer(text().close_delimited()).await, format!("{head}connection: close\r\n\r\nhello"));
    assert_eq!(answer(text().content_length(9)).await, format!("{head}content-length: 9\r\n\r\nhello"));
    assert_eq!(answer(text().content_length(2)).await, format!("{head}content-length: 2\r\n\r\nhello"));
    assert_eq!(
        answer(text().chunk_size(2).header("connection", "close")).await,
        format!("{head}connection: close\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n2\r\nll\r\n1\r\no\r\n0\r\n\r\n")
    );
    assert_eq!(answer(Reply::bytes(200, "\0garbage", "").raw()).await, "\0garbage");
    assert_eq!(
        answer(text().header("Content-Type", "a/b").close_delimited()).await,
        "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nconnection: close\r\n\r\nhello"
    );
    assert_eq!(
        answer(Reply::status(204).header("connection", "close")).await,
        "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"
    );
}

#[tokio::test]
async fn streams_are_one_chunk_per_step() {
    let server = server().await;
    server.on("GET /x").replies([Reply::sse(["data: 1\n\n", "data: 2\n\n"]), Reply::ndjson([json!({"a": 1}), json!(2)])]);
    let mut client = get(&server).await;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(read_to(&mut client, "\r\n0\r\n\r\n").await, format!("{head}9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"));
    client.write_all(GET).await.unwrap();
    let text = read_to(&mut client, "\r\n0\r\n\r\n").await;
    assert!(text.contains("content-type: application/x-ndjson\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\n8\r\n{\"a\":1}\n\r\n2\r\n2\n\r\n0\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn a_cut_closes_in_order_and_a_reset_does_not() {
    let server = server().await;
    let steps = |last| [Step::send("ab"), last, Step::send("never")];
    server.on("GET /x").replies([Reply::stream("a/b", steps(Step::Cut)), Reply::stream("a/b", steps(Step::Reset))]);
    let mut rest = String::new();
    get(&server).await.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("\r\n\r\n2\r\nab\r\n"), "{rest}");

    let mut client = get(&server).await;
    assert!(server.wait_until(|server| server.count() == 2 && server.open() == 0, LONG).await);
    let error = client.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_client_that_goes_ends_what_hangs() {
    let server = server().await;
    let gate = Gate::new();
    server.on("GET /x").replies([
        Reply::status(200).hang(),
        Reply::status(200).delay(HOUR),
        Reply::stream("a/b", [Step::Hang]),
        Reply::stream("a/b", [Step::send("x"), Step::Wait(HOUR)]),
        Reply::stream("a/b", [Step::Gate(gate.clone())]),
        // More than the sockets hold.
        Reply::bytes(200, vec![b'x'; 32 << 20], "a/b"),
    ]);
    for count in 1..=6 {
        let client = get(&server).await;
        assert!(server.wait_until(|server| server.count() == count, LONG).await);
        assert_eq!((server.in_flight(), server.open()), (1, 1), "reply {count}");
        drop(client);
        assert!(server.wait_until(|server| server.in_flight() == 0 && server.open() == 0, LONG).await, "reply {count}");
    }
    assert_eq!(server.max_in_flight(), 1);
}

#[tokio::test]
async fn a_gate_holds_replies_until_the_test_says() {
    let server = server().await;
    let gate = Gate::new();
    let step = || Step::Gate(gate.clone());
    server.on("GET /x").reply(Reply::stream("a/b", [Step::send("1"), step(), Step::send("2"), step(), Step::send("3")]));
    let mut client = get(&server).await;
    read_to(&mut client, "\r\n\r\n1\r\n1\r\n").await;
    assert_eq!(server.in_flight(), 1);
    gate.pass(1);
    assert_eq!(read_to(&mut client, "2\r\n").await, "1\r\n2\r\n");
    assert_eq!(server.in_flight(), 1);
    gate.open();
    assert_eq!(read_to(&mut client, "0\r\n\r\n").await, "1\r\n3\r\n0\r\n\r\n");
    assert_eq!(server.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn delays_are_those_of_the_paused_clock() {
    let server = server().await;
    server.on("GET /x").reply(Reply::stream("a/b", [Step::send("1"), Step::Wait(HOUR), Step::send("2")]).delay(HOUR));
    let before = tokio::time::Instant::now();
    read_to(&mut get(&server).await, "0\r\n\r\n").await;
    assert!(before.elapsed() >= HOUR * 2);
    server.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answered_request_is_not_in_flight_any_more() {
    let server = Arc::new(server().await);
    server.handle(|request| match request.path.as_str() {
        "/s" => Reply::sse(["data: 1\n\n", "data: [DONE]\n\n"]),
        "/l" => Reply::bytes(200, vec![b'x'; 200_000], "a/b"),
        _ => Reply::text(200, "ok", "text/plain"),
    });
    let http = client();
    for n in 0..300 {
        let path = ["/s", "/l", "/t"][n % 3];
        let response = http.get(server.url() + path).send().await.unwrap();
        response.bytes().await.unwrap();
        assert_eq!(server.in_flight(), 0);
    }
    assert_eq!(server.max_in_flight(), 1);
}

#[tokio::test]
async fn the_server_counts_what_runs_at_once() {
    let server = server().await;
    let gate = Gate::new();
    server.on("GET /x").reply(Reply::stream("a/b", [Step::Gate(gate.clone())]));
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(get(&server).await);
    }
    assert!(server.wait_until(|server| server.in_flight() == 5, LONG).await);
    assert!(!server.wait_until(|server| server.in_flight() == 6, Duration::ZERO).await);
    gate.open();
    server.idle().await;
    assert_eq!((server.in_flight(), server.max_in_flight(), server.open(), server.connections()), (0, 5, 5, 5));
}

#[tokio::test]
async fn requests_need_not_be_kept() {
    let server = server().await;
    server.record(false);
    server.on("GET /x").reply(Reply::status(200));
    read_to(&mut get(&server).await, "\r\n\r\n").await;
    assert_eq!((server.count(), server.requests().len()), (1, 0));
}

#[tokio::test]
async fn a_dropped_server_closes_everything() {
    let server = server().await;
    server.on("GET /x").reply(Reply::status(200).hang());
    let mut client = get(&server).await;
    assert!(server.wait_until(|server| server.in_flight() == 1, LONG).await);
    let address = server.address();
    drop(server);
    assert_eq!(client.read(&mut [0; 8]).await.unwrap_or_default(), 0);
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn an_unused_address_refuses() {
    let unused = unused_address().unwrap();
    assert_eq!(TcpStream::connect(unused.address()).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(unused.url(), format!("http://{}", unused.address()));
}
