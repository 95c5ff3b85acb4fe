//! Reads beside each other: lists that read long, verifies that must not wait for them, and a
//! program that has used up its descriptors.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use gatepost::audit::{AuditFilter, EventKind, HostEvent};
use gatepost::sessions::OpenSession;
use gatepost::{ErrorKind, NewUser, Options, Page, Store};

use crate::child::{Child, Parent};
use crate::world::{World, device, for_tests};

/// Threads that list.
const LISTS: usize = 20;

fn with_host_rows(world: &World, rows: usize) {
    let batch: Vec<_> = (0..1_000).map(|_| HostEvent::new("till.opened").unwrap()).collect();
    for _ in 0..rows / batch.len() {
        world.store.audit().record(&batch).unwrap();
    }
}

/// How many verifies were `Busy` while others listed something rare. A session is verified for the
/// first time, so that the file is read.
fn busy_verifies(world: &World, verifies: usize) -> usize {
    let ada = world.person("ada").id;
    let over = AtomicBool::new(false);
    let wide = world.store.clone();
    thread::scope(|scope| {
        for _ in 0..LISTS {
            scope.spawn(|| {
                // No index serves it: each row of the log is read.
                let nothing =
                    AuditFilter::new().from_library().before(gatepost::Timestamp::UNIX_EPOCH);
                while !over.load(Ordering::Relaxed) {
                    let page = wide.audit().list(&nothing, Page::default());
                    assert!(page.is_ok_and(|page| page.is_empty()));
                }
            });
        }
        let busy = (0..verifies).filter(|number| {
            let on = device(&format!("till-{number}"));
            let open = OpenSession::new(ada, on.clone());
            let session = world.store.sessions().open(open).unwrap().granted().unwrap().session;
            match world.store.verify((&session.token, &on)) {
                Ok(verdict) => verdict.valid().is_err(),
                Err(error) => error.kind() == ErrorKind::Busy,
            }
        });
        let busy = busy.count();
        over.store(true, Ordering::Relaxed);
        busy
    })
}

/// The lists took all read connections, and each of them read the whole log in one snapshot.
#[test]
fn no_verify_waits_for_a_list() {
    for cached in [true, false] {
        let world = World::with(|options| if cached { options } else { options.cache(None) });
        with_host_rows(&world, 20_000);
        assert_eq!(busy_verifies(&world, 40), 0, "cached: {cached}");
    }
}

/// What `scripts/readers` runs. Words, each after `=`: `readers`, how many rows the log has, and
/// how many verifies.
#[test]
fn long() {
    let words = crate::child::words();
    let [section, rows, verifies] = words.as_slice() else { return };
    if section != "readers" {
        return;
    }
    let [rows, verifies] = [rows, verifies].map(|word| word.parse().unwrap());
    for cached in [true, false] {
        let world = World::with(|options| if cached { options } else { options.cache(None) });
        with_host_rows(&world, rows);
        let busy = busy_verifies(&world, verifies);
        println!(
            "readers: {rows} rows, {LISTS} lists, cached {cached}: {busy} of {verifies} verifies \
             Busy"
        );
        assert_eq!(busy, 0);
    }
}

#[test]
fn a_page_and_a_count_are_the_same_over_several_pieces() {
    let world = World::new();
    let ada = world.person("ada").id;
    with_host_rows(&world, 5_000);
    let ben = world.person("ben").id;
    with_host_rows(&world, 5_000);
    let audit = world.store.audit();
    let created = AuditFilter::new().kind(EventKind::UserCreated);
    let users = |page: Vec<gatepost::audit::AuditEntry>| -> Vec<_> {
        page.into_iter().map(|row| row.user.unwrap()).collect()
    };
    assert_eq!(users(audit.list(&created, Page::first(2)).unwrap()), [ada, ben]);
    assert_eq!(users(audit.latest(2, &created).unwrap()), [ben, ada]);
    assert_eq!(audit.count(&created).unwrap(), 2);
    assert_eq!(users(audit.list(&AuditFilter::new().user(ben), Page::first(9)).unwrap()), [ben]);
    // No index has these rows.
    let library = AuditFilter::new().from_library();
    assert_eq!(audit.list(&library, Page::default()).unwrap().len(), 3);
    assert_eq!(audit.latest(500, &library).unwrap().len(), 3);
    assert_eq!(audit.count(&library).unwrap(), 3);
    let host = AuditFilter::new().from_host();
    assert_eq!(audit.count(&host).unwrap(), 10_000);
    assert_eq!(audit.list(&host, Page::first(500)).unwrap().len(), 500);
    assert_eq!(audit.iter(&host).count(), 10_000);
    assert_eq!(audit.count(&AuditFilter::new()).unwrap(), 10_003);
    assert_eq!(audit.iter(&AuditFilter::new()).count(), 10_003);
}

/// Opens a store, uses up all descriptors, and verifies, reads and writes on eight threads.
pub(crate) fn without_descriptors(parent: &mut Parent, words: &[String]) {
    let options: Options = for_tests().cache(None);
    let store = Store::open(Path::new(&words[0]), options).unwrap();
    let ada = store.users().create(NewUser::person("ada")).unwrap().id;
    let open = OpenSession::new(ada, device("till"));
    let token = store.sessions().open(open).unwrap().granted().unwrap().session.token;
    let mut all = Vec::new();
    let used_up = loop {
        match File::open("/dev/null") {
            Ok(file) => all.push(file),
            Err(error) => break error,
        }
    };
    assert_eq!(used_up.raw_os_error(), Some(24));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    // One connection for all of them: a busy machine may keep it for 30 ms.
                    let verdict = loop {
                        match store.verify((&token, &device("till"))) {
                            Err(error) if error.kind() == ErrorKind::Busy => {}
                            answered => break answered.unwrap(),
                        }
                    };
                    assert!(verdict.valid().is_ok());
                    assert!(store.users().find(ada).unwrap().is_some());
                    assert_eq!(store.users().count(&Default::default()).unwrap(), 1);
                }
            });
        }
    });
    store.branches().create("York", None).unwrap();
    drop(all);
    parent.say("went on");
}

#[test]
fn a_program_without_descriptors_reads_and_verifies_through_the_open_connections() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.db");
    let role = Child::command("without descriptors", &[path.to_str().unwrap()]);
    let mut limited = std::process::Command::new("sh");
    limited
        .args(["-c", "ulimit -n 96; exec \"$@\"", "sh"])
        .arg(role.get_program())
        .args(role.get_args());
    let mut child = Child::started(&mut limited);
    assert_eq!(child.hear(), "went on");
    child.end();
}
