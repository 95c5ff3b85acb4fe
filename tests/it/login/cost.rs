//! Stored hashes: taken over from elsewhere, made anew when the cost is raised, damaged.

use gatepost::{Cost, EventKind, LogIn, NewUser, Password, Reason};

use crate::world::{PASSWORD, World, device};

fn phc(world: &World) -> String {
    world.sql().query_row("SELECT phc FROM credential", [], |row| row.get(0)).unwrap()
}

/// Two costs that every store accepts.
fn costs() -> (Cost, Cost) {
    (Cost::new(19_456, 2, 1).unwrap(), Cost::new(19_456, 3, 1).unwrap())
}

#[test]
fn a_raised_cost_reaches_a_hash_at_the_next_granted_login() {
    let (cheap, dear) = costs();
    let mut world = World::with(|options| options.cost(cheap));
    let ada = world.person("ada").id;
    let old = phc(&world);
    let version = world.count("SELECT version FROM credential");
    world.options = world.options.clone().cost(dear);
    world.reopen();

    world.hashes(1, |_| world.log_in("ada", "wrong horse battery", "till-1")).unwrap_err();
    assert_eq!(phc(&world), old);

    let session = world.hashes(2, |_| {
        world.leaves(&[EventKind::LoginGranted], 0, |_| world.log_in("ada", PASSWORD, "till-1"))
    });
    let new = phc(&world);
    assert!(new.starts_with("$argon2id$v=19$m=19456,t=3,p=1$"), "{new}");
    assert_eq!(world.count("SELECT version FROM credential"), version);
    assert!(world.passes(&session.unwrap().session, "till-1"));
    assert!(!world.user(ada).set_initial_password);

    world.hashes(1, |_| world.log_in("ada", PASSWORD, "till-1")).unwrap();
    assert_eq!(phc(&world), new);
}

#[test]
fn a_refused_login_raises_no_cost_and_a_lowered_cost_lowers_no_hash() {
    let (cheap, dear) = costs();
    let mut world = World::with(|options| options.cost(dear));
    let ada = world.person("ada").id;
    let old = phc(&world);
    world.options = world.options.clone().cost(cheap);
    world.reopen();
    world.hashes(1, |_| world.log_in("ada", PASSWORD, "till-1")).unwrap();
    assert_eq!(phc(&world), old);

    world.options = world.options.clone().cost(Cost::new(19_456, 4, 1).unwrap());
    world.reopen();
    world.store.users().set_status(ada, gatepost::UserStatus::Disabled).unwrap();
    world.hashes(1, |_| world.log_in("ada", PASSWORD, "till-1")).unwrap_err();
    assert_eq!(phc(&world), old);
}

/// From the test vectors of the reference implementation: "password", "somesalt".
const REFERENCE: &str = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ\
    $CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

#[test]
fn a_hash_taken_over_from_elsewhere_logs_in_and_is_never_weaker_than_ours() {
    let world = World::with(|options| options.cost(costs().0));
    let bob = NewUser::person("bob").password_hash(REFERENCE);
    world.store.users().create(bob).unwrap();
    world.hashes(1, |_| world.log_in("bob", "password", "till-1")).unwrap();
    world.log_in("bob", "Password", "till-1").unwrap_err();
    assert_eq!(phc(&world), REFERENCE, "it takes more work than ours, though its salt is short");
    for weak in [
        REFERENCE.replace("m=65536", "m=19455"),
        REFERENCE.replace("argon2id", "argon2i"),
        REFERENCE.replace("v=19", "v=16"),
        String::from("$2b$12$abcdefghijklmnopqrstuuJkIQmE1YLBGi/8.G1LzI1aGq1AQxW9m"),
        String::from("correct horse battery"),
    ] {
        let new = NewUser::person("carol").password_hash(weak);
        world.refuses(Reason::Invalid, |store| store.users().create(new));
    }
}

/// The parameters of an imported hash took all memory at each login (kratos, `hash_limits`).
#[test]
fn a_hash_that_asks_for_too_much_is_refused_at_import_and_at_login() {
    let world = World::with(|options| options.cost(costs().0));
    let ada = world.person("ada").id;
    let own = phc(&world);
    for greedy in [
        own.replace("m=19456", "m=4294967295"),
        own.replace("m=19456", "m=262145"),
        own.replace("t=2", "t=4294967295"),
        own.replace("t=2", "t=17"),
        own.replace("p=1", "p=5"),
    ] {
        world.refuses(Reason::Invalid, |store| store.users().set_password_hash(ada, &greedy));
        check_damaged(&world, &greedy);
    }
}

/// A hash with bytes that nobody expected made the verifier panic (RUSTSEC-2026-0199).
#[test]
fn a_damaged_hash_is_an_error_and_never_a_match() {
    let world = World::with(|options| options.cost(costs().0));
    world.person("ada");
    let own = phc(&world);
    for damaged in ["$", "x", "$argon2id$v=19$m=19456,t=2,p=1$$", "$argon2id$é", PASSWORD] {
        check_damaged(&world, damaged);
    }
    check_damaged(&world, own.trim_end_matches(|c| c != '$'));
}

#[track_caller]
fn check_damaged(world: &World, phc: &str) {
    world.sql().execute("UPDATE credential SET phc = ?1", [phc]).unwrap();
    let request = LogIn::new("ada", Password::from(PASSWORD), device("till-1"));
    let error = world.hashes(0, |store| store.log_in(request)).unwrap_err();
    assert_eq!(error.reason(), Reason::Corrupt, "{phc}");
    assert_eq!(world.count("SELECT count(*) FROM session"), 0);
    world.sql().execute("DELETE FROM throttle", []).unwrap();
}
