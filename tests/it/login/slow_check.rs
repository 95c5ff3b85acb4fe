//! A breach check that takes long: it holds up only the call that asked it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use gatepost::policy::{BreachCheck, ChangeAtLogin};
use gatepost::{LoginRequest, Password};

use crate::world::{PASSWORD, World, device};

/// Says that it was asked, and answers once it is allowed to.
#[derive(Debug)]
struct Slow {
    asked: Sender<()>,
    answer: Mutex<Receiver<()>>,
}

impl BreachCheck for Slow {
    fn is_breached(&self, _: &str) -> bool {
        self.asked.send(()).unwrap();
        // Far longer than the suite waits for anything else.
        let allowed = self.answer.lock().unwrap().recv_timeout(Duration::from_secs(60));
        assert!(allowed.is_ok(), "the other logins wait for the check");
        false
    }
}

/// One place and one slot: the check ran while its caller held both.
#[test]
fn other_logins_do_not_wait_for_a_slow_breach_check() {
    let (asked, was_asked) = channel();
    let (allow, answer) = channel();
    let check = Arc::new(Slow { asked, answer: Mutex::new(answer) });
    let world = World::with(|options| {
        let options = options.max_concurrent_hashes(1).max_waiting_hashes(0);
        options.change_at_login(ChangeAtLogin::Always).breach_check(check)
    });
    for name in ["ada", "ben"] {
        allow.send(()).unwrap();
        world.person(name);
        was_asked.recv().unwrap();
    }
    let log_in = |name: &str, password: &str| {
        let request = LoginRequest::new(name, Password::from(password), device(name));
        world.store.log_in(request).unwrap()
    };
    let new = "nine brass bells";
    thread::scope(|scope| {
        let store = &world.store;
        let changing = scope.spawn(move || {
            let request = LoginRequest::new("ada", Password::from(PASSWORD), device("ada"));
            store.log_in(request.new_password(Password::from(new))).unwrap().granted()
        });
        was_asked.recv().unwrap();
        assert!(log_in("ben", PASSWORD).granted().is_ok());
        allow.send(()).unwrap();
        let token = changing.join().unwrap().unwrap().session.token;

        let changing = scope.spawn(move || {
            let (old, newer) = (Password::from(new), Password::from("ten tin whistles"));
            store.change_password((&token, &device("ada")), old, newer).unwrap().granted()
        });
        was_asked.recv().unwrap();
        assert!(log_in("ben", PASSWORD).granted().is_ok());
        allow.send(()).unwrap();
        assert!(changing.join().unwrap().is_ok());
    });
    assert_eq!(world.store.status().hashes_waiting, 0);
}
