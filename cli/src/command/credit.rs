//! Credits of branches and organisations.

use clap::Subcommand;
use gatepost::Store;
use gatepost::directory::CreditHolder;
use serde_json::json;

use crate::context::Context;
use crate::failure::Result;
use crate::names::Holder;

#[derive(Debug, Subcommand)]
pub(crate) enum Credit {
    /// Show the remaining credits
    #[command(after_help = "Example: gatepost credit get --branch York")]
    Get {
        #[command(flatten)]
        holder: Holder,
    },
    /// Set the remaining credits
    #[command(after_help = "Example: gatepost credit set --branch York 500")]
    Set {
        #[command(flatten)]
        holder: Holder,
        /// How many credits remain
        credits: u64,
    },
    /// Add to the remaining credits
    #[command(after_help = "Example: gatepost credit add --organisation Northern 100")]
    Add {
        #[command(flatten)]
        holder: Holder,
        /// How many credits are added
        credits: u64,
    },
    /// Spend credits: all or none
    #[command(after_help = "Example: gatepost credit spend --branch York 3")]
    Spend {
        #[command(flatten)]
        holder: Holder,
        /// How many credits are spent
        credits: u64,
    },
    /// Stop counting credits
    #[command(after_help = "Example: gatepost credit unset --branch York --yes")]
    Unset {
        #[command(flatten)]
        holder: Holder,
    },
}

impl Credit {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        let store = &context.store;
        match self {
            Self::Get { holder } => show(context, store, holder.find(store)?),
            Self::Set { holder, credits } => {
                let holder = holder.find(store)?;
                let store = context.writing("credit.set")?;
                store.credits().set(holder, credits)?;
                show(context, store, holder)
            }
            Self::Add { holder, credits } => {
                let holder = holder.find(store)?;
                let remaining = context.writing("credit.add")?.credits().add(holder, credits)?;
                print(context, holder, Some(remaining))
            }
            Self::Spend { holder, credits } => {
                let holder = holder.find(store)?;
                let remaining =
                    context.writing("credit.spend")?.credits().spend(holder, credits)?;
                print(context, holder, Some(remaining))
            }
            Self::Unset { holder } => {
                let holder = holder.find(store)?;
                context.confirm("Forget how many credits remain?")?;
                let store = context.writing("credit.unset")?;
                store.credits().set(holder, None)?;
                show(context, store, holder)
            }
        }
    }
}

fn show(context: &Context, store: &Store, holder: CreditHolder) -> Result<()> {
    print(context, holder, store.credits().remaining(holder)?)
}

fn print(context: &Context, holder: CreditHolder, remaining: Option<u64>) -> Result<()> {
    context.output.record(&json!({ "holder": holder, "remaining": remaining }))
}
