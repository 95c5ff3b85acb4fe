//! What most tests do in a world: create people, log them in, present their tokens.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gatepost::audit::{AuditEntry, AuditFilter, EventKind};
use gatepost::host::{Clock, ManualClock, RandomSource, RandomUnavailable, SystemRandom};
use gatepost::policy::BreachCheck;
use gatepost::sessions::{Assurance, OpenSession, SessionFilter, SessionInfo};
use gatepost::{
    Ended, LoginRefusal, LoginReply, LoginRequest, NewUser, OpenedSession, Page, Password, Store,
    Timestamp, User, UserId,
};

use super::{PASSWORD, World, device};

impl World {
    /// A person of that name, whose password is [`PASSWORD`].
    pub(crate) fn person(&self, name: &str) -> User {
        let new = NewUser::person(name).password(Password::from(PASSWORD));
        self.store.users().create(new).unwrap()
    }

    /// The user as the file has it now.
    pub(crate) fn user(&self, id: UserId) -> User {
        self.store.users().find(id).unwrap().unwrap()
    }

    /// The user of that name.
    pub(crate) fn user_of(&self, name: &str) -> UserId {
        self.store.users().find_by_username(name).unwrap().unwrap().id
    }

    /// The live sessions of a user.
    #[track_caller]
    pub(crate) fn sessions_of(&self, user: UserId) -> Vec<SessionInfo> {
        let of_user = SessionFilter::new().under(user);
        self.store.sessions().list(&of_user, Page::default()).unwrap()
    }

    pub(crate) fn ask(&self, request: LoginRequest) -> Result<LoginReply, LoginRefusal> {
        self.store.log_in(request).unwrap().granted()
    }

    /// Logs in on a device of that name.
    pub(crate) fn log_in(
        &self,
        name: &str,
        password: &str,
        on: &str,
    ) -> Result<LoginReply, LoginRefusal> {
        self.ask(LoginRequest::new(name, Password::from(password), device(on)))
    }

    /// A session of that user on a device of that name; at AAL2 if the user has a second factor.
    pub(crate) fn open(&self, user: UserId, on: &str) -> OpenedSession {
        let has_factor = self.store.second_factors().info(user).unwrap().is_some();
        let assurance = if has_factor { Assurance::Aal2 } else { Assurance::Aal1 };
        let open = OpenSession::new(user, device(on)).assurance(assurance);
        self.store.sessions().open(open).unwrap().granted().unwrap().session
    }

    /// Whether the session verifies on a device of that name.
    pub(crate) fn passes(&self, session: &OpenedSession, on: &str) -> bool {
        self.store.verify((&session.token, &device(on))).unwrap().valid().is_ok()
    }

    pub(crate) fn log_out(&self, session: &OpenedSession, on: &str) -> Ended {
        self.store.log_out((&session.token, &device(on))).unwrap()
    }

    /// Asserts how many passwords a call hashes.
    #[track_caller]
    pub(crate) fn hashes<T>(&self, expect: u64, call: impl FnOnce(&Store) -> T) -> T {
        let before = self.store.status().hashes_done;
        let answer = call(&self.store);
        assert_eq!(self.store.status().hashes_done - before, expect, "hashes");
        answer
    }

    /// Does something by plain SQL, as another process would, while a call waits with its write:
    /// what the call has read before is older.
    pub(crate) fn while_it_waits<T: Send>(
        &self,
        call: impl FnOnce(&Store) -> T + Send,
        sql: &str,
    ) -> T {
        let hand = self.sql();
        hand.execute_batch("BEGIN IMMEDIATE").unwrap();
        std::thread::scope(|scope| {
            let called = scope.spawn(|| call(&self.store));
            wait_for_reads();
            hand.execute_batch(sql).unwrap();
            hand.execute_batch("COMMIT").unwrap();
            called.join().unwrap()
        })
    }

    /// Makes the file believe what the clock shows, so that the next sweep deletes what is over.
    pub(crate) fn believe_clock(&self) {
        gatepost::testing::believe_clock(&self.store).unwrap();
    }

    /// What the clock shows.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Every row of the audit log of one kind.
    pub(crate) fn log_of(&self, kind: EventKind) -> Vec<AuditEntry> {
        let filter = AuditFilter::new().kind(kind);
        self.store.audit().list(&filter, Page::first(500)).unwrap()
    }

    /// The newest row of the audit log.
    pub(crate) fn last_event(&self) -> AuditEntry {
        let last = self.count("SELECT max(head_seq) FROM audit_chain");
        let page = Page::after(last - 1, 1);
        self.store.audit().list(&AuditFilter::new(), page).unwrap().pop().unwrap()
    }
}

/// Why the newest event was refused.
pub(crate) fn reason(world: &World) -> String {
    world.last_event().reason.unwrap_or_default()
}

/// Gives another thread the time to read, until its call waits with its write. What it reads later
/// is newer, and no test fails by that.
#[expect(clippy::disallowed_methods, reason = "nothing shows that a call waits for the file")]
pub(crate) fn wait_for_reads() {
    std::thread::sleep(Duration::from_millis(300));
}

type Job = Box<dyn FnOnce() + Send>;

/// Does something while a login is between its password hash and its last write: where the new
/// password is looked up among breached ones.
#[derive(Clone, Default)]
pub(crate) struct Meanwhile(Arc<Mutex<Option<Job>>>);

impl Meanwhile {
    pub(crate) fn check(&self) -> Arc<dyn BreachCheck> {
        Arc::new(self.clone())
    }

    /// A clock of the same time whose readings are occasions as well.
    pub(crate) fn clock(&self, clock: &ManualClock) -> Arc<dyn Clock> {
        Arc::new(Read(self.clone(), clock.clone()))
    }

    /// A source that does it where a login draws the salt of the new password: the login has its
    /// hashing place.
    pub(crate) fn source(&self) -> Arc<dyn RandomSource> {
        Arc::new(self.clone())
    }

    /// Once, at the next occasion.
    pub(crate) fn happens(&self, job: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(job));
    }

    /// Once, after so many occasions.
    pub(crate) fn happens_after(&self, occasions: usize, job: impl FnOnce() + Send + 'static) {
        let Some(left) = occasions.checked_sub(1) else { return self.happens(job) };
        let own = self.clone();
        self.happens(move || own.happens_after(left, job));
    }

    fn run(&self) {
        let job = self.0.lock().unwrap().take();
        if let Some(job) = job {
            job();
        }
    }
}

#[derive(Debug)]
struct Read(Meanwhile, ManualClock);

impl Clock for Read {
    fn now(&self) -> Timestamp {
        self.0.run();
        self.1.now()
    }
}

impl BreachCheck for Meanwhile {
    fn is_breached(&self, _: &str) -> bool {
        self.run();
        false
    }
}

impl RandomSource for Meanwhile {
    fn fill(&self, buf: &mut [u8]) -> Result<(), RandomUnavailable> {
        self.run();
        SystemRandom::default().fill(buf)
    }
}

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meanwhile")
    }
}
