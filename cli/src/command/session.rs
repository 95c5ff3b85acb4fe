//! Sessions.

use clap::{Args, Subcommand};
use gatepost::sessions::{SessionFilter, SessionInfo};
use gatepost::{Ended, SessionId, Subtree};
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::names::{self, Scope};

const COLUMNS: &[&str] =
    &["id", "username", "label", "opened_at", "last_seen_at", "expires_at", "client_info"];

#[derive(Debug, Subcommand)]
pub(crate) enum Session {
    /// List the sessions that are valid: who is logged in
    #[command(after_help = "Example: gatepost session list --branch York")]
    List {
        #[command(flatten)]
        under: Scope,
    },
    /// Show one session
    #[command(after_help = "Example: gatepost session show 0198c0de-0000-7000-8000-000000000001")]
    Show {
        /// Its id
        session: SessionId,
    },
    /// Revoke one session, or all of a user, a branch, an organisation or the store
    #[command(after_help = "Example: gatepost session revoke --user ada --yes")]
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The id of one session
    #[arg(conflicts_with_all = ["Scope", "all"], required_unless_present_any = ["Scope", "all"])]
    session: Option<SessionId>,

    #[command(flatten)]
    under: Scope,

    /// All sessions of the store
    #[arg(long, conflicts_with = "Scope")]
    all: bool,
}

impl Session {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        match self {
            Self::List { under } => list(context, &under),
            Self::Show { session } => match context.store.sessions().find(session)? {
                Some(found) => context.output.record(&found),
                None => Err(Failure::not_found("there is no valid session of this id")),
            },
            Self::Revoke(Revoke { session: Some(session), .. }) => {
                let ended = context.writing("session.revoke")?.sessions().revoke(session)?;
                let (sentence, word) = match ended {
                    Ended::Now => ("revoked", "now"),
                    Ended::Before => ("the session had ended before", "before"),
                };
                context.output.done(sentence, &json!({ "session": session, "ended": word }))
            }
            Self::Revoke(Revoke { under, .. }) => revoke_all(context, &under),
        }
    }
}

/// A session with the name of its user, so that no second list is needed to read it.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    session: SessionInfo,
    username: Option<String>,
}

fn list(context: &Context, under: &Scope) -> Result<()> {
    let filter = SessionFilter::new().under(under.subtree(&context.store)?);
    let rows = context.store.sessions().iter(&filter).map(|session| {
        let session = session?;
        let user = context.store.users().find(session.user)?;
        Ok(Row { session, username: user.map(|user| user.username) })
    });
    context.output.list(COLUMNS, rows)
}

fn revoke_all(context: &Context, under: &Scope) -> Result<()> {
    let subtree = under.subtree(&context.store)?;
    let whose = match subtree {
        Subtree::Store => "of the store".to_owned(),
        Subtree::Organisation(_) => {
            format!("of the organisation {}", under.organisation.as_deref().unwrap_or_default())
        }
        Subtree::Branch(_) => {
            format!("of the branch {}", under.branch.as_deref().unwrap_or_default())
        }
        Subtree::User(id) => {
            let user = names::user(&context.store, &id.to_string())?;
            format!("of the user {}", user.username)
        }
    };
    context.confirm(&format!("Revoke all sessions {whose}?"))?;
    context.writing("session.revoke-all")?.sessions().revoke_all(subtree)?;
    let record = json!({ "revoked": subtree });
    context.output.done(&format!("revoked all sessions {whose}"), &record)
}
