//! Why a token, a session, an API key or a login is refused, and which row of the log is behind it.

use clap::{ArgGroup, Args};
use gatepost::status::{AuditEvidence, Explanation, RefusalCause};
use gatepost::{ApiKeyId, Credential, SessionId};

use crate::context::Context;
use crate::failure::Result;
use crate::output::{lock_end, rfc_3339};
use crate::{names, prompt};

const COLUMNS: &[&str] =
    &["seq", "at", "event", "actor", "user", "session", "api_key", "reason", "detail"];

/// Say why a token, a session, an API key or a login is refused, and show the row of the audit log
/// behind it
///
/// Without an argument, standard input has the token or API key on its first line, and the id of
/// the device that it was presented with, if there was one, on its second. Nothing counts as used.
/// The answer is for operators: it says more than a client may learn.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: gatepost explain < token.txt",
    group(ArgGroup::new("what").args(["session", "key", "user"]))
)]
pub(crate) struct Explain {
    /// The session with this id
    #[arg(long, value_name = "ID")]
    session: Option<SessionId>,

    /// The API key with this id
    #[arg(long, value_name = "ID")]
    key: Option<ApiKeyId>,

    /// A login of this user, by username or id; a deleted user by id
    #[arg(long)]
    user: Option<String>,
}

impl Explain {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let store = &context.store;
        let explanation = match self {
            Self { session: Some(id), .. } => store.explain_credential(Credential::Session(id))?,
            Self { key: Some(id), .. } => store.explain_credential(Credential::ApiKey(id))?,
            Self { user: Some(name), .. } => {
                let id = match name.parse() {
                    Ok(id) => id,
                    Err(_) => names::user(store, &name)?.id,
                };
                store.explain_user(id)?
            }
            Self { .. } => {
                let (token, device) = prompt::token_of_stdin()?;
                store.explain((token.as_str(), device.as_ref()))?
            }
        };
        print(context, &explanation)
    }
}

fn print(context: &Context, explanation: &Explanation) -> Result<()> {
    context.output.done(&sentence(explanation), explanation)?;
    match explanation.evidence.row() {
        Some(row) if !context.output.json => {
            context.output.list(COLUMNS, std::iter::once(Ok(row)))
        }
        _ => Ok(()),
    }
}

fn sentence(explanation: &Explanation) -> String {
    let cause = match explanation.cause {
        RefusalCause::Accepted => "it is not refused now",
        RefusalCause::Malformed => "the text is not a token of a session or an API key",
        RefusalCause::Unknown => "neither the file nor the log knows it",
        RefusalCause::WrongToken => "the session or key exists, and this is not its token",
        RefusalCause::Superseded => "the session got a new token since",
        RefusalCause::WrongDevice => "it was presented with another device than its own",
        RefusalCause::Expired => "its lifetime has passed",
        RefusalCause::Inactive => "its inactivity timeout has passed",
        RefusalCause::Over => "its time was over, and its row was deleted since",
        RefusalCause::Revoked => "it was revoked",
        RefusalCause::Replaced => "another session or key took its place",
        RefusalCause::Denied => "a revocation of it waits for room on the disk",
        RefusalCause::Clock => "it was opened or used in the future: a clock is or was wrong",
        RefusalCause::UserLocked => "an administrator locked the user",
        RefusalCause::UserDisabled => "the user is disabled",
        RefusalCause::UserPending => "the user is pending",
        RefusalCause::UserDeleted => "the user was deleted",
        RefusalCause::BranchInactive => "the user's branch is not active",
        RefusalCause::OrganisationInactive => "the organisation is not active",
        RefusalCause::LockedOut => "too many attempts failed",
        RefusalCause::KeyMissing => "the password is sealed under a key that is missing",
        RefusalCause::PasswordCompromised => "the password is marked as compromised",
        RefusalCause::NoPassword => "the user has no password",
        RefusalCause::NewPasswordRequired => "the user must choose a new password",
        other => other.as_str(),
    };
    let at = match (explanation.at, explanation.cause) {
        (Some(at), RefusalCause::LockedOut) => format!(" (until {})", lock_end(at)),
        (Some(at), _) => format!(" ({})", rfc_3339(at)),
        (None, _) => String::new(),
    };
    let through = match explanation.through {
        Some(Credential::Session(id)) => format!("; this is about the session {id}, its parent"),
        Some(Credential::ApiKey(id)) => format!("; this is about the API key {id}, its parent"),
        None => String::new(),
    };
    let trimmed = match explanation.evidence {
        AuditEvidence::Trimmed => "; the log was trimmed, so the row cannot be named",
        _ => "",
    };
    format!("{cause}{at}{through}{trimmed}")
}
