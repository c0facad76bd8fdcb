//! The progress of a pull, and a bar that shows it.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use mellea_core::text::one_line;

/// The most layers that are added up.
const MAX_LAYERS: usize = 1024;

/// The progress of a pull.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullProgress {
    /// What the server is doing, in its own words, such as `pulling manifest` or `success`.
    pub status: String,
    /// The layer that it is working on, if it is one.
    pub digest: Option<String>,
    /// Bytes that have arrived, of all layers seen so far.
    pub completed: u64,
    /// Bytes of all layers seen so far; it grows as the server starts on more of them.
    pub total: u64,
}

impl PullProgress {
    /// The share that has arrived, from 0 to 1, once any size is known.
    #[must_use]
    pub fn fraction(&self) -> Option<f64> {
        (self.total > 0).then(|| (self.completed as f64 / self.total as f64).min(1.0))
    }
}

/// Adds up the layers of a pull.
#[derive(Debug, Default)]
pub(crate) struct Layers(Vec<(String, u64, u64)>);

impl Layers {
    pub(crate) fn take(&mut self, digest: &str, total: Option<u64>, completed: Option<u64>) -> (u64, u64) {
        if !digest.is_empty() {
            let index = self.0.iter().position(|(known, ..)| known == digest).or_else(|| {
                (self.0.len() < MAX_LAYERS).then(|| {
                    self.0.push((digest.to_owned(), 0, 0));
                    self.0.len() - 1
                })
            });
            if let Some((_, all, done)) = index.and_then(|index| self.0.get_mut(index)) {
                *all = total.unwrap_or(*all);
                *done = completed.unwrap_or(*done).min(*all);
            }
        }
        self.0.iter().fold((0, 0), |(done, all), (_, total, completed)| {
            (u64::saturating_add(done, *completed), u64::saturating_add(all, *total))
        })
    }
}

/// Who gets the progress.
#[derive(Clone)]
pub(crate) struct Listener(pub(crate) Arc<dyn Fn(&PullProgress) + Send + Sync>);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// A bar on standard error, if that is a terminal.
pub(crate) fn bar() -> Option<Listener> {
    let err = std::io::stderr();
    err.is_terminal().then(|| {
        let shown = Mutex::new(String::new());
        Listener(Arc::new(move |progress| {
            let line = line(progress);
            let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
            if *shown != line {
                let end = if progress.status == "success" { "\n" } else { "" };
                let mut err = std::io::stderr().lock();
                // A terminal that is gone is no reason to fail.
                let _ = write!(err, "\r\x1b[2K{line}{end}");
                let _ = err.flush();
                *shown = line;
            }
        }))
    })
}

/// One line of at most 79 characters.
fn line(progress: &PullProgress) -> String {
    const WIDTH: usize = 30;
    let status: String = one_line(&progress.status).chars().take(24).collect();
    let line = match progress.fraction() {
        Some(fraction) if progress.digest.is_some() => {
            let full = (fraction * WIDTH as f64) as usize;
            let (bar, rest) = ("#".repeat(full), "-".repeat(WIDTH - full.min(WIDTH)));
            let percent = (fraction * 100.0) as u32;
            format!("{status:<24} [{bar}{rest}] {percent:>3}% of {}", size(progress.total))
        }
        _ => status,
    };
    line.chars().take(79).collect()
}

fn size(bytes: u64) -> String {
    match bytes as f64 {
        b if b >= 1e9 => format!("{:.1} GB", b / 1e9),
        b if b >= 1e6 => format!("{:.0} MB", b / 1e6),
        b => format!("{:.0} kB", b / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_added_up() {
        let mut layers = Layers::default();
        assert_eq!(layers.take("", None, None), (0, 0));
        assert_eq!(layers.take("a", Some(10), None), (0, 10));
        assert_eq!(layers.take("a", Some(10), Some(5)), (5, 10));
        assert_eq!(layers.take("b", Some(30), Some(99)), (35, 40), "no layer has more than all of it");
        assert_eq!(layers.take("a", None, Some(10)), (40, 40));
        for i in 0..2 * MAX_LAYERS {
            layers.take(&format!("layer {i}"), Some(1), None);
        }
        assert_eq!(layers.0.len(), MAX_LAYERS);
    }

    #[test]
    fn the_bar_fits_a_line_whatever_the_server_says() {
        let mut progress = PullProgress { status: "pulling abc".into(), ..PullProgress::default() };
        assert_eq!(line(&progress), "pulling abc");
        progress = PullProgress { digest: Some("sha256:abc".into()), completed: 1_000_000_000, total: 2_000_000_000, ..progress };
        assert_eq!(line(&progress), "pulling abc              [###############---------------]  50% of 2.0 GB");
        progress = PullProgress { status: "\x1b[31m".repeat(50), completed: u64::MAX, total: u64::MAX, ..progress };
        assert!(line(&progress).chars().count() <= 79 && !line(&progress).contains('\x1b'), "{}", line(&progress));
    }
}
