//! The key under which the password hashes are sealed.

use clap::Args;
use gatepost::host::KeyId;
use gatepost::status::KeyUse;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::output::note;

/// The hashes that one write seals: it takes about 10 ms, in which other writers wait.
const HASHES_PER_WRITE: usize = 300;

const COLUMNS: &[&str] = &["key", "hashes", "totp_secrets", "is_available"];

/// Seal the password hashes under the key of the first `--key-file`
///
/// Every process that has the file open must have that key first, and the older one as well until
/// this is done. Logins go on meanwhile. Stopped half way, it goes on when it is run again.
#[derive(Debug, Args)]
#[command(after_help = "Example: gatepost rekey --key-file 2026-11.key --key-file 2025-04.key")]
pub(crate) struct Rekey {
    /// Only list how many hashes are sealed under each key, and how many are not sealed
    #[arg(long)]
    status: bool,
}

impl Rekey {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let uses = context.store.key_use()?;
        if self.status {
            return context.output.list(COLUMNS, uses.into_iter().map(Ok));
        }
        let Some(key) = context.store.status().current_key else {
            return Err(Failure::new(
                Exit::Refused,
                "rekey needs the key under which it seals",
                "Name it: --key-file PATH; to make one: gatepost key-file create",
            ));
        };
        context.confirm(&format!("Every process must have the key {key} from now on. Rekey?"))?;
        context.writing("rekey")?;
        seal_all(context, key, &uses)
    }
}

fn seal_all(context: &Context, key: KeyId, uses: &[KeyUse]) -> Result<()> {
    let due = |one: &&KeyUse| one.is_available && one.key.as_ref() != Some(&key);
    // On standard error, and hidden if that is no terminal.
    let bar = ProgressBar::new(uses.iter().filter(due).map(both).sum());
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} hashes, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let (mut hashes, mut totp_secrets, mut damaged) = (0, 0, 0);
    loop {
        let report = context.store.rekey(HASHES_PER_WRITE)?;
        hashes += report.hashes;
        totp_secrets += report.totp_secrets;
        damaged += report.damaged;
        bar.inc((report.hashes + report.totp_secrets + report.damaged) as u64);
        if report.is_complete {
            break;
        }
    }
    bar.abandon();
    warn_of_the_rest(&context.store.key_use()?, damaged);
    let record = json!({
        "key": key, "hashes": hashes, "totp_secrets": totp_secrets, "damaged": damaged,
    });
    let secrets = match totp_secrets {
        0 => String::new(),
        count => format!(" and {count} secrets of second factors"),
    };
    context.output.done(&format!("sealed {hashes} hashes{secrets} under {key}"), &record)
}

/// The password hashes and the secrets of second factors.
fn both(one: &KeyUse) -> u64 {
    one.hashes + one.totp_secrets
}

/// What a rekey cannot seal.
fn warn_of_the_rest(uses: &[KeyUse], damaged: usize) {
    if damaged > 0 {
        note(&format!("{damaged} hashes are damaged. Their users need new passwords."));
    }
    let lost: u64 = uses.iter().filter(|one| !one.is_available).map(both).sum();
    if lost > 0 {
        note(&format!(
            "{lost} hashes are sealed under a key that was not given. Give it as a second \
             --key-file; if it is lost, their users need new passwords."
        ));
    }
}
