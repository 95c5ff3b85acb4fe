//! The whole job on a directory of real size: `cargo run --example quickstart`.
//!
//! Three hundred users go into a fresh file; some log in, some are turned away; sessions are
//! listed, verified and ended. What is printed is also asserted: if a line were not true, this
//! would fail. Only the clock is not the real one: it stands still until the story moves it.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it times itself, and looks at the closed file with plain SQL"
)]

#[path = "data/directory.rs"]
mod directory;
#[path = "data/page.rs"]
mod page;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use directory::{Directory, id};
use gatepost::{
    Actor, ApiVersion, AuditFilter, ClientKind, DeviceId, Ended, EventKind, LogIn, LoginAnswer,
    LoginReply, ManualClock, NewApiKey, Options, Origin, Page, Password, Presented, Refusal,
    Store,
};
use page::{Table, section};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const HOUR: Duration = Duration::from_secs(3_600);

fn main() -> Result<()> {
    let began = Instant::now();
    let home = tempfile::tempdir()?;
    let path = home.path().join("auth.db");
    let clock = ManualClock::new("2026-11-23T08:00:00Z".parse()?);
    let options = Options::server()
        .service_name("Quickstart")
        .login_by_email(true)
        .clock(Arc::new(clock.clone()));
    let store = Store::open(&path, options)?;

    let directory = load_the_directory(&store)?;
    let mut story = Story { store, clock, directory, secrets: Vec::new() };
    let sessions = story.log_in_on_devices()?;
    story.turn_some_away()?;
    story.verify(&sessions)?;
    story.list_sessions(&sessions)?;
    story.force_a_change()?;
    story.guess_a_password(&sessions)?;
    story.log_out(&sessions)?;
    story.use_an_api_key()?;
    story.end_a_branch(&sessions)?;
    story.let_time_pass(&sessions)?;
    story.look_into_the_file(&path)?;
    println!("\nDone in {:.1} s.", began.elapsed().as_secs_f64());
    Ok(())
}

fn load_the_directory(store: &Store) -> Result<Directory> {
    section("The directory goes into one file");
    let began = Instant::now();
    let directory = directory::load(store, include_str!("data/directory.json"))?;
    println!(
        "{} organisations, {} branches, {} users, {} settings, in {} ms.",
        directory.organisations.len(),
        directory.branches.len(),
        directory.users.len(),
        directory.settings,
        began.elapsed().as_millis(),
    );
    println!("Each call was a commit of its own, flushed to the disk.");
    assert_eq!(directory.users.len(), 300);

    let ada = store.users().find_by_username("ADA")?.ok_or("ada is not there")?;
    assert_eq!(ada.id, id(&directory.users, "ada")?);
    println!("Names are found in any case: ADA is {}.", ada.username);
    Ok(directory)
}

struct Story {
    store: Store,
    clock: ManualClock,
    directory: Directory,
    /// What somebody typed or was shown: at the end, none of it may be in the file.
    secrets: Vec<String>,
}

/// A session as its client holds it.
struct Held {
    who: &'static str,
    device: DeviceId,
    reply: LoginReply,
}

impl Held {
    fn token(&self) -> &str {
        self.reply.session.token.expose()
    }
}

/// Who, with which password, what is wrong, and what else the request says.
type Attempt = (&'static str, &'static str, &'static str, fn(LogIn) -> LogIn);

impl Story {
    /// A request with a password, which is remembered for the search at the end.
    fn request(&mut self, who: &str, password: &str, device: &str) -> Result<LogIn> {
        self.secrets.push(password.to_owned());
        let device = DeviceId::new(device)?;
        Ok(LogIn::new(who, Password::from(password), device))
    }

    fn log_in(
        &mut self,
        who: &'static str,
        password: &str,
        device: &str,
        label: &str,
    ) -> Result<Held> {
        let origin = Origin::new().ip(std::net::Ipv4Addr::new(192, 0, 2, 17));
        let request = self.request(who, password, device)?.label(label).origin(origin);
        let reply = self.store.log_in(request)?.granted()?;
        self.secrets.push(reply.session.token.expose().to_owned());
        Ok(Held { who, device: DeviceId::new(device)?, reply })
    }

    fn log_in_on_devices(&mut self) -> Result<Vec<Held>> {
        section("Users log in, each on a device");
        // Accents as they are typed on another keyboard: the same password, other bytes.
        let decomposed = "the\u{301} a\u{300} la bergamote";
        let held = vec![
            self.log_in("ada", "lantern over wet slate", "till-york-1", "Till 1")?,
            self.log_in("ada", "lantern over wet slate", "laptop-ada", "Laptop")?,
            self.log_in("bertram.carrow", "seven-geese-at-noon", "till-york-2", "Till 2")?,
            self.log_in("Éloïse.Lévesque", decomposed, "archive-3", "Archive")?,
            self.log_in("μυρτώ.καλλέργη", "θάλασσα και πεύκα", "athens-1", "Desk")?,
            self.log_in(
                "solomiia.bilozir@example.com",
                "кавун на підвіконні",
                "lviv-1",
                "Tablet",
            )?,
            self.log_in("青木葵", "雨の日の古書店めぐり", "jimbocho-1", "Till")?,
            self.log_in("solveig", "nordlys bak fjellet", "station-1", "Station")?,
            self.log_in("tamsin", "salt & harbour lights", "phone-t", "Phone")?,
        ];
        let mut table = Table::new(["typed", "user", "branch", "organisation", "expires"]);
        for Held { who, reply, .. } in &held {
            table.row([
                (*who).to_owned(),
                reply.user.username.clone(),
                reply.branch.as_ref().map_or("none".into(), |branch| branch.name.clone()),
                reply.organisation.as_ref().map_or("none".into(), |place| place.name.clone()),
                reply.session.expires_at.format("%a %H:%M").to_string(),
            ]);
        }
        table.print();

        section("One reply as its client reads it (the token cut short)");
        let again = self.log_in("ada", "lantern over wet slate", "laptop-ada", "Laptop")?;
        let token = again.token().to_owned();
        let json = serde_json::to_string_pretty(&again.reply.into_wire())?;
        assert!(json.contains(&token), "the wire reply is what hands the token on");
        let beginning: String = token.chars().take(10).collect();
        println!("{}", json.replace(&token, &format!("{beginning}…")));
        println!("Her second login on the laptop replaced the session there:");
        let mut held = held;
        let replaced = held.remove(1);
        assert!(self.store.verify(replaced.token(), &replaced.device)?.valid().is_err());
        println!("the token that it had before is refused.");
        Ok(held)
    }

    fn turn_some_away(&mut self) -> Result<()> {
        section("Some are turned away");
        let mut table = Table::new(["who", "and", "is told"]);
        let (ada, bertram) = ("lantern over wet slate", "seven-geese-at-noon");
        let desktop = |request: LogIn| request.client(ClientKind::Desktop);
        let old = |request: LogIn| request.api_version(ApiVersion::new(0, 9));
        let attempts: [Attempt; 8] = [
            ("ada", "lantern over dry slate", "a wrong password", |request| request),
            ("adah", ada, "no such user", |request| request),
            ("gareth.locked", "copper kettle, cold", "locked", |request| request),
            ("winifred.disabled", "a drawer full of string", "disabled", |request| request),
            ("silas.night", "owls keep the ledger", "branch disabled", |request| request),
            ("tamsin", "salt & harbour lights", "a desktop client", desktop),
            ("bertram.carrow", bertram, "no administrator", LogIn::require_admin),
            ("ada", ada, "an API version not served", old),
        ];
        let mut told = Vec::new();
        for (who, password, why, with) in attempts {
            let request = with(self.request(who, password, "till-york-1")?);
            let refusal = refused(self.store.log_in(request)?)?;
            table.row([who, why, refusal.message()].map(str::to_owned));
            told.push(refusal);
        }
        table.print();
        assert!(told.starts_with(&[Refusal::InvalidCredentials, Refusal::InvalidCredentials]));
        for refusal in [
            Refusal::AccountDisabled,
            Refusal::BranchDisabled,
            Refusal::DesktopClientDenied,
            Refusal::AdministratorRequired,
            Refusal::IncompatibleApiVersion,
        ] {
            assert!(told.contains(&refusal), "{refusal:?}");
        }
        println!("The first two are one and the same answer, after the same work.");
        Ok(())
    }

    fn verify(&self, held: &[Held]) -> Result<()> {
        section("A token counts on its own device alone");
        let ada = of(held, "ada")?;
        let facts = self.store.verify(ada.token(), &ada.device)?.valid()?;
        assert!(facts.is_admin && facts.user == ada.reply.user.id);
        println!("on {}: valid, administrator: {}", ada.device.as_str(), facts.is_admin);

        let elsewhere = DeviceId::new("till-york-2")?;
        assert!(self.store.verify(ada.token(), &elsewhere)?.valid().is_err());
        println!("on {}: refused", elsewhere.as_str());
        assert!(self.store.verify(ada.token(), None)?.valid().is_err());
        println!("without a device: refused");
        let header = format!("Bearer {}", ada.token());
        let presented = Presented::from_header(&header)?;
        assert!(self.store.verify(presented.token.expose(), &ada.device)?.valid().is_ok());
        println!("from an Authorization header, on its device: valid");
        Ok(())
    }

    fn list_sessions(&self, held: &[Held]) -> Result<()> {
        section("The sessions, without anything secret");
        let mut table = Table::new(["user", "label", "from", "opened", "expires"]);
        let mut listed = 0;
        for Held { reply, .. } in held {
            for session in self.store.sessions().list_of(reply.user.id)? {
                let address = session.origin.as_ref().and_then(Origin::address);
                table.row([
                    reply.user.username.clone(),
                    session.label.unwrap_or_default(),
                    address.map(|ip| ip.to_string()).unwrap_or_default(),
                    session.opened_at.format("%a %H:%M").to_string(),
                    session.expires_at.format("%a %H:%M").to_string(),
                ]);
                listed += 1;
            }
        }
        table.print();
        assert_eq!(listed, 9, "eight users, one of them on two devices");
        Ok(())
    }

    fn force_a_change(&mut self) -> Result<()> {
        section("A first password must be changed");
        let (first, weak, own) = ("bramka-tymczasowa-41", "Żurawska", "cisza przed burzą");
        let refusal = refused(self.store.log_in(self.zofia(first, None)?)?)?;
        assert_eq!(refusal, Refusal::NewPasswordRequired);
        println!("zofia.new, as she was told to:  {}", refusal.message());
        let refusal = refused(self.store.log_in(self.zofia(first, Some(weak))?)?)?;
        assert!(matches!(refusal, Refusal::PasswordRejected(_)));
        println!("with her own name as new one:   {}", refusal.message());
        let reply = self.store.log_in(self.zofia(first, Some(own))?)?.granted()?;
        assert!(!reply.user.set_initial_password);
        println!("with a better one:              logged in, in the same step");
        let refusal = refused(self.store.log_in(self.zofia(first, None)?)?)?;
        assert_eq!(refusal, Refusal::InvalidCredentials);
        println!("with the first one again:       {}", refusal.message());
        self.secrets.extend([first, own].map(str::to_owned));
        self.secrets.push(reply.session.token.expose().to_owned());
        Ok(())
    }

    fn zofia(&self, password: &str, new: Option<&str>) -> Result<LogIn> {
        let device = DeviceId::new("gdansk-4")?;
        let request = LogIn::new("zofia.new", Password::from(password), device);
        Ok(match new {
            Some(new) => request.new_password(Password::from(new)),
            None => request,
        })
    }

    fn guess_a_password(&mut self, held: &[Held]) -> Result<()> {
        section("Somebody guesses at bertram.carrow's password");
        let bertram = id(&self.directory.users, "bertram.carrow")?;
        for guess in ["geese", "seven geese", "seven-geese", "seven-geese-at-ten", "geese at noon"]
        {
            let request = self.request("bertram.carrow", guess, "unknown-phone")?;
            assert_eq!(refused(self.store.log_in(request)?)?, Refusal::InvalidCredentials);
        }
        let request = self.request("bertram.carrow", "seven-geese-at-noon", "unknown-phone")?;
        let refusal = refused(self.store.log_in(request)?)?;
        assert_eq!(refusal.retry_after(), Some(Duration::from_secs(30)));
        println!("five wrong ones, then even the right one: {}", refusal.message());
        println!("(a wait of 30 s, and nothing is compared before it is over)");
        let user = self.store.users().find(bertram)?.ok_or("no such user")?;
        assert!(user.is_locked_out("2026-11-23T08:00:29Z".parse()?));
        assert_eq!(user.failed_password_attempt_count, 5);

        let his = of(held, "bertram.carrow")?;
        assert!(self.store.verify(his.token(), &his.device)?.valid().is_ok());
        println!("his session goes on: a stranger cannot log him out");
        let ada = of(held, "ada")?;
        let facts = self.store.verify(ada.token(), &ada.device)?.valid()?;
        self.store.acting_as(facts).users().unlock(bertram)?;
        let user = self.store.users().find(bertram)?.ok_or("no such user")?;
        assert_eq!(user.locked_out_until, None);
        let unlocked = AuditFilter::new().kind(EventKind::AttemptsUnlocked);
        let log = self.store.audit().list(&unlocked, Page::default())?;
        assert!(log.iter().all(|entry| entry.actor == Actor::from(facts)) && log.len() == 1);
        println!("ada unlocks him, and the audit log says that it was her");
        Ok(())
    }

    fn log_out(&self, held: &[Held]) -> Result<()> {
        section("Logging out");
        let his = of(held, "bertram.carrow")?;
        assert_eq!(self.store.log_out(his.token(), &his.device)?, Ended::Now);
        assert!(self.store.verify(his.token(), &his.device)?.valid().is_err());
        println!("bertram.carrow logs out: the token is refused from here on");
        assert_eq!(self.store.log_out(his.token(), &his.device)?, Ended::Before);
        println!("logging out twice is no error: it had ended before");
        Ok(())
    }

    fn use_an_api_key(&mut self) -> Result<()> {
        section("A key for work without a person");
        let export = id(&self.directory.users, "nightly-export")?;
        let first = self.store.api_keys().issue(export, NewApiKey::new().label("export"))?;
        let facts = self.store.verify(first.key.expose(), None)?.valid()?;
        assert_eq!((facts.user, facts.session, facts.expires_at), (export, None, None));
        println!("nightly-export's key is valid without a device, and until it is replaced");
        let second = self.store.api_keys().reassign(export, HOUR)?;
        assert!(self.store.verify(first.key.expose(), None)?.valid().is_ok());
        self.clock.advance(HOUR);
        assert!(self.store.verify(first.key.expose(), None)?.valid().is_err());
        assert!(self.store.verify(second.key.expose(), None)?.valid().is_ok());
        println!("replaced with an hour of overlap: an hour later only the new one is valid");
        self.secrets.extend([&first, &second].map(|issued| issued.key.expose().to_owned()));
        Ok(())
    }

    fn end_a_branch(&self, held: &[Held]) -> Result<()> {
        section("All sessions of a branch end at once");
        let (ada, solveig) = (of(held, "ada")?, of(held, "solveig")?);
        let york = id(&self.directory.branches, "York")?;
        let facts = self.store.verify(ada.token(), &ada.device)?.valid()?;
        self.store.acting_as(facts).sessions().end_all_of_branch(york)?;
        assert!(self.store.verify(ada.token(), &ada.device)?.valid().is_err());
        assert!(self.store.sessions().list_of(ada.reply.user.id)?.is_empty());
        println!("York: ada's sessions are gone, her own with the others");
        assert!(self.store.verify(solveig.token(), &solveig.device)?.valid().is_ok());
        println!("elsewhere: solveig's goes on");
        Ok(())
    }

    fn let_time_pass(&self, held: &[Held]) -> Result<()> {
        section("A session ends by itself");
        let solveig = of(held, "solveig")?;
        let end = solveig.reply.session.expires_at;
        self.clock.set(end - chrono::TimeDelta::milliseconds(1));
        assert!(self.store.verify(solveig.token(), &solveig.device)?.valid().is_ok());
        println!("{}: valid", self.now());
        self.clock.set(end);
        assert!(self.store.verify(solveig.token(), &solveig.device)?.valid().is_err());
        println!("{}: refused", self.now());
        Ok(())
    }

    fn now(&self) -> String {
        use gatepost::Clock;
        self.clock.now().format("%a %H:%M:%S%.3f").to_string()
    }

    fn look_into_the_file(&mut self, path: &Path) -> Result<()> {
        section("What is in the file");
        assert!(self.store.audit().verify_chain(None)?.is_intact());
        self.store.close()?;
        page::print_tables(path)?;
        println!();
        page::print_files(path)?;

        self.secrets.sort();
        self.secrets.dedup();
        assert_eq!(page::found_beside(path, &self.secrets)?, 0, "a secret is in the file");
        assert_eq!(page::found_beside(path, &["bertram.carrow".to_owned()])?, 1);
        println!(
            "{} passwords, tokens and keys that were typed or shown were searched for: none is \
             there.",
            self.secrets.len()
        );
        println!("The audit log's chain is intact: no row was changed or taken out.");
        Ok(())
    }
}

fn refused(answer: LoginAnswer) -> Result<Refusal> {
    answer.granted().err().ok_or_else(|| "this login should have been refused".into())
}

fn of<'h>(held: &'h [Held], who: &str) -> Result<&'h Held> {
    let mut found = held.iter().filter(|held| held.reply.user.username == who);
    found.next().ok_or_else(|| format!("{who} has no session").into())
}
