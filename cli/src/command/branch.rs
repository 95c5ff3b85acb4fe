//! Branches.

use clap::Subcommand;
use gatepost::directory::BranchFilter;

use crate::context::Context;
use crate::failure::Result;
use crate::names;

const COLUMNS: &[&str] = &["id", "name", "organisation", "active", "created_at"];

#[derive(Debug, Subcommand)]
pub(crate) enum Branch {
    /// Create a branch
    #[command(after_help = "Example: gatepost branch add York --organisation Northern")]
    Add {
        /// Its name
        name: String,
        /// The organisation that it belongs to, by name or id; without it, none
        #[arg(long)]
        organisation: Option<String>,
    },
    /// List the branches
    #[command(after_help = "Example: gatepost branch list --organisation Northern")]
    List {
        /// Only those of this organisation, by name or id
        #[arg(long)]
        organisation: Option<String>,
        /// Only those that are enabled
        #[arg(long, conflicts_with = "disabled")]
        enabled: bool,
        /// Only those that are disabled
        #[arg(long)]
        disabled: bool,
    },
    /// Show one branch
    #[command(after_help = "Example: gatepost branch show York")]
    Show {
        /// Its name or id
        branch: String,
    },
    /// Give a branch another name
    #[command(after_help = "Example: gatepost branch rename York 'York City'")]
    Rename {
        /// Its name or id
        branch: String,
        /// The new name
        name: String,
    },
    /// Move a branch to an organisation, or out of every organisation
    #[command(after_help = "Example: gatepost branch move York --organisation Northern")]
    Move {
        /// Its name or id
        branch: String,
        /// The organisation that it will belong to, by name or id; without it, none
        #[arg(long)]
        organisation: Option<String>,
    },
    /// Let the users of a branch log in again
    #[command(after_help = "Example: gatepost branch enable York")]
    Enable {
        /// Its name or id
        branch: String,
    },
    /// Refuse the users of a branch: revokes all their sessions, suspends their API keys
    #[command(after_help = "Example: gatepost branch disable York")]
    Disable {
        /// Its name or id
        branch: String,
    },
    /// Delete a branch that has no user
    #[command(after_help = "Example: gatepost branch delete York --yes")]
    Delete {
        /// Its name or id
        branch: String,
    },
}

impl Branch {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let find = |name: &str| names::branch(&context.store, name);
        let organisation = |name: Option<String>| {
            name.map(|name| names::organisation(&context.store, &name).map(|found| found.id))
                .transpose()
        };
        match self {
            Self::Add { name, organisation: of } => {
                let of = organisation(of)?;
                let store = context.writing("branch.add")?;
                context.output.record(&store.branches().create(&name, of)?)
            }
            Self::List { organisation: of, enabled, disabled } => {
                let mut filter = BranchFilter::new();
                if let Some(of) = organisation(of)? {
                    filter = filter.organisation(of);
                }
                if enabled || disabled {
                    filter = filter.active(enabled);
                }
                context.output.list(COLUMNS, context.store.branches().iter(&filter))
            }
            Self::Show { branch } => context.output.record(&find(&branch)?),
            Self::Rename { branch, name } => {
                let id = find(&branch)?.id;
                let store = context.writing("branch.rename")?;
                context.output.record(&store.branches().rename(id, &name)?)
            }
            Self::Move { branch, organisation: to } => {
                let (id, to) = (find(&branch)?.id, organisation(to)?);
                let store = context.writing("branch.move")?;
                context.output.record(&store.branches().move_to(id, to)?)
            }
            Self::Enable { branch } => set_active(context, &branch, true),
            Self::Disable { branch } => set_active(context, &branch, false),
            Self::Delete { branch } => {
                let found = find(&branch)?;
                context.confirm(&format!("Delete the branch {}?", found.name))?;
                context.writing("branch.delete")?.branches().delete(found.id)?;
                context.output.done(&format!("deleted {}", found.name), &found)
            }
        }
    }
}

fn set_active(context: &Context, name: &str, active: bool) -> Result<()> {
    let id = names::branch(&context.store, name)?.id;
    let store = context.writing(if active { "branch.enable" } else { "branch.disable" })?;
    context.output.record(&store.branches().set_active(id, active)?)
}
