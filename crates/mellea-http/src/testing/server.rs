//! The server: connections, routes, and what it counts.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::ReadHalf;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

use super::recorded::{BODY, Decoder, Progress, Recorded};
use super::reply::Reply;
use super::send::{End, send};

/// The most requests that are kept.
const KEPT: usize = 100_000;

type Handler = Arc<dyn Fn(&Recorded) -> Reply + Send + Sync>;

/// A scripted HTTP/1.1 server on a free port of this machine; it stops when it is dropped.
///
/// It runs on the runtime that started it. A client that closes its side for writing counts as gone.
/// A request that nothing answers gets 404.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

#[derive(Default)]
struct Shared {
    routes: Mutex<Vec<Script>>,
    handler: Mutex<Option<Handler>>,
    requests: Mutex<Vec<Arc<Recorded>>>,
    forgetful: AtomicBool,
    count: AtomicUsize,
    connections: AtomicUsize,
    open: AtomicUsize,
    in_flight: AtomicUsize,
    max_in_flight: AtomicUsize,
    changed: Notify,
}

struct Script {
    route: String,
    replies: Vec<Arc<Reply>>,
    next: usize,
}

impl Server {
    /// Starts a server.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self { address, shared, accepting })
    }

    /// `http://127.0.0.1:<port>`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A route to script: `"POST /v1/models"`, or `"/v1/models"` for any method.
    ///
    /// The query does not count, unless the route has one. Of several routes that fit, the first counts.
    #[must_use = "a route without replies answers nothing"]
    pub fn on(&self, route: &str) -> Route<'_> {
        Route { shared: &self.shared, route: route.to_owned() }
    }

    /// Answers what no route does. A second call replaces the function.
    pub fn handle(&self, handler: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) {
        *lock(&self.shared.handler) = Some(Arc::new(handler));
    }

    /// The requests so far, each as soon as it is read; the first 100,000 are kept.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.shared.requests).iter().map(|request| Recorded::clone(request)).collect()
    }

    /// Whether requests are kept for [`requests`](Self::requests); they are, unless this says no.
    pub fn record(&self, keep: bool) {
        self.shared.forgetful.store(!keep, Ordering::SeqCst);
    }

    /// How many requests were read.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.count.load(Ordering::SeqCst)
    }

    /// How many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// How many requests are read and not answered in full. A reply ends just before its last bytes are written.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::SeqCst)
    }

    /// The most that were ever in flight at once.
    #[must_use]
    pub fn max_in_flight(&self) -> usize {
        self.shared.max_in_flight.load(Ordering::SeqCst)
    }

    /// Waits until a condition on this server's figures holds; false if it does not within that time.
    ///
    /// The time is that of tokio's clock: a paused clock may let it pass at once.
    #[must_use]
    pub async fn wait_until(&self, condition: impl Fn(&Self) -> bool, within: Duration) -> bool {
        tokio::time::timeout(within, self.until(condition)).await.is_ok()
    }

    /// Waits until no reply is in progress, however long that takes.
    pub async fn idle(&self) {
        self.until(|server| server.in_flight() == 0).await;
    }

    async fn until(&self, condition: impl Fn(&Self) -> bool) {
        loop {
            let mut changed = pin!(self.shared.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            if condition(self) {
                return;
            }
            changed.await;
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Server");
        out.field("url", &self.url()).field("count", &self.count()).field("open", &self.open());
        out.field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A route of a [`Server`], to which replies are added. They are given in order; the last one repeats.
pub struct Route<'a> {
    shared: &'a Shared,
    route: String,
}

impl Route<'_> {
    /// Adds a reply.
    pub fn reply(&mut self, reply: Reply) -> &mut Self {
        self.replies([reply])
    }

    /// Adds replies.
    pub fn replies(&mut self, replies: impl IntoIterator<Item = Reply>) -> &mut Self {
        let replies = replies.into_iter().map(Arc::new);
        let mut routes = lock(&self.shared.routes);
        match routes.iter_mut().find(|script| script.route == self.route) {
            Some(script) => script.replies.extend(replies),
            None => routes.push(Script { route: self.route.clone(), replies: replies.collect(), next: 0 }),
        }
        self
    }
}

impl fmt::Debug for Route<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Route").field(&self.route).finish()
    }
}

impl Script {
    fn fits(&self, request: &Recorded) -> bool {
        let (method, target) = self.route.split_once(' ').unwrap_or((&request.method, &self.route));
        let same_target = match target.split_once('?') {
            Some((path, query)) => path == request.path && query == request.query,
            None => target == request.path,
        };
        method == request.method && same_target
    }

    fn take(&mut self) -> Option<Arc<Reply>> {
        let index = self.next.min(self.replies.len().saturating_sub(1));
        self.next = index + 1;
        self.replies.get(index).cloned()
    }
}

impl Shared {
    fn answer(&self, request: &Recorded) -> Arc<Reply> {
        let scripted = lock(&self.routes).iter_mut().find(|script| script.fits(request)).and_then(Script::take);
        if let Some(reply) = scripted {
            return reply;
        }
        let handler = lock(&self.handler).clone();
        Arc::new(match handler {
            Some(handler) => handler(request),
            None => Reply::text(404, &format!("no reply for {} {}", request.method, request.path), "text/plain"),
        })
    }

    /// Counts a request that was read; it is in flight until the result is dropped.
    fn seen(&self, request: &Arc<Recorded>) -> Counted<'_> {
        if !self.forgetful.load(Ordering::SeqCst) {
            let mut requests = lock(&self.requests);
            if requests.len() < KEPT {
                requests.push(Arc::clone(request));
            }
        }
        let flight = Counted::new(self, |shared| &shared.in_flight);
        self.max_in_flight.fetch_max(self.in_flight.load(Ordering::SeqCst), Ordering::SeqCst);
        self.count.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
        flight
    }
}

/// One more in a count, until it is dropped.
struct Counted<'a> {
    shared: &'a Shared,
    count: fn(&Shared) -> &AtomicUsize,
}

impl<'a> Counted<'a> {
    fn new(shared: &'a Shared, count: fn(&Shared) -> &AtomicUsize) -> Self {
        count(shared).fetch_add(1, Ordering::SeqCst);
        shared.changed.notify_waiters();
        Self { shared, count }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        (self.count)(self.shared).fetch_sub(1, Ordering::SeqCst);
        self.shared.changed.notify_waiters();
    }
}

/// Takes connections until it is dropped, and all of them with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                    connections.spawn(connection(stream, number, Arc::clone(&shared)));
                }
                // Out of sockets: a connection has to end first.
                Err(_) => match connections.join_next().await {
                    Some(_) => {}
                    None => tokio::task::yield_now().await,
                },
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection until an error or an answer ends it.
async fn connection(mut stream: TcpStream, number: usize, shared: Arc<Shared>) {
    let _open = Counted::new(&shared, |shared| &shared.open);
    let end = serve(&mut stream, number, &shared).await;
    if matches!(end, Ok(End::Reset)) {
        #[allow(deprecated, reason = "its successor is newer than the oldest tokio that the workspace allows; zero never blocks")]
        let _ = stream.set_linger(Some(Duration::ZERO));
    }
    // The socket closes before the count says so.
    drop(stream);
}

async fn serve(stream: &mut TcpStream, number: usize, shared: &Shared) -> io::Result<End> {
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    let mut decoder = Decoder::default();
    loop {
        let mut request = match decoder.advance(&mut buffer) {
            Progress::Request(request) => request,
            Progress::More => match stream.read_buf(&mut buffer).await? {
                0 => return Ok(End::Close),
                _ => continue,
            },
            Progress::Continue => {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                continue;
            }
            Progress::Bad(status) => {
                let reply = Reply::status(status).header("connection", "close");
                return send(stream, &reply, &Recorded::default(), ()).await;
            }
        };
        request.connection = number;
        let request = Arc::new(request);
        let flight = shared.seen(&request);
        let reply = shared.answer(&request);
        let (mut reader, mut writer) = stream.split();
        let end = tokio::select! {
            biased;
            end = send(&mut writer, &reply, &request, flight) => end?,
            gone = gone(&mut reader, &mut buffer) => return gone,
        };
        if end != End::Keep {
            return Ok(end);
        }
    }
}

/// Comes back when the client has closed its side; what it sends meanwhile is kept for the next request.
async fn gone(reader: &mut ReadHalf<'_>, buffer: &mut BytesMut) -> io::Result<End> {
    while reader.read_buf(buffer).await? > 0 {
        if buffer.len() > BODY {
            break;
        }
    }
    Ok(End::Close)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A local address that refuses connections for as long as this value lives.
#[derive(Debug)]
pub struct UnusedAddress {
    address: SocketAddr,
    _bound: TcpSocket,
}

impl UnusedAddress {
    /// The address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:<port>`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Takes a free port and does not listen on it: nobody else gets it, and connections are refused.
///
/// # Errors
/// If no port can be bound.
pub fn unused_address() -> io::Result<UnusedAddress> {
    let bound = TcpSocket::new_v4()?;
    bound.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    Ok(UnusedAddress { address: bound.local_addr()?, _bound: bound })
}
