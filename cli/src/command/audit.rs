//! The audit log.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use gatepost::Timestamp;
use gatepost::audit::{AuditAnchor, AuditEntry, AuditFilter, ChainCheck, CheckedChain, EventKind};
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::{Exit, Result};
use crate::output::{Found, Output, answered};
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
        /// Only rows after this number, such as the `seq` of the last row of an earlier export
        #[arg(long, value_name = "SEQ", default_value_t = 0)]
        after: i64,
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
        /// It must be sealed: then no program without the key has made it
        #[arg(long, requires = "anchor_stdin")]
        sealed: bool,
    },
    /// Print the ends of the log, to be kept elsewhere
    #[command(after_help = "Example: gatepost audit head > head.txt")]
    Head {
        /// Seal them under the key of the first `--key-file`
        #[arg(long)]
        sealed: bool,
    },
    /// Read the log row by row, and acknowledge what was dealt with
    #[command(subcommand)]
    Consumer(Consumer),
}

/// A program that reads the log, by name.
#[derive(Debug, Subcommand)]
pub(crate) enum Consumer {
    /// List the consumers, and how far behind each is
    #[command(after_help = "Example: gatepost audit consumer list")]
    List,
    /// Add a consumer, which receives every row from now on
    #[command(after_help = "Example: gatepost audit consumer add mailer")]
    Add {
        /// Its name: 1 to 64 of a-z 0-9 . _ -
        name: String,
    },
    /// Remove a consumer
    #[command(after_help = "Example: gatepost audit consumer remove mailer")]
    Remove {
        /// Its name
        name: String,
    },
    /// Print the rows that it has not acknowledged, and what was trimmed before, as one JSON object
    #[command(after_help = "Example: gatepost audit consumer unseen mailer > rows.json")]
    Unseen {
        /// Its name
        name: String,
        /// How many rows, at most 500
        #[arg(short = 'n', long, default_value_t = 500)]
        rows: u32,
    },
    /// Acknowledge all rows up to a number, which `unseen` prints as `up_to`
    #[command(after_help = "Example: gatepost audit consumer acknowledge mailer 4711")]
    Acknowledge {
        /// Its name
        name: String,
        /// The number of the last row that was dealt with
        seq: i64,
    },
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
            Self::Export { after, which } => {
                let is_after =
                    |row: &Found<AuditEntry>| !row.as_ref().is_ok_and(|r| r.seq <= after);
                let rows = audit.iter(&which.filter(context)?).filter(is_after);
                Output { json: true }.list(COLUMNS, rows)?;
            }
            Self::Verify { anchor_stdin, sealed } => {
                let text = anchor_stdin.then(|| prompt::secret_of_stdin("anchor")).transpose()?;
                let anchor: Option<AuditAnchor> = match text {
                    Some(text) if sealed => Some(audit.open_anchor(&text)?),
                    Some(text) => Some(text.parse()?),
                    None => None,
                };
                return verify(context, audit.verify_chain(anchor.as_ref())?);
            }
            Self::Head { sealed } => {
                let anchor =
                    if sealed { audit.sealed_anchor()? } else { audit.anchor()?.to_string() };
                context.output.text("anchor", &anchor)?;
            }
            Self::Consumer(consumer) => consumer.run(context)?,
        }
        Ok(Exit::Done)
    }
}

impl Consumer {
    fn run(self, context: &Context) -> Result<()> {
        let audit = context.store.audit();
        match self {
            Self::List => {
                let all = audit.consumers()?;
                context.output.list(&["name", "seen_seq", "behind"], all.into_iter().map(Ok))
            }
            Self::Add { name } => {
                let is_new = context.writing("audit.consumer.add")?.audit().add_consumer(&name)?;
                let sentence = if is_new { "added" } else { "it was there before" };
                context.output.done(sentence, &json!({ "consumer": name, "added": is_new }))
            }
            Self::Remove { name } => {
                let store = context.writing("audit.consumer.remove")?;
                let was_there = store.audit().remove_consumer(&name)?;
                let sentence = if was_there { "removed" } else { "there was none" };
                context.output.done(sentence, &json!({ "consumer": name, "removed": was_there }))
            }
            Self::Unseen { name, rows } => {
                Output { json: true }.record(&audit.unseen(&name, rows)?)
            }
            Self::Acknowledge { name, seq } => {
                audit.acknowledge(&name, seq)?;
                let sentence = format!("acknowledged up to {seq}");
                context.output.done(&sentence, &json!({ "consumer": name, "seen_seq": seq }))
            }
        }
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
        ChainCheck::Broken { seq, trimmed_to, .. } => (
            format!(
                "broken: row {seq} was changed, moved or is missing; every row before it, from \
                 the first after {trimmed_to}, is as it was written"
            ),
            json!({ "result": "broken", "seq": seq, "trimmed_to": trimmed_to }),
        ),
        _ => ("the log was not checked: this command is too old".to_owned(), Value::Null),
    };
    let answer = if check.is_intact() { Exit::Done } else { Exit::No };
    answered(context.output.done(&sentence, &record), answer)
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
