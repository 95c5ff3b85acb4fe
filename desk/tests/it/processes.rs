//! Several instances of one program on one machine, and several accounts of the machine.

use std::path::Path;

use crate::instance::{Instance, open};
use crate::world::create;

/// A folder whose store has the users ada and bob.
pub(crate) fn folder() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let desk = open(directory.path()).unwrap();
    create(&desk, "ada");
    create(&desk, "bob");
    desk.close().unwrap();
    directory
}

/// Two instances of the program, both signed in as ada.
fn two_of_ada(directory: &Path) -> (Instance, Instance) {
    let (mut one, mut two) = (Instance::start(directory), Instance::start(directory));
    assert_eq!(one.ask("sign_in ada"), "granted");
    assert_eq!(two.ask("resume"), "ada");
    (one, two)
}

#[test]
fn two_instances_share_the_session() {
    let directory = folder();
    let (mut one, mut two) = two_of_ada(directory.path());
    assert_eq!((one.ask("state"), two.ask("state")), ("Open".into(), "Open".into()));
    assert_eq!(two.ask("may reports.read"), "true");
    assert_eq!(one.ask("sign_out"), "signed out");
    assert_eq!(two.ask("state"), "Ended");
    assert_eq!(two.ask("may reports.read"), "error Ended");
    assert_eq!(two.ask("resume"), "none");
}

#[test]
fn a_switch_in_one_instance_ends_the_seat_of_the_other() {
    let directory = folder();
    let (mut one, mut two) = two_of_ada(directory.path());
    assert_eq!(two.ask("sign_in bob"), "granted");
    assert_eq!(one.ask("may reports.read"), "error Ended");
    // The seat that is over leaves bob's token alone.
    assert_eq!(one.ask("sign_out"), "signed out");
    assert_eq!(one.ask("resume"), "bob");
    assert_eq!(two.ask("state"), "Open");
}

#[test]
fn each_instance_has_a_lock_of_its_own_and_follows_the_new_token() {
    let directory = folder();
    let (mut one, mut two) = two_of_ada(directory.path());
    assert_eq!(one.ask("lock"), "locked");
    assert_eq!((one.ask("state"), two.ask("state")), ("Locked".into(), "Open".into()));
    assert_eq!(one.ask("unlock"), "unlocked");
    // The unlock gave the session a new token, which the second instance finds when it needs it.
    assert_eq!(two.ask("may reports.read"), "true");
    assert_eq!(two.ask("lock"), "locked");
    assert_eq!(two.ask("unlock"), "unlocked");
    assert_eq!(one.ask("change ada new"), "changed");
    assert_eq!((one.ask("state"), two.ask("state")), ("Open".into(), "Open".into()));
    assert_eq!(two.ask("sign_out"), "signed out");
    assert_eq!(one.ask("state"), "Ended");
}

#[test]
fn sign_ins_at_the_same_time_leave_one_user_signed_in() {
    let directory = folder();
    let mut instances = [Instance::start(directory.path()), Instance::start(directory.path())];
    for round in 0..20 {
        for (instance, user) in instances.iter_mut().zip(["ada", "bob"]) {
            instance.send(&format!("sign_in {user}"));
        }
        for instance in &mut instances {
            assert_eq!(instance.read().unwrap(), "granted", "round {round}");
        }
        let states = instances.each_mut().map(|instance| instance.ask("state"));
        let last = usize::from(states == ["Ended", "Open"]);
        assert!(last == 1 || states == ["Open", "Ended"], "round {round}: {states:?}");
        // The token that is saved is that of the session that is live.
        let mut third = Instance::start(directory.path());
        assert_eq!(third.ask("resume"), ["ada", "bob"][last], "round {round}");
    }
}

#[test]
fn first_starts_at_the_same_time_draw_one_device_and_create_one_administrator() {
    for _ in 0..5 {
        let directory = tempfile::tempdir().unwrap();
        let mut instances: Vec<_> =
            (0..4).map(|_| Instance::start_closed(directory.path())).collect();
        for command in ["open", "first ada"] {
            for instance in &mut instances {
                instance.send(command);
            }
            let mut answers: Vec<_> =
                instances.iter_mut().map(|instance| instance.read().unwrap()).collect();
            answers.sort();
            match command {
                "open" => assert_eq!(answers, ["open"; 4]),
                _ => assert_eq!(answers, ["created", "not empty", "not empty", "not empty"]),
            }
        }
        // With two devices, the second instance could not go on with the session of the first.
        assert_eq!(instances[0].ask("sign_in ada"), "granted");
        for instance in &mut instances {
            assert_eq!(instance.ask("resume"), "ada");
        }
    }
}

#[test]
fn accounts_of_one_machine_share_nothing() {
    let (ada, bob) = (folder(), folder());
    let (mut one, mut two) = (Instance::start(ada.path()), Instance::start(bob.path()));
    assert_eq!(one.ask("sign_in ada"), "granted");
    assert_eq!(two.ask("resume"), "none");
    assert_eq!(two.ask("sign_in bob"), "granted");
    assert_eq!((one.ask("state"), two.ask("state")), ("Open".into(), "Open".into()));
    assert_eq!(two.ask("sign_out"), "signed out");
    assert_eq!(one.ask("state"), "Open");
}

#[test]
fn an_instance_that_died_with_the_turn_stops_no_other() {
    let directory = folder();
    let mut one = Instance::start(directory.path());
    one.send("work 0");
    assert_eq!(one.read().unwrap(), "begin sign_in");
    let _ = one.kill();
    let mut two = Instance::start(directory.path());
    assert_eq!(two.ask("sign_in bob"), "granted");
}

#[test]
fn an_instance_that_keeps_the_turn_makes_the_other_busy_and_nothing_changes() {
    let directory = folder();
    let desk = open(directory.path()).unwrap();
    // As an instance has it that is stopped in the middle of a sign-in.
    let turn = std::fs::File::open(desk.folder().path().join("lock")).unwrap();
    turn.lock().unwrap();
    let answer = desk.sign_in("ada", crate::world::password("ada"));
    assert!(matches!(answer, Err(gatepost_desk::DeskError::Busy)), "{answer:?}");
    let all = gatepost::sessions::SessionFilter::new();
    assert_eq!(desk.store().sessions().count(&all).unwrap(), 0);
    drop(turn);
    assert_eq!(crate::world::seat(&desk, "ada").username(), "ada");
}
