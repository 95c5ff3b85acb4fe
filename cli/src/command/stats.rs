//! How much is in the store.

use clap::Args;

use crate::context::Context;
use crate::failure::Result;

/// How much is in the store
///
/// Counts the rows, which reads all of them: about a second for a million. The counts of a running
/// program (hashes, refusals, cached sessions) are in its own `Store::status`.
#[derive(Debug, Args)]
#[command(after_help = "Example: gatepost stats --metrics")]
pub(crate) struct Stats {
    /// Print the text format of Prometheus, for its textfile collector
    #[arg(long, conflicts_with = "json")]
    metrics: bool,
}

impl Stats {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let counts = context.store.counts()?;
        if self.metrics {
            context.output.page(&counts.metrics())
        } else {
            context.output.record(&counts)
        }
    }
}
