//! The operations of second factors, of logins that wait for one, and of proofs in a session.

use std::time::Duration;

use gatepost::second_factors::{NewTotp, TotpSecret};
use gatepost::sessions::{Assurance, Reauthentication};
use gatepost::{CompleteLogin, LoginOutcome, LoginRequest};

use super::list::NEXT;
use super::{NO_TOKEN, Operation};
use crate::scene::DOOR;
use crate::store::{FACTOR, PASSWORD, code, device};

#[rustfmt::skip]
pub(super) const OF_FACTORS: &[Operation] = &[
    Operation::write("enrol a second factor", "SecondFactors::enrol", |scene, store| {
        let held = (scene.token("bob.cab"), &device("cab"));
        assert!(store.second_factors().enrol(held, NewTotp::new())?.done().is_ok());
        Ok(())
    }).upon("bob.cab"),
    Operation::write("confirm a second factor", "SecondFactors::confirm", |scene, store| {
        let held = (scene.token("bob.cab"), &device("cab"));
        let [first, second] = [-1, 0].map(|later| code(scene.token("bob.secret"), later));
        let confirmed = store.second_factors().confirm(held, first, second)?;
        assert!(confirmed.done().is_ok(), "right codes were refused");
        Ok(())
    }).upon("bob.cab").draws(),
    Operation::write("replace a second factor", "SecondFactors::replace", |scene, store| {
        let held = (scene.token("fay.pad"), &device("pad"));
        let (password, code) = (PASSWORD.into(), code(FACTOR, 0));
        let begun = store.second_factors().replace(held, password, code, NewTotp::new())?;
        assert!(begun.done().is_ok(), "a right code was refused");
        Ok(())
    }).upon(NO_TOKEN).commits(2).draws(),
    Operation::write("remove a second factor", "SecondFactors::remove", |scene, store| {
        let held = (scene.token("fay.pad"), &device("pad"));
        let removed = store.second_factors().remove(held, PASSWORD.into(), code(FACTOR, 0))?;
        assert!(removed.done().is_ok(), "a right code was refused");
        Ok(())
    }).upon(NO_TOKEN).commits(2),
    Operation::write("guess a code", "SecondFactors::remove(refused)", |scene, store| {
        let held = (scene.token("fay.pad"), &device("pad"));
        let removed = store.second_factors().remove(held, PASSWORD.into(), "000000".into())?;
        assert!(removed.done().is_err(), "a wrong code was accepted");
        Ok(())
    }).upon(NO_TOKEN).commits(2),
    Operation::write("reissue recovery codes", "SecondFactors::reissue_recovery_codes",
        |scene, store| {
            let held = (scene.token("fay.pad"), &device("pad"));
            let (factors, password) = (store.second_factors(), PASSWORD.into());
            let reissued = factors.reissue_recovery_codes(held, password, code(FACTOR, 0))?;
            assert!(reissued.done().is_ok(), "a right code was refused");
            Ok(())
        }).upon(NO_TOKEN).commits(2).draws(),
    Operation::write("reset a second factor", "SecondFactors::reset", |scene, store| {
        assert!(store.second_factors().reset(scene.id("fay"))?);
        Ok(())
    }).upon(NO_TOKEN),
    Operation::write("reset a second factor by a session", "SecondFactors::reset_by",
        |scene, store| {
            let held = (scene.token("spare.cart"), &device("cart"));
            let reset = store.second_factors().reset_by(held, scene.id("fay"))?;
            assert!(reset.done().is_ok_and(|had_one| had_one), "the reset was refused");
            Ok(())
        }).upon(NO_TOKEN).prepared(|scene, store| {
            drop(store.users().set_privileges(scene.id("spare"), &["admin"]).unwrap());
        }),
    Operation::write("import a second factor", "SecondFactors::import", |scene, store| {
        let secret = TotpSecret::from_base32(FACTOR).expect("a secret");
        store.second_factors().import(scene.id("spare"), secret, NewTotp::new())
    }).upon(NO_TOKEN).draws(),
    Operation::write("log in and wait for a code", "Store::log_in(pending)", |_, store| {
        let answer = store.log_in(LoginRequest::new("fay", PASSWORD.into(), device("new")))?;
        assert!(matches!(answer, LoginOutcome::Pending(_)), "a session without a code");
        Ok(())
    }).upon(NO_TOKEN).commits(2),
    Operation::write("complete a login", "Store::complete_login", |scene, store| {
        let with = CompleteLogin::with_code(scene.token("fay.step"), device(DOOR), code(FACTOR, 0));
        assert!(store.complete_login(with)?.granted().is_ok(), "a right code was refused");
        Ok(())
    }).upon(NO_TOKEN).commits(2),
    Operation::write("guess the code of a login", "Store::complete_login(refused)",
        |scene, store| {
            let with = CompleteLogin::with_code(scene.token("fay.step"), device(DOOR), "000000");
            assert!(store.complete_login(with)?.granted().is_err(), "a wrong code was accepted");
            Ok(())
        }).upon(NO_TOKEN).commits(2),
    Operation::write("enrol a second factor at a login", "SecondFactors::enrol_at_login",
        |scene, store| {
            let (token, new) = (scene.token("carl.step"), NewTotp::new());
            let begun = store.second_factors().enrol_at_login(token, &device(DOOR), new)?;
            assert!(begun.done().is_ok(), "a step that waits was refused");
            Ok(())
        }).upon(NO_TOKEN),
    Operation::write("complete a login with an enrolment", "Store::complete_login(enrolment)",
        |scene, store| {
            let [first, second] = [-1, 0].map(|later| code(scene.token("ada.secret"), later));
            let token = scene.token("ada.step");
            let with = CompleteLogin::with_enrolment(token, device(DOOR), first, second);
            assert!(store.complete_login(with)?.granted().is_ok(), "right codes were refused");
            Ok(())
        }).commits(2).draws(),
    Operation::write("prove with a password", "Store::prove", |scene, store| {
        let held = (scene.token("ada.till"), &device("till"));
        let proved = store.prove(held, Reauthentication::password(PASSWORD))?;
        assert!(proved.granted().is_ok(), "a right password was refused");
        Ok(())
    }).commits(2),
    Operation::write("prove with a code", "Store::prove", |scene, store| {
        let held = (scene.token("fay.pad"), &device("pad"));
        let proved = store.prove(held, Reauthentication::code(code(FACTOR, 0)))?;
        assert!(proved.granted().is_ok(), "a right code was refused");
        Ok(())
    }).upon(NO_TOKEN).commits(2),
    Operation::write("prove with a wrong password", "Store::prove(refused)", |scene, store| {
        let held = (scene.token("ada.till"), &device("till"));
        let proved = store.prove(held, Reauthentication::password(NEXT))?;
        assert!(proved.granted().is_err(), "a wrong password was accepted");
        Ok(())
    }).commits(2),
    Operation::write("require a fresh proof and write the use", "Store::require_fresh",
        |scene, store| {
            let idle = (scene.token("bob.idle"), &device("idle"));
            let fresh = store.require_fresh(idle, Duration::from_secs(7_200), Assurance::Aal1)?;
            assert!(fresh.granted().is_ok(), "a proof of an hour ago was refused");
            Ok(())
        }).dispensable(1),
    Operation::write("revoke the trust of devices", "Devices::revoke_trust", |scene, store| {
        assert!(store.devices().revoke_trust(scene.id("fay"))?, "no device was trusted");
        Ok(())
    }).upon(NO_TOKEN),
];
