//! Configuration in four scopes.

use clap::{ArgAction, Subcommand};
use gatepost::configuration::Setting;
use serde_json::json;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::names::{self, Scope};

const COLUMNS: &[&str] = &["key", "value", "scope", "is_public"];

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Show the value of a key in one scope
    #[command(after_help = "Example: gatepost config get pageSize --branch York")]
    Get {
        /// The key, in any case
        key: String,
        #[command(flatten)]
        scope: Scope,
        /// The value in force, for --user or for no user: the narrowest scope that has one
        #[arg(long, conflicts_with_all = ["branch", "organisation"])]
        in_force: bool,
    },
    /// Set the value of a key in one scope
    #[command(after_help = "Example: gatepost config set pageSize 50 --organisation Northern")]
    Set {
        /// The key
        key: String,
        /// The value
        value: String,
        #[command(flatten)]
        scope: Scope,
    },
    /// List the keys and values of one scope
    #[command(after_help = "Example: gatepost config list --user ada --in-force")]
    List {
        #[command(flatten)]
        scope: Scope,
        /// The values in force, for --user or for no user
        #[arg(long, conflicts_with_all = ["branch", "organisation"])]
        in_force: bool,
    },
    /// Remove the value of a key in one scope, so that the next wider one is in force
    #[command(after_help = "Example: gatepost config unset pageSize --branch York")]
    Unset {
        /// The key, in any case
        key: String,
        #[command(flatten)]
        scope: Scope,
    },
    /// Say whether clients may see a key, in all its scopes
    #[command(after_help = "Example: gatepost config public pageSize true")]
    Public {
        /// The key, in any case
        key: String,
        /// Whether clients may see it
        #[arg(action = ArgAction::Set)]
        public: bool,
    },
}

impl Config {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let configuration = context.store.configuration();
        match self {
            Self::Get { key, scope, in_force } => {
                let found = if in_force {
                    configuration.effective(user(context, &scope)?, &key)?
                } else {
                    configuration.get(scope.subtree(&context.store)?, &key)?
                };
                print(context, found, &key)
            }
            Self::Set { key, value, scope } => {
                let scope = scope.subtree(&context.store)?;
                let store = context.writing("config.set")?;
                context.output.record(&store.configuration().set(scope, &key, &value)?)
            }
            Self::List { scope, in_force: true } => {
                let settings = configuration.effective_all(user(context, &scope)?)?;
                context.output.list(COLUMNS, settings.iter().map(Ok))
            }
            Self::List { scope, in_force: false } => {
                let scope = scope.subtree(&context.store)?;
                context.output.list(COLUMNS, configuration.iter(scope))
            }
            Self::Unset { key, scope } => {
                let scope = scope.subtree(&context.store)?;
                let store = context.writing("config.unset")?;
                if !store.configuration().remove(scope, &key)? {
                    return Err(no_value(&key));
                }
                context.output.done("removed", &json!({ "key": key, "removed": true }))
            }
            Self::Public { key, public } => {
                context.writing("config.public")?.configuration().set_public(&key, public)?;
                let sentence = if public { "clients may see it" } else { "clients do not see it" };
                context.output.done(sentence, &json!({ "key": key, "is_public": public }))
            }
        }
    }
}

fn user(context: &Context, scope: &Scope) -> Result<Option<gatepost::UserId>> {
    let user = scope.user.as_deref().map(|name| names::user(&context.store, name));
    Ok(user.transpose()?.map(|user| user.id))
}

fn print(context: &Context, found: Option<Setting>, key: &str) -> Result<()> {
    match found {
        Some(setting) => context.output.record(&setting),
        None => Err(no_value(key)),
    }
}

fn no_value(key: &str) -> Failure {
    Failure::not_found(format!("the key {key} has no value in this scope"))
}
