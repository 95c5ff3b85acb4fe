//! Changes of a user that logins depend on.

use clap::{ArgGroup, Args};
use gatepost::directory::UserStatus;
use gatepost::sessions::RevokeSessions;
use gatepost::{Error, ErrorKind};
use serde_json::json;

use super::Named;
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, note};
use crate::{names, prompt};

#[derive(Debug, Args)]
pub(crate) struct SetPassword {
    /// The user, by username or id
    user: String,

    /// Read the password from standard input, instead of asking for it at the terminal
    #[arg(long)]
    password_stdin: bool,
}

impl SetPassword {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let user = names::user(&context.store, &self.user)?;
        let password = prompt::new_password(self.password_stdin)?;
        let set = context.writing("user.set-password")?.users().set_password(user.id, password);
        let advice = format!(
            "Issue a one-time token, which such a program accepts: gatepost user reset {}",
            user.id
        );
        set.map_err(|error| explain_breach_check(error, &advice))?;
        let sentence = format!("set the password of {} and revoked all sessions", user.username);
        context.output.done(&sentence, &json!({ "user": user.id, "password": "set" }))
    }
}

/// A program that has no breach check may set no password where one is in use.
pub(super) fn explain_breach_check(error: Error, advice: &str) -> Failure {
    if error.kind() != ErrorKind::Misuse {
        return error.into();
    }
    Failure::new(
        Exit::Refused,
        "the file says that a breach check is in use, and this command has none",
        advice,
    )
}

pub(crate) fn remove_password(context: &Context, named: &Named) -> Result<()> {
    let user = named.find(context)?;
    let name = &user.username;
    context.confirm(&format!("Remove the password of {name}, and revoke all sessions?"))?;
    let store = context.writing("user.remove-password")?;
    let removed = store.users().remove_password(user.id)?;
    let sentence = match removed {
        true => format!("removed the password of {name}"),
        false => format!("{name} had no password"),
    };
    context.output.done(&sentence, &json!({ "user": user.id, "removed": removed }))
}

#[derive(Debug, Args)]
pub(crate) struct RequireChange {
    /// The user, by username or id
    user: String,

    /// Revoke all sessions of the user as well
    #[arg(long)]
    revoke_sessions: bool,
}

impl RequireChange {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let id = names::user(&context.store, &self.user)?.id;
        let sessions =
            if self.revoke_sessions { RevokeSessions::All } else { RevokeSessions::Keep };
        let store = context.writing("user.require-change")?;
        store.users().require_password_change(id, sessions)?;
        show(context, id)
    }
}

pub(crate) fn mark_compromised(context: &Context, named: &Named) -> Result<()> {
    let user = named.find(context)?;
    let name = &user.username;
    context.confirm(&format!("Refuse the password of {name}, and revoke all sessions?"))?;
    context.writing("user.compromised")?.users().mark_compromised(user.id)?;
    let sentence = format!("marked the password of {name} as compromised");
    context.output.done(&sentence, &json!({ "user": user.id, "password": "compromised" }))
}

pub(crate) fn set_status(
    context: &Context,
    named: &Named,
    command: &str,
    status: UserStatus,
) -> Result<()> {
    let id = named.find(context)?.id;
    context.output.record(&context.writing(command)?.users().set_status(id, status)?)
}

/// Activates a locked account; one that is disabled or pending stays so.
pub(crate) fn unlock(context: &Context, named: &Named) -> Result<()> {
    let id = named.find(context)?.id;
    let users = context.writing("user.unlock")?.users();
    users.unlock(id)?;
    context.output.record(&users.activate_locked(id)?)
}

#[derive(Debug, Args)]
pub(crate) struct Confirm {
    /// The user, by username or id
    user: String,

    /// The first time, remove the password too: another person may have chosen it
    #[arg(long)]
    remove_password: bool,
}

impl Confirm {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let user = names::user(&context.store, &self.user)?;
        if user.confirmed_at.is_none() {
            let name = &user.username;
            let password = if self.remove_password { ", and removes the password" } else { "" };
            context.confirm(&format!(
                "Confirm {name} for the first time? It revokes all sessions and API keys of the \
                 user{password}."
            ))?;
        }
        let store = context.writing("user.confirm")?;
        let confirmed = match self.remove_password {
            true => store.users().confirm_and_remove_password(user.id),
            false => store.users().confirm(user.id),
        };
        context.output.record(&confirmed?)
    }
}

pub(crate) fn delete(context: &Context, named: &Named) -> Result<()> {
    let user = named.find(context)?;
    let name = &user.username;
    context.confirm(&format!("Delete the user {name}, and revoke all sessions and API keys?"))?;
    context.writing("user.delete")?.users().delete(user.id)?;
    let sentence = format!("deleted {name}; to undo it: gatepost user restore {}", user.id);
    context.output.done(&sentence, &json!({ "user": user.id, "deleted": true }))
}

pub(crate) fn export(context: &Context, named: &Named) -> Result<()> {
    let user = match named.find(context) {
        Err(missing) if missing.exit() == Exit::NotFound => {
            let deleted = names::deleted_user(&context.store, &named.user);
            deleted.map_err(|error| match error.exit() {
                Exit::NotFound => missing,
                _ => error,
            })?
        }
        found => found?,
    };
    let data = context.store.users().personal_data(user.id)?;
    Output { json: true }.record(&data)
}

pub(crate) fn erase(context: &Context, named: &Named) -> Result<()> {
    let user = names::deleted_user(&context.store, &named.user)?;
    let name = &user.username;
    context.confirm(&format!("Erase everything about {name}? It cannot be undone."))?;
    let report = context.writing("user.erase")?.users().erase(user.id)?;
    if !report.is_log_emptied {
        note(
            "Another program reads the write-ahead log, so older pages are still in it. It is \
             emptied when the last program closes the file.",
        );
    }
    let sentence = format!("erased {}, and {} rows of the log", user.id, report.audit_rows);
    context.output.done(&sentence, &json!({ "user": user.id, "erased": report }))
}

pub(crate) fn restore(context: &Context, named: &Named) -> Result<()> {
    let id = names::deleted_user(&context.store, &named.user)?.id;
    context.output.record(&context.writing("user.restore")?.users().restore(id)?)
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("to").args(["branch", "no_branch"]).required(true)))]
pub(crate) struct Move {
    /// The user, by username or id
    user: String,

    /// The branch, by name or id
    #[arg(long)]
    branch: Option<String>,

    /// Out of every branch
    #[arg(long)]
    no_branch: bool,
}

impl Move {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let id = names::user(&context.store, &self.user)?.id;
        let branch = self.branch.as_deref().map(|name| names::branch(&context.store, name));
        let branch = branch.transpose()?.map(|branch| branch.id);
        context.output.record(&context.writing("user.move")?.users().move_to(id, branch)?)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Rename {
    /// The user, by username or id
    user: String,

    /// The new username
    username: String,
}

impl Rename {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let id = names::user(&context.store, &self.user)?.id;
        let store = context.writing("user.rename")?;
        context.output.record(&store.users().rename(id, &self.username)?)
    }
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("to").args(["address", "remove"]).required(true)))]
pub(crate) struct Email {
    /// The user, by username or id
    user: String,

    /// The new e-mail address
    address: Option<String>,

    /// Remove the e-mail address
    #[arg(long)]
    remove: bool,
}

impl Email {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let id = names::user(&context.store, &self.user)?.id;
        let store = context.writing("user.email")?;
        context.output.record(&store.users().set_email(id, self.address.as_deref())?)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Privileges {
    /// The user, by username or id
    user: String,

    /// A privilege to grant; may be given more than once
    #[arg(long, value_name = "PRIVILEGE")]
    grant: Vec<String>,

    /// A privilege to withdraw; may be given more than once
    #[arg(long, value_name = "PRIVILEGE")]
    withdraw: Vec<String>,
}

impl Privileges {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let mut user = names::user(&context.store, &self.user)?;
        if !self.grant.is_empty() || !self.withdraw.is_empty() {
            let granted: Vec<&str> = self.grant.iter().map(String::as_str).collect();
            let withdrawn: Vec<&str> = self.withdraw.iter().map(String::as_str).collect();
            let users = context.writing("user.privileges")?.users();
            user = users.change_privileges(user.id, &granted, &withdrawn)?;
        }
        let record = json!({ "user": user.id, "privileges": user.privileges });
        context.output.record(&record)
    }
}

fn show(context: &Context, id: gatepost::UserId) -> Result<()> {
    names::user(&context.store, &id.to_string()).and_then(|user| context.output.record(&user))
}
