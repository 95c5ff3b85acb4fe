//! Devices on which users have logged in.

use clap::Subcommand;
use gatepost::DeviceId;
use serde_json::json;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::{names, prompt};

const COLUMNS: &[&str] = &["handle", "first_login_at", "last_login_at", "trusted_until"];

#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// List the devices of a user, at most 100
    #[command(after_help = "Example: gatepost device list ada")]
    List {
        /// The user, by username or id
        user: String,
    },
    /// Forget a device of a user, and revoke the session on it
    ///
    /// Without --handle, the id of the device is read from standard input: it is half of a
    /// credential, and no argument.
    #[command(after_help = "Example: gatepost device forget ada --handle 3f09c1d2")]
    Forget {
        /// The user, by username or id
        user: String,
        /// The handle of the device in the list
        #[arg(long)]
        handle: Option<String>,
    },
    /// End the trust of all devices of a user: each login needs the second factor again
    #[command(after_help = "Example: gatepost device revoke-trust ada")]
    RevokeTrust {
        /// The user, by username or id
        user: String,
    },
}

impl Device {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        match self {
            Self::List { user } => {
                let user = names::user(&context.store, &user)?;
                let devices = context.store.devices().list(user.id)?;
                context.output.list(COLUMNS, devices.into_iter().map(Ok))
            }
            Self::Forget { user, handle } => {
                let user = names::user(&context.store, &user)?.id;
                let forgotten = match handle {
                    Some(handle) => {
                        let store = context.writing("device.forget")?;
                        store.devices().forget_listed(user, &handle)?
                    }
                    None => {
                        let device = DeviceId::new(&prompt::secret_of_stdin("device id")?)?;
                        context.writing("device.forget")?.devices().forget(user, &device)?
                    }
                };
                if !forgotten {
                    return Err(Failure::not_found("the user has not logged in on this device"));
                }
                let record = json!({ "user": user, "forgotten": true });
                context.output.done("forgotten", &record)
            }
            Self::RevokeTrust { user } => {
                let user = names::user(&context.store, &user)?;
                let store = context.writing("device.revoke-trust")?;
                let revoked = store.devices().revoke_trust(user.id)?;
                let sentence = match revoked {
                    true => format!("no device of {} is trusted any more", user.username),
                    false => format!("{} had no trusted device", user.username),
                };
                let record = json!({ "user": user.id, "trust_revoked": revoked });
                context.output.done(&sentence, &record)
            }
        }
    }
}
