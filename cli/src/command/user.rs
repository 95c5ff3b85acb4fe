//! Users.

mod add;
mod administers;
mod change;
mod issue;

use clap::{Args, Subcommand};
use gatepost::directory::{UserFilter, UserKind, UserStatus};
use gatepost::sessions::NewOneTimeToken;

use crate::context::Context;
use crate::failure::Result;
use crate::names;

const COLUMNS: &[&str] =
    &["id", "username", "email", "branch", "status", "kind", "privileges", "last_login_at"];

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Create a user; asks for the password of a person
    #[command(after_help = "Example: gatepost user add ada --email ada@example.com")]
    Add(add::Add),
    /// List the users
    #[command(after_help = "Example: gatepost user list --status locked")]
    List(List),
    /// Show one user
    #[command(after_help = "Example: gatepost user show ada")]
    Show(Named),
    /// Change the names, the description or the attributes of a user
    #[command(after_help = "Example: gatepost user update ada --last-name Lovelace")]
    Update(add::Update),
    /// Set a new password; revokes all sessions of the user
    #[command(after_help = "Example: gatepost user set-password ada")]
    SetPassword(change::SetPassword),
    /// Issue a token with which the user sets a new password, and print it once
    ///
    /// Valid for 1 hour, at most 24. An earlier one of the user ends. The user is an active person.
    #[command(after_help = "Example: gatepost user reset ada")]
    Reset(issue::Issue),
    /// Issue a token with which a pending user sets the first password, and print it once
    ///
    /// Valid for 7 days, at most 30. An earlier one of the user ends. The user becomes active.
    #[command(after_help = "Example: gatepost user invite ben --lifetime 2d")]
    Invite(issue::Issue),
    /// Issue a token that replaces the password at one login, and print it once
    ///
    /// Valid for 24 hours, at most 7 days. An earlier one of the user ends. The login must carry a
    /// new password. The user's own password is valid too until then.
    #[command(after_help = "Example: gatepost user temporary-password ada")]
    TemporaryPassword(issue::Issue),
    /// Issue a token with which the user confirms the e-mail address, and print it once
    ///
    /// Valid for 24 hours, at most 7 days. An earlier one of the user ends, as it does when the
    /// address changes.
    #[command(after_help = "Example: gatepost user email-confirmation ada")]
    EmailConfirmation(issue::Issue),
    /// Remove the password; revokes all sessions of the user
    #[command(after_help = "Example: gatepost user remove-password ada --yes")]
    RemovePassword(Named),
    /// Demand a new password at the next login
    #[command(after_help = "Example: gatepost user require-change ada --revoke-sessions")]
    RequireChange(change::RequireChange),
    /// Mark the password as compromised: no login with it, and all sessions are revoked
    #[command(after_help = "Example: gatepost user compromised ada --yes")]
    Compromised(Named),
    /// Lock the account: revokes all sessions and suspends the API keys
    #[command(after_help = "Example: gatepost user lock ada")]
    Lock(Named),
    /// Unlock the account, and forgive the failed attempts
    #[command(after_help = "Example: gatepost user unlock ada")]
    Unlock(Named),
    /// Disable the account: revokes all sessions and suspends the API keys
    #[command(after_help = "Example: gatepost user disable ada")]
    Disable(Named),
    /// Activate an account that is disabled, pending or locked
    #[command(after_help = "Example: gatepost user enable ada")]
    Enable(Named),
    /// Record that the account is its owner's; the first time revokes its sessions and API keys
    #[command(after_help = "Example: gatepost user confirm ada --yes")]
    Confirm(change::Confirm),
    /// Delete a user: revokes all sessions and API keys, and frees the username
    #[command(after_help = "Example: gatepost user delete ada --yes")]
    Delete(Named),
    /// Print everything that the file has about one user, as JSON
    ///
    /// A deleted user is named by its id, or by the username that it had.
    #[command(after_help = "Example: gatepost user export ada > ada.json")]
    Export(Named),
    /// Erase what the file has about a deleted user, for good
    ///
    /// The id stays, and so do the user's rows of the audit log, without addresses, devices and
    /// texts. Backups and exports are not reached.
    #[command(after_help = "Example: gatepost user erase ada --yes")]
    Erase(Named),
    /// Restore a deleted user, without sessions and API keys
    #[command(after_help = "Example: gatepost user restore ada")]
    Restore(Named),
    /// Move a user to a branch, or out of every branch
    #[command(after_help = "Example: gatepost user move ada --branch York")]
    Move(change::Move),
    /// Give a user another username
    #[command(after_help = "Example: gatepost user rename ada augusta")]
    Rename(change::Rename),
    /// Set or remove the e-mail address
    #[command(after_help = "Example: gatepost user email ada ada@example.com")]
    Email(change::Email),
    /// Show, grant and withdraw privileges, all in one write
    #[command(
        after_help = "Example: gatepost user privileges ada --grant reports.write --withdraw admin"
    )]
    Privileges(change::Privileges),
    /// Show, grant and withdraw the organisations and branches that a user administers
    #[command(after_help = "Example: gatepost user administers ada --branch York")]
    Administers(administers::Administers),
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The user, by username or id
    user: String,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// pending, active, locked or disabled
    #[arg(long, value_parser = names::status)]
    status: Option<UserStatus>,

    /// Only users of this branch, by name or id
    #[arg(long)]
    branch: Option<String>,

    /// Only users of this organisation, by name or id
    #[arg(long)]
    organisation: Option<String>,

    /// person or system
    #[arg(long, value_parser = names::kind)]
    kind: Option<UserKind>,

    /// Only users with this privilege
    #[arg(long)]
    privilege: Option<String>,

    /// Only users whose username, e-mail address or name has this text
    #[arg(long)]
    text: Option<String>,

    /// Deleted users instead
    #[arg(long)]
    deleted: bool,

    /// At most so many users
    #[arg(long)]
    limit: Option<usize>,
}

impl User {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        match self {
            Self::Add(add) => add.run(context),
            Self::List(list) => list.run(context),
            Self::Show(named) => context.output.record(&named.find(context)?),
            Self::Update(update) => update.run(context),
            Self::SetPassword(set) => set.run(context),
            Self::Reset(issue) => {
                issue.run(context, "user.reset", NewOneTimeToken::password_reset())
            }
            Self::Invite(issue) => {
                issue.run(context, "user.invite", NewOneTimeToken::invitation())
            }
            Self::TemporaryPassword(issue) => {
                let new = NewOneTimeToken::temporary_password();
                issue.run(context, "user.temporary-password", new)
            }
            Self::EmailConfirmation(issue) => {
                let new = NewOneTimeToken::email_confirmation();
                issue.run(context, "user.email-confirmation", new)
            }
            Self::RemovePassword(named) => change::remove_password(context, &named),
            Self::RequireChange(require) => require.run(context),
            Self::Compromised(named) => change::mark_compromised(context, &named),
            Self::Lock(named) => {
                change::set_status(context, &named, "user.lock", UserStatus::Locked)
            }
            Self::Unlock(named) => change::unlock(context, &named),
            Self::Disable(named) => {
                change::set_status(context, &named, "user.disable", UserStatus::Disabled)
            }
            Self::Enable(named) => {
                change::set_status(context, &named, "user.enable", UserStatus::Active)
            }
            Self::Confirm(confirm) => confirm.run(context),
            Self::Delete(named) => change::delete(context, &named),
            Self::Export(named) => change::export(context, &named),
            Self::Erase(named) => change::erase(context, &named),
            Self::Restore(named) => change::restore(context, &named),
            Self::Move(to) => to.run(context),
            Self::Rename(rename) => rename.run(context),
            Self::Email(email) => email.run(context),
            Self::Privileges(privileges) => privileges.run(context),
            Self::Administers(administers) => administers.run(context),
        }
    }
}

impl Named {
    fn find(&self, context: &Context) -> Result<gatepost::User> {
        names::user(&context.store, &self.user)
    }
}

impl List {
    fn run(self, context: &Context) -> Result<()> {
        let store = &context.store;
        let mut filter = UserFilter::new();
        if let Some(status) = self.status {
            filter = filter.status(status);
        }
        if let Some(name) = &self.branch {
            filter = filter.branch(names::branch(store, name)?.id);
        }
        if let Some(name) = &self.organisation {
            filter = filter.organisation(names::organisation(store, name)?.id);
        }
        if let Some(kind) = self.kind {
            filter = filter.kind(kind);
        }
        if let Some(privilege) = self.privilege {
            filter = filter.privilege(privilege);
        }
        if let Some(text) = self.text {
            filter = filter.text(text);
        }
        if self.deleted {
            filter = filter.deleted();
        }
        let users = store.users().iter(&filter).take(self.limit.unwrap_or(usize::MAX));
        context.output.list(COLUMNS, users)
    }
}
