//! One-time tokens for a user.

use std::time::Duration;

use clap::Args;
use gatepost::sessions::NewOneTimeToken;
use serde_json::json;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::names;

#[derive(Debug, Args)]
pub(crate) struct Issue {
    /// The user, by username or id
    user: String,

    /// How long the token is valid, such as 30m
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    lifetime: Option<Duration>,
}

impl Issue {
    /// Issues the token, and prints it once.
    pub(crate) fn run(self, context: &Context, command: &str, new: NewOneTimeToken) -> Result<()> {
        let user = names::user(&context.store, &self.user)?;
        let new = self.lifetime.map_or(new, |lifetime| new.lifetime(lifetime));
        let issued = context.writing(command)?.one_time_tokens().issue(user.id, new)?;
        let about = format!(
            "The token for {} is valid until {}. It is shown only now:",
            user.username, issued.expires_at
        );
        let record = json!({ "id": issued.id, "expires_at": issued.expires_at });
        context.output.secret(&about, "token", &issued.token, record).map_err(|error| {
            Failure::not_shown(
                &format!("the token {} was issued for {}", issued.id, user.username),
                &error,
                format!(
                    "Run it again: the next token ends this one; or revoke it: gatepost token \
                     revoke {} --yes",
                    user.id
                ),
            )
        })
    }
}
