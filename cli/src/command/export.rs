//! Moving out: the records as JSON lines, in the form that `gatepost import` reads.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::Args;
use gatepost::directory::{
    Branch, BranchFilter, CreditHolder, Organisation, OrganisationFilter, UserFilter,
};
use gatepost::{BranchId, ErrorKind, OrganisationId, Store, Subtree, User};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::output::{note, one_line, read, rfc_3339};

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
            return self.write(context, &mut BufWriter::new(io::stdout().lock()), read);
        };
        let file = create(path)?;
        let mut out = BufWriter::new(&file);
        let in_file = |written: io::Result<()>| {
            written.map_err(|error| Failure::io("the export cannot be written", &error))
        };
        let written = self.write(context, &mut out, in_file);
        let written = written.and_then(|()| in_file(file.sync_all()));
        if let Err(failure) = written {
            // A part of an export may have hashes, and is of no use.
            if let Err(error) = fs::remove_file(path) {
                note(&format!("gatepost: delete {}, which is a part: {error}", path.display()));
            }
            return Err(failure);
        }
        let sentence = format!("wrote {}", path.display());
        context.output.done(&sentence, &json!({ "path": path.display().to_string() }))
    }

    /// Writes all records; `written` says what a failed write is.
    fn write(
        &self,
        context: &Context,
        out: &mut impl Write,
        written: fn(io::Result<()>) -> Result<()>,
    ) -> Result<()> {
        let store = &context.store;
        // On standard error, and hidden if that is no terminal.
        let bar = ProgressBar::new(store.users().count(&UserFilter::new())?);
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} users, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let mut records = Records {
            store,
            out,
            written,
            with_password_hashes: self.with_password_hashes,
            organisations: HashSet::new(),
            branches: HashSet::new(),
        };
        records.line(&json!({ "type": "gatepost", "version": 1 }))?;
        records.places()?;
        for user in store.users().iter(&UserFilter::new()) {
            records.user(user?)?;
            bar.inc(1);
        }
        bar.abandon();
        written(records.out.flush())
    }
}

/// What is written. The store may change meanwhile: a record that was deleted since it was listed
/// is left out, and a place that was added since comes before its first user.
struct Records<'a, W> {
    store: &'a Store,
    out: &'a mut W,
    written: fn(io::Result<()>) -> Result<()>,
    with_password_hashes: bool,
    /// The places that are written.
    organisations: HashSet<OrganisationId>,
    branches: HashSet<BranchId>,
}

impl<W: Write> Records<'_, W> {
    /// The configuration of the store, the organisations and the branches, each with its own.
    fn places(&mut self) -> Result<()> {
        self.settings(Subtree::Store)?;
        for organisation in self.store.organisations().iter(&OrganisationFilter::new()) {
            self.organisation(&organisation?)?;
        }
        for branch in self.store.branches().iter(&BranchFilter::new()) {
            self.branch(&branch?)?;
        }
        Ok(())
    }

    fn organisation(&mut self, organisation: &Organisation) -> Result<()> {
        let holder = CreditHolder::Organisation(organisation.id);
        let Some(credits) = unless_deleted(self.store.credits().remaining(holder))? else {
            return Ok(());
        };
        self.line(&json!({
            "type": "organisation",
            "id": organisation.id,
            "name": organisation.name,
            "active": organisation.active,
            "credits": credits,
            "created_at": rfc_3339(organisation.created_at),
        }))?;
        self.organisations.insert(organisation.id);
        self.settings(Subtree::Organisation(organisation.id))
    }

    fn branch(&mut self, branch: &Branch) -> Result<()> {
        if let Some(id) = branch.organisation
            && !self.organisations.contains(&id)
        {
            match self.store.organisations().find(id)? {
                Some(organisation) => self.organisation(&organisation)?,
                None => return self.branch_as_it_is_now(branch.id),
            }
        }
        let holder = CreditHolder::Branch(branch.id);
        let Some(credits) = unless_deleted(self.store.credits().remaining(holder))? else {
            return Ok(());
        };
        self.line(&json!({
            "type": "branch",
            "id": branch.id,
            "organisation": branch.organisation,
            "name": branch.name,
            "active": branch.active,
            "credits": credits,
            "created_at": rfc_3339(branch.created_at),
        }))?;
        self.branches.insert(branch.id);
        self.settings(Subtree::Branch(branch.id))
    }

    /// An organisation with branches is never deleted, so this one has moved or is deleted.
    fn branch_as_it_is_now(&mut self, id: BranchId) -> Result<()> {
        self.store.branches().find(id)?.map_or(Ok(()), |branch| self.branch(&branch))
    }

    fn user(&mut self, user: User) -> Result<()> {
        if let Some(id) = user.branch
            && !self.branches.contains(&id)
        {
            match self.store.branches().find(id)? {
                Some(branch) => self.branch(&branch)?,
                // A branch with users is never deleted, so this user has moved or is deleted.
                None => {
                    let now = self.store.users().find(user.id)?;
                    return now.map_or(Ok(()), |user| self.user(user));
                }
            }
        }
        let Some(record) = unless_deleted(self.user_record(&user))? else { return Ok(()) };
        self.line(&record)?;
        self.settings(Subtree::User(user.id))
    }

    fn user_record(&self, user: &User) -> std::result::Result<Value, gatepost::Error> {
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
            "created_at": rfc_3339(user.created_at),
            "confirmed_at": user.confirmed_at.map(rfc_3339),
        });
        if self.with_password_hashes
            && let Some(hash) = self.store.users().exposed_password_hash(user.id)?
            && let Value::Object(fields) = &mut record
        {
            fields.insert("password_hash".to_owned(), hash.expose().into());
            fields.insert("must_change_password".to_owned(), user.must_change_password.into());
        }
        Ok(record)
    }

    fn settings(&mut self, scope: Subtree) -> Result<()> {
        let place = match scope {
            Subtree::Store => "store".to_owned(),
            Subtree::Organisation(id) => format!("organisation {id}"),
            Subtree::Branch(id) => format!("branch {id}"),
            Subtree::User(id) => format!("user {id}"),
        };
        for setting in self.store.configuration().iter(scope) {
            let Some(setting) = unless_deleted(setting)? else { return Ok(()) };
            self.line(&json!({
                "type": "setting",
                "scope": place,
                "key": setting.key,
                "value": setting.value,
                "public": setting.is_public,
            }))?;
        }
        Ok(())
    }

    fn line(&mut self, record: &Value) -> Result<()> {
        (self.written)(writeln!(self.out, "{}", one_line(record)))
    }
}

/// What was read of a record; `None` if the record was deleted since it was listed.
fn unless_deleted<T>(read: std::result::Result<T, gatepost::Error>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
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
