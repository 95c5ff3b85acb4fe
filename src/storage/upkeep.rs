//! Long work in short writes, between which other writes come first.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::connection::{self, Stopwatch};
use crate::error::Result;
use crate::value::limits;

/// The number of threads that do such work.
#[derive(Debug, Default)]
pub(super) struct Upkeep(AtomicUsize);

/// Counts its thread until it is dropped.
struct Running<'u>(&'u AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Upkeep {
    /// Calls `piece` until it returns `false`. If other threads of this process wrote during a
    /// piece, pauses for ten times as long as the piece took, so that their writes come first.
    /// `writes` counts the writes of this process.
    pub(super) fn in_pieces(
        &self,
        writes: impl Fn() -> u64,
        mut piece: impl FnMut() -> Result<bool>,
    ) -> Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let _running = Running(&self.0);
        let mut before = writes();
        loop {
            let begun = Stopwatch::start();
            if !piece()? {
                return Ok(());
            }
            let pause = begun.elapsed().saturating_mul(limits::UPKEEP_PAUSE_PIECES);
            let now = writes();
            // The piece itself is one of these writes.
            if now.saturating_sub(before) > 1 {
                connection::pause(pause.min(limits::UPKEEP_PAUSE_MAX));
            }
            before = now;
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}
