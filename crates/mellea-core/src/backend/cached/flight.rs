//! A chat that runs once for all who ask the same.
//!
//! Nothing is spawned: whoever reads drives the call, for itself and for the others. So a reader
//! that stands still holds nobody up, and the call ends when its last reader is dropped.

use std::collections::VecDeque;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context as TaskContext, Poll, Wake, Waker, ready};

use futures_core::Stream;
use futures_util::future::BoxFuture;

use super::as_cached;
use super::store::{Answer, Pick, Store, is_whole, weight};
use crate::backend::{Event, EventStream};
use crate::error::{Error, ErrorKind, Result};

/// Where a chat's answer comes from.
pub(super) enum Found {
    Kept(Arc<[Event]>),
    Running(Reader),
}

/// Finds the answer to a request: kept, or running, or begun now.
pub(super) fn find<F>(store: &Arc<Store>, key: Arc<str>, call: impl FnOnce() -> F) -> Found
where
    F: Future<Output = Result<EventStream>> + Send + 'static,
{
    let mut state = store.state();
    let mut flights = state.flights.remove(&key).unwrap_or_default();
    // No flight may end its life here, under the lock: hence no `upgrade` but of the one joined.
    flights.running.retain(|flight| flight.strong_count() > 0);
    let found = match state.pick(store.limits(), &key, flights.running.len(), &mut flights.turn) {
        Pick::Kept(Answer::Chat(events)) => Some(Found::Kept(events)),
        Pick::Running(i) => {
            let flight = flights.running.get(i).and_then(Weak::upgrade);
            flight.map(|flight| Found::Running(Reader::new(flight, true)))
        }
        Pick::Kept(Answer::Raw(_)) | Pick::New => None,
    };
    let found = found.unwrap_or_else(|| {
        let flight = Arc::new(Flight {
            store: Arc::clone(store),
            key: Arc::clone(&key),
            progress: Mutex::new(Progress::new(Box::pin(call()))),
            wakers: Arc::default(),
            readers: AtomicUsize::new(0),
            numbers: AtomicU64::new(0),
            listed: AtomicBool::new(true),
        });
        flights.running.push(Arc::downgrade(&flight));
        Found::Running(Reader::new(flight, false))
    });
    if !flights.running.is_empty() {
        state.flights.insert(key, flights);
    }
    found
}

/// A call and what has come of it.
pub(super) struct Flight {
    store: Arc<Store>,
    key: Arc<str>,
    progress: Mutex<Progress>,
    wakers: Arc<Wakers>,
    /// How many readers there are.
    readers: AtomicUsize,
    /// The next reader's number.
    numbers: AtomicU64,
    /// Whether others can still join.
    listed: AtomicBool,
}

struct Progress {
    work: Work,
    accepted: bool,
    /// What came so far, without the first `gone` events.
    log: VecDeque<Event>,
    gone: usize,
    bytes: usize,
    finished: bool,
    end: Option<Result<()>>,
}

enum Work {
    Call(BoxFuture<'static, Result<EventStream>>),
    Events(EventStream),
    Over,
}

/// What one step of the work gave.
enum Step {
    Accepted,
    Event(Event),
    End,
}

impl Progress {
    fn new(call: BoxFuture<'static, Result<EventStream>>) -> Self {
        let work = Work::Call(call);
        Self { work, accepted: false, log: VecDeque::new(), gone: 0, bytes: 0, finished: false, end: None }
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<Step> {
        // If it panics, the work stays over.
        let step = match mem::replace(&mut self.work, Work::Over) {
            Work::Call(mut call) => match call.as_mut().poll(cx) {
                Poll::Pending => {
                    self.work = Work::Call(call);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(events)) => {
                    self.work = Work::Events(events);
                    self.accepted = true;
                    return Poll::Ready(Step::Accepted);
                }
                Poll::Ready(Err(error)) => Err(error),
            },
            Work::Events(mut events) => match Pin::new(&mut events).poll_next(cx) {
                Poll::Pending => {
                    self.work = Work::Events(events);
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(event))) => {
                    self.work = Work::Events(events);
                    self.finished |= matches!(event, Event::Finish(_));
                    return Poll::Ready(Step::Event(event));
                }
                Poll::Ready(Some(Err(error))) => Err(error),
                Poll::Ready(None) => Ok(()),
            },
            Work::Over => Err(ErrorKind::StreamInterrupted.into()),
        };
        self.end = Some(step);
        Poll::Ready(Step::End)
    }
}

impl Flight {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does one step of the work, for all readers.
    fn step(&self, progress: &mut Progress) -> Poll<Step> {
        let waker = Waker::from(Arc::clone(&self.wakers));
        let step = ready!(progress.poll(&mut TaskContext::from_waker(&waker)));
        match &step {
            Step::Accepted => {}
            Step::Event(event) => {
                progress.bytes = progress.bytes.saturating_add(weight(event));
                progress.log.push_back(event.clone());
                // Too large to be kept: from here on nobody can join, and who is that far behind is lost.
                while progress.bytes > self.store.limits().bytes.max(LEAST_LOG) {
                    let Some(first) = progress.log.pop_front() else { break };
                    progress.bytes = progress.bytes.saturating_sub(weight(&first));
                    progress.gone += 1;
                    self.unlist();
                }
            }
            Step::End => {
                if progress.gone == 0
                    && progress.finished
                    && matches!(progress.end, Some(Ok(())))
                    && let Some(answer) = whole(&progress.log)
                {
                    self.store.keep(&self.key, Answer::Chat(answer));
                }
                self.unlist();
            }
        }
        Poll::Ready(step)
    }

    /// Lets nobody join any more.
    fn unlist(&self) {
        if !self.listed.swap(false, Ordering::Relaxed) {
            return;
        }
        let mut state = self.store.state();
        if let Some(flights) = state.flights.get_mut(&self.key) {
            flights.running.retain(|flight| !std::ptr::eq(flight.as_ptr(), self));
            if flights.running.is_empty() {
                state.flights.remove(&self.key);
            }
        }
    }
}

/// A call's events are kept for those who join at least up to this many bytes.
const LEAST_LOG: usize = 1 << 20;

/// The events of an answer that is worth keeping, each text in one piece.
fn whole(log: &VecDeque<Event>) -> Option<Arc<[Event]>> {
    let mut events: Vec<Event> = Vec::new();
    let mut content = false;
    for event in log {
        match (events.last_mut(), event) {
            (_, Event::Finish(reason)) if !is_whole(reason) => return None,
            (Some(Event::Text(all)), Event::Text(more)) | (Some(Event::Thinking(all)), Event::Thinking(more)) => {
                all.push_str(more)
            }
            _ => events.push(event.clone()),
        }
        content |= match event {
            Event::Text(text) => !text.trim().is_empty(),
            Event::ToolCall(_) => true,
            Event::TextWasThinking => {
                content = false;
                false
            }
            _ => false,
        };
    }
    content.then(|| events.into())
}

/// One who reads the events of a flight.
pub(super) struct Reader {
    flight: Arc<Flight>,
    number: u64,
    position: usize,
    /// Whether another one began the call.
    joined: bool,
    done: bool,
}

impl Reader {
    fn new(flight: Arc<Flight>, joined: bool) -> Self {
        flight.readers.fetch_add(1, Ordering::AcqRel);
        let number = flight.numbers.fetch_add(1, Ordering::Relaxed);
        Self { flight, number, position: 0, joined, done: false }
    }

    /// Ready when the backend has accepted or refused the request.
    pub(super) fn poll_accepted(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<()>> {
        self.flight.wakers.register(self.number, cx.waker());
        let mut progress = self.flight.progress();
        if !progress.accepted && progress.end.is_none() {
            ready!(self.flight.step(&mut progress));
        }
        let refused = match &progress.end {
            Some(Err(error)) if !progress.accepted => Err(error.clone()),
            _ => Ok(()),
        };
        drop(progress);
        self.flight.wakers.wake_but(self.number);
        Poll::Ready(refused)
    }

    /// The next event, if it is here or can be had now.
    fn poll_event(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Result<Event>>> {
        self.flight.wakers.register(self.number, cx.waker());
        let mut progress = self.flight.progress();
        let event = loop {
            let Some(place) = self.position.checked_sub(progress.gone) else {
                self.done = true;
                break Some(Err(lost()));
            };
            if let Some(event) = progress.log.get(place) {
                self.position += 1;
                // Others need no waking: who had this event made woke them.
                return Poll::Ready(Some(Ok(event.clone())));
            }
            match &progress.end {
                Some(end) => {
                    self.done = true;
                    break end.clone().err().map(Err);
                }
                None => {
                    if let Step::Event(event) = ready!(self.flight.step(&mut progress)) {
                        self.position += 1;
                        break Some(Ok(event));
                    }
                }
            }
        };
        drop(progress);
        self.flight.wakers.wake_but(self.number);
        Poll::Ready(event)
    }
}

fn lost() -> Error {
    Error::from(ErrorKind::StreamInterrupted)
        .with_hint("an equal call was read faster and its answer is larger than the cache; raise `Cached::max_bytes`")
}

impl Stream for Reader {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        if self.done {
            return Poll::Ready(None);
        }
        let event = ready!(self.poll_event(cx));
        Poll::Ready(event.map(|event| {
            event.map(|event| match event {
                Event::Usage(usage) if self.joined => Event::Usage(as_cached(usage)),
                event => event,
            })
        }))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // A call is given up with its last reader; one that joins just now keeps it.
        if self.flight.readers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.flight.unlist();
        }
        self.flight.wakers.leave(self.number);
    }
}

/// Wakes all who read.
#[derive(Default)]
struct Wakers(Mutex<Vec<(u64, Waker)>>);

impl Wakers {
    fn list(&self) -> MutexGuard<'_, Vec<(u64, Waker)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, number: u64, waker: &Waker) {
        let mut list = self.list();
        match list.iter_mut().find(|(reader, _)| *reader == number) {
            Some((_, known)) => known.clone_from(waker),
            None => list.push((number, waker.clone())),
        }
    }

    fn wake_but(&self, number: u64) {
        let mut list = self.list();
        if list.iter().all(|(reader, _)| *reader == number) {
            return;
        }
        let others: Vec<_> = list.extract_if(.., |(reader, _)| *reader != number).collect();
        drop(list);
        others.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Takes a reader off the list and wakes the others, one of which must drive from now on.
    fn leave(&self, number: u64) {
        let left = mem::take(&mut *self.list());
        left.into_iter().filter(|(reader, _)| *reader != number).for_each(|(_, waker)| waker.wake());
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let all = mem::take(&mut *self.list());
        all.into_iter().for_each(|(_, waker)| waker.wake());
    }
}
