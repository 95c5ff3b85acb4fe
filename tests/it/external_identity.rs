//! External identities: one user for each pair of provider and subject.

use gatepost::audit::EventKind;
use gatepost::directory::{ExternalIdentity, UserStatus};
use gatepost::sessions::OpenSession;
use gatepost::{ErrorKind, LoginRefusal, NewUser, Store, UserId};

use crate::child::{Child, Parent};
use crate::world::{World, device, for_tests, morning};

const ISSUER: &str = "https://login.example.com";
const OTHER: &str = "https://id.example.org";

fn find(store: &Store, provider: &str, subject: &str) -> Option<UserId> {
    store.external_identities().find(provider, subject).unwrap()
}

fn subjects(identities: &[ExternalIdentity]) -> Vec<(&str, &str)> {
    identities.iter().map(|one| (one.provider.as_str(), one.subject.as_str())).collect()
}

#[test]
fn an_identity_belongs_to_one_user_and_is_found_by_provider_and_subject() {
    let world = World::new();
    let (ada, ben) = (world.person("ada").id, world.person("ben").id);
    let identities = world.store.external_identities();
    let linked = world
        .leaves(&[EventKind::ExternalIdentityLinked], 0, |_| identities.link(ada, ISSUER, "7"));
    let linked = linked.unwrap();
    assert_eq!((linked.user, linked.linked_at), (ada, morning()));
    let event = world.last_event();
    assert_eq!((event.user, event.detail.as_deref()), (Some(ada), Some(ISSUER)));
    assert_eq!(world.leaves(&[], 0, |_| identities.link(ada, ISSUER, "7")).unwrap(), linked);
    world.refuses(ErrorKind::Taken, |_| identities.link(ben, ISSUER, "7"));

    // The same subject at another provider is another person (ASVS 6.8.1).
    assert_eq!(find(&world.store, OTHER, "7"), None);
    identities.link(ben, OTHER, "7").unwrap();
    identities.link(ada, OTHER, "a").unwrap();
    identities.link(ben, OTHER, "A").unwrap();
    assert_eq!(find(&world.store, ISSUER, "7"), Some(ada));
    assert_eq!(find(&world.store, OTHER, "7"), Some(ben));
    assert_eq!(find(&world.store, OTHER, "A"), Some(ben), "compared byte by byte");
    assert_eq!(find(&world.store, &ISSUER.to_uppercase(), "7"), None);
    assert_eq!(subjects(&identities.list(ada).unwrap()), [(OTHER, "a"), (ISSUER, "7")]);
}

#[test]
fn an_identity_is_unlinked_from_its_own_user_alone() {
    let world = World::new();
    let (ada, ben) = (world.person("ada").id, world.person("ben").id);
    let identities = world.store.external_identities();
    identities.link(ada, ISSUER, "7").unwrap();
    assert!(!world.leaves(&[], 0, |_| identities.unlink(ben, ISSUER, "7")).unwrap());
    let session = world.open(ada, "till");
    let event = [EventKind::ExternalIdentityUnlinked];
    assert!(world.leaves(&event, 0, |_| identities.unlink(ada, ISSUER, "7")).unwrap());
    assert!(!identities.unlink(ada, ISSUER, "7").unwrap());
    assert!(world.passes(&session, "till"), "it revokes nothing");
    assert_eq!(identities.link(ben, ISSUER, "7").unwrap().user, ben);
}

#[test]
fn provider_subject_and_their_number_are_bounded() {
    let world = World::new();
    let ada = world.person("ada").id;
    let identities = world.store.external_identities();
    let longest = "x".repeat(255);
    assert!(identities.link(ada, &longest, &longest).is_ok());
    let longer = "x".repeat(256);
    for (provider, subject) in [
        ("", "7"),
        (ISSUER, ""),
        (&*longer, "7"),
        (ISSUER, &*longer),
        ("a\0", "7"),
        (ISSUER, "\n"),
    ] {
        world.refuses(ErrorKind::Invalid, |_| identities.link(ada, provider, subject));
        world.refuses(ErrorKind::Invalid, |_| identities.unlink(ada, provider, subject));
        world.refuses(ErrorKind::Invalid, |_| identities.find(provider, subject));
    }
    for number in 1..32 {
        identities.link(ada, ISSUER, &number.to_string()).unwrap();
    }
    world.refuses(ErrorKind::LimitReached, |_| identities.link(ada, ISSUER, "32"));
    assert_eq!(identities.list(ada).unwrap().len(), 32);
}

#[test]
fn a_deleted_user_frees_its_identities_and_is_restored_with_them() {
    let world = World::new();
    let (ada, ben) = (world.person("ada").id, world.person("ben").id);
    let identities = world.store.external_identities();
    identities.link(ada, ISSUER, "7").unwrap();
    world.store.users().delete(ada).unwrap();
    assert_eq!(find(&world.store, ISSUER, "7"), None);
    world.refuses(ErrorKind::NotFound, |_| identities.link(ada, ISSUER, "8"));
    world.store.users().restore(ada).unwrap();
    assert_eq!(find(&world.store, ISSUER, "7"), Some(ada));

    world.store.users().delete(ada).unwrap();
    identities.link(ben, ISSUER, "7").unwrap();
    world.refuses(ErrorKind::Taken, |store| store.users().restore(ada));
    assert!(identities.unlink(ada, ISSUER, "7").unwrap());
    world.store.users().restore(ada).unwrap();
    assert_eq!(find(&world.store, ISSUER, "7"), Some(ben));
    assert!(identities.list(ada).unwrap().is_empty());
}

#[test]
fn the_session_of_an_identity_is_refused_like_any_other() {
    let world = World::new();
    let ada = world.store.users().create(NewUser::person("ada")).unwrap().id;
    world.store.external_identities().link(ada, ISSUER, "7").unwrap();
    let open = || {
        let user = find(&world.store, ISSUER, "7").unwrap();
        world.store.sessions().open(OpenSession::new(user, device("till"))).unwrap().granted()
    };
    assert_eq!(open().unwrap().principal.user, ada);
    world.store.users().set_status(ada, UserStatus::Disabled).unwrap();
    assert_eq!(open().unwrap_err(), LoginRefusal::AccountDisabled);
}

/// Links each identity to its own user of that process, and answers which ones it got.
pub(crate) fn role(parent: &mut Parent, words: &[String]) {
    let store = Store::open(&words[0], for_tests()).unwrap();
    let user: UserId = words[1].parse().unwrap();
    parent.say(&format!("pid {}", std::process::id()));
    while let Some(line) = parent.hear() {
        let subjects: Vec<&str> = line.split(' ').collect();
        let got = subjects.iter().filter(|subject| {
            loop {
                match store.external_identities().link(user, ISSUER, subject) {
                    Ok(_) => break true,
                    Err(error) if error.kind() == ErrorKind::Taken => break false,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Busy, "{error}"),
                }
            }
        });
        let got: Vec<&str> = got.copied().collect();
        parent.say(&got.join(" "));
    }
}

#[test]
fn of_four_processes_that_link_one_identity_one_gets_it() {
    const ROUNDS: usize = 16;
    let world = World::new();
    let path = world.path.to_str().unwrap();
    let users: Vec<UserId> =
        (0..4).map(|number| world.person(&format!("user-{number}")).id).collect();
    let mut children: Vec<Child> = users
        .iter()
        .map(|user| Child::start("link identities", &[path, &user.to_string()]))
        .collect();
    let pids: Vec<String> = children.iter_mut().map(Child::hear).collect();
    println!("link: {}", pids.join(", "));
    let mut won = [0; 4];
    for round in 0..ROUNDS {
        let subject = format!("subject-{round}");
        children.iter_mut().for_each(|child| child.say(&subject));
        let got: Vec<bool> = children.iter_mut().map(|child| child.hear() == subject).collect();
        assert_eq!(got.iter().filter(|got| **got).count(), 1, "round {round}: {got:?}");
        let winner = got.iter().position(|got| *got).unwrap();
        won[winner] += 1;
        assert_eq!(find(&world.store, ISSUER, &subject), Some(users[winner]));
    }
    println!("link: won {won:?}");
    children.into_iter().for_each(Child::end);
    let rows = "SELECT count(*) FROM external_identity";
    assert_eq!(world.count(rows), i64::try_from(ROUNDS).unwrap());
}
