//! Resource tickets: bound to a session, a method and a resource, for seconds.

use std::fs;
use std::time::Duration;

use gatepost::host::ManualClock;
use gatepost::policy::SessionPolicy;
use gatepost::sessions::{IssuedTicket, NewApiKey, NewTicket, TicketBearer};
use gatepost::{Actor, ErrorClass, ErrorKind, Permission, Principal, Secret, Store, UserId};

use crate::child::{Child, Parent};
use crate::keyring::{NEW, OLD, keys, with_keys};
use crate::world::{HOUR, MINUTE, SECOND, World, device, for_tests, morning};

const IMAGE: &str = "/images/7";
const MILLISECOND: Duration = Duration::from_millis(1);

impl World {
    /// The principal of ada's session on the device `till`, which is opened first.
    fn in_session(&self) -> (UserId, Principal) {
        let (ada, token) = self.session();
        let verdict = self.store.verify((&token, &device("till"))).unwrap();
        (ada, verdict.valid().unwrap())
    }

    fn session(&self) -> (UserId, Secret) {
        let ada = self.person("ada").id;
        (ada, self.open(ada, "till").token)
    }
}

fn mint_for(store: &Store, principal: &Principal, lifetime: Duration) -> IssuedTicket {
    let new = NewTicket::new("GET", IMAGE).lifetime(lifetime);
    store.tickets().mint(principal, new).unwrap().valid().unwrap()
}

fn mint(store: &Store, principal: &Principal) -> String {
    mint_for(store, principal, 30 * SECOND).ticket.expose().to_owned()
}

fn bearer(store: &Store, ticket: &str) -> Option<TicketBearer> {
    store.tickets().verify(ticket, "GET", IMAGE).unwrap().valid().ok()
}

fn passes(store: &Store, ticket: &str) -> bool {
    bearer(store, ticket).is_some()
}

#[test]
fn a_ticket_passes_for_its_own_method_and_resource_alone_as_often_as_it_is_presented() {
    let world = World::new();
    let (ada, principal) = world.in_session();
    let before = world.store.status().writes;
    let issued = mint_for(&world.store, &principal, 30 * SECOND);
    let ticket = issued.ticket.expose();
    assert!(ticket.starts_with("gpt_") && ticket.len() == 74);
    assert!(ticket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)));
    assert_eq!(issued.expires_at, morning() + 30 * SECOND);
    for _ in 0..3 {
        let bearer = bearer(&world.store, ticket).unwrap();
        assert_eq!((bearer.user, bearer.expires_at), (ada, issued.expires_at));
        assert_eq!(Some(bearer.session), principal.credential.session());
        assert_eq!(Actor::from(&bearer), Actor::Session { user: ada, session: bearer.session });
    }
    let tickets = world.store.tickets();
    for (method, resource) in [
        ("get", IMAGE),
        ("HEAD", IMAGE),
        ("GET", "/images/8"),
        ("GET", "/images/7/"),
        ("GET/", "images/7"),
        ("", "GET/images/7"),
    ] {
        let refused = tickets.verify(ticket, method, resource).unwrap().valid().unwrap_err();
        assert_eq!(refused.class(), ErrorClass::SignIn);
    }
    assert_eq!(world.store.status().verify_refusals["unknown"], 6);
    assert_eq!(world.store.status().writes, before, "nothing of a ticket is in the file");
}

#[test]
fn no_character_of_a_ticket_can_be_changed() {
    let world = World::new();
    let (_, principal) = world.in_session();
    let ticket = mint(&world.store, &principal);
    for at in 0..ticket.len() {
        for with in *b"Ab0-" {
            let mut bytes = ticket.clone().into_bytes();
            if bytes[at] != with {
                bytes[at] = with;
                let changed = String::from_utf8(bytes).unwrap();
                assert!(!passes(&world.store, &changed), "{changed}");
            }
        }
    }
    // Nor behind a right checksum: a later expiry, another session, another code.
    let raw = data_encoding::BASE64URL_NOPAD.decode(&ticket.as_bytes()[4..]).unwrap();
    for at in 0..48 {
        let mut raw = raw[..48].to_vec();
        raw[at] ^= 1;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(b"gpt_");
        hasher.update(&raw);
        raw.extend(hasher.finalize().to_be_bytes());
        let forged = format!("gpt_{}", data_encoding::BASE64URL_NOPAD.encode(&raw));
        assert!(!passes(&world.store, &forged), "byte {at}");
    }
    assert!(passes(&world.store, &ticket));
}

#[test]
fn a_ticket_expires_at_its_own_end_whatever_the_clock_does() {
    let world = World::new();
    let (_, principal) = world.in_session();
    let ticket = mint(&world.store, &principal);
    world.clock.advance(30 * SECOND - MILLISECOND);
    assert!(passes(&world.store, &ticket));
    world.clock.advance(MILLISECOND);
    assert!(!passes(&world.store, &ticket));
    assert_eq!(world.store.status().verify_refusals["expired"], 1);

    // Minted while the clock was an hour ahead: it must not be valid for an hour.
    let world = World::new();
    let (_, principal) = world.in_session();
    world.clock.advance(HOUR);
    let ticket = mint(&world.store, &principal);
    assert!(passes(&world.store, &ticket));
    world.clock.set(morning());
    // Within a process the time does not go back at once.
    assert!(passes(&world.store, &ticket));
    world.clock.set(morning() + 2 * MINUTE);
    assert!(!passes(&world.store, &ticket));
    assert_eq!(world.store.status().verify_refusals["not_yet"], 1);
}

#[test]
fn a_ticket_is_never_valid_for_longer_than_its_session() {
    let sessions = SessionPolicy::server().inactivity_timeout(MINUTE);
    let world = World::with(|options| options.sessions(sessions));
    let (_, principal) = world.in_session();
    let long = mint_for(&world.store, &principal, 5 * MINUTE);
    // A ticket is no use of its session.
    for _ in 0..5 {
        world.clock.advance(10 * SECOND);
        assert!(passes(&world.store, long.ticket.expose()));
    }
    world.clock.advance(10 * SECOND);
    assert!(!passes(&world.store, long.ticket.expose()));
    assert_eq!(world.store.status().verify_refusals["idle"], 1);
    let minted = world.store.tickets().mint(&principal, NewTicket::new("GET", IMAGE));
    assert!(minted.unwrap().valid().is_err());
}

#[test]
fn minting_a_ticket_is_a_use_of_its_session() {
    let sessions = SessionPolicy::server().inactivity_timeout(MINUTE);
    let world = World::with(|options| options.sessions(sessions));
    let (_, principal) = world.in_session();
    for _ in 0..4 {
        world.clock.advance(30 * SECOND);
        let ticket = mint(&world.store, &principal);
        assert!(passes(&world.store, &ticket));
    }
}

#[test]
fn only_a_live_session_mints() {
    let world = World::new();
    let (ada, principal) = world.in_session();
    let key = world.store.api_keys().issue(ada, NewApiKey::new()).unwrap().key;
    let by_key = world.store.verify((&key, None)).unwrap().valid().unwrap();
    let mint = |principal| world.store.tickets().mint(principal, NewTicket::new("GET", IMAGE));
    assert_eq!(mint(&by_key).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(mint(&principal).unwrap().valid().is_ok());
    world.store.sessions().revoke_all(ada).unwrap();
    let refused = mint(&principal).unwrap().valid().unwrap_err();
    assert_eq!(refused.class(), ErrorClass::SignIn);
}

#[test]
fn method_resource_and_lifetime_are_bounded() {
    let world = World::new();
    let (_, principal) = world.in_session();
    let check = |new: NewTicket, expect: Result<(), &str>| {
        let minted = world.store.tickets().mint(&principal, new);
        let found = minted.map(drop).map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            error.to_string()
        });
        match expect {
            Ok(()) => assert_eq!(found, Ok(())),
            Err(says) => assert!(found.as_ref().unwrap_err().contains(says), "{found:?}"),
        }
    };
    let new = |method: &str, resource: &str| NewTicket::new(method, resource);
    check(new(&"M".repeat(32), IMAGE), Ok(()));
    for method in ["", "G ET", "GET\n", "GÉT", "(GET)", &"M".repeat(33)] {
        check(new(method, IMAGE), Err("the method of a ticket"));
    }
    check(new("GET", &"/".repeat(2_048)), Ok(()));
    check(new("GET", ""), Err("2,048 bytes"));
    check(new("GET", &"/".repeat(2_049)), Err("2,048 bytes"));
    let lasting = |lifetime| new("GET", IMAGE).lifetime(lifetime);
    check(lasting(MILLISECOND), Ok(()));
    check(lasting(5 * MINUTE), Ok(()));
    check(lasting(5 * MINUTE + MILLISECOND), Err("5 minutes"));
    check(lasting(Duration::MAX), Err("5 minutes"));
    check(lasting(Duration::from_micros(1)), Err("1 ms"));
}

/// Another process with the file open: it mints in ada's session, and verifies tickets.
struct Other(Child);

impl Other {
    /// With a keyring of these keys; the session is the one that `token` is of.
    fn start(world: &World, token: &str, all: &[(&str, u8)]) -> Self {
        let path = world.path.to_str().unwrap();
        let all: Vec<String> = all.iter().map(|(id, byte)| format!("{id} {byte}")).collect();
        let mut words = vec![path, token];
        words.extend(all.iter().map(String::as_str));
        let mut child = Child::start("tickets", &words);
        println!("tickets: {}", child.hear());
        Self(child)
    }

    fn ask(&mut self, line: &str) -> String {
        self.0.say(line);
        self.0.hear()
    }

    fn mint(&mut self) -> String {
        self.ask("mint")
    }

    /// `passes`, `refused`, or the kind of error.
    fn verify(&mut self, ticket: &str) -> String {
        self.ask(ticket)
    }
}

pub(crate) fn role(parent: &mut Parent, words: &[String]) {
    let all: Vec<(&str, u8)> = words[2..]
        .iter()
        .map(|word| word.split_once(' ').unwrap())
        .map(|(id, byte)| (id, byte.parse().unwrap()))
        .collect();
    let options = for_tests().clock(std::sync::Arc::new(ManualClock::new(morning())));
    let options = if all.is_empty() { options } else { options.keyring(keys(&all)) };
    let store = Store::open(&words[0], options).unwrap();
    let verdict = store.verify((&words[1], &device("till"))).unwrap();
    let principal = verdict.valid().unwrap();
    parent.say(&format!("pid {}", std::process::id()));
    while let Some(line) = parent.hear() {
        let answer = match line.as_str() {
            "mint" => store
                .tickets()
                .mint(&principal, NewTicket::new("GET", IMAGE))
                .map(|minted| minted.valid().unwrap().ticket.expose().to_owned()),
            "rekey" => store.rekey(100).map(|_| "done".to_owned()),
            ticket => store.tickets().verify(ticket, "GET", IMAGE).map(|verdict| {
                if verdict.valid().is_ok() { "passes" } else { "refused" }.to_owned()
            }),
        };
        parent.say(&answer.unwrap_or_else(|error| format!("{:?}", error.kind())));
    }
}

#[test]
fn without_a_keyring_a_ticket_is_valid_in_its_own_process_only() {
    let world = World::new();
    let (_, token) = world.session();
    let verdict = world.store.verify((&token, &device("till"))).unwrap();
    let principal = verdict.valid().unwrap();
    let ticket = mint(&world.store, &principal);
    assert!(world.store.status().tickets_are_local);
    let mut other = Other::start(&world, token.expose(), &[]);
    // It has minted none, and then one.
    assert_eq!(other.verify(&ticket), "refused");
    let of_other = other.mint();
    assert_eq!((other.verify(&of_other).as_str(), &*other.verify(&ticket)), ("passes", "refused"));
    assert!(passes(&world.store, &ticket) && !passes(&world.store, &of_other));
}

#[test]
fn with_a_keyring_a_ticket_is_valid_wherever_the_key_is_until_it_is_replaced() {
    let world = with_keys(&[OLD]);
    let (_, token) = world.session();
    let verdict = world.store.verify((&token, &device("till"))).unwrap();
    let principal = verdict.valid().unwrap();
    assert!(!world.store.status().tickets_are_local);
    let ticket = mint(&world.store, &principal);
    let mut other = Other::start(&world, token.expose(), &[OLD]);
    assert_eq!(other.verify(&ticket), "passes");
    assert!(passes(&world.store, &other.mint()));

    // Its own current key is another one already: the key of the file is in force.
    let mut ahead = Other::start(&world, token.expose(), &[NEW, OLD]);
    assert_eq!(ahead.verify(&ticket), "passes");
    assert!(passes(&world.store, &ahead.mint()));
    assert_eq!(ahead.ask("rekey"), "done");
    assert_eq!(ahead.verify(&ticket), "refused", "minted under a key that was replaced");
    let ticket = ahead.mint();
    assert_eq!(ahead.verify(&ticket), "passes");
    assert_eq!(other.verify(&ticket), "KeyMissing", "it cannot say yes or no");
    assert_eq!(other.mint(), "KeyMissing");
}

#[test]
fn the_current_key_is_in_force_while_the_file_names_none() {
    let world = with_keys(&[OLD]);
    let ada = world.store.users().create(gatepost::NewUser::person("ada")).unwrap().id;
    let session = world.open(ada, "till");
    let verdict = world.store.verify((&session.token, &device("till"))).unwrap();
    let principal = verdict.valid().unwrap();
    assert_eq!(world.count("SELECT count(sealing_key) FROM store"), 0);
    let ticket = mint(&world.store, &principal);
    let mut other = Other::start(&world, session.token.expose(), &[OLD]);
    assert_eq!(other.verify(&ticket), "passes");
}

/// A thief has a copy of the file, with every row of the session in it, and the code of this crate.
#[test]
fn a_copy_of_the_file_makes_no_ticket() {
    let world = with_keys(&[OLD]);
    let (_, principal) = world.in_session();
    let ticket = mint(&world.store, &principal);
    world.sql().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let copy = world.directory().join("stolen.db");
    fs::copy(&world.path, &copy).unwrap();
    // What is sealed would show that the key is another one.
    let thief = rusqlite::Connection::open(&copy).unwrap();
    thief.execute_batch("DELETE FROM credential; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(thief);
    // Under a key of the same id, which is all that the file says of it.
    let guessed = world.options.clone().keyring(keys(&[(OLD.0, 9)]));
    let stolen = Store::open(&copy, guessed).unwrap();
    let forged = mint(&stolen, &principal);
    assert!(passes(&stolen, &forged) && !passes(&world.store, &forged));
    assert!(!passes(&stolen, &ticket));
    for bytes in [fs::read(&world.path).unwrap(), fs::read(&copy).unwrap()] {
        let code = &ticket.as_bytes()[50..70];
        assert!(!bytes.windows(code.len()).any(|window| window == code));
    }
}

#[test]
fn a_privilege_is_as_fresh_as_the_file() {
    let world = World::new();
    let (ada, principal) = world.in_session();
    world.store.users().set_privileges(ada, &["images.read"]).unwrap();
    let bearer = bearer(&world.store, &mint(&world.store, &principal)).unwrap();
    let may = |name| world.store.tickets().may(&bearer, name);
    assert_eq!(may("images.read").unwrap(), Permission::Granted);
    assert_eq!(may("admin").unwrap(), Permission::Denied);
    assert_eq!(may("Not a name").unwrap_err().kind(), ErrorKind::Invalid);
    world.store.users().set_privileges(ada, &[]).unwrap();
    assert_eq!(may("images.read").unwrap(), Permission::Denied);
    world.store.sessions().revoke_all(ada).unwrap();
    assert_eq!(may("images.read").unwrap(), Permission::Ended);
}

#[test]
fn a_closed_store_gives_no_answer_even_to_junk() {
    let world = World::new();
    let (_, principal) = world.in_session();
    let ticket = mint(&world.store, &principal);
    world.store.close().unwrap();
    for text in ["junk", &ticket] {
        let error = world.store.tickets().verify(text, "GET", IMAGE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
}

#[test]
fn a_file_that_was_deleted_is_noticed_by_tickets_alone() {
    let world = World::new();
    let (_, principal) = world.in_session();
    let ticket = mint(&world.store, &principal);
    assert!(passes(&world.store, &ticket));
    fs::remove_file(&world.path).unwrap();
    world.clock.advance(SECOND);
    let error = world.store.tickets().verify(&ticket, "GET", IMAGE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}
