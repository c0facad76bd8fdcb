//! Stop sequences across the borders of tokens: text before one is shown, the sequence and what follows is not.

use super::{partial, release};

#[derive(Debug)]
pub(super) struct StopFilter {
    stops: Vec<String>,
    held: String,
    met: bool,
}

impl StopFilter {
    pub(super) fn new(stops: Vec<String>) -> Self {
        let stops = stops.into_iter().filter(|stop| !stop.is_empty()).collect();
        Self { stops, held: String::new(), met: false }
    }

    pub(super) fn met(&self) -> bool {
        self.met
    }

    pub(super) fn push(&mut self, text: &str) -> String {
        if self.met {
            return String::new();
        }
        self.held.push_str(text);
        let first = self.stops.iter().filter_map(|stop| self.held.find(stop)).min();
        if let Some(at) = first {
            self.met = true;
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let keep = self.stops.iter().map(|stop| partial(&self.held, stop)).max().unwrap_or(0);
        release(&mut self.held, keep)
    }

    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}
