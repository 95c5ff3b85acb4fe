//! Upkeep.

use clap::Args;

use crate::context::Context;
use crate::failure::Result;

/// Rows are deleted one to two days after they expire. A store needs no sweep: each login deletes
/// a few expired rows. Run it from cron or a systemd timer where logins are rare.
#[derive(Debug, Args)]
#[command(after_help = "Example: gatepost sweep")]
pub(crate) struct Sweep {}

impl Sweep {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        context.output.record(&context.writing("sweep")?.maintain()?)
    }
}
