//! The secret of an authenticator in the file: sealed, bound to its row, and under another key.

use gatepost::second_factors::{NewTotp, TotpSecret};
use gatepost::{ErrorKind, LoginRefusal, UserId};

use super::authenticator::Authenticator;
use super::{Enrolled, SECRET, STEP, enrol, info};
use crate::keyring::{NEW, OLD, with_keys};
use crate::world::{PASSWORD, World};

fn import(world: &World, user: UserId) -> Result<(), gatepost::Error> {
    let secret = TotpSecret::new(SECRET.to_vec()).unwrap();
    world.store.second_factors().import(user, secret, NewTotp::new())
}

/// The sealed secrets of each key, "" for none.
fn secrets(world: &World) -> Vec<(String, u64)> {
    let uses = world.store.key_use().unwrap();
    let uses = uses.into_iter().filter(|one| one.totp_secrets > 0);
    uses.map(|one| (one.key.map(|id| id.to_string()).unwrap_or_default(), one.totp_secrets))
        .collect()
}

fn sealed(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
    counts.iter().map(|(id, count)| ((*id).to_owned(), *count)).collect()
}

/// Whether the secret is in the file or beside it.
fn is_in_file(world: &World) -> bool {
    let files = std::fs::read_dir(world.directory()).unwrap();
    files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .any(|bytes| bytes.windows(SECRET.len()).any(|part| part == SECRET))
}

#[test]
fn no_secret_is_in_the_file_and_without_a_keyring_none_is_stored() {
    let world = with_keys(&[OLD]);
    import(&world, world.person("ada").id).unwrap();
    assert!(!is_in_file(&world));

    let bare = World::new();
    let ada = bare.person("ada").id;
    bare.refuses(ErrorKind::KeyMissing, |_| import(&bare, ada));
    let session = bare.open(ada, "till-1");
    bare.refuses(ErrorKind::KeyMissing, |store| enrol(store, &session, "till-1", NewTotp::new()));
    assert!(!is_in_file(&bare));
}

#[test]
fn a_secret_is_stored_unsealed_only_by_the_dangerous_option_and_rekey_seals_it() {
    let mut world = World::with(|options| options.dangerous().allow_unsealed_totp_secrets());
    let ada = Enrolled::new(&world, "ada");
    ada.reissue(&world.store, PASSWORD, ada.code(&world)).unwrap().unwrap();
    let ben = world.person("ben").id;
    import(&world, ben).unwrap();
    assert!(is_in_file(&world), "the search finds one");
    assert_eq!(secrets(&world), sealed(&[("", 2)]));

    world.reopen_with(&[OLD]);
    // Also with a keyring it is read as it is.
    world.clock.advance(STEP);
    ada.reissue(&world.store, PASSWORD, ada.code(&world)).unwrap().unwrap();
    let report = world.store.rekey(1).unwrap();
    assert_eq!((report.hashes, report.totp_secrets, report.is_complete), (1, 0, false));
    let report = world.store.rekey(1_000).unwrap();
    assert_eq!((report.hashes, report.totp_secrets, report.is_complete), (1, 2, true));
    assert_eq!(secrets(&world), sealed(&[("old", 2)]));
    world.clock.advance(STEP);
    ada.remove(&world.store, PASSWORD, ada.code(&world)).unwrap().unwrap();
}

#[test]
fn rekey_seals_secrets_under_the_new_key_and_used_codes_stay_used() {
    let mut world = with_keys(&[OLD]);
    let people: Vec<Enrolled> =
        ["ada", "ben", "cyd"].iter().map(|name| Enrolled::new(&world, name)).collect();
    let ada = &people[0];
    ada.reissue(&world.store, PASSWORD, ada.code(&world)).unwrap().unwrap();
    world.reopen_with(&[NEW, OLD]);
    let mut sum = (0, 0);
    loop {
        let report = world.store.rekey(2).unwrap();
        assert!(report.hashes + report.totp_secrets <= 2, "{report:?}");
        sum = (sum.0 + report.hashes, sum.1 + report.totp_secrets);
        if report.is_complete {
            break;
        }
    }
    assert_eq!(sum, (3, 3));
    assert_eq!(secrets(&world), sealed(&[("new", 3)]));
    world.reopen_with(&[NEW]);
    let again = ada.reissue(&world.store, PASSWORD, ada.code(&world)).unwrap();
    assert_eq!(again.unwrap_err(), LoginRefusal::InvalidCredentials);
    world.clock.advance(STEP);
    for one in &people {
        one.reissue(&world.store, PASSWORD, one.code(&world)).unwrap().unwrap();
    }
}

#[test]
fn a_secret_that_does_not_open_counts_and_the_next_call_of_rekey_goes_on_after_it() {
    let mut world = with_keys(&[OLD]);
    let people: Vec<Enrolled> =
        ["ada", "ben", "cyd", "dee"].iter().map(|name| Enrolled::new(&world, name)).collect();
    let damaged = "UPDATE totp SET secret = (SELECT secret FROM totp WHERE user_id = ?1)
                   WHERE user_id <> ?1";
    let dee = people[3].user.as_uuid();
    assert_eq!(world.sql().execute(damaged, [dee.as_bytes()]).unwrap(), 3);
    world.reopen_with(&[NEW, OLD]);
    assert!(!world.store.rekey(4).unwrap().is_complete);
    let (mut secrets_sealed, mut damaged, mut calls) = (0, 0, 0);
    let is_complete = loop {
        let report = world.store.rekey(1).unwrap();
        assert!(report.totp_secrets + report.damaged <= 1, "{report:?}");
        (secrets_sealed, damaged) =
            (secrets_sealed + report.totp_secrets, damaged + report.damaged);
        calls += 1;
        if report.is_complete || calls == 9 {
            break report.is_complete;
        }
    };
    assert_eq!((secrets_sealed, damaged, calls, is_complete), (1, 3, 5, true));
    assert_eq!(secrets(&world), sealed(&[("new", 1), ("old", 3)]));
}

#[test]
fn a_secret_under_a_missing_key_refuses_its_user_alone_and_a_recovery_code_still_works() {
    let mut world = with_keys(&[OLD]);
    let ada = Enrolled::new(&world, "ada");
    world.reopen_with(&[NEW, OLD]);
    // The hashes are sealed again, and the secret of ada is not.
    world.store.rekey(1).unwrap();
    world.reopen_with(&[NEW]);
    let ben = Enrolled::new(&world, "ben");
    let before = world.store.status().key_missing_refusals;
    let refused = ada.reissue(&world.store, PASSWORD, ada.code(&world)).unwrap().unwrap_err();
    assert_eq!(refused, LoginRefusal::InvalidCredentials);
    assert_eq!(world.store.status().key_missing_refusals, before + 1);
    assert_eq!(world.user(ada.user).failed_attempts, 0, "it was not compared");
    assert!(!world.store.key_use().unwrap()[1].is_available);
    ben.reissue(&world.store, PASSWORD, ben.code(&world)).unwrap().unwrap();

    let recovery = ada.codes[0].as_str().into();
    let begun = ada.replace(&world.store, PASSWORD, recovery).unwrap().unwrap();
    let new = Authenticator::scan(&begun);
    let pair = [-1, 0].map(|later| new.code(world.now(), later));
    super::confirm(&world.store, &ada.session, &ada.on, pair).unwrap().unwrap();
    assert_eq!(secrets(&world), sealed(&[("new", 2)]));
}

#[test]
fn a_secret_that_was_copied_or_changed_opens_for_no_user() {
    let world = with_keys(&[OLD]);
    let (ada, ben) = (Enrolled::new(&world, "ada"), Enrolled::new(&world, "ben"));
    let sql = world.sql();
    let check = |change: &str| {
        sql.execute_batch("SAVEPOINT undo").unwrap();
        sql.execute_batch(&format!("DROP TRIGGER totp_codes_are_used_once; {change}")).unwrap();
        sql.execute_batch("ROLLBACK TO undo; RELEASE undo").unwrap();
    };
    check("UPDATE totp SET digits = 8");
    let user = |id: UserId| id.as_uuid().into_bytes().to_vec();
    let changed = sql
        .execute(
            "UPDATE totp SET secret = (SELECT secret FROM totp WHERE user_id = ?1)
             WHERE user_id = ?2",
            [user(ada.user), user(ben.user)],
        )
        .unwrap();
    assert_eq!(changed, 1);
    let code = ada.authenticator.code(world.now(), 0);
    let error = ben.reissue(&world.store, PASSWORD, code).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    ada.reissue(&world.store, PASSWORD, ada.code(&world)).unwrap().unwrap();

    // The secret of an enrolment is none of a factor.
    world.store.second_factors().reset(ben.user).unwrap();
    let session = world.open(ben.user, &ben.on);
    let begun = enrol(&world.store, &session, &ben.on, NewTotp::new()).unwrap().unwrap();
    sql.execute(
        "INSERT INTO totp (user_id, secret, key_id, algorithm, digits, origin, since, shift,
             last_step)
         SELECT user_id, secret, key_id, algorithm, digits, 'enrolled', 0, 0, 0
         FROM totp_enrolment",
        [],
    )
    .unwrap();
    let ben = Enrolled { session, authenticator: Authenticator::scan(&begun), ..ben };
    let error = ben.reissue(&world.store, PASSWORD, ben.code(&world)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(info(&world, ben.user).is_some());
    let report = world.store.rekey(1_000).unwrap();
    assert_eq!(report.damaged, 0, "what is sealed under the current key is not opened");
}
