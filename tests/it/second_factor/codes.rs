//! Codes: in which steps one is accepted, that it is accepted once, and that guesses are counted.

use std::time::Duration;

use gatepost::second_factors::{FactorCode, NewTotp, TotpAlgorithm, TotpSecret};
use gatepost::{LoginRefusal, Options, Store};

use super::authenticator::Authenticator;
use super::{Enrolled, SECRET, STEP, info, retry_after};
use crate::keyring::{OLD, keys, with_keys};
use crate::world::{MINUTE, PASSWORD, SECOND, World};

const WRONG: LoginRefusal = LoginRefusal::InvalidCredentials;

/// In each step from three before to three after the current one, at its first and its last
/// millisecond: whether the code of an authenticator is accepted whose clock was so many steps
/// ahead when it was enrolled.
#[track_caller]
fn check_window(strict: bool, ahead: i64, accepted: &[i64]) {
    let world = World::with(|options| options.keyring(keys(&[OLD])).strict_totp(strict));
    for (name, within) in [("first", Duration::ZERO), ("last", STEP - SECOND / 1_000)] {
        for later in -3..=3 {
            let ada = Enrolled::with(&world, &format!("{name}{later}"), NewTotp::new(), ahead);
            world.clock.advance(5 * STEP + within);
            let code = ada.authenticator.code(world.now(), later);
            let answer = ada.reissue(&world.store, PASSWORD, code).unwrap();
            let is_accepted = answer.is_ok();
            let expect = accepted.contains(&later);
            assert_eq!(is_accepted, expect, "strict {strict}, ahead {ahead}, {name} ms, {later}");
            // Back to the beginning of a step.
            world.clock.advance(STEP - within);
        }
    }
}

#[test]
fn a_code_is_accepted_in_its_own_step_and_the_next_one() {
    check_window(false, 0, &[0, -1]);
    check_window(false, -1, &[0, -1]);
}

#[test]
fn a_strict_store_accepts_a_code_in_its_own_step_alone() {
    check_window(true, 0, &[0]);
}

#[test]
fn a_clock_that_was_a_step_ahead_or_behind_shifts_the_window_and_never_widens_it() {
    check_window(false, 1, &[1, 0]);
    check_window(false, -2, &[-1, -2]);
    check_window(true, 1, &[1]);
    check_window(true, -2, &[-1]);
}

#[test]
fn a_code_of_each_kind_of_authenticator_is_accepted() {
    let world = with_keys(&[OLD]);
    for (number, algorithm) in [TotpAlgorithm::Sha1, TotpAlgorithm::Sha256].into_iter().enumerate()
    {
        for digits in [6, 8] {
            let new = NewTotp::new().algorithm(algorithm).digits(digits);
            let ada = Enrolled::with(&world, &format!("ada{number}{digits}"), new, 0);
            let text = ada.authenticator.text(world.now(), 0);
            assert_eq!(text.len(), usize::from(digits));
            let (front, back) = text.split_at(text.len() / 2);
            let typed = format!(" {front} {back}");
            let other = if digits == 6 { format!("00{text}") } else { text[2..].to_owned() };
            let refused = ada.reissue(&world.store, PASSWORD, FactorCode::new(other)).unwrap();
            assert_eq!(refused.unwrap_err(), WRONG, "the other number of digits");
            ada.reissue(&world.store, PASSWORD, FactorCode::new(typed)).unwrap().unwrap();
        }
    }
}

/// What oathtool 2.6.7 (OATH Toolkit) prints for that secret:
/// `oathtool --totp=ALGORITHM --base32 --digits DIGITS --now "2026-01-05 09:00:30 UTC" SECRET`.
#[test]
fn the_codes_of_oathtool_are_accepted() {
    for (algorithm, digits, code) in [
        (TotpAlgorithm::Sha1, 6, "269008"),
        (TotpAlgorithm::Sha1, 8, "65269008"),
        (TotpAlgorithm::Sha256, 6, "308036"),
        (TotpAlgorithm::Sha256, 8, "17308036"),
    ] {
        let world = with_keys(&[OLD]);
        let user = world.person("ada").id;
        let secret = TotpSecret::from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap();
        let new = NewTotp::new().algorithm(algorithm).digits(digits);
        world.store.second_factors().import(user, secret, new).unwrap();
        world.clock.advance(STEP);
        let session = world.open(user, "till");
        let (on, authenticator) = ("till".to_owned(), Authenticator::of(SECRET));
        let ada = Enrolled { user, session, on, authenticator, codes: Vec::new() };
        ada.reissue(&world.store, PASSWORD, code.into()).unwrap().unwrap();
    }
}

/// CVE-2015-7225 and CVE-2021-43177: a code was accepted again, then again in the next step.
#[test]
fn a_code_is_accepted_once_ever_and_so_is_none_before_it() {
    let mut world = with_keys(&[OLD]);
    let ada = Enrolled::new(&world, "ada");
    let (older, used) = (ada.authenticator.text(world.now(), 0), {
        world.clock.advance(STEP);
        ada.authenticator.text(world.now(), 0)
    });
    let code = |text: &str| FactorCode::from(text);
    ada.reissue(&world.store, PASSWORD, code(&used)).unwrap().unwrap();
    let other = Store::open(&world.path, world.options.clone()).unwrap();
    for store in [&world.store, &other] {
        for text in [&used, &older] {
            assert_eq!(ada.reissue(store, PASSWORD, code(text)).unwrap().unwrap_err(), WRONG);
        }
    }
    world.store.users().unlock(ada.user).unwrap();
    drop(other);
    world.reopen();
    world.clock.advance(STEP);
    assert_eq!(ada.reissue(&world.store, PASSWORD, code(&used)).unwrap().unwrap_err(), WRONG);
    ada.reissue(&world.store, PASSWORD, ada.code(&world)).unwrap().unwrap();
}

/// The two codes that confirm it are used up as well.
#[test]
fn the_codes_of_an_enrolment_are_used_up() {
    let world = with_keys(&[OLD]);
    let ada = Enrolled::new(&world, "ada");
    for later in [-2, -1] {
        let code = ada.authenticator.code(world.now(), later);
        assert_eq!(ada.reissue(&world.store, PASSWORD, code).unwrap().unwrap_err(), WRONG);
    }
}

#[test]
fn a_wrong_password_uses_a_right_code_up_and_no_recovery_code() {
    let world = with_keys(&[OLD]);
    let ada = Enrolled::new(&world, "ada");
    let code = || ada.code(&world);
    assert_eq!(ada.reissue(&world.store, "a guess", code()).unwrap().unwrap_err(), WRONG);
    assert_eq!(ada.reissue(&world.store, PASSWORD, code()).unwrap().unwrap_err(), WRONG);
    let recovery = || FactorCode::from(ada.codes[3].as_str());
    assert_eq!(ada.reissue(&world.store, "a guess", recovery()).unwrap().unwrap_err(), WRONG);
    assert_eq!(info(&world, ada.user).unwrap().recovery_codes_left, 10);
    ada.reissue(&world.store, PASSWORD, recovery()).unwrap().unwrap();
}

/// CVE-2026-31875: recovery codes were never used up.
#[test]
fn a_recovery_code_is_used_once_and_ends_the_other_sessions() {
    let world = with_keys(&[OLD]);
    let ada = Enrolled::new(&world, "ada");
    let ben = Enrolled::new(&world, "ben");
    let other = world.open(ada.user, "elsewhere");
    let of_ada = |at: usize| FactorCode::from(ada.codes[at].as_str());
    assert_eq!(ben.reissue(&world.store, PASSWORD, of_ada(0)).unwrap().unwrap_err(), WRONG);
    assert_eq!(info(&world, ada.user).unwrap().recovery_codes_left, 10);

    let begun = ada.replace(&world.store, PASSWORD, of_ada(0)).unwrap();
    begun.unwrap();
    assert_eq!(world.last_event().reason.as_deref(), Some("recovery_code"));
    assert_eq!(info(&world, ada.user).unwrap().recovery_codes_left, 9);
    assert!(world.passes(&ada.session, &ada.on));
    assert!(!world.passes(&other, "elsewhere"));
    assert_eq!(ada.replace(&world.store, PASSWORD, of_ada(0)).unwrap().unwrap_err(), WRONG);

    // A new set ends the old one.
    let codes = ada.reissue(&world.store, PASSWORD, ada.code(&world)).unwrap().unwrap();
    assert_eq!(ada.replace(&world.store, PASSWORD, of_ada(1)).unwrap().unwrap_err(), WRONG);
    let fresh = super::texts(&codes)[9].to_uppercase().replace('-', " ");
    ada.replace(&world.store, PASSWORD, FactorCode::new(fresh)).unwrap().unwrap();
}

/// CVE-2024-0227: nothing limited the guesses of a code.
#[test]
fn guesses_of_a_code_count_until_even_a_right_one_has_to_wait() {
    let mut world = with_keys(&[OLD]);
    let ada = Enrolled::new(&world, "ada");
    for _ in 0..5 {
        let guess = ada.remove(&world.store, PASSWORD, "000000".into());
        assert_eq!(guess.unwrap().unwrap_err(), WRONG);
    }
    world.reopen();
    let code = || ada.code(&world);
    let before = world.count("SELECT last_step FROM totp");
    let counted = world.leaves(&[], 0, |store| ada.remove(store, PASSWORD, code()));
    assert_eq!(retry_after(&counted.unwrap().unwrap_err()), Some(30 * SECOND));
    assert_eq!(world.count("SELECT last_step FROM totp"), before, "nothing was evaluated");
    world.clock.advance(MINUTE);
    ada.remove(&world.store, PASSWORD, ada.code(&world)).unwrap().unwrap();
}

#[test]
fn a_change_beyond_the_hashing_queue_is_overloaded_and_charges_nothing() {
    let world = World::with(|options: Options| {
        options.keyring(keys(&[OLD])).max_concurrent_hashes(1).max_waiting_hashes(0)
    });
    let ada = Enrolled::new(&world, "ada");
    let taken = world.store.status().hashes_running;
    assert_eq!(taken, 0);
    let meanwhile = std::thread::scope(|scope| {
        let many: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| ada.remove(&world.store, PASSWORD, "000000".into()).unwrap()))
            .collect();
        many.into_iter().map(|one| one.join().unwrap().unwrap_err()).collect::<Vec<_>>()
    });
    let charged = meanwhile.iter().filter(|refusal| **refusal == WRONG).count();
    let failures = world.user(ada.user).failed_attempts;
    assert_eq!(usize::try_from(failures).unwrap(), charged, "{meanwhile:?}");
}

#[test]
fn no_text_that_is_no_code_is_accepted() {
    let world = with_keys(&[OLD]);
    let ada = Enrolled::new(&world, "ada");
    let secret = TotpSecret::new(vec![0; 20]).unwrap();
    drop(secret);
    let right = ada.authenticator.text(world.now(), 0);
    let zeros = Authenticator::of(&[0; 20]).text(world.now(), 0);
    for text in [
        String::new(),
        " ".into(),
        format!("+{right}"),
        format!("{right}0"),
        format!("0{right}"),
        right[1..].to_owned(),
        format!("{right}\0"),
        zeros,
        "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aa".into(),
    ] {
        let code = FactorCode::new(text.clone());
        assert_eq!(
            ada.remove(&world.store, PASSWORD, code).unwrap().unwrap_err(),
            WRONG,
            "{text:?}"
        );
        world.store.users().unlock(ada.user).unwrap();
    }
    let long = FactorCode::new("1".repeat(65));
    let error = ada.remove(&world.store, PASSWORD, long).unwrap_err();
    assert_eq!(error.to_string(), "the code is longer than 64 bytes");
}
