//! Reads beside each other: lists that read long, verifies that must not wait for them, and a
//! program that has used up its descriptors.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use gatepost::audit::{AuditFilter, EventKind, HostEvent};
use gatepost::directory::{BranchFilter, OrganisationFilter};
use gatepost::sessions::{OpenSession, SessionFilter};
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
    let all = || audit.count(&AuditFilter::new());
    let (count, statements) = gatepost::testing::statements(all);
    assert_eq!(count.unwrap(), 10_003);
    let counts = statements.iter().filter(|sql| sql.contains("count(*)")).count();
    assert!(counts >= 5, "{counts} snapshots for 10,003 rows of at most 2,000");
    assert_eq!(audit.iter(&AuditFilter::new()).count(), 10_003);
}

/// Sessions of a user, a branch or an organisation were listed and counted in one snapshot, however
/// many they were. A place with more than a piece of them is read in the order of the ids instead,
/// with the same answers.
#[test]
fn lists_of_sessions_and_places_are_the_same_with_few_rows_and_over_several_pieces() {
    let world = World::new();
    let store = &world.store;
    let northern = store.organisations().create("Northern").unwrap().id;
    let york = store.branches().create("York", Some(northern)).unwrap().id;
    let ada = store.users().create(NewUser::person("ada").branch(york)).unwrap().id;
    let ben = world.person("ben").id;
    let own = world.open(ada, "ada").id;
    let strange = world.open(ben, "ben").id;
    world.open(ada, "old");
    let (one, two) = (store.sessions(), store.branches());
    let places: [gatepost::Subtree; 3] = [ada.into(), york.into(), northern.into()];
    let filters = places.map(|place| SessionFilter::new().under(place));
    let closed = BranchFilter::new().active(false);
    let listed = |filter: &SessionFilter| -> Vec<_> {
        one.iter(filter).map(|session| session.unwrap().id).collect()
    };
    let before = filters.each_ref().map(listed);
    assert!(before.iter().all(|list| list.len() == 2 && list.contains(&own)));
    assert_eq!(two.list(&closed, Page::default()).unwrap(), []);

    // As many more as two pieces and a half, before and behind those: by SQL, as a login flushes.
    let file = rusqlite::Connection::open(&world.path).unwrap();
    let more = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)";
    for sql in [
        &format!(
            "{more} INSERT INTO session (id, secret_hash, device_hash, user_id, opened_seq,
                 opened_at, authenticated_at, expires_at, lifetime_ms, aal, last_seen)
             SELECT randomblob(16), secret_hash, randomblob(16), user_id, opened_seq,
                 opened_at, authenticated_at, expires_at, lifetime_ms, aal, last_seen
             FROM n, (SELECT s.* FROM session AS s JOIN user AS u ON u.id = s.user_id
                 WHERE u.username = 'ada' LIMIT 1)"
        ),
        &format!(
            "{more} INSERT INTO branch (id, name, created_at)
             SELECT randomblob(16), 'York ' || i, 0 FROM n"
        ),
        &format!(
            "{more} INSERT INTO organisation (id, name, created_at)
             SELECT randomblob(16), 'North ' || i, 0 FROM n"
        ),
    ] {
        file.execute_batch(sql).unwrap();
    }
    for filter in &filters {
        let all = listed(filter);
        assert_eq!(all.len(), 5_002);
        assert!(all.is_sorted());
        assert!(all.contains(&own) && !all.contains(&strange));
        assert_eq!(one.count(filter).unwrap(), 5_002);
        let page = one.list(filter, Page::first(3)).unwrap();
        assert_eq!(page.iter().map(|session| session.id).collect::<Vec<_>>(), all[..3]);
    }
    let of_ben = SessionFilter::new().under(ben);
    assert_eq!((listed(&of_ben), one.count(&of_ben).unwrap()), (vec![strange], 1));
    assert_eq!(one.count(&SessionFilter::new()).unwrap(), 5_003);
    store.branches().set_active(york, false).unwrap();
    assert_eq!(two.list(&closed, Page::default()).unwrap()[0].id, york);
    assert_eq!(two.count(&closed).unwrap(), 1);
    assert_eq!(two.iter(&BranchFilter::new()).count(), 5_001);
    let organisations = store.organisations();
    assert_eq!(organisations.count(&OrganisationFilter::new()).unwrap(), 5_001);
    assert_eq!(organisations.iter(&OrganisationFilter::new()).count(), 5_001);
    let closed = OrganisationFilter::new().active(false);
    assert_eq!(organisations.list(&closed, Page::default()).unwrap(), []);
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
