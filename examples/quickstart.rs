//! A directory of real size in one file: `cargo run --example quickstart`.
//!
//! The example loads 300 users into a new file, logs some of them in, shows why other logins are
//! refused, lists, verifies and revokes sessions, enrols a second factor, and shows an image by a
//! ticket. What it prints is also asserted: if a line
//! were not true, the example would fail. Only the clock is not the real one: the example moves it.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it measures its own time, and reads the closed file with plain SQL"
)]

#[path = "data/directory.rs"]
mod directory;
#[path = "data/page.rs"]
mod page;
#[path = "data/second_factor.rs"]
mod second_factor;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use directory::{Directory, id};
use gatepost::audit::{AuditFilter, EventKind};
use gatepost::host::{KeyId, Keys, ManualClock, SealingKey};
use gatepost::policy::ApiVersion;
use gatepost::sessions::{NewApiKey, SessionFilter};
use gatepost::{
    Actor, ClientInfo, ClientKind, DeviceId, Ended, HeaderCredentials, LoginOutcome, LoginRefusal,
    LoginReply, LoginRequest, Options, Page, Password, Store, Timestamp, chrono::DateTime,
};
use page::{Table, section};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const HOUR: Duration = Duration::from_secs(3_600);

fn main() -> Result<()> {
    let began = Instant::now();
    let home = tempfile::tempdir()?;
    let path = home.path().join("auth.db");
    let clock = ManualClock::new("2026-11-23T08:00:00Z".parse()?);
    // The secrets of authenticators are stored only sealed, under a key that is not in the file.
    let keys = Keys::new(KeyId::new("2026-11")?, SealingKey::random()?);
    let options = Options::server()
        .service_name("Quickstart")
        .keyring(Arc::new(keys))
        .login_by_email(true)
        .clock(Arc::new(clock.clone()));
    let store = Store::open(&path, options)?;

    let directory = load_the_directory(&store)?;
    let mut story = Story { store, clock, directory, secrets: Vec::new() };
    let sessions = story.log_in_on_devices()?;
    story.show_refusals()?;
    story.verify(&sessions)?;
    story.list_sessions(&sessions)?;
    story.force_a_change()?;
    story.guess_a_password(&sessions)?;
    let tamsin = story.enrol_a_second_factor(&sessions)?;
    story.show_an_image(&tamsin)?;
    story.log_out(&sessions)?;
    story.use_an_api_key()?;
    story.revoke_a_branch(&sessions)?;
    story.let_time_pass(&sessions)?;
    story.look_into_the_file(&path)?;
    println!("\nDone in {:.1} s.", began.elapsed().as_secs_f64());
    Ok(())
}

fn load_the_directory(store: &Store) -> Result<Directory> {
    section("The directory is loaded into one file");
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
    println!("Each call was one commit, flushed to the disk.");
    assert_eq!(directory.users.len(), 300);

    let ada = store.users().find_by_username("ADA")?.ok_or("there is no user ada")?;
    assert_eq!(ada.id, id(&directory.users, "ada")?);
    println!("A username is found in any case: ADA is {}.", ada.username);
    Ok(directory)
}

struct Story {
    store: Store,
    clock: ManualClock,
    directory: Directory,
    /// Each password, token and key of the story: at the end, none of them may be in the file.
    secrets: Vec<String>,
}

/// What a client keeps of its session.
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

/// The username, the password, the reason for the refusal, and what else the request has.
type Attempt = (&'static str, &'static str, &'static str, fn(LoginRequest) -> LoginRequest);

impl Story {
    /// A login request. Its password is kept for the search at the end.
    fn request(&mut self, who: &str, password: &str, device: &str) -> Result<LoginRequest> {
        self.secrets.push(password.to_owned());
        let device = DeviceId::new(device)?;
        Ok(LoginRequest::new(who, Password::from(password), device))
    }

    fn log_in(
        &mut self,
        who: &'static str,
        password: &str,
        device: &str,
        label: &str,
    ) -> Result<Held> {
        let client_info = ClientInfo::new().ip(std::net::Ipv4Addr::new(192, 0, 2, 17));
        let request = self.request(who, password, device)?.label(label).client_info(client_info);
        let reply = self.store.log_in(request)?.granted()?;
        self.secrets.push(reply.session.token.expose().to_owned());
        Ok(Held { who, device: DeviceId::new(device)?, reply })
    }

    fn log_in_on_devices(&mut self) -> Result<Vec<Held>> {
        section("Users log in, each on a device");
        // Another keyboard writes the accents of the same password as other bytes.
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
                reply.profile.user.username.clone(),
                reply.profile.branch.as_ref().map_or("none".into(), |branch| branch.name.clone()),
                reply
                    .profile
                    .organisation
                    .as_ref()
                    .map_or("none".into(), |place| place.name.clone()),
                on_the_wall(reply.session.expires_at, "%a %H:%M"),
            ]);
        }
        table.print();

        section("One reply as its client reads it (the token cut short)");
        let again = self.log_in("ada", "lantern over wet slate", "laptop-ada", "Laptop")?;
        let token = again.token().to_owned();
        let json = serde_json::to_string_pretty(&again.reply.into_wire())?;
        assert!(json.contains(&token), "the wire reply carries the token");
        let beginning: String = token.chars().take(10).collect();
        println!("{}", json.replace(&token, &format!("{beginning}…")));
        println!("ada's second login on the laptop replaced the session there:");
        let mut held = held;
        let replaced = held.remove(1);
        assert!(self.store.verify((replaced.token(), &replaced.device))?.valid().is_err());
        println!("the earlier token is refused.");
        Ok(held)
    }

    fn show_refusals(&mut self) -> Result<()> {
        section("Logins that are refused");
        let mut table = Table::new(["username", "the reason", "the message"]);
        let (ada, bertram) = ("lantern over wet slate", "seven-geese-at-noon");
        let desktop = |request: LoginRequest| request.client(ClientKind::Desktop);
        let old = |request: LoginRequest| request.api_version(ApiVersion::new(0, 9));
        let attempts: [Attempt; 8] = [
            ("ada", "lantern over dry slate", "a wrong password", |request| request),
            ("adah", ada, "an unknown user", |request| request),
            ("gareth.locked", "copper kettle, cold", "the user is locked", |request| request),
            ("winifred.disabled", "a drawer full of string", "the user is disabled", |request| {
                request
            }),
            ("silas.night", "owls keep the ledger", "the branch is disabled", |request| request),
            ("tamsin", "salt & harbour lights", "a desktop client", desktop),
            (
                "bertram.carrow",
                bertram,
                "the login asks for an administrator",
                LoginRequest::require_admin,
            ),
            ("ada", ada, "an API version not served", old),
        ];
        let mut refusals = Vec::new();
        for (who, password, why, with) in attempts {
            let request = with(self.request(who, password, "till-york-1")?);
            let refusal = refused(self.store.log_in(request)?)?;
            table.row([who, why, &refusal.message()].map(str::to_owned));
            refusals.push(refusal);
        }
        table.print();
        assert!(
            refusals.starts_with(&[
                LoginRefusal::InvalidCredentials,
                LoginRefusal::InvalidCredentials
            ])
        );
        for refusal in [
            LoginRefusal::AccountDisabled,
            LoginRefusal::BranchDisabled,
            LoginRefusal::DesktopClientDenied,
            LoginRefusal::AdministratorRequired,
            LoginRefusal::IncompatibleApiVersion,
        ] {
            assert!(refusals.contains(&refusal), "{refusal:?}");
        }
        println!("The first two get the same answer, after the same work.");
        Ok(())
    }

    fn verify(&self, held: &[Held]) -> Result<()> {
        section("A token is valid only with its device");
        let ada = of(held, "ada")?;
        let principal = self.store.verify((ada.token(), &ada.device))?.valid()?;
        assert!(principal.is_admin && principal.user == ada.reply.profile.user.id);
        println!("on {}: valid, administrator: {}", ada.device.as_str(), principal.is_admin);

        let elsewhere = DeviceId::new("till-york-2")?;
        assert!(self.store.verify((ada.token(), &elsewhere))?.valid().is_err());
        println!("on {}: refused", elsewhere.as_str());
        assert!(self.store.verify((ada.token(), None))?.valid().is_err());
        println!("without a device: refused");
        let header = format!("Bearer {}", ada.token());
        let presented = HeaderCredentials::from_header(&header)?;
        assert!(self.store.verify((&presented.token, &ada.device))?.valid().is_ok());
        println!("from an Authorization header, with its device: valid");
        Ok(())
    }

    fn list_sessions(&self, held: &[Held]) -> Result<()> {
        section("The list of sessions, which has no secrets");
        let mut table = Table::new(["user", "label", "from", "opened", "expires"]);
        let mut listed = 0;
        for Held { reply, .. } in held {
            for session in self
                .store
                .sessions()
                .list(&SessionFilter::new().under(reply.profile.user.id), Page::default())?
            {
                let address = session.client_info.as_ref().and_then(ClientInfo::address);
                table.row([
                    reply.profile.user.username.clone(),
                    session.label.unwrap_or_default(),
                    address.map(|ip| ip.to_string()).unwrap_or_default(),
                    on_the_wall(session.opened_at, "%a %H:%M"),
                    on_the_wall(session.expires_at, "%a %H:%M"),
                ]);
                listed += 1;
            }
        }
        table.print();
        assert_eq!(listed, 9, "eight users, one of them on two devices");
        Ok(())
    }

    fn force_a_change(&mut self) -> Result<()> {
        section("zofia.new has to change her first password");
        let (first, weak, own) = ("bramka-tymczasowa-41", "Żurawska", "cisza przed burzą");
        let refusal = refused(self.store.log_in(self.zofia(first, None)?)?)?;
        assert_eq!(refusal, LoginRefusal::NewPasswordRequired);
        println!("the first password:            {}", refusal.message());
        let refusal = refused(self.store.log_in(self.zofia(first, Some(weak))?)?)?;
        assert!(matches!(refusal, LoginRefusal::PasswordRejected(_)));
        println!("her own name as the new one:   {}", refusal.message());
        let reply = self.store.log_in(self.zofia(first, Some(own))?)?.granted()?;
        assert!(!reply.profile.user.must_change_password);
        println!("a better new one:              logged in, in the same call");
        let refusal = refused(self.store.log_in(self.zofia(first, None)?)?)?;
        assert_eq!(refusal, LoginRefusal::InvalidCredentials);
        println!("the first password again:      {}", refusal.message());
        self.secrets.extend([first, own].map(str::to_owned));
        self.secrets.push(reply.session.token.expose().to_owned());
        Ok(())
    }

    fn zofia(&self, password: &str, new: Option<&str>) -> Result<LoginRequest> {
        let device = DeviceId::new("gdansk-4")?;
        let request = LoginRequest::new("zofia.new", Password::from(password), device);
        Ok(match new {
            Some(new) => request.new_password(Password::from(new)),
            None => request,
        })
    }

    fn guess_a_password(&mut self, held: &[Held]) -> Result<()> {
        section("A stranger guesses bertram.carrow's password");
        let bertram = id(&self.directory.users, "bertram.carrow")?;
        for guess in ["geese", "seven geese", "seven-geese", "seven-geese-at-ten", "geese at noon"]
        {
            let request = self.request("bertram.carrow", guess, "unknown-phone")?;
            assert_eq!(refused(self.store.log_in(request)?)?, LoginRefusal::InvalidCredentials);
        }
        let request = self.request("bertram.carrow", "seven-geese-at-noon", "unknown-phone")?;
        let refusal = refused(self.store.log_in(request)?)?;
        assert_eq!(refusal.retry_after(), Some(Duration::from_secs(30)));
        println!(
            "after five wrong passwords, even the right one is refused: {}",
            refusal.message()
        );
        println!("(for 30 s, no password is compared)");
        let user = self.store.users().find(bertram)?.ok_or("no such user")?;
        assert!(user.is_locked_out("2026-11-23T08:00:29Z".parse()?));
        assert_eq!(user.failed_attempts, 5);

        let his = of(held, "bertram.carrow")?;
        assert!(self.store.verify((his.token(), &his.device))?.valid().is_ok());
        println!("his session is still valid: failed logins revoke nothing");
        let ada = of(held, "ada")?;
        let principal = self.store.verify((ada.token(), &ada.device))?.valid()?;
        self.store.acting_as(principal).users().unlock(bertram)?;
        let user = self.store.users().find(bertram)?.ok_or("no such user")?;
        assert_eq!(user.locked_out_until, None);
        let unlocked = AuditFilter::new().kind(EventKind::AttemptsUnlocked);
        let log = self.store.audit().list(&unlocked, Page::default())?;
        assert!(log.iter().all(|entry| entry.actor == Actor::from(principal)) && log.len() == 1);
        println!("ada unlocks him, and the audit log names her as the actor");
        Ok(())
    }

    fn log_out(&self, held: &[Held]) -> Result<()> {
        section("Logging out");
        let his = of(held, "bertram.carrow")?;
        assert_eq!(self.store.log_out((his.token(), &his.device))?, Ended::Now);
        assert!(self.store.verify((his.token(), &his.device))?.valid().is_err());
        println!("bertram.carrow logs out: his token is refused");
        assert_eq!(self.store.log_out((his.token(), &his.device))?, Ended::Before);
        println!("a second logout is no error: it reports that the session had ended before");
        Ok(())
    }

    fn use_an_api_key(&mut self) -> Result<()> {
        section("An API key for background work");
        let export = id(&self.directory.users, "nightly-export")?;
        let first = self.store.api_keys().issue(export, NewApiKey::new().label("export"))?;
        let principal = self.store.verify((&first.key, None))?.valid()?;
        assert_eq!(
            (principal.user, principal.credential.session(), principal.expires_at),
            (export, None, None)
        );
        println!("the key of nightly-export is valid without a device, and does not expire");
        let second = self.store.api_keys().rotate(first.id, HOUR)?;
        assert!(self.store.verify((&first.key, None))?.valid().is_ok());
        self.clock.advance(HOUR);
        assert!(self.store.verify((&first.key, None))?.valid().is_err());
        assert!(self.store.verify((&second.key, None))?.valid().is_ok());
        println!("rotated with an overlap of an hour: an hour later only the new key is valid");
        self.secrets.extend([&first, &second].map(|issued| issued.key.expose().to_owned()));
        Ok(())
    }

    fn revoke_a_branch(&self, held: &[Held]) -> Result<()> {
        section("All sessions of a branch are revoked at once");
        let (ada, solveig) = (of(held, "ada")?, of(held, "solveig")?);
        let york = id(&self.directory.branches, "York")?;
        let principal = self.store.verify((ada.token(), &ada.device))?.valid()?;
        self.store.acting_as(principal).sessions().revoke_all(york)?;
        assert!(self.store.verify((ada.token(), &ada.device))?.valid().is_err());
        assert!(
            self.store
                .sessions()
                .list(&SessionFilter::new().under(ada.reply.profile.user.id), Page::default())?
                .is_empty()
        );
        println!("York: all sessions are refused, also that of ada, who revoked them");
        assert!(self.store.verify((solveig.token(), &solveig.device))?.valid().is_ok());
        println!("another branch: the session of solveig is still valid");
        Ok(())
    }

    fn let_time_pass(&self, held: &[Held]) -> Result<()> {
        section("A session expires");
        let solveig = of(held, "solveig")?;
        let end = solveig.reply.session.expires_at;
        self.clock.set(end - Duration::from_millis(1));
        assert!(self.store.verify((solveig.token(), &solveig.device))?.valid().is_ok());
        println!("{}: valid", self.now());
        self.clock.set(end);
        assert!(self.store.verify((solveig.token(), &solveig.device))?.valid().is_err());
        println!("{}: refused", self.now());
        Ok(())
    }

    fn now(&self) -> String {
        use gatepost::host::Clock;
        on_the_wall(self.clock.now(), "%a %H:%M:%S%.3f")
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
            "The example searched the file for its {} passwords, tokens and keys: it has none of \
             them.",
            self.secrets.len()
        );
        println!("The chain of the audit log is intact: no row was changed or removed.");
        Ok(())
    }
}

fn refused(answer: LoginOutcome) -> Result<LoginRefusal> {
    answer.granted().err().ok_or_else(|| "this login should have been refused".into())
}

fn of<'h>(held: &'h [Held], who: &str) -> Result<&'h Held> {
    let mut found = held.iter().filter(|held| held.reply.profile.user.username == who);
    found.next().ok_or_else(|| format!("{who} has no session").into())
}

/// A time in a format of chrono's.
fn on_the_wall(at: Timestamp, format: &str) -> String {
    DateTime::from(at).format(format).to_string()
}
