//! Second factors of users.

mod enrol;

use clap::{Args, Subcommand};
use gatepost::LoginRefusal;
use gatepost::policy::SecondFactorPolicy;
use gatepost::second_factors::FactorCode;
use serde_json::json;

use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::{names, prompt};

#[derive(Debug, Subcommand)]
pub(crate) enum Factor {
    /// Show the second factor of a user, without its secret
    #[command(after_help = "Example: gatepost factor show ada")]
    Show(Named),
    /// Enrol an authenticator for a user who is at this terminal, and print the recovery codes once
    ///
    /// Shows the secret as a QR code and asks for two codes. The other sessions of the user are
    /// revoked.
    #[command(after_help = "Example: gatepost factor enrol ada --key-file auth.key")]
    Enrol(Named),
    /// Print ten new recovery codes once; asks for the password and a code, and the old ones end
    #[command(after_help = "Example: gatepost factor recovery-codes ada --key-file auth.key")]
    RecoveryCodes(Named),
    /// Remove the second factor of a user who has lost it, and revoke the user's sessions
    ///
    /// Find out first who is asking: until the user enrols again, the password is the only factor.
    #[command(after_help = "Example: gatepost factor reset ada --yes")]
    Reset(Named),
    /// Show who must have a second factor, or set it: from the next login on
    ///
    /// Programs that have the file open follow at once. A program that is started later opens the
    /// file only if its own option `second_factor` has the same value.
    #[command(after_help = "Example: gatepost factor policy administrators")]
    Policy {
        /// optional, administrators or all; shows which it is if it is left out
        #[arg(value_parser = policy)]
        who: Option<SecondFactorPolicy>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The user, by username or id
    user: String,
}

fn policy(text: &str) -> std::result::Result<SecondFactorPolicy, String> {
    SecondFactorPolicy::parse(text)
        .ok_or_else(|| "it is optional, administrators or all".to_owned())
}

impl Factor {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        match self {
            Self::Show(named) => {
                let user = names::user(&context.store, &named.user)?;
                let factor = context.store.second_factors().info(user.id)?;
                context.output.record(&factor.ok_or_else(no_factor)?)
            }
            Self::Enrol(named) => enrol::enrol(context, &named.user),
            Self::RecoveryCodes(named) => enrol::reissue(context, &named.user),
            Self::Reset(named) => reset(context, &named.user),
            Self::Policy { who } => {
                let who = match who {
                    Some(who) => {
                        let store = context.writing("factor.policy")?;
                        store.change_options(|options| options.second_factor(who))?;
                        who
                    }
                    None => context.store.second_factors().policy()?,
                };
                let name = who.as_str();
                let sentence = format!("a second factor is for: {name}");
                context.output.done(&sentence, &json!({ "second_factor": name }))
            }
        }
    }
}

fn reset(context: &Context, user: &str) -> Result<()> {
    let user = names::user(&context.store, user)?;
    let name = &user.username;
    context.confirm(&format!("Remove the second factor of {name}?"))?;
    if !context.writing("factor.reset")?.second_factors().reset(user.id)? {
        return Err(no_factor());
    }
    let record = json!({ "reset_of": user.id });
    context.output.done(&format!("removed the second factor of {name}"), &record)
}

fn no_factor() -> Failure {
    Failure::not_found("the user has no second factor")
}

/// A refusal that a wait ends is worth another try.
fn refused(refusal: LoginRefusal) -> Failure {
    Failure::new(
        if refusal.retry_after().is_some() { Exit::Busy } else { Exit::Refused },
        refusal.to_string(),
        "The second factor is as it was. The attempt may count as a failed one, and an older \
         session or device of the user may have made way for that of this command.",
    )
}

/// A code that the person at the terminal types.
fn code(question: &str) -> Result<FactorCode> {
    prompt::line(question).map(|typed| FactorCode::new(typed.to_string()))
}
