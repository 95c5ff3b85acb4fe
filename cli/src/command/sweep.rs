//! Upkeep.

use clap::Args;

use crate::context::Context;
use crate::failure::Result;

/// Delete expired sessions and keys, and trim the audit log
///
/// Rows are deleted one to two days after they expire. A store needs no sweep: each login deletes
/// a few expired rows. Run it from cron or a systemd timer where logins are rare.
#[derive(Debug, Args)]
#[command(after_help = "Example: gatepost sweep")]
pub(crate) struct Sweep {}

impl Sweep {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        // Not `Context::writing`: the library records what it removes, and nothing if it removes
        // nothing. A row for each run of a timer would push out those of the host.
        context.output.record(&context.store.maintain()?)
    }
}
