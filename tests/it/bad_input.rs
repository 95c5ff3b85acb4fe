//! Given any text or bytes, a public function does not panic; if it refuses them, it writes
//! nothing.
//!
//! [`texts::ATTACKS`] names every public function that takes text, and how it is attacked with any
//! text there is; a function that is new in the sources fails the test until it is listed there.
//! SQLite's own counter of commits by others shows whether something was written.

mod corpus;
mod damaged;
mod numbers;
mod paths;
mod texts;
mod tokens;

use std::cell::RefCell;
use std::fmt::Debug;

use gatepost::second_factors::{NewTotp, TotpSecret};
use gatepost::sessions::{Assurance, NewApiKey, NewOneTimeToken, OpenSession};
use gatepost::{
    ApiKeyId, BranchId, Error, ErrorKind, NewUser, Options, OrganisationId, Password, Principal,
    SessionId, Store, UserId,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::second_factor::SECRET;
use crate::world::{PASSWORD, World, device};

/// A store with one of each, and a second connection that notices every commit.
pub(crate) struct Bench {
    pub(crate) world: World,
    plain: rusqlite::Connection,
    pub(crate) ada: UserId,
    /// A user whose name and password may change at any time.
    pub(crate) robin: UserId,
    /// An administrator of the organisation.
    pub(crate) ines: Principal,
    pub(crate) session: SessionId,
    pub(crate) token: String,
    pub(crate) key_id: ApiKeyId,
    pub(crate) key: String,
    /// A password reset of its own user.
    pub(crate) reset: RefCell<String>,
    /// The token of the first administrator.
    pub(crate) first: RefCell<String>,
    pub(crate) york: BranchId,
    pub(crate) north: OrganisationId,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|options| options)
    }

    pub(crate) fn with(change: impl FnOnce(Options) -> Options) -> Self {
        let world =
            World::in_memory(|options| change(options).dangerous().allow_unsealed_totp_secrets());
        let store = &world.store;
        let north = store.organisations().create("Northern").unwrap().id;
        let york = store.branches().create("York", north).unwrap().id;
        let ada = NewUser::person("ada").branch(york).password(Password::from(PASSWORD));
        let ada = store.users().create(ada).unwrap().id;
        let secret = TotpSecret::new(SECRET.to_vec()).unwrap();
        store.second_factors().import(ada, secret, NewTotp::new()).unwrap();
        let open = OpenSession::new(ada, device("till-1")).assurance(Assurance::Aal2);
        let opened = store.sessions().open(open).unwrap();
        let session = opened.granted().unwrap().session;
        let key = store.api_keys().issue(ada, NewApiKey::new()).unwrap();
        let uma = store.users().create(NewUser::person("uma").email("uma@x")).unwrap().id;
        let ines = store.users().create(NewUser::person("ines")).unwrap().id;
        store.users().grant_administration(ines, north).unwrap();
        let ines = world.open(ines, "till-9");
        let ines = store.verify((&ines.token, &device("till-9"))).unwrap().valid().unwrap();
        let robin = NewUser::person("robin").branch(york);
        Self {
            ines,
            reset: RefCell::new(reset(store, uma)),
            first: RefCell::new(first(store)),
            plain: world.sql(),
            ada,
            robin: store.users().create(robin).unwrap().id,
            session: session.id,
            token: session.token.expose().to_owned(),
            key_id: key.id,
            key: key.key.expose().to_owned(),
            york,
            north,
            world,
        }
    }

    /// Issues the password reset again, after it was used.
    pub(crate) fn reset_again(&self) {
        let uma = self.world.user_of("uma");
        *self.reset.borrow_mut() = reset(&self.world.store, uma);
    }

    /// Deletes the first administrator, and issues the token again.
    pub(crate) fn first_again(&self, chief: UserId) -> Result<(), Error> {
        self.world.store.users().set_privileges(chief, &[])?;
        self.world.store.users().delete(chief)?;
        *self.first.borrow_mut() = first(&self.world.store);
        Ok(())
    }

    /// Changes with every commit of the store, and with no other event.
    pub(crate) fn commits(&self) -> i64 {
        self.plain.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap()
    }

    /// Asserts that a refused call is refused for one of these reasons and has written nothing;
    /// returns whether it was accepted.
    #[track_caller]
    pub(crate) fn check<T: Debug>(
        &self,
        what: &str,
        may: &[ErrorKind],
        call: impl FnOnce() -> Result<T, Error>,
    ) -> bool {
        let before = self.commits();
        let Err(error) = call() else { return true };
        assert!(may.contains(&error.kind()), "{what}: {:?}, {error}", error.kind());
        assert_eq!(self.commits(), before, "{what} was refused and has written");
        false
    }
}

fn first(store: &Store) -> String {
    store.one_time_tokens().issue_first_administrator().unwrap().token.expose().to_owned()
}

fn reset(store: &Store, user: UserId) -> String {
    let issued = store.one_time_tokens().issue(user, NewOneTimeToken::password_reset()).unwrap();
    issued.token.expose().to_owned()
}

/// Runs a property over a number of cases; a failure prints the smallest one.
#[track_caller]
pub(crate) fn for_any<S: Strategy>(cases: u32, strategy: &S, property: impl Fn(S::Value))
where
    S::Value: Debug,
{
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let answer = TestRunner::new(config).run(strategy, |value| {
        property(value);
        Ok(())
    });
    if let Err(failure) = answer {
        panic!("{failure}");
    }
}

#[test]
fn every_commit_is_noticed() {
    let bench = Bench::new();
    let before = bench.commits();
    let gone = UserId::from_uuid(bench.york.into());
    assert!(
        !bench.check("unknown", &[ErrorKind::NotFound], || bench.world.store.users().delete(gone))
    );
    assert_eq!(bench.commits(), before);
    bench.world.store.users().set_privileges(bench.ada, &["reports"]).unwrap();
    assert_ne!(bench.commits(), before);
    assert_eq!(
        bench.world.store.users().find(bench.ada).unwrap().unwrap().branch,
        Some(bench.york)
    );
}
