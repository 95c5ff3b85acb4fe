//! Litestream replicates a busy store: its restores are taken in, and its follower is verified.
//!
//! `scripts/litestream` starts this role with the path of the program; the suite has no Litestream.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gatepost::policy::SessionPolicy;
use gatepost::sessions::{NewApiKey, OpenSession};
use gatepost::status::OpenWarning;
use gatepost::{DeviceId, NewUser, Options, Secret, Store, UserId};
use rusqlite::Connection;

use crate::child::Parent;
use crate::world::for_tests;

/// In the error of Litestream that found a gap between the files of its replica.
const MISSED: &str = "non-contiguous ltx files";
/// Verifies of the copy that is followed, at least.
const FOLLOWED: u64 = 2_000;
/// The longest time after which a login or a logout must have reached that copy.
const LATEST: Duration = Duration::from_secs(20);

fn options() -> Options {
    for_tests().api_keys_per_user(1_000).sessions(SessionPolicy::server().per_user(10_000))
}

#[expect(clippy::disallowed_methods, reason = "another program works meanwhile")]
fn wait(time: Duration) {
    std::thread::park_timeout(time);
}

/// Ended when it is dropped.
struct Litestream(Child);

impl Drop for Litestream {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(program: &str, words: &[&str]) -> Litestream {
    let mut command = Command::new(program);
    Litestream(command.args(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

type Sessions = Mutex<Vec<(Secret, DeviceId)>>;

/// Opens sessions and issues keys, revokes some, and counts its writes.
fn load(store: &Store, user: UserId, held: &Sessions, writes: &AtomicU64, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let number = writes.fetch_add(1, Ordering::Relaxed);
        let device = DeviceId::random().unwrap();
        let open = OpenSession::new(user, device.clone());
        let session = store.sessions().open(open).unwrap().granted().unwrap().session;
        if number.is_multiple_of(20) {
            store.api_keys().issue(user, NewApiKey::new()).unwrap();
        }
        if number.is_multiple_of(4) {
            store.log_out((&session.token, &device)).unwrap();
        }
        held.lock().unwrap().push((session.token, device));
        wait(Duration::from_millis(5));
    }
}

/// The words are the program and the number of positions.
pub(crate) fn role(_: &mut Parent, words: &[String]) {
    let (program, positions) = (words[0].as_str(), words[1].parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.db");
    let store = Store::open(&path, options()).unwrap();
    let user = store.users().create(NewUser::person("ada")).unwrap().id;
    let replica = directory.path().join("replica");
    let config = directory.path().join("litestream.yml");
    let text = format!(
        "dbs:\n  - path: {}\n    monitor-interval: 20ms\n    replica:\n      type: file\n      \
         path: {}\n      sync-interval: 50ms\n",
        path.display(),
        replica.display()
    );
    fs::write(&config, text).unwrap();
    let replicating = start(program, &["replicate", "-config", config.to_str().unwrap()]);
    let url = format!("file://{}", replica.display());

    let (held, writes) = (Mutex::new(Vec::new()), AtomicU64::new(0));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| load(&store, user, &held, &writes, &stop));
        wait(Duration::from_secs(2));
        let restored: Vec<u64> = (0..positions)
            .map(|number| {
                let copy = directory.path().join(format!("copy-{number}.db"));
                restored_and_taken_in(program, &url, &copy, &held)
            })
            .collect();
        let mut distinct = restored.clone();
        distinct.dedup();
        println!(
            "{positions} restores of {} positions, {} to {} sessions in the copies, all intact and \
             taken in: 0 revived",
            distinct.len(),
            restored.first().unwrap(),
            restored.last().unwrap()
        );
        followed(program, &url, directory.path(), &store, user);
        stop.store(true, Ordering::Relaxed);
    });
    println!("{} writes of the load", writes.load(Ordering::Relaxed));
    assert!(store.audit().verify_chain(None).unwrap().is_intact());
    drop(replicating);
}

/// Returns how many sessions the copy had before it was taken in.
fn restored_and_taken_in(program: &str, url: &str, copy: &Path, held: &Sessions) -> u64 {
    let restore = || {
        let words = ["restore", "-o", copy.to_str().unwrap(), url];
        Command::new(program).args(words).output().unwrap()
    };
    let mut ran = restore();
    // It lists a replica into which it writes: a file that it misses there is in the next list.
    for _ in 0..20 {
        if ran.status.success() || !String::from_utf8_lossy(&ran.stderr).contains(MISSED) {
            break;
        }
        wait(Duration::from_millis(250));
        ran = restore();
    }
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(fs::metadata(copy).unwrap().mode() & 0o777, 0o644);
    let sessions: u64 = Connection::open(copy)
        .unwrap()
        .query_row("SELECT count(*) FROM session", [], |row| row.get::<_, i64>(0))
        .unwrap()
        .unsigned_abs();
    let report = Store::adopt_restored(copy, options()).unwrap();
    assert_eq!(report.sessions_revoked as u64, sessions);
    assert_eq!(fs::metadata(copy).unwrap().mode() & 0o777, 0o600);
    let store = Store::open(copy, options()).unwrap();
    assert!(!store.status().open_warnings.contains(&OpenWarning::PerhapsRestored));
    assert!(store.audit().verify_chain(None).unwrap().is_intact());
    for (token, device) in held.lock().unwrap().iter() {
        assert!(store.verify((token, device)).unwrap().valid().is_err(), "a session was revived");
    }
    store.close().unwrap();
    sessions
}

/// Verifies over a copy while Litestream writes it.
fn followed(program: &str, url: &str, directory: &Path, store: &Store, user: UserId) {
    let copy = directory.join("followed.db");
    let words = ["restore", "-f", "-follow-interval", "50ms", "-o", copy.to_str().unwrap(), url];
    let following = start(program, &words);
    while !copy.exists() {
        wait(Duration::from_millis(20));
    }
    wait(Duration::from_millis(500));
    let reader = Store::open_read_only(&copy, options()).unwrap();
    let (mut verifies, mut errors) = (0, BTreeMap::<String, u64>::new());
    let (mut turns, mut latest, mut most_lag) = (0_u32, Duration::ZERO, Duration::ZERO);
    while verifies < FOLLOWED {
        let device = DeviceId::random().unwrap();
        let open = OpenSession::new(user, device.clone());
        let session = store.sessions().open(open).unwrap().granted().unwrap().session;
        let mut until = |wanted: bool| {
            #[expect(clippy::disallowed_methods, reason = "another program copies meanwhile")]
            let begun = Instant::now();
            let mut was_as_wanted = false;
            while !was_as_wanted {
                assert!(begun.elapsed() < LATEST, "not {wanted} within {LATEST:?}");
                match reader.verify((&session.token, &device)) {
                    Ok(verdict) => was_as_wanted = verdict.valid().is_ok() == wanted,
                    Err(error) => *errors.entry(format!("{:?}", error.kind())).or_default() += 1,
                }
                verifies += 1;
                wait(Duration::from_millis(1));
            }
            latest = latest.max(begun.elapsed());
        };
        until(true);
        store.log_out((&session.token, &device)).unwrap();
        until(false);
        // What was revoked in the copy stays so.
        for _ in 0..5 {
            if let Ok(verdict) = reader.verify((&session.token, &device)) {
                assert!(verdict.valid().is_err(), "a session was revived in the copy");
            }
            verifies += 1;
        }
        if let Ok(status) = reader.status() {
            most_lag = most_lag.max(status.lag.unwrap());
        }
        turns += 1;
    }
    println!(
        "{verifies} verifies of the copy that is followed: {turns} logins and {turns} logouts \
         reached it, the last after {} ms; the most lag that it stated was {} ms; errors: \
         {errors:?}",
        latest.as_millis(),
        most_lag.as_millis()
    );
    drop(following);
}
