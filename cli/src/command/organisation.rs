//! Organisations.

use clap::Subcommand;
use gatepost::directory::OrganisationFilter;

use crate::context::Context;
use crate::failure::Result;
use crate::names;

const COLUMNS: &[&str] = &["id", "name", "active", "created_at"];

#[derive(Debug, Subcommand)]
pub(crate) enum Organisation {
    /// Create an organisation
    #[command(after_help = "Example: gatepost organisation add Northern")]
    Add {
        /// Its name
        name: String,
    },
    /// List the organisations
    #[command(after_help = "Example: gatepost organisation list")]
    List {
        /// Only those that are enabled
        #[arg(long, conflicts_with = "disabled")]
        enabled: bool,
        /// Only those that are disabled
        #[arg(long)]
        disabled: bool,
    },
    /// Show one organisation
    #[command(after_help = "Example: gatepost organisation show Northern")]
    Show {
        /// Its name or id
        organisation: String,
    },
    /// Give an organisation another name
    #[command(after_help = "Example: gatepost organisation rename Northern North")]
    Rename {
        /// Its name or id
        organisation: String,
        /// The new name
        name: String,
    },
    /// Let the users of an organisation log in again
    #[command(after_help = "Example: gatepost organisation enable Northern")]
    Enable {
        /// Its name or id
        organisation: String,
    },
    /// Refuse the users of an organisation: revokes all their sessions, suspends their API keys
    #[command(after_help = "Example: gatepost organisation disable Northern")]
    Disable {
        /// Its name or id
        organisation: String,
    },
    /// Delete an organisation that has no branch
    #[command(after_help = "Example: gatepost organisation delete Northern --yes")]
    Delete {
        /// Its name or id
        organisation: String,
    },
}

impl Organisation {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let find = |name: &str| names::organisation(&context.store, name);
        match self {
            Self::Add { name } => {
                let store = context.writing("organisation.add")?;
                context.output.record(&store.organisations().create(&name)?)
            }
            Self::List { enabled, disabled } => {
                let mut filter = OrganisationFilter::new();
                if enabled || disabled {
                    filter = filter.active(enabled);
                }
                context.output.list(COLUMNS, context.store.organisations().iter(&filter))
            }
            Self::Show { organisation } => context.output.record(&find(&organisation)?),
            Self::Rename { organisation, name } => {
                let id = find(&organisation)?.id;
                let store = context.writing("organisation.rename")?;
                context.output.record(&store.organisations().rename(id, &name)?)
            }
            Self::Enable { organisation } => set_active(context, &organisation, true),
            Self::Disable { organisation } => set_active(context, &organisation, false),
            Self::Delete { organisation } => {
                let found = find(&organisation)?;
                context.confirm(&format!("Delete the organisation {}?", found.name))?;
                context.writing("organisation.delete")?.organisations().delete(found.id)?;
                context.output.done(&format!("deleted {}", found.name), &found)
            }
        }
    }
}

fn set_active(context: &Context, name: &str, active: bool) -> Result<()> {
    let id = names::organisation(&context.store, name)?.id;
    let command = if active { "organisation.enable" } else { "organisation.disable" };
    let store = context.writing(command)?;
    context.output.record(&store.organisations().set_active(id, active)?)
}
