//! What a user administers.

use clap::Args;
use gatepost::{Store, Subtree};
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::Result;
use crate::names;

#[derive(Debug, Args)]
pub(crate) struct Administers {
    /// The user, by username or id
    user: String,

    /// The branch to grant or withdraw, by name or id
    #[arg(long, conflicts_with = "organisation")]
    branch: Option<String>,

    /// The organisation to grant or withdraw, by name or id
    #[arg(long)]
    organisation: Option<String>,

    /// Withdraw the branch or organisation instead of granting it
    #[arg(long)]
    withdraw: bool,
}

impl Administers {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let store = &context.store;
        let user = names::user(store, &self.user)?.id;
        let place = match (&self.branch, &self.organisation) {
            (Some(name), _) => Some(Subtree::Branch(names::branch(store, name)?.id)),
            (None, Some(name)) => {
                Some(Subtree::Organisation(names::organisation(store, name)?.id))
            }
            (None, None) => None,
        };
        if let Some(place) = place {
            let users = context.writing("user.administers")?;
            let users = users.users();
            if self.withdraw {
                users.withdraw_administration(user, place)?;
            } else {
                users.grant_administration(user, place)?;
            }
        }
        let administers: Vec<Value> = store
            .users()
            .administrations(user)?
            .into_iter()
            .map(|place| row(store, place))
            .collect::<Result<_>>()?;
        context.output.record(&json!({ "user": user, "administers": administers }))
    }
}

fn row(store: &Store, place: Subtree) -> Result<Value> {
    Ok(match place {
        Subtree::Branch(id) => {
            let name = store.branches().find(id)?.map(|branch| branch.name);
            json!({ "branch": id, "name": name })
        }
        Subtree::Organisation(id) => {
            let name = store.organisations().find(id)?.map(|organisation| organisation.name);
            json!({ "organisation": id, "name": name })
        }
        Subtree::Store | Subtree::User(_) => json!(place),
    })
}
