//! How far the reading of a document has come.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How far reading has come. Clones share it: one is given to
/// [`Extractor::extract_watched`](super::Extractor::extract_watched), another is looked at
/// meanwhile.
///
/// ```
/// use aimate_text::extract::ReadProgress;
/// assert_eq!(ReadProgress::default().fraction(), 0.0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ReadProgress(Arc<AtomicU32>);

/// The parts that progress is counted in.
const WHOLE: u32 = 1_000;

impl ReadProgress {
    /// The share of the document that was read, 0 to 1; it never falls. Formats that are
    /// read at one go stay at 0 until they are read.
    pub fn fraction(&self) -> f32 {
        // Invariant: exact, as it is at most a thousand.
        self.0.load(Ordering::Relaxed) as f32 / WHOLE as f32
    }

    /// Sets how far it has come, if that is further than before.
    pub(super) fn raise(&self, fraction: f32) {
        if fraction.is_finite() {
            let parts = (fraction.clamp(0.0, 1.0) * WHOLE as f32) as u32;
            self.0.fetch_max(parts, Ordering::Relaxed);
        }
    }
}

/// The document that this thread reads: where to say how far it has come, and how many
/// bytes of how many were read.
struct Reading {
    progress: ReadProgress,
    done: u64,
    total: u64,
}

thread_local! {
    // A reader works on one thread; its parts need not hand this on to each other.
    static READING: RefCell<Option<Reading>> = const { RefCell::new(None) };
}

/// Reads a document on this thread; what is read of it is told to `progress`.
pub(super) fn watched<T>(progress: &ReadProgress, read: impl FnOnce() -> T) -> T {
    with(Some(Reading { progress: progress.clone(), done: 0, total: 0 }), read)
}

/// Reads a document within the document: it does not count.
pub(super) fn aside<T>(read: impl FnOnce() -> T) -> T {
    with(None, read)
}

fn with<T>(reading: Option<Reading>, read: impl FnOnce() -> T) -> T {
    /// Puts back what was read before, on a panic too.
    struct Before(Option<Reading>);
    impl Drop for Before {
        fn drop(&mut self) {
            READING.set(self.0.take());
        }
    }
    let _before = Before(READING.replace(reading));
    read()
}

/// How many bytes are to be read; only the first who says it counts.
pub(super) fn expect(bytes: u64) {
    change(|reading| {
        if reading.total == 0 {
            reading.total = bytes;
        }
    });
}

/// So many more bytes were read.
pub(super) fn advance(bytes: u64) {
    change(|reading| {
        reading.done = reading.done.saturating_add(bytes);
        if reading.total > 0 {
            reading.progress.raise(reading.done as f32 / reading.total as f32);
        }
    });
}

/// So many pages, sheets or messages were read, of how many.
pub(super) fn reached(done: usize, of: usize) {
    change(|reading| reading.progress.raise(done as f32 / of.max(1) as f32));
}

fn change(change: impl FnOnce(&mut Reading)) {
    READING.with_borrow_mut(|reading| {
        if let Some(reading) = reading {
            change(reading);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_grows_and_never_falls() {
        let progress = ReadProgress::default();
        watched(&progress, || {
            expect(200);
            expect(1);
            advance(50);
            assert_eq!(progress.fraction(), 0.25);
            reached(1, 10);
            assert_eq!(progress.fraction(), 0.25);
            aside(|| {
                expect(10);
                advance(10);
                reached(10, 10);
            });
            assert_eq!(progress.fraction(), 0.25);
            advance(u64::MAX);
        });
        assert_eq!(progress.fraction(), 1.0);
        // Nothing is read any more.
        advance(1);
        progress.raise(f32::NAN);
        assert_eq!(progress.fraction(), 1.0);
    }
}
