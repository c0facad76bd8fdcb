//! A server that runs as long as a suite does, and no longer.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;

/// Starts its arguments as a program and ends it when standard input closes. This task holds the other
/// end, and the system closes it however the task ends: by itself, by ctrl-c or by a kill.
const KEEPER: &str = r#"
exec 3<&0
"$@" 3<&- </dev/null &
program=$!
{
    cat <&3 >/dev/null
    kill "$program" 2>/dev/null
    for second in 1 2 3 4 5; do kill -0 "$program" 2>/dev/null || exit 0; sleep 1; done
    kill -9 "$program" 2>/dev/null
} &
exec 3<&-
wait "$program"
"#;

/// How long a server may take to end after it was asked to.
const END: Duration = Duration::from_secs(10);

/// A running server; ended on drop.
pub(super) struct Server {
    keeper: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a program. What it prints goes to the log.
    pub(super) fn start(program: &Path, arguments: &[&str], log: PathBuf) -> Result<Self, Failure> {
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "keeper"]).arg(program).args(arguments);
        // Ctrl-c would otherwise reach the keeper too, and end it before the program.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let output = File::create(&log)?;
        command.stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
        let keeper = command.spawn().map_err(|e| format!("no shell to start {}: {e}", program.display()))?;
        Ok(Self { keeper, log })
    }

    /// Waits until a path answers with 200.
    pub(super) fn ready(&mut self, port: u16, path: &str, limit: Duration) -> Result<(), Failure> {
        let start = Instant::now();
        while !answers(port, path) {
            if let Some(status) = self.keeper.try_wait()? {
                return Err(format!("the server ended with {status}:\n{}", self.last_words()).into());
            }
            if start.elapsed() > limit {
                return Err(format!("the server was not ready after {} s:\n{}", limit.as_secs(), self.last_words()).into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The end of what the server printed.
    pub(super) fn last_words(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let start = Instant::now();
        while start.elapsed() < END {
            if !matches!(self.keeper.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        eprintln!("the server has not ended; its log is {}", self.log.display());
    }
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn answers(port: u16, path: &str) -> bool {
    let limit = Duration::from_secs(2);
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").as_bytes())?;
        // Read to the end, or the server takes the close for a fault.
        let mut answer = Vec::new();
        stream.take(1 << 16).read_to_end(&mut answer)?;
        Ok(answer.starts_with(b"HTTP/1.") && answer.get(8..12) == Some(b" 200"))
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("mellea-xtask-{name}-{}.log", std::process::id()))
    }

    #[test]
    fn a_server_that_ends_at_once_says_why() {
        let mut server = Server::start(Path::new("sh"), &["-c", "echo no such model; exit 3"], log("ends")).unwrap();
        let error = server.ready(free_port().unwrap(), "/", Duration::from_secs(30)).unwrap_err().to_string();
        assert!(error.contains("no such model") && error.contains('3'), "{error}");
        std::fs::remove_file(&server.log).unwrap();
    }

    #[test]
    fn a_server_that_never_answers_is_given_up_and_ended() {
        let mut server = Server::start(Path::new("sleep"), &["600"], log("never")).unwrap();
        let error = server.ready(free_port().unwrap(), "/", Duration::from_millis(200)).unwrap_err().to_string();
        assert!(error.contains("not ready"), "{error}");
        let (start, file) = (Instant::now(), server.log.clone());
        drop(server);
        assert!(start.elapsed() < END, "it went on");
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn only_an_answer_of_200_counts() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let replies = std::thread::spawn(move || {
            for status in ["503 Loading", "200 OK"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") {
                    stream.read_exact(&mut byte).unwrap();
                    request.extend(byte);
                }
                assert!(request.starts_with(b"GET /health "));
                stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).unwrap();
            }
        });
        assert_eq!([answers(port, "/health"), answers(port, "/health")], [false, true]);
        replies.join().unwrap();
        assert!(!answers(port, "/health"));
    }
}
