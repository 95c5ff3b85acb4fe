//! Restores.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use gatepost::Store;
use gatepost::backup::RestoreOptions;
use indicatif::ProgressBar;

use crate::arguments::Global;
use crate::context::{self, Context};
use crate::failure::{Failure, Result};
use crate::output::{Output, note};
use crate::prompt;

/// Put a backup in the place of the store, or take in a file that was put there by other means
///
/// Every session, API key and one-time token is revoked. Processes that have the store open go on
/// with the restored one. What is stricter in the store that is replaced stays so: users who were
/// deleted, locked or disabled since, the last passwords, failed attempts, credits.
#[derive(Debug, Args)]
#[command(after_help = "Example: gatepost restore /var/backups/app/auth.db.20260105T090000Z")]
pub(crate) struct Restore {
    /// The backup; with --adopt the file itself
    path: PathBuf,

    /// Take in a file that was copied or replicated to its place, such as by Litestream
    #[arg(long)]
    adopt: bool,

    /// Restore all as it is in the backup, even where the store is stricter
    #[arg(long, conflicts_with = "adopt")]
    all_as_in_backup: bool,
}

impl Restore {
    pub(crate) fn run(self, global: &Global) -> Result<()> {
        let mut global = global.clone();
        if self.adopt {
            global.file.clone_from(&self.path);
        }
        if global.acting_as.is_some() {
            return Err(Failure::invalid(
                "a restore may replace the user who acts: leave out --as",
            ));
        }
        context::check_owner(&global)?;
        // A restore needs no key. A path that is wrong is a mistake all the same.
        context::keys(&global)?;
        global.key_file.clear();
        if !global.yes {
            prompt::confirm(&format!(
                "{} Every user must log in again, and every API key must be issued again. Go on?",
                if self.adopt {
                    format!("{} is taken in.", self.path.display())
                } else {
                    format!("{} replaces {}.", self.path.display(), global.file.display())
                }
            ))?;
        }
        let options = context::stored(&global);
        let output = Output { json: global.json };
        if self.adopt {
            let report = Store::adopt_restored(&global.file, options)?;
            self.record(&global);
            return output.record(&report);
        }
        let mut options = RestoreOptions::new(options);
        if self.all_as_in_backup {
            options = options.all_as_in_backup();
        }
        // On standard error, and hidden if that is no terminal. How long it takes is not known.
        let bar = ProgressBar::new_spinner().with_message("restoring");
        bar.enable_steady_tick(Duration::from_millis(100));
        let restored = Store::restore(&self.path, &global.file, options);
        bar.finish_and_clear();
        let report = restored?;
        self.record(&global);
        output.record(&report)
    }

    /// Records which command was run and by whom, once the store is there.
    fn record(&self, global: &Global) {
        let command = if self.adopt { "restore.adopt" } else { "restore" };
        let recorded =
            Context::open(global).and_then(|context| context.writing(command).map(drop));
        if let Err(failure) = recorded {
            note(&format!("no row of the audit log names this command: {}", failure.what()));
        }
    }
}
