//! Creating users, and their fields that no login depends on.

use clap::Args;
use gatepost::NewUser;
use gatepost::directory::{UserStatus, UserUpdate};

use super::change::explain_breach_check;
use crate::context::Context;
use crate::failure::Result;
use crate::{names, prompt};

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The username
    username: String,

    /// A program instead of a person: it has API keys and never a password
    #[arg(long)]
    system: bool,

    /// Read the password from standard input
    #[arg(long, conflicts_with_all = ["system", "no_password"])]
    password_stdin: bool,

    /// A person without a password, who cannot log in with one
    #[arg(long, conflicts_with = "system")]
    no_password: bool,

    /// Demand a new password at the first login
    #[arg(long, conflicts_with_all = ["system", "no_password"])]
    must_change_password: bool,

    /// The e-mail address
    #[arg(long)]
    email: Option<String>,

    /// The branch, by name or id; without it, none
    #[arg(long)]
    branch: Option<String>,

    /// A privilege; may be given more than once
    #[arg(long)]
    privilege: Vec<String>,

    /// pending, active, locked or disabled
    #[arg(long, value_parser = names::status, default_value = "active")]
    status: UserStatus,

    #[command(flatten)]
    fields: Fields,
}

/// The fields that no login depends on.
#[derive(Debug, Args)]
pub(crate) struct Fields {
    /// The first name
    #[arg(long)]
    first_name: Option<String>,

    /// The last name
    #[arg(long)]
    last_name: Option<String>,

    /// A description
    #[arg(long)]
    description: Option<String>,

    /// Attributes of the host, a JSON object
    #[arg(long, value_name = "JSON")]
    attributes: Option<String>,

    /// Whether logins from desktop clients are refused
    #[arg(long, value_name = "true|false")]
    desktop_client_denied: Option<bool>,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// The user, by username or id
    user: String,

    #[command(flatten)]
    fields: Fields,
}

impl Add {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let mut new = if self.system {
            NewUser::system(self.username)
        } else {
            NewUser::person(self.username)
        };
        if let Some(name) = &self.branch {
            new = new.branch(names::branch(&context.store, name)?.id);
        }
        if let Some(email) = self.email {
            new = new.email(email);
        }
        if self.must_change_password {
            new = new.must_change_password();
        }
        new = self.fields.of_new(new.privileges(self.privilege).status(self.status));
        if !self.system && !self.no_password {
            new = new.password(prompt::new_password(self.password_stdin)?);
        }
        let created = context.writing("user.add")?.users().create(new);
        let advice = "Add the user with --no-password, and then issue a one-time token: \
                      gatepost user reset USER";
        let created = created.map_err(|error| explain_breach_check(error, advice))?;
        context.output.record(&created)
    }
}

impl Update {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let id = names::user(&context.store, &self.user)?.id;
        let store = context.writing("user.update")?;
        context.output.record(&store.users().update(id, self.fields.update())?)
    }
}

impl Fields {
    fn of_new(self, mut new: NewUser) -> NewUser {
        if let Some(name) = self.first_name {
            new = new.first_name(name);
        }
        if let Some(name) = self.last_name {
            new = new.last_name(name);
        }
        if let Some(text) = self.description {
            new = new.description(text);
        }
        if let Some(json) = self.attributes {
            new = new.attributes(json);
        }
        if let Some(denied) = self.desktop_client_denied {
            new = new.desktop_client_denied(denied);
        }
        new
    }

    fn update(self) -> UserUpdate {
        let mut update = UserUpdate::new();
        if let Some(name) = self.first_name {
            update = update.first_name(name);
        }
        if let Some(name) = self.last_name {
            update = update.last_name(name);
        }
        if let Some(text) = self.description {
            update = update.description(text);
        }
        if let Some(json) = self.attributes {
            update = update.attributes(json);
        }
        if let Some(denied) = self.desktop_client_denied {
            update = update.desktop_client_denied(denied);
        }
        update
    }
}
