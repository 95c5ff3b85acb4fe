//! Create the file of a store.

use clap::{Args, ValueEnum};
use gatepost::Options;
use gatepost::policy::Lockout;

use crate::arguments::Global;
use crate::context::{Context, is_missing};
use crate::failure::{Exit, Failure, Result};
use crate::output::note;

/// Create the file of a store
///
/// The file keeps the options of the preset, and every other subcommand opens it with them. A
/// program passes its own options. It does not open the file if its `login_by_email`, `lockout`,
/// `second_factor` or caps of the audit log differ from the file's. So name the preset of the
/// program: `desktop` has smaller caps than `server` and `web`. Give the flags for what the program
/// sets; `gatepost factor policy` sets `second_factor`. With `--key-file` the file opens with that
/// key alone.
#[derive(Debug, Args)]
#[command(after_help = "Example: gatepost init --preset server --file auth.db")]
pub(crate) struct Init {
    /// The kind of program that uses the store
    #[arg(long, value_enum)]
    preset: Preset,

    /// The name that replies show to clients
    #[arg(long, value_name = "NAME")]
    service_name: Option<String>,

    /// Users may log in with their e-mail address, which must then be unique
    #[arg(long)]
    login_by_email: bool,

    /// After 90 wrong passwords from unknown devices, or ten from known ones, compare no password
    /// until `user unlock`; without it, one a day is compared
    #[arg(long)]
    permanent_lockout: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Preset {
    /// A service whose clients are programs or devices with one owner each
    Server,
    /// A desktop application with one user at a time
    Desktop,
    /// A web application whose users sign in with a browser
    Web,
}

impl Init {
    pub(crate) fn run(self, global: &Global) -> Result<()> {
        let path = &global.file;
        if !is_missing(path)? {
            return Err(Failure::new(
                Exit::Conflict,
                format!("there is a file at {}", path.display()),
                "init creates a new file: choose another path.",
            ));
        }
        if global.acting_as.is_some() {
            return Err(Failure::invalid("a new store has no user who could act: leave out --as"));
        }
        let mut options = match self.preset {
            Preset::Server => Options::server(),
            Preset::Desktop => Options::desktop(),
            Preset::Web => Options::web(),
        };
        if let Some(name) = self.service_name {
            options = options.service_name(name);
        }
        if self.login_by_email {
            options = options.login_by_email(true);
        }
        if self.permanent_lockout {
            options = options.lockout(Lockout::Permanent);
        }
        let context = Context::of(path, options, global)?;
        let store = context.writing("init")?;
        if store.status().current_key.is_some() {
            // The file names its key from now on, not only from the first password on.
            store.rekey(1)?;
        }
        let status = store.status();
        let path = status.path.unwrap_or_else(|| path.clone());
        let path = path.display().to_string();
        let record = serde_json::json!({ "path": path, "schema_version": status.schema_version });
        context.output.done(&format!("created {path}"), &record)?;
        note(
            "The store has no user. To create the first administrator in your program, run: \
             gatepost token first-administrator",
        );
        Ok(())
    }
}
