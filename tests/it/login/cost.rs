//! Stored hashes: taken over from elsewhere, made again when the cost is raised, damaged.

use gatepost::audit::EventKind;
use gatepost::policy::{Cost, PasswordRule};
use gatepost::{ErrorKind, LoginRequest, NewUser, Password};

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
    assert!(!world.user(ada).must_change_password);

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
    world.store.users().set_status(ada, gatepost::directory::UserStatus::Disabled).unwrap();
    world.hashes(1, |_| world.log_in("ada", PASSWORD, "till-1")).unwrap_err();
    assert_eq!(phc(&world), old);
}

const DRAWN: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0NTY3OA$\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What the file says of the costs of its users, and what its rows say.
#[track_caller]
fn check_counts(world: &World) {
    let list = |sql: &str| -> Vec<(String, i64)> {
        let sql_connection = world.sql();
        let mut statement = sql_connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let counted = list("SELECT cost, users FROM hash_cost ORDER BY cost");
    let rows = "SELECT substr(phc, 1, instr(phc, 'p=') + 2), count(*)
        FROM credential JOIN user ON user.id = credential.user_id
        WHERE deleted_at IS NULL GROUP BY 1 ORDER BY 1";
    assert_eq!(counted, list(rows));
}

#[test]
fn the_users_of_each_cost_are_counted() {
    let mut world = World::new();
    let mut dice = crate::races::Dice::new(5, 0);
    let users: Vec<_> = (0..8).map(|n| world.person(&format!("user{n}")).id).collect();
    check_counts(&world);
    for step in 0..400 {
        let store = world.store.clone();
        let (user, users) = (users[dice.below(users.len())], store.users());
        let is_there = users.find(user).unwrap().is_some();
        match dice.below(9) {
            0 if is_there => users.delete(user).unwrap(),
            0 => drop(users.restore(user).unwrap()),
            1 if is_there => drop(users.remove_password(user).unwrap()),
            2 if is_there => {
                let hash = DRAWN.replace("t=2", &format!("t={}", 2 + dice.below(3)));
                users.set_password_hash(user, &hash).unwrap();
            }
            3 if is_there => {
                // A password that was marked as compromised is not set again.
                let rule =
                    users.set_password(user, PASSWORD.into()).map_err(|e| e.password_rule());
                assert!(matches!(rule, Ok(()) | Err(Some(PasswordRule::Unchanged))), "{rule:?}");
            }
            4 if is_there => drop(users.mark_compromised(user)),
            5 => {
                let new = NewUser::person(format!("later{step}"));
                users.create(new.password_hash(DRAWN)).unwrap();
            }
            6 => {
                // A login in a store of a higher cost upgrades the hash.
                let name = format!("user{}", dice.below(8));
                drop(store);
                world.options = world.options.clone().cost(costs().0);
                world.reopen();
                let _ = world.store.log_in(LoginRequest::new(name, PASSWORD.into(), None));
                world.options = world.options.clone().cost(Cost::insecure_for_tests());
                world.reopen();
            }
            _ => {}
        }
        check_counts(&world);
    }
}

/// Once an unknown name cost what the options say, and a user what its hash had cost.
#[test]
fn an_unknown_name_costs_what_users_cost() {
    let world = World::new();
    let ada = NewUser::person("ada").password_hash(DRAWN);
    let ada = world.store.users().create(ada).unwrap().id;
    world.store.users().create(NewUser::person("bob")).unwrap();
    // Work memory is kept only if the hash was of the cost in force.
    let kept = |name: &str| {
        let refusal = world.log_in(name, "wrong horse battery", "till-1").unwrap_err();
        assert_eq!(refusal, gatepost::LoginRefusal::InvalidCredentials, "{name}");
        world.store.status().hash_buffers_kept
    };
    for name in ["ada", "unknown", "bob", "no\u{0}name", ""] {
        assert_eq!(kept(name), 0, "{name:?}");
    }
    world.store.users().mark_compromised(ada).unwrap();
    assert_eq!(kept("ada"), 0, "it is worth nothing and costs the same");
    world.store.users().delete(ada).unwrap();
    assert_eq!(kept("unknown"), 1, "without any user, the cost in force");
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
        REFERENCE.replace("argon2id", "argon2x"),
        REFERENCE.replace("v=19", "v=18"),
        String::from("{SSHA}AC4WuZCgZJjFfQ84yntrHG0y4+teKwWA"),
        String::from("correct horse battery"),
    ] {
        let new = NewUser::person("carol").password_hash(weak);
        world.refuses(ErrorKind::Invalid, |store| store.users().create(new));
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
        own.replace("p=1", "p=17"),
    ] {
        world.refuses(ErrorKind::Invalid, |store| store.users().set_password_hash(ada, &greedy));
        check_damaged(&world, &greedy);
    }
}

/// A hash with unexpected bytes made the verifier panic (RUSTSEC-2026-0199).
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
    let request = LoginRequest::new("ada", Password::from(PASSWORD), device("till-1"));
    let error = world.hashes(0, |store| store.log_in(request)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{phc}");
    assert_eq!(world.count("SELECT count(*) FROM session"), 0);
}
