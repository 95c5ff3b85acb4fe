//! The audit log.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use gatepost::Timestamp;
use gatepost::audit::{AuditAnchor, AuditFilter, ChainCheck, CheckedChain, EventKind};
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::{Exit, Result};
use crate::output::Output;
use crate::{names, prompt};

const COLUMNS: &[&str] =
    &["seq", "at", "event", "outcome", "actor", "user", "reason", "client_info", "detail"];

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Show the newest rows, the newest first
    #[command(after_help = "Example: gatepost audit tail --event login.refused --rows 10")]
    Tail {
        /// How many rows, at most 500
        #[arg(short = 'n', long, default_value_t = 20)]
        rows: u32,
        #[command(flatten)]
        which: Which,
    },
    /// List the rows, the oldest first
    #[command(after_help = "Example: gatepost audit list --user ada --since 2026-01-31T00:00:00Z")]
    List {
        /// At most so many rows
        #[arg(long)]
        limit: Option<usize>,
        #[command(flatten)]
        which: Which,
    },
    /// Print the rows as JSON, one row on a line, the oldest first
    #[command(after_help = "Example: gatepost audit export > audit.jsonl")]
    Export {
        #[command(flatten)]
        which: Which,
    },
    /// Check that no row was changed or taken out
    ///
    /// The exit code is 1 if the log is not intact. A program that can write the file can write a
    /// new log as well: keep the line of `audit head` elsewhere, and give it to --anchor-stdin.
    #[command(after_help = "Example: gatepost audit verify --anchor-stdin < head.txt")]
    Verify {
        /// The log must continue what `audit head` printed earlier, which standard input has
        #[arg(long)]
        anchor_stdin: bool,
    },
    /// Print the ends of the log, to be kept elsewhere
    #[command(after_help = "Example: gatepost audit head > head.txt")]
    Head,
}

/// Which rows.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Rows that concern this user, by username or id
    #[arg(long)]
    user: Option<String>,

    /// Rows of this kind, such as login.refused
    #[arg(long, value_name = "KIND", hide_possible_values = true, value_parser = kinds())]
    event: Option<EventKind>,

    /// Rows at this time or later, such as 2026-01-31T09:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,

    /// Rows before this time
    #[arg(long, value_name = "TIME")]
    before: Option<Timestamp>,

    /// Only rows that host programs recorded, this command included
    #[arg(long, conflicts_with = "from_library")]
    from_host: bool,

    /// Only rows that the library recorded
    #[arg(long)]
    from_library: bool,
}

impl Audit {
    pub(crate) fn run(self, context: &Context) -> Result<Exit> {
        let audit = context.store.audit();
        match self {
            Self::Tail { rows, which } => {
                let rows = audit.latest(rows, &which.filter(context)?)?;
                context.output.list(COLUMNS, rows.into_iter().map(Ok))?;
            }
            Self::List { limit, which } => {
                let rows = audit.iter(&which.filter(context)?);
                context.output.list(COLUMNS, rows.take(limit.unwrap_or(usize::MAX)))?;
            }
            Self::Export { which } => {
                let rows = audit.iter(&which.filter(context)?);
                Output { json: true }.list(COLUMNS, rows)?;
            }
            Self::Verify { anchor_stdin } => {
                let anchor: Option<AuditAnchor> = match anchor_stdin {
                    true => Some(prompt::secret_of_stdin("anchor")?.parse()?),
                    false => None,
                };
                return verify(context, audit.verify_chain(anchor.as_ref())?);
            }
            Self::Head => context.output.text("anchor", &audit.anchor()?.to_string())?,
        }
        Ok(Exit::Done)
    }
}

impl Which {
    fn filter(&self, context: &Context) -> Result<AuditFilter> {
        let mut filter = AuditFilter::new();
        if let Some(name) = &self.user {
            filter = filter.user(names::user(&context.store, name)?.id);
        }
        if let Some(kind) = self.event {
            filter = filter.kind(kind);
        }
        if let Some(since) = self.since {
            filter = filter.since(since);
        }
        if let Some(before) = self.before {
            filter = filter.before(before);
        }
        if self.from_host {
            filter = filter.from_host();
        }
        if self.from_library {
            filter = filter.from_library();
        }
        Ok(filter)
    }
}

fn kinds() -> impl TypedValueParser<Value = EventKind> {
    let names = EventKind::ALL.iter().map(|kind| kind.name());
    PossibleValuesParser::new(names)
        .try_map(|name| EventKind::from_name(&name).ok_or("there is no such kind"))
}

fn verify(context: &Context, check: ChainCheck) -> Result<Exit> {
    let (sentence, record) = match check {
        ChainCheck::Intact { rows, chains, .. } => (
            format!("intact: {rows} rows"),
            json!({ "result": "intact", "rows": rows, "chains": chains.map(chain) }),
        ),
        ChainCheck::AnchorTrimmed { chains, .. } => (
            "no row was changed, but the row of the anchor was trimmed: take an anchor more often"
                .to_owned(),
            json!({ "result": "anchor_trimmed", "chains": chains.map(chain) }),
        ),
        ChainCheck::Broken { seq, .. } => (
            format!("broken: row {seq} was changed, moved or is missing"),
            json!({ "result": "broken", "seq": seq }),
        ),
        _ => ("the log was not checked: this command is too old".to_owned(), Value::Null),
    };
    context.output.done(&sentence, &record)?;
    Ok(if check.is_intact() { Exit::Done } else { Exit::No })
}

fn chain(chain: CheckedChain) -> Value {
    json!({
        "source": chain.source,
        "trimmed_to": chain.trimmed_to,
        "checked_to": chain.checked_to,
        "rows": chain.rows,
        "anchored_at_seq": chain.anchored_at,
        "is_anchor_trimmed": chain.is_anchor_trimmed(),
    })
}
