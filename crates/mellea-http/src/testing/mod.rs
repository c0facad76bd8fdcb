//! A scripted HTTP server for tests, which answers and misbehaves as scripted.
//!
//! [`Server`] speaks HTTP/1.1 over plain sockets on a free port of this machine. Each route has a
//! queue of [`Reply`]s; the last one repeats. A reply can be late, never end, end too soon,
//! break the connection or not be HTTP at all, and the server counts what is in progress.
//!
//! ```
//! use mellea_http::testing::{Reply, Server};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let server = Server::start().await?;
//! server.on("GET /health").reply(Reply::status(503)).reply(Reply::text(200, "ready", "text/plain"));
//!
//! let mut client = tokio::net::TcpStream::connect(server.address()).await?;
//! client.write_all(b"GET /health HTTP/1.1\r\n\r\nGET /health HTTP/1.1\r\nconnection: close\r\n\r\n").await?;
//! let mut answers = String::new();
//! client.read_to_string(&mut answers).await?;
//!
//! assert!(answers.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
//! assert!(answers.ends_with("\r\n\r\nready"));
//! assert_eq!(server.requests()[1].path, "/health");
//! # Ok(())
//! # }
//! ```

mod recorded;
mod reply;
mod send;
mod server;
#[cfg(test)]
mod tests;

pub use recorded::Recorded;
pub use reply::{Gate, Reply, Step};
pub use server::{Route, Server, UnusedAddress, unused_address};
