//! Backups and restores under the load of three processes, which write and verify without a pause.
//!
//! The audit log is the model: replayed, it gives the sessions, keys, tokens, values and credits of
//! each moment. Every backup must equal the replay up to its newest row, and hold every write that
//! was acknowledged before it began.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatepost::audit::{AuditFilter, EventKind};
use gatepost::directory::{CreditHolder, UserStatus};
use gatepost::policy::SessionPolicy;
use gatepost::sessions::{NewApiKey, NewOneTimeToken, OpenSession, RevokeApiKeys};
use gatepost::{
    ApiKeyId, BranchId, DeviceId, ErrorKind, NewUser, Options, Page, Password, Secret, SessionId,
    Store, Subtree, UserId,
};
use rusqlite::{Connection, OpenFlags};

use crate::child::{Child, Parent};
use crate::world::{for_tests, one_of};

const PROCESSES: usize = 3;
/// The file has more pages than a step of a backup copies.
const FILLING_USERS: usize = 100;
const CREDITS: u64 = 1_000_000;
/// The newest credentials of a process that its verifies keep asking for.
const ASKED: usize = 12;

fn options() -> Options {
    for_tests().api_keys_per_user(1_000).sessions(SessionPolicy::server().per_user(10_000))
}

#[expect(clippy::disallowed_methods, reason = "processes compare their times")]
fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_micros().try_into().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "other processes write meanwhile")]
fn wait(time: Duration) {
    std::thread::park_timeout(time);
}

/// A credential that a process holds.
struct Held {
    /// When the call that issued it was answered.
    since: u64,
    what: Credential,
    /// When the last verify that passed had begun.
    passed: u64,
}

enum Credential {
    Session(SessionId, Secret, DeviceId),
    Key(ApiKeyId, Secret),
    Reset(Secret),
}

impl Held {
    fn asks(&mut self, store: &Store) {
        let begun = micros();
        let found = match &self.what {
            Credential::Session(_, token, device) => store.verify((token, device)),
            Credential::Key(_, key) => store.verify((key, None)),
            Credential::Reset(_) => return,
        };
        match found {
            Ok(verdict) if verdict.valid().is_ok() => self.passed = begun,
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::Busy, "{error}"),
        }
    }

    /// Whether it is good for anything now.
    fn is_live(&mut self, store: &Store) -> bool {
        match &self.what {
            Credential::Reset(token) => {
                let password = Password::from("one more long password");
                let tokens = store.one_time_tokens();
                let reset = tokens.reset_password(token.expose(), password, RevokeApiKeys::Keep);
                reset.unwrap().valid().is_ok()
            }
            _ => {
                let begun = micros();
                self.asks(store);
                self.passed >= begun
            }
        }
    }
}

/// Writes and verifies from a line that says so to the next one, which has the times between which
/// a restore was made: says how many writes were acknowledged, how many credentials from before it
/// passed after it, and how many it has seen.
pub(crate) fn role(parent: &mut Parent, words: &[String]) {
    let store = Store::open(&words[0], options()).unwrap();
    let user: UserId = words[1].parse().unwrap();
    let branch: BranchId = words[2].parse().unwrap();
    let mut number = 0;
    while let Some(line) = parent.hear() {
        assert_eq!(line, "load");
        let stop = AtomicBool::new(false);
        let (mut held, writes) = std::thread::scope(|scope| {
            let load = scope.spawn(|| load(&store, user, branch, &mut number, &stop));
            let line = parent.hear().unwrap();
            assert_eq!(line, "stop");
            stop.store(true, Ordering::Relaxed);
            load.join().unwrap()
        });
        parent.say(&writes.to_string());
        let line = parent.hear().unwrap();
        let (begun, done) = line.split_once(' ').unwrap();
        let (begun, done): (u64, u64) = (begun.parse().unwrap(), done.parse().unwrap());
        let (mut late, mut old) = (0, 0);
        for one in held.iter_mut().filter(|one| one.since < begun) {
            old += 1;
            late += u64::from(one.passed > done || one.is_live(&store));
        }
        parent.say(&format!("{late} {old}"));
    }
}

fn load(
    store: &Store,
    user: UserId,
    branch: BranchId,
    number: &mut u64,
    stop: &AtomicBool,
) -> (Vec<Held>, u64) {
    let acting = store.acting_as(user);
    let mut held: Vec<Held> = Vec::new();
    let mut writes = 0;
    while !stop.load(Ordering::Relaxed) {
        *number += 1;
        match write(&acting, user, branch, *number, &mut held) {
            Ok(()) => writes += 1,
            // The file was busy, or the restore took what the write was about.
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Busy | ErrorKind::NotFound), "{error}")
            }
        }
        let from = held.len().saturating_sub(ASKED);
        held[from..].iter_mut().for_each(|one| one.asks(store));
    }
    (held, writes)
}

fn write(
    store: &Store,
    user: UserId,
    branch: BranchId,
    number: u64,
    held: &mut Vec<Held>,
) -> Result<(), gatepost::Error> {
    let mut hold = |what| held.push(Held { since: micros(), what, passed: 0 });
    match number % 7 {
        0 | 1 => {
            let device = DeviceId::random()?;
            let open = OpenSession::new(user, device.clone());
            let session = store.sessions().open(open)?.granted().unwrap().session;
            hold(Credential::Session(session.id, session.token, device));
        }
        2 => {
            let issued = store.api_keys().issue(user, NewApiKey::new())?;
            hold(Credential::Key(issued.id, issued.key));
        }
        3 => {
            let issued = store.one_time_tokens().issue(user, NewOneTimeToken::password_reset())?;
            hold(Credential::Reset(issued.token));
        }
        4 => {
            store.configuration().set(Subtree::User(user), "load.number", &number.to_string())?;
        }
        5 => drop(store.credits().spend(CreditHolder::Branch(branch), 1)?),
        _ => match held.iter().rev().nth(3).map(|one| &one.what) {
            Some(Credential::Session(id, ..)) => drop(store.sessions().revoke(*id)?),
            Some(Credential::Key(id, _)) => drop(store.api_keys().revoke(*id)?),
            _ => {}
        },
    }
    Ok(())
}

/// What the audit log says of the file, and what the tables of the file say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    sessions: BTreeSet<Vec<u8>>,
    keys: BTreeSet<Vec<u8>>,
    /// Users with a row of a one-time token.
    tokens: BTreeSet<Vec<u8>>,
    values: BTreeMap<Vec<u8>, u64>,
    credits: u64,
    seq: i64,
}

impl State {
    /// The tables of a backup. Values are counted by the replay, and read here.
    fn of(backup: &Connection, replayed: &Self) -> Self {
        let ids = |sql: &str| -> BTreeSet<Vec<u8>> {
            let mut statement = backup.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.map(Result::unwrap).collect()
        };
        let number = |sql: &str| -> i64 { backup.query_row(sql, [], |row| row.get(0)).unwrap() };
        let has_values = ids("SELECT user_id FROM setting WHERE key = 'load.number'");
        Self {
            sessions: ids("SELECT id FROM session"),
            keys: ids("SELECT id FROM api_key"),
            tokens: ids("SELECT user_id FROM one_time_token"),
            values: has_values
                .into_iter()
                .map(|user| (user.clone(), replayed.values.get(&user).copied().unwrap_or(0)))
                .collect(),
            credits: number("SELECT remaining FROM credit").unsigned_abs(),
            seq: number("SELECT max(head_seq) FROM audit_chain"),
        }
    }

    /// Replays the log of the open store up to a row.
    fn replay(&mut self, store: &Store, to: i64) {
        while self.seq < to {
            let page = Page::after(self.seq, 500);
            let rows = store.audit().list(&AuditFilter::new(), page).unwrap();
            assert!(!rows.is_empty(), "the log ends before row {to}");
            for row in rows.into_iter().take_while(|row| row.seq <= to) {
                self.seq = row.seq;
                let user = || row.user.unwrap().as_uuid().as_bytes().to_vec();
                let session = || row.session.unwrap().as_uuid().as_bytes().to_vec();
                let key = || row.api_key.unwrap().as_uuid().as_bytes().to_vec();
                match EventKind::from_name(&row.event) {
                    Some(EventKind::SessionOpened) => drop(self.sessions.insert(session())),
                    Some(EventKind::SessionRevoked) => drop(self.sessions.remove(&session())),
                    Some(EventKind::ApiKeyIssued) => drop(self.keys.insert(key())),
                    Some(EventKind::ApiKeyRevoked) => drop(self.keys.remove(&key())),
                    Some(EventKind::OneTimeTokenIssued) => drop(self.tokens.insert(user())),
                    Some(EventKind::ConfigurationSet) => {
                        *self.values.entry(user()).or_default() += 1;
                    }
                    Some(EventKind::CreditsSpent) => self.credits -= 1,
                    _ => {}
                }
            }
        }
    }

    /// What a restore of this leaves, with the credits that were left before it.
    fn restored(self, credits: u64, seq: i64) -> Self {
        Self {
            credits: self.credits.min(credits),
            seq,
            sessions: BTreeSet::new(),
            keys: BTreeSet::new(),
            tokens: BTreeSet::new(),
            ..self
        }
    }
}

/// What the rounds came to.
#[derive(Debug, Default)]
struct Tally {
    writes: u64,
    writes_during_backups: i64,
    restarts: u64,
    rows: u64,
    old: u64,
}

struct Bench {
    directory: tempfile::TempDir,
    store: Store,
    branch: BranchId,
    children: Vec<Child>,
    /// The state as of the last restore.
    base: State,
    tally: Tally,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.db");
        let store = Store::open(&path, options()).unwrap();
        let branch = store.branches().create("York", None).unwrap().id;
        store.credits().set(CreditHolder::Branch(branch), CREDITS).unwrap();
        for number in 0..FILLING_USERS {
            let text = format!("{{\"note\": \"{}\"}}", "x".repeat(16_000));
            let new = NewUser::person(format!("fill{number}")).attributes(text);
            store.users().create(new).unwrap();
        }
        let child = |number| {
            let new = NewUser::person(format!("user{number}"));
            let user = store.users().create(new).unwrap().id.to_string();
            let path = path.display().to_string();
            Child::start("restore under load", &[&path, &user, &branch.to_string()])
        };
        let children = (0..PROCESSES).map(child).collect();
        let base = State { credits: CREDITS, ..State::default() };
        Self { directory, store, branch, children, base, tally: Tally::default() }
    }

    fn newest(&self) -> i64 {
        let newest = self.store.audit().latest(1, &AuditFilter::new()).unwrap();
        newest[0].seq
    }

    fn say(&mut self, line: &str) {
        self.children.iter_mut().for_each(|child| child.say(line));
    }

    fn round(&mut self, number: usize) {
        let copy = self.directory.path().join(format!("copy-{number}.db"));
        self.say("load");
        wait(Duration::from_millis(40));
        let victim = NewUser::person(format!("victim{number}"));
        let victim = self.store.users().create(victim).unwrap().id;
        let before = self.newest();
        let report = self.store.backup(&copy, |_| ()).unwrap();
        let after = self.newest();
        self.tally.restarts += report.restarts;

        let backup = Connection::open_with_flags(&copy, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut state = self.base.clone();
        let newest = backup
            .query_row("SELECT max(head_seq) FROM audit_chain", [], |row| row.get(0))
            .unwrap();
        assert!((before..=after).contains(&newest), "{before} {newest} {after}");
        state.replay(&self.store, newest);
        assert_eq!(State::of(&backup, &state), state, "round {number}");
        self.tally.writes_during_backups += after - before - 1;
        self.tally.rows += (state.sessions.len() + state.keys.len() + state.tokens.len()) as u64;
        drop(backup);

        wait(Duration::from_millis(20));
        self.store.users().set_status(victim, UserStatus::Disabled).unwrap();
        let begun = micros();
        let restored = Store::restore(&copy, self.store.status().path.unwrap(), options());
        let done = micros();
        let restored = restored.unwrap();
        assert!(restored.audit_log_kept);
        let status = self.store.users().find(victim).unwrap().unwrap().status;
        assert_eq!(status, UserStatus::Disabled, "round {number}");
        wait(Duration::from_millis(20));
        self.say("stop");
        for child in &mut self.children {
            self.tally.writes += child.hear().parse::<u64>().unwrap();
        }
        self.say(&format!("{begun} {done}"));
        for child in &mut self.children {
            let said = child.hear();
            let (late, old) = said.split_once(' ').unwrap();
            assert_eq!(late, "0", "round {number}: a credential from before a restore passed");
            self.tally.old += old.parse::<u64>().unwrap();
        }
        self.begin_again(state);
        std::fs::remove_file(&copy).unwrap();
    }

    /// The state that the next backup begins from: that of the file, which must be the restored one
    /// and the replay of what was written since.
    fn begin_again(&mut self, backup: State) {
        let log = self.store.audit();
        let restored = log.latest(1, &AuditFilter::new().kind(EventKind::StoreRestored)).unwrap();
        let mut live = self.base.clone();
        live.replay(&self.store, restored[0].seq);
        self.base = backup.restored(live.credits, restored[0].seq);
        let newest = self.newest();
        let mut now = self.base.clone();
        now.replay(&self.store, newest);
        let left = self.store.credits().remaining(CreditHolder::Branch(self.branch)).unwrap();
        assert_eq!(left, Some(now.credits), "credits after a restore");
        assert!(self.store.audit().verify_chain(None).unwrap().is_intact());
    }
}

fn run(rounds: usize) -> Tally {
    let mut bench = Bench::new();
    for number in 0..rounds {
        bench.round(number);
    }
    bench.children.into_iter().for_each(Child::end);
    bench.tally
}

/// `scripts/backups` runs this one; without a number it makes the short form, which is shorter
/// still where the suite is compiled without optimisations.
#[test]
fn long() {
    let rounds = std::env::args().find_map(|word| word.strip_prefix('=')?.parse().ok());
    let rounds = rounds.unwrap_or(30 / one_of(3));
    let tally = run(rounds);
    println!(
        "{rounds} backups under load, each equal to the replay of the log: {} rows compared, {} \
         writes acknowledged, {} of them while a backup ran, {} restarts; {rounds} restores under \
         load: {} credentials from before them asked for, 0 passed",
        tally.rows, tally.writes, tally.writes_during_backups, tally.restarts, tally.old
    );
    assert!(tally.rows > 0 && tally.old > 0 && tally.writes_during_backups > 0);
}
