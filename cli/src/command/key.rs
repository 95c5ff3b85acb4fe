//! API keys.

use std::time::Duration;

use clap::{ArgGroup, Subcommand};
use gatepost::ApiKeyId;
use gatepost::sessions::{IssuedApiKey, NewApiKey};
use serde_json::json;

use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
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
        /// What the key is for
        #[arg(long)]
        label: Option<String>,
        /// How long the key is valid, such as 90d; without end if it is left out
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        lifetime: Option<Duration>,
        /// A privilege that the key may use; given more than once, each of them; all if left out
        #[arg(long = "scope", value_name = "PRIVILEGE")]
        scopes: Vec<String>,
    },
    /// Make an API key from a session or another key, and print it once
    ///
    /// The new key can do no more than the one it is made from, and ends with it. Standard input
    /// has the token or API key on its first line, and the id of the device of a session on its
    /// second. The exit code is 1 if it is not valid.
    #[command(after_help = "Example: gatepost key attenuate --scope reports.read < key.txt")]
    Attenuate {
        /// What the key is for
        #[arg(long)]
        label: Option<String>,
        /// How long the key is valid, such as 1h; as long as its parent if it is left out
        #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
        lifetime: Option<Duration>,
        /// A privilege that the key may use; given more than once, each of them; those of its
        /// parent if left out
        #[arg(long = "scope", value_name = "PRIVILEGE")]
        scopes: Vec<String>,
    },
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

impl Key {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        match self {
            Self::Issue { user, label, lifetime, scopes } => {
                let user = names::user(&context.store, &user)?;
                let new = new_key(label, lifetime, scopes);
                let issued = context.writing("key.issue")?.api_keys().issue(user.id, new)?;
                print(context, &issued)
            }
            Self::Attenuate { label, lifetime, scopes } => {
                let (token, device) = prompt::token_of_stdin()?;
                let store = &context.store;
                let parent = store.verify((token.as_str(), device.as_ref()))?.valid();
                let parent = parent
                    .map_err(|no| Failure::new(Exit::No, no.to_string(), "Sign in again."))?;
                let new = new_key(label, lifetime, scopes);
                let issued =
                    context.writing("key.attenuate")?.api_keys().attenuate(&parent, new)?;
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

fn new_key(label: Option<String>, lifetime: Option<Duration>, scopes: Vec<String>) -> NewApiKey {
    let mut new = NewApiKey::new();
    if let Some(label) = label {
        new = new.label(label);
    }
    if let Some(lifetime) = lifetime {
        new = new.lifetime(lifetime);
    }
    if scopes.is_empty() { new } else { new.scopes(scopes) }
}

fn print(context: &Context, issued: &IssuedApiKey) -> Result<()> {
    let until = issued.expires_at.map(|at| format!(", valid until {at}")).unwrap_or_default();
    let about = format!("The API key {}{until}. It is shown only now:", issued.id);
    let record = json!({ "id": issued.id, "expires_at": issued.expires_at });
    context.output.secret(&about, "key", &issued.key, record)
}
