//! Changes between the steps of one call, while the disk is full and after it has room again.

use std::sync::Mutex;

use gatepost::host::Clock;
use gatepost::policy::BreachCheck;
use gatepost::{LoginOutcome, LoginRefusal, LoginRequest, Password, Timestamp};

use super::*;
use crate::password_set::PHC;
use crate::world::PASSWORD;

/// Runs something once, in the middle of the call that comes past.
#[derive(Default)]
struct Meanwhile(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Meanwhile {
    fn run(&self) {
        let then = self.0.lock().unwrap().take();
        if let Some(then) = then {
            then();
        }
    }
}

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

/// A clock that is read in the middle of a verify.
#[derive(Debug)]
struct Interrupting(ManualClock, Arc<Meanwhile>);

impl Clock for Interrupting {
    fn now(&self) -> Timestamp {
        self.1.run();
        self.0.now()
    }
}

/// Asked in the middle of a change of password.
#[derive(Debug)]
struct Asked(Arc<Meanwhile>);

impl BreachCheck for Asked {
    fn is_breached(&self, _: &str) -> bool {
        self.0.run();
        false
    }
}

impl Disk {
    fn reopened(self, options: Options) -> Result<Self, Error> {
        self.store.close()?;
        let store = Store::open(self.directory.join("auth.db"), options.clone())?;
        Ok(Self { store, options, ..self })
    }
}

/// A full disk on which ada has a session, and what is run in the middle of the next verify.
fn full_and_interrupted(
    disk: Disk,
    cached: bool,
) -> Result<(Disk, Holder, Arc<Meanwhile>), Error> {
    let meanwhile = Arc::new(Meanwhile::default());
    let clock = Interrupting(disk.clock.clone(), Arc::clone(&meanwhile));
    let options = disk.options.clone().clock(Arc::new(clock));
    let options = if cached { options } else { options.cache(None) };
    let disk = disk.reopened(options)?;
    let ada = disk.holder("ada")?;
    assert!(disk.is_live(&ada));
    disk.fill();
    disk.write_until_refused();
    Ok((disk, ada, meanwhile))
}

/// A verify that began after `log_out` had returned `Full` is delayed between its SELECT and its
/// answer, while the disk gets room and another write writes the denial. It has to refuse: its
/// SELECT is older than the row's deletion, and the list of denials is empty by then.
pub(super) fn a_denial_that_is_written_meanwhile(disk: Disk, cached: bool) -> Result<(), Error> {
    let (disk, ada, meanwhile) = full_and_interrupted(disk, cached)?;
    let reader = disk.old_snapshot();
    let refused = disk.store.log_out((&ada.token, &device("ada"))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Full);
    assert_eq!(disk.store.status().denied, 1);

    let (store, ballast) = (disk.store.clone(), disk.directory.join("ballast"));
    let clock = disk.clock.clone();
    let settle = move || {
        drop(reader);
        fs::remove_file(ballast).unwrap();
        clock.advance(SECOND);
        store.organisations().create("Northern").unwrap();
    };
    *meanwhile.0.lock().unwrap() = Some(Box::new(settle));
    assert!(!disk.is_live(&ada), "a verify passes that began after the end");
    assert_eq!(disk.store.status().denied, 0, "the denial was to be written meanwhile");
    assert!(!disk.is_live(&ada));
    disk.store.close()
}

/// A logout returns `Full` in the middle of a verify, which must not go by what it knew before.
pub(super) fn a_denial_that_comes_meanwhile(disk: Disk, cached: bool) -> Result<(), Error> {
    let (disk, ada, meanwhile) = full_and_interrupted(disk, cached)?;
    let reader = disk.old_snapshot();
    assert!(disk.is_live(&ada));
    let (store, token) = (disk.store.clone(), ada.token.clone());
    let log_out = move || {
        let refused = store.log_out((&token, &device("ada"))).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Full);
    };
    *meanwhile.0.lock().unwrap() = Some(Box::new(log_out));
    assert!(!disk.is_live(&ada), "a verify passes that ends after the denial");
    assert_eq!(disk.store.status().denied, 1);
    drop(reader);
    disk.store.close()
}

/// The disk is filled while a login that has proved the old password checks the new one: no
/// session is opened and the password stays, and what the change would have revoked is denied.
pub(super) fn a_login_that_proved_the_password_denies_the_rest(disk: Disk) -> Result<(), Error> {
    let meanwhile = Arc::new(Meanwhile::default());
    let check = Arc::new(Asked(Arc::clone(&meanwhile)));
    let options = disk.options.clone().breach_check(check);
    let disk = disk.reopened(options)?;
    let ada = disk.holder("ada")?;
    let ben = disk.holder("ben")?;
    disk.store.users().set_password(ada.user, Password::from(PASSWORD))?;
    let ada = Holder { token: disk.session(ada.user, "ada")?, ..ada };
    let shared = Arc::new(disk);
    let (there, snapshot) = (Arc::clone(&shared), Arc::new(Mutex::new(None)));
    let pinned = Arc::clone(&snapshot);
    let fill = move || {
        there.fill();
        there.write_until_refused();
        *pinned.lock().unwrap() = Some(there.old_snapshot());
    };
    *meanwhile.0.lock().unwrap() = Some(Box::new(fill));
    let request = LoginRequest::new("ada", Password::from(PASSWORD), device("elsewhere"));
    let answer = shared.store.log_in(request.new_password(Password::from("nine brass bells")));
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(shared.store.status().denied, 1);
    assert!(!shared.is_live(&ada) && shared.is_live(&ben));
    shared.store.close()
}

/// The session is logged out and the disk filled while its user changes the password: the change is
/// refused, which cannot be written either. Nothing was to be revoked, so nothing is denied.
pub(super) fn a_change_that_was_refused_denies_nothing(disk: Disk) -> Result<(), Error> {
    let meanwhile = Arc::new(Meanwhile::default());
    let check = Arc::new(Asked(Arc::clone(&meanwhile)));
    let options = disk.options.clone().breach_check(check);
    let disk = disk.reopened(options)?;
    let users = disk.store.users();
    let ada = users.create(NewUser::person("ada"))?.id;
    users.set_password(ada, Password::from(PASSWORD))?;
    let open = |on| {
        let token = disk.session(ada, on).unwrap();
        Holder { user: ada, device: String::from(on), token }
    };
    let (office, home) = (open("office"), open("home"));
    let shared = Arc::new(disk);
    let (there, token) = (Arc::clone(&shared), office.token.clone());
    let snapshot = Arc::new(Mutex::new(None));
    let pinned = Arc::clone(&snapshot);
    let end_and_fill = move || {
        there.store.log_out((&token, &device("office"))).unwrap();
        there.fill();
        there.write_until_refused();
        *pinned.lock().unwrap() = Some(there.old_snapshot());
    };
    *meanwhile.0.lock().unwrap() = Some(Box::new(end_and_fill));
    let (current, new) = (Password::from(PASSWORD), Password::from("nine brass bells"));
    let answer = shared.store.change_password((&office.token, &device("office")), current, new);
    match answer {
        Err(error) => assert_eq!(error.kind(), ErrorKind::Full),
        Ok(LoginOutcome::Refused(refusal)) => assert_eq!(refusal, LoginRefusal::SessionNotLive),
        Ok(other) => panic!("{other:?}"),
    }
    assert!(snapshot.lock().unwrap().is_some(), "the disk was to be filled meanwhile");
    assert_eq!(shared.store.status().denied, 0);
    assert!(shared.is_live(&home) && !shared.is_live(&office));
    shared.store.close()
}

/// One denial waits, so that no later write begins. What would have been refused, or had nothing
/// to revoke, is answered as usual and denies nothing.
pub(super) fn with_one_waiting_a_refusal_denies_nothing(disk: Disk) -> Result<(), Error> {
    let (ada, ben, mut cay) = (disk.holder("ada")?, disk.holder("ben")?, disk.holder("cay")?);
    let robot = disk.store.users().create(NewUser::system("robot"))?.id;
    let unknown = disk.store.users().create(NewUser::person("dee"))?.id;
    disk.store.users().delete(unknown)?;
    disk.store.users().set_password(cay.user, Password::from(PASSWORD))?;
    cay.token = disk.session(cay.user, "cay")?;
    let opened = disk.store.sessions().open(OpenSession::new(ben.user, device("old")))?;
    let over = opened.granted().unwrap().session.id;
    assert_eq!(disk.store.sessions().revoke(over)?, Ended::Now);
    disk.fill();
    disk.write_until_refused();
    let reader = disk.old_snapshot();
    let refused = disk.store.log_out((&ada.token, &device("ada"))).unwrap_err();
    assert_eq!((refused.kind(), disk.store.status().denied), (ErrorKind::Full, 1));
    let users = disk.store.users();
    assert!(!users.remove_password(ben.user)?);
    assert_eq!(users.mark_compromised(ben.user).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(users.remove_password(unknown).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(users.set_password_hash(robot, PHC).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(disk.store.sessions().revoke(over)?, Ended::Before);
    assert_eq!(disk.store.status().denied, 1);
    assert!(!disk.is_live(&ada) && disk.is_live(&ben) && disk.is_live(&cay));
    // What is wanted is denied as before.
    assert_eq!(users.remove_password(cay.user).unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(disk.store.status().denied, 2);
    assert!(disk.is_live(&ben) && !disk.is_live(&cay));
    drop(reader);
    disk.make_room();
    disk.store.organisations().create("Northern")?;
    assert_eq!(disk.store.status().denied, 0);
    assert!(!disk.is_live(&ada) && disk.is_live(&ben) && !disk.is_live(&cay));
    disk.store.close()
}

/// Ada administers the branch that ben is in, and not cay. On a full disk, with and without a
/// denial that waits, her calls deny what is inside and nothing else.
pub(super) fn an_administrator_denies_nothing_outside(disk: Disk) -> Result<(), Error> {
    let york = disk.store.branches().create("York", None)?.id;
    let (ada, ben, cay) = (disk.holder("ada")?, disk.holder("ben")?, disk.holder("cay")?);
    disk.store.users().move_to(ben.user, york)?;
    disk.store.users().grant_administration(ada.user, york)?;
    let session_of = |holder: &Holder| {
        let verdict = disk.store.verify((&holder.token, &device(&holder.device))).unwrap();
        verdict.valid().unwrap()
    };
    let of_cay = session_of(&cay).credential.session().unwrap();
    let of_ada = disk.store.administering(&session_of(&ada));
    disk.fill();
    disk.write_until_refused();
    let reader = disk.old_snapshot();
    for denied in [0, 1] {
        let outside = of_ada.users().delete(cay.user).unwrap_err();
        assert_eq!(outside.kind(), ErrorKind::NotFound);
        assert_eq!(of_ada.sessions().revoke(of_cay)?, Ended::Before);
        assert_eq!(
            of_ada.sessions().revoke_all(cay.user).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(disk.store.status().denied, denied);
        assert!(disk.is_live(&cay));
        let inside = of_ada.users().delete(ben.user).unwrap_err();
        assert_eq!(inside.kind(), ErrorKind::Full);
        assert!(!disk.is_live(&ben));
    }
    // An administrator whose session is over, and it cannot be written that it is.
    let refused = disk.store.log_out((&ada.token, &device("ada"))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Full);
    let late = of_ada.users().set_status(ben.user, gatepost::directory::UserStatus::Locked);
    assert_eq!(late.unwrap_err().kind(), ErrorKind::SessionEnded);
    assert_eq!(disk.store.status().denied, 2);
    drop(reader);
    disk.make_room();
    disk.store.close()
}
