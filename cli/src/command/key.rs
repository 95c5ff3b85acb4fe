//! API keys.

use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use gatepost::ApiKeyId;
use gatepost::sessions::{IssuedApiKey, NewApiKey};
use serde_json::json;

use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::output::rfc_3339;
use crate::{names, prompt};

const COLUMNS: &[&str] =
    &["id", "label", "parent", "scopes", "issued_at", "expires_at", "last_used_at"];

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Issue an API key, and print it once
    #[command(after_help = "Example: gatepost key issue importer --label 'night run' \
                      --scope reports.read")]
    Issue {
        /// The user whose key it is, by username or id
        user: String,
        #[command(flatten)]
        new: New,
    },
    /// Make an API key from a session or another key, and print it once
    ///
    /// The new key can do no more than the one it is made from, and ends with it. Standard input
    /// has the token or API key on its first line, and the id of the device of a session on its
    /// second. The exit code is 1 if it is not valid.
    #[command(after_help = "Example: gatepost key attenuate --scope reports.read < key.txt")]
    Attenuate(New),
    /// List the API keys of a user
    #[command(after_help = "Example: gatepost key list importer")]
    List {
        /// The user, by username or id
        user: String,
    },
    /// Issue a key in place of another, and print it once
    #[command(after_help = "Example: gatepost key rotate \
                      0198c0de-0000-7000-8000-000000000001 --overlap 1h")]
    Rotate {
        /// The id of the old key
        key: ApiKeyId,
        /// How long the old key stays valid, such as 1h; it is revoked at once if left out
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        overlap: Option<Duration>,
    },
    /// Revoke one API key, or all keys of a user
    #[command(
        after_help = "Example: gatepost key revoke --user importer --yes",
        group(ArgGroup::new("which").args(["key", "user"]).required(true))
    )]
    Revoke {
        /// The id of the key
        key: Option<ApiKeyId>,
        /// All keys of this user, by username or id
        #[arg(long)]
        user: Option<String>,
    },
}

/// What `issue` and `attenuate` say of the new key.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// What the key is for
    #[arg(long)]
    label: Option<String>,
    /// How long the key is valid, such as 90d; if it is left out, as long as what it is made from,
    /// or without end
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    lifetime: Option<Duration>,
    /// A privilege that the key may use; given more than once, each of them; if it is left out, all
    /// of the user or of what it is made from
    #[arg(long = "scope", value_name = "PRIVILEGE")]
    scopes: Vec<String>,
}

impl Key {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        match self {
            Self::Issue { user, new } => {
                let user = names::user(&context.store, &user)?;
                let store = context.writing("key.issue")?;
                let issued = store.api_keys().issue(user.id, new.into())?;
                print(context, &issued)
            }
            Self::Attenuate(new) => {
                let (token, device) = prompt::token_of_stdin()?;
                let store = &context.store;
                let parent = store.verify((token.as_str(), device.as_ref()))?.valid();
                let parent = parent
                    .map_err(|no| Failure::new(Exit::No, no.to_string(), "Sign in again."))?;
                let store = context.writing("key.attenuate")?;
                let issued = store.api_keys().attenuate(&parent, new.into())?;
                print(context, &issued)
            }
            Self::List { user } => {
                let user = names::user(&context.store, &user)?;
                let keys = context.store.api_keys().list(user.id)?;
                context.output.list(COLUMNS, keys.into_iter().map(Ok))
            }
            Self::Rotate { key, overlap } => {
                let overlap = overlap.unwrap_or(Duration::ZERO);
                if overlap.is_zero() {
                    context.confirm("Revoke the old key at once?")?;
                }
                let issued = context.writing("key.rotate")?.api_keys().rotate(key, overlap)?;
                print(context, &issued)
            }
            Self::Revoke { key: Some(key), .. } => {
                context.confirm("Revoke the API key?")?;
                context.writing("key.revoke")?.api_keys().revoke(key)?;
                context.output.done("revoked", &json!({ "revoked": key }))
            }
            Self::Revoke { user, .. } => {
                let user = names::user(&context.store, &user.unwrap_or_default())?;
                let name = &user.username;
                context.confirm(&format!("Revoke all API keys of {name}?"))?;
                context.writing("key.revoke-all")?.api_keys().revoke_all(user.id)?;
                let record = json!({ "revoked_of": user.id });
                context.output.done(&format!("revoked all API keys of {name}"), &record)
            }
        }
    }
}

impl From<New> for NewApiKey {
    fn from(said: New) -> Self {
        let mut new = Self::new();
        if let Some(label) = said.label {
            new = new.label(label);
        }
        if let Some(lifetime) = said.lifetime {
            new = new.lifetime(lifetime);
        }
        if said.scopes.is_empty() { new } else { new.scopes(said.scopes) }
    }
}

fn print(context: &Context, issued: &IssuedApiKey) -> Result<()> {
    let until = issued.expires_at.map(|at| format!(", valid until {}", rfc_3339(at)));
    let until = until.unwrap_or_default();
    let about = format!("The API key {}{until}. It is shown only now:", issued.id);
    let record = json!({ "id": issued.id, "expires_at": issued.expires_at });
    context.output.secret(&about, "key", &issued.key, record).map_err(|error| {
        let id = issued.id;
        Failure::not_shown(
            &format!("the API key {id} was issued"),
            &error,
            format!(
                "Issue another in its place: gatepost key rotate {id} --yes; or revoke it: \
                 gatepost key revoke {id} --yes"
            ),
        )
    })
}
