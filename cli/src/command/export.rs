//! Moving out: the records as JSON lines, in the form that `gatepost import` reads.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::Args;
use gatepost::directory::{BranchFilter, CreditHolder, OrganisationFilter, UserFilter};
use gatepost::{Store, Subtree, User};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::{Exit, Failure, Result};

/// Write organisations, branches, users and configuration, as JSON lines
///
/// Without --with-password-hashes the export has no secret of the library; attributes and
/// configuration are the program's own. Sessions, keys, second factors and the audit log stay.
#[derive(Debug, Args)]
#[command(after_help = "Example: gatepost export --to users.jsonl")]
pub(crate) struct Export {
    /// The file to write, which must not exist; without it, standard output
    #[arg(long, value_name = "PATH")]
    to: Option<PathBuf>,

    /// Write the password hashes too: guesses at them can be tried elsewhere without a limit
    #[arg(long)]
    with_password_hashes: bool,
}

impl Export {
    pub(crate) fn run(self, context: &Context) -> Result<()> {
        if self.with_password_hashes {
            context.confirm("The export will have password hashes. Write them?")?;
            context.writing("export.password_hashes")?;
        }
        let Some(path) = &self.to else {
            return self.write(context, &mut BufWriter::new(io::stdout().lock()));
        };
        let file = create(path)?;
        let mut out = BufWriter::new(&file);
        self.write(context, &mut out)?;
        drop(out);
        file.sync_all().map_err(|error| Failure::io("the export cannot be written", &error))?;
        let sentence = format!("wrote {}", path.display());
        context.output.done(&sentence, &json!({ "path": path.display().to_string() }))
    }

    fn write(&self, context: &Context, out: &mut impl Write) -> Result<()> {
        let store = &context.store;
        // On standard error, and hidden if that is no terminal.
        let bar = ProgressBar::new(store.users().count(&UserFilter::new())?);
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} users, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        line(out, &json!({ "type": "gatepost", "version": 1 }))?;
        places(store, out)?;
        for user in store.users().iter(&UserFilter::new()) {
            let user = user?;
            line(out, &self.user_record(store, &user)?)?;
            settings(store, Subtree::User(user.id), out)?;
            bar.inc(1);
        }
        bar.abandon();
        flush(out)
    }

    fn user_record(&self, store: &Store, user: &User) -> Result<Value> {
        let mut record = json!({
            "type": "user",
            "id": user.id,
            "username": user.username,
            "kind": user.kind,
            "email": user.email,
            "first_name": user.first_name,
            "last_name": user.last_name,
            "description": user.description,
            "branch": user.branch,
            "privileges": user.privileges,
            "status": user.status,
            "desktop_client_denied": user.desktop_client_denied,
            "attributes": user.attributes,
            "created_at": user.created_at.to_string(),
            "confirmed_at": user.confirmed_at.map(|at| at.to_string()),
        });
        if self.with_password_hashes
            && let Some(hash) = store.users().exposed_password_hash(user.id)?
            && let Value::Object(fields) = &mut record
        {
            fields.insert("password_hash".to_owned(), hash.expose().into());
            fields.insert("must_change_password".to_owned(), user.must_change_password.into());
        }
        Ok(record)
    }
}

/// The configuration of the store, the organisations and the branches, each with its own.
fn places(store: &Store, out: &mut impl Write) -> Result<()> {
    settings(store, Subtree::Store, out)?;
    for organisation in store.organisations().iter(&OrganisationFilter::new()) {
        let organisation = organisation?;
        let credits = store.credits().remaining(CreditHolder::Organisation(organisation.id))?;
        let record = json!({
            "type": "organisation",
            "id": organisation.id,
            "name": organisation.name,
            "active": organisation.active,
            "credits": credits,
            "created_at": organisation.created_at.to_string(),
        });
        line(out, &record)?;
        settings(store, Subtree::Organisation(organisation.id), out)?;
    }
    for branch in store.branches().iter(&BranchFilter::new()) {
        let branch = branch?;
        let credits = store.credits().remaining(CreditHolder::Branch(branch.id))?;
        let record = json!({
            "type": "branch",
            "id": branch.id,
            "organisation": branch.organisation,
            "name": branch.name,
            "active": branch.active,
            "credits": credits,
            "created_at": branch.created_at.to_string(),
        });
        line(out, &record)?;
        settings(store, Subtree::Branch(branch.id), out)?;
    }
    Ok(())
}

fn settings(store: &Store, scope: Subtree, out: &mut impl Write) -> Result<()> {
    let place = match scope {
        Subtree::Store => "store".to_owned(),
        Subtree::Organisation(id) => format!("organisation {id}"),
        Subtree::Branch(id) => format!("branch {id}"),
        Subtree::User(id) => format!("user {id}"),
    };
    for setting in store.configuration().iter(scope) {
        let setting = setting?;
        let record = json!({
            "type": "setting",
            "scope": place,
            "key": setting.key,
            "value": setting.value,
            "public": setting.is_public,
        });
        line(out, &record)?;
    }
    Ok(())
}

/// A new file that only its owner can read.
fn create(path: &PathBuf) -> Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
        match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::new(
                Exit::Conflict,
                format!("{} exists, and an export replaces no file", path.display()),
                "Choose another name.",
            ),
            _ => Failure::io("the file of the export cannot be created", &error),
        }
    })
}

fn line(out: &mut impl Write, record: &Value) -> Result<()> {
    crate::output::read(writeln!(out, "{record}"))
}

fn flush(out: &mut impl Write) -> Result<()> {
    crate::output::read(out.flush())
}
