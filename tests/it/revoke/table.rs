//! The table of what ends what, row by row: each cell both ways. One-time tokens and trusted
//! devices are not built yet; what they will answer to, `tokens_ended_seq`, is looked at instead.

use std::time::Duration;

use gatepost::{EndSessions, Ended, Password, Refusal, UserStatus};

use super::scene::{Ends, Scene, check};
use crate::world::{MINUTE, PASSWORD, device};

const NOTHING: Ends = Ends { sessions: &[], keys: &[], tokens: &[] };
const ADAS: &[&str] = &["ada-1", "ada-2"];
const YORKS: &[&str] = &["ada-1", "ada-2", "bob-1"];
const NEW: &str = "nine brass bells";

#[test]
fn a_logout_ends_this_session() {
    check(Ends { sessions: &["ada-1"], ..NOTHING }, |scene| {
        let ended = scene.world.log_out(scene.session("ada-1"), "ada-1");
        assert_eq!(ended, Ended::Now);
    });
}

#[test]
fn the_own_password_change_ends_all_others_and_this_one_gets_a_new_token() {
    check(Ends { sessions: ADAS, tokens: &["user"], ..NOTHING }, |scene| {
        let (token, device) = (scene.session("ada-1").token.expose(), device("ada-1"));
        let (old, new) = (Password::from(PASSWORD), Password::from(NEW));
        let change = scene.store().change_password(token, &device, old, new).unwrap();
        let renewed = change.changed().unwrap().session;
        assert_eq!(renewed.id, scene.session("ada-1").id);
        assert!(scene.world.passes(&renewed, "ada-1"));
    });
}

#[test]
fn a_change_at_login_ends_all_and_opens_one() {
    check(Ends { sessions: ADAS, tokens: &["user"], ..NOTHING }, |scene| {
        let users = scene.store().users();
        users.require_password_change(scene.ada, EndSessions::Keep).unwrap();
        let request = gatepost::LogIn::new("ada", Password::from(PASSWORD), device("ada-3"));
        let reply = scene.world.ask(request.new_password(Password::from(NEW))).unwrap();
        assert!(scene.world.passes(&reply.session, "ada-3"));
    });
}

#[test]
fn a_password_of_the_administrators_ends_all() {
    let all = || Ends { sessions: ADAS, tokens: &["user"], ..NOTHING };
    let phc = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$\
               Wm1Zb3VyaGFzaHlvdXJoYXNoeW91cmhhc2h5b3VyaGE";
    check(all(), |s| s.store().users().set_password(s.ada, Password::from(NEW)).unwrap());
    check(all(), |s| s.store().users().set_password_hash(s.ada, phc).unwrap());
    check(all(), |s| assert!(s.store().users().remove_password(s.ada).unwrap()));
}

#[test]
fn a_compromised_password_ends_all() {
    check(Ends { sessions: ADAS, tokens: &["user"], ..NOTHING }, |scene| {
        assert!(scene.store().users().mark_compromised(scene.ada).unwrap());
    });
}

#[test]
fn a_change_demanded_ends_none_and_all_by_argument() {
    let demand = |scene: &Scene, sessions| {
        assert!(scene.store().users().require_password_change(scene.ada, sessions).unwrap());
    };
    check(NOTHING, |scene| demand(scene, EndSessions::Keep));
    check(Ends { sessions: ADAS, ..NOTHING }, |scene| demand(scene, EndSessions::All));
}

#[test]
fn a_suspended_user_loses_sessions_and_gets_its_keys_back() {
    for status in [UserStatus::Locked, UserStatus::Disabled, UserStatus::Pending] {
        let ends = Ends { sessions: ADAS, keys: &["ada"], tokens: &["user"] };
        let scene = check(ends, |s| s.store().users().set_status(s.ada, status).unwrap());
        scene.store().users().set_status(scene.ada, UserStatus::Active).unwrap();
        scene.are_dead(ADAS, &[]);
    }
}

#[test]
fn a_deleted_user_loses_all_for_good() {
    let ends = Ends { sessions: ADAS, keys: &["ada"], tokens: &["user"] };
    let scene = check(ends, |scene| scene.store().users().delete(scene.ada).unwrap());
    scene.store().users().restore(scene.ada).unwrap();
    scene.are_dead(ADAS, &["ada"]);
}

#[test]
fn a_new_name_or_address_ends_one_time_tokens_alone() {
    let tokens = || Ends { tokens: &["user"], ..NOTHING };
    check(tokens(), |s| s.store().users().rename(s.ada, "countess").unwrap());
    check(tokens(), |s| s.store().users().set_email(s.ada, Some("a@example.com")).unwrap());
}

#[test]
fn the_first_confirmation_revokes_sessions_and_keys_and_a_later_one_nothing() {
    let ends = Ends { sessions: ADAS, keys: &["ada"], tokens: &["user"] };
    let scene = check(ends, |scene| scene.store().users().confirm(scene.ada).unwrap());
    let session = scene.world.open(scene.ada, "ada-3");
    scene.store().users().confirm(scene.ada).unwrap();
    assert!(scene.world.passes(&session, "ada-3"));
    scene.are_dead(ADAS, &["ada"]);
}

#[test]
fn a_forgotten_device_loses_its_session() {
    check(Ends { sessions: &["ada-1"], ..NOTHING }, |scene| {
        assert!(scene.store().devices().forget(scene.ada, &device("ada-1")).unwrap());
    });
}

#[test]
fn all_keys_of_a_user_are_revoked_and_no_session() {
    let ends = Ends { keys: &["ada"], ..NOTHING };
    let scene = check(ends, |s| s.store().api_keys().revoke_all(s.ada).unwrap());
    scene.are_dead(&[], &["ada"]);
}

#[test]
fn failed_attempts_end_nothing() {
    let scene = check(NOTHING, |scene| {
        let mut answers = (0..8).map(|_| scene.world.log_in("ada", "wrong", "elsewhere"));
        assert!(answers.any(|answer| matches!(answer, Err(Refusal::TooManyAttempts { .. }))));
    });
    assert!(scene.world.user(scene.ada).is_locked_out(crate::world::morning()));
}

#[test]
fn a_disabled_branch_ends_all_under_it_and_gives_keys_back() {
    let ends = Ends { sessions: YORKS, keys: &["ada", "bob"], tokens: &["branch"] };
    let scene = check(ends, |s| s.store().branches().set_active(s.york, false).unwrap());
    scene.store().branches().set_active(scene.york, true).unwrap();
    scene.are_dead(YORKS, &[]);
}

#[test]
fn a_disabled_organisation_ends_all_under_it_and_gives_keys_back() {
    let ends = Ends { sessions: YORKS, keys: &["ada", "bob"], tokens: &["organisation"] };
    let scene = check(ends, |s| s.store().organisations().set_active(s.north, false).unwrap());
    scene.store().organisations().set_active(scene.north, true).unwrap();
    scene.are_dead(YORKS, &[]);
}

#[test]
fn a_move_ends_nothing_and_is_seen_by_the_next_verify() {
    let place = |scene: &Scene| {
        let token = scene.session("ada-1").token.expose();
        let facts = scene.store().verify(token, &device("ada-1")).unwrap().valid().unwrap();
        (facts.branch, facts.organisation)
    };
    let scene = check(NOTHING, |s| s.store().users().move_to(s.ada, s.dover).unwrap());
    assert_eq!(place(&scene), (Some(scene.dover), Some(scene.south)));
    let scene = check(NOTHING, |s| s.store().users().move_to(s.ada, None).unwrap());
    assert_eq!(place(&scene), (None, None));
    let scene = check(NOTHING, |s| s.store().branches().move_to(s.york, s.south).unwrap());
    assert_eq!(place(&scene), (Some(scene.york), Some(scene.south)));
}

#[test]
fn a_reassigned_key_ends_at_once_or_after_the_overlap() {
    let reassign = |scene: &Scene, overlap| {
        let new = scene.store().api_keys().reassign(scene.ada, overlap).unwrap().key;
        assert!(scene.store().verify(new.expose(), None).unwrap().valid().is_ok());
    };
    check(Ends { keys: &["ada"], ..NOTHING }, |scene| reassign(scene, Duration::ZERO));
    let scene = check(NOTHING, |scene| reassign(scene, MINUTE));
    scene.world.clock.advance(MINUTE - Duration::from_millis(1));
    scene.are_dead(&[], &[]);
    scene.world.clock.advance(Duration::from_millis(1));
    scene.are_dead(&[], &["ada"]);
}

#[test]
fn a_revoked_key_ends_alone() {
    check(Ends { keys: &["bob"], ..NOTHING }, |scene| {
        scene.store().api_keys().revoke(scene.key("bob").0).unwrap();
    });
}

#[test]
fn privileges_end_nothing_and_hold_at_the_next_verify() {
    let is_admin = |scene: &Scene| {
        let token = scene.session("ada-1").token.expose();
        scene.store().verify(token, &device("ada-1")).unwrap().valid().unwrap().is_admin
    };
    let scene = check(NOTHING, |scene| {
        scene.store().users().set_privileges(scene.ada, &["admin", "till"]).unwrap()
    });
    assert!(is_admin(&scene));
    scene.store().users().set_privileges(scene.ada, &["till"]).unwrap();
    assert!(!is_admin(&scene));
}

#[test]
fn what_was_asked_to_end_ends_and_nothing_beside_it() {
    let sessions = |sessions| Ends { sessions, ..NOTHING };
    check(sessions(&["ada-1"]), |s| {
        assert_eq!(s.store().sessions().end(s.session("ada-1").id).unwrap(), Ended::Now);
    });
    check(sessions(&["ada-2"]), |scene| {
        let token = scene.session("ada-1").token.expose();
        let facts = scene.store().verify(token, &device("ada-1")).unwrap().valid().unwrap();
        scene.store().sessions().end_others(&facts).unwrap();
    });
    check(sessions(ADAS), |s| s.store().sessions().end_all_of(s.ada).unwrap());
    check(sessions(YORKS), |s| s.store().sessions().end_all_of_branch(s.york).unwrap());
    check(sessions(YORKS), |s| s.store().sessions().end_all_of_organisation(s.north).unwrap());
    check(sessions(&[]), |s| s.store().sessions().end_all_of_branch(s.dover).unwrap());
    check(sessions(&[]), |s| s.store().sessions().end_all_of_organisation(s.south).unwrap());
    check(sessions(&["ada-1", "ada-2", "bob-1", "eve-1"]), |s| {
        s.store().sessions().end_all().unwrap();
    });
}
