//! Second factors of users.

use clap::Subcommand;
use serde_json::json;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::names;

#[derive(Debug, Subcommand)]
pub(crate) enum Factor {
    /// Show the second factor of a user, without its secret
    #[command(after_help = "Example: gatepost factor show ada")]
    Show {
        /// The user, by username or id
        user: String,
    },
    /// Remove the second factor of a user who has lost it, and revoke the user's sessions
    ///
    /// Find out first who is asking: until the user enrols again, the password is the only factor.
    #[command(after_help = "Example: gatepost factor reset ada --yes")]
    Reset {
        /// The user, by username or id
        user: String,
    },
}

impl Factor {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let none = || Failure::not_found("the user has no second factor");
        match self {
            Self::Show { user } => {
                let user = names::user(&context.store, &user)?;
                let factor = context.store.second_factors().info(user.id)?;
                context.output.record(&factor.ok_or_else(none)?)
            }
            Self::Reset { user } => {
                let user = names::user(&context.store, &user)?;
                let name = &user.username;
                context.confirm(&format!("Remove the second factor of {name}?"))?;
                if !context.writing("factor.reset")?.second_factors().reset(user.id)? {
                    return Err(none());
                }
                let record = json!({ "reset_of": user.id });
                context.output.done(&format!("removed the second factor of {name}"), &record)
            }
        }
    }
}
