//! Tokens of sessions, API keys, and the one-time tokens of users.

use clap::Subcommand;
use serde_json::json;

use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::output::note;
use crate::{names, prompt};

const COLUMNS: &[&str] = &["id", "purpose", "issued_at", "expires_at"];

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Show the identity behind a token, if it is valid
    ///
    /// Standard input has the token or API key on its first line, and the id of the device that it
    /// was issued for, if there is one, on its second. The exit code is 1 if the token is not
    /// valid. A token that is valid counts as used.
    #[command(after_help = "Example: gatepost token verify < token.txt")]
    Verify,
    /// Issue the token with which the first administrator is created
    ///
    /// The token is printed once, alone on standard output, and is valid for 24 hours. A program
    /// that accepts it creates the administrator with a username and a password. It is refused once
    /// any user has the privilege admin.
    #[command(after_help = "Example: gatepost token first-administrator")]
    FirstAdministrator,
    /// List the valid one-time tokens of a user
    #[command(after_help = "Example: gatepost token list ada")]
    List {
        /// The user, by username or id
        user: String,
    },
    /// Revoke all one-time tokens of a user
    #[command(after_help = "Example: gatepost token revoke ada --yes")]
    Revoke {
        /// The user, by username or id
        user: String,
    },
}

impl Token {
    pub(crate) fn run(self, context: &Context) -> Result<Exit> {
        match self {
            Self::Verify => return verify(context),
            Self::FirstAdministrator => {
                let store = context.writing("token.first_administrator")?;
                let issued = store.one_time_tokens().issue_first_administrator()?;
                let about = format!(
                    "The token of the first administrator is valid until {}. It is shown only now:",
                    issued.expires_at
                );
                let record = json!({ "id": issued.id, "expires_at": issued.expires_at });
                context.output.secret(&about, "token", &issued.token, record).map_err(
                    |error| {
                        let advice = "Run it again: the next token ends this one.".to_owned();
                        let issued = format!("the token {} was issued", issued.id);
                        Failure::not_shown(&issued, &error, advice)
                    },
                )?;
            }
            Self::List { user } => {
                let user = names::user(&context.store, &user)?;
                let tokens = context.store.one_time_tokens().list(user.id)?;
                context.output.list(COLUMNS, tokens.into_iter().map(Ok))?;
            }
            Self::Revoke { user } => {
                let user = names::user(&context.store, &user)?;
                let name = &user.username;
                context.confirm(&format!("Revoke all one-time tokens of {name}?"))?;
                context.writing("token.revoke")?.one_time_tokens().revoke_all(user.id)?;
                let record = json!({ "revoked_of": user.id });
                let sentence = format!("revoked all one-time tokens of {name}");
                context.output.done(&sentence, &record)?;
            }
        }
        Ok(Exit::Done)
    }
}

fn verify(context: &Context) -> Result<Exit> {
    let (token, device) = prompt::token_of_stdin()?;
    match context.store.verify((token.as_str(), device.as_ref()))?.valid() {
        Ok(principal) => context.output.record(&principal).map(|()| Exit::Done),
        Err(invalid) => {
            note(&format!("gatepost: {invalid}"));
            Ok(Exit::No)
        }
    }
}
