//! Calls in any order: a revoked session never verifies again, a live one does.

use std::time::Duration;

use gatepost::directory::*;
use gatepost::host::*;
use gatepost::sessions::*;
use gatepost::*;

const DEVICES: u8 = 4;
const USERS: u8 = 3;
/// As many calls as an input may make.
const CALLS_MAX: usize = 64;
/// How long a session of the server's policy lives, and how many a user may have.
const LIFETIME: Duration = Duration::from_secs(24 * 3_600);
const PER_USER: usize = 10;

/// A session as a plain model remembers it, which knows nothing of the file.
struct Remembered {
    token: String,
    device: u8,
    user: u8,
    opened_after: Duration,
    has_ended: bool,
}

struct Play {
    store: Store,
    clock: ManualClock,
    users: Vec<UserId>,
    is_active: Vec<bool>,
    passed: Duration,
    sessions: Vec<Remembered>,
}

/// Each byte a call, by its low bits, upon what its high bits name.
pub(super) fn operations(input: &[u8]) {
    let clock = ManualClock::new("2026-01-05T09:00:00Z".parse().unwrap());
    let options = super::options().clock(std::sync::Arc::new(clock.clone()));
    let store = Store::in_memory(options).unwrap();
    let new = |at: u8| NewUser::person(format!("user {at}"));
    let users = (0..USERS).map(|at| store.users().create(new(at)).unwrap().id).collect();
    let mut play = Play {
        store,
        clock,
        users,
        is_active: vec![true; usize::from(USERS)],
        passed: Duration::ZERO,
        sessions: Vec::new(),
    };
    for byte in input.iter().take(CALLS_MAX) {
        play.call(byte & 7, byte >> 3);
        play.check();
    }
    assert!(play.store.audit().verify_chain(None).unwrap().is_intact());
}

fn device(at: u8) -> DeviceId {
    DeviceId::new(&format!("till-{at}")).unwrap()
}

impl Play {
    fn call(&mut self, what: u8, whom: u8) {
        let at = whom % USERS;
        let (user, sessions) = (self.users[usize::from(at)], self.store.sessions());
        match what {
            0 | 1 => self.open(at, whom / USERS % DEVICES),
            2 => self.log_out(whom),
            3 => {
                sessions.revoke_all(user).unwrap();
                self.end(|session| session.user == at);
            }
            4 if whom == 31 => {
                sessions.revoke_all(Subtree::Store).unwrap();
                self.end(|_| true);
            }
            4 => self.set_status(at, UserStatus::Disabled),
            5 => self.set_status(at, UserStatus::Active),
            6 => {
                let span = Duration::from_secs(u64::from(whom) * 900);
                self.clock.advance(span);
                self.passed += span;
            }
            _ => drop(self.store.maintain().unwrap()),
        }
    }

    fn open(&mut self, user: u8, on: u8) {
        let request = OpenSession::new(self.users[usize::from(user)], device(on));
        let answer = self.store.sessions().open(request).unwrap().granted();
        let passed = self.passed;
        let is_live = move |s: &Remembered| !s.has_ended && passed < s.opened_after + LIFETIME;
        let holder = self.sessions.iter().find(|s| s.device == on && is_live(s)).map(|s| s.user);
        let is_free = holder.is_none_or(|holder| holder == user);
        assert_eq!(answer.is_ok(), is_free && self.is_active[usize::from(user)]);
        let Ok(reply) = answer else { return };
        self.end(|session| session.device == on);
        let of_user = self.sessions.iter().filter(|s| s.user == user && is_live(s)).count();
        assert!(of_user < PER_USER, "more sessions than devices");
        self.sessions.push(Remembered {
            token: reply.session.token.expose().to_owned(),
            device: on,
            user,
            opened_after: self.passed,
            has_ended: false,
        });
    }

    fn log_out(&mut self, whom: u8) {
        let count = self.sessions.len();
        let Some(session) = self.sessions.get_mut(usize::from(whom) % count.max(1)) else {
            return;
        };
        self.store.log_out((&session.token, &device(session.device))).unwrap();
        session.has_ended = true;
    }

    fn set_status(&mut self, user: u8, status: UserStatus) {
        self.store.users().set_status(self.users[usize::from(user)], status).unwrap();
        self.is_active[usize::from(user)] = status == UserStatus::Active;
        if status != UserStatus::Active {
            self.end(|session| session.user == user);
        }
    }

    fn end(&mut self, which: impl Fn(&Remembered) -> bool) {
        self.sessions.iter_mut().filter(|s| which(s)).for_each(|s| s.has_ended = true);
    }

    fn check(&self) {
        for session in &self.sessions {
            let is_live = !session.has_ended && self.passed < session.opened_after + LIFETIME;
            for on in [session.device, (session.device + 1) % DEVICES] {
                let verdict = self.store.verify((&session.token, &device(on))).unwrap();
                assert_eq!(verdict.valid().is_ok(), is_live && on == session.device);
            }
        }
    }
}
