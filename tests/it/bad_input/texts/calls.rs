//! Calls that the attacks by texts share.

use gatepost::administration::Administration;
use gatepost::audit::HostEvent;
use gatepost::configuration::Configuration;
use gatepost::directory::{UserFilter, UserUpdate};
use gatepost::second_factors::FactorCode;
use gatepost::sessions::RevokeApiKeys;
use gatepost::{CompleteLogin, Error, ErrorKind, LoginRequest, NewUser, Page, Password};

use super::super::Bench;
use super::ATTACKS;
use crate::world::{PASSWORD, device};

pub(super) fn ada() -> LoginRequest {
    LoginRequest::new("ada", Password::from(PASSWORD), device("till-3"))
}

pub(super) fn bob() -> NewUser {
    NewUser::person("bob")
}

pub(super) fn edit() -> UserUpdate {
    UserUpdate::new()
}

pub(super) fn create(bench: &Bench, new: NewUser) -> Result<(), Error> {
    let users = bench.world.store.users();
    match users.create(new) {
        Ok(made) => users.delete(made.id),
        // A user has this name already, however it is written.
        Err(error) if error.kind() == ErrorKind::Taken => Ok(()),
        Err(error) => Err(error),
    }
}

pub(super) fn update(bench: &Bench, update: UserUpdate) -> Result<(), Error> {
    bench.world.store.users().update(bench.ada, update).map(drop)
}

pub(super) fn set(bench: &Bench, password: Password) -> Result<(), Error> {
    bench.world.store.users().set_password(bench.robin, password)
}

pub(super) fn complete(bench: &Bench, request: CompleteLogin) -> Result<(), Error> {
    let outcome = bench.world.store.complete_login(request)?;
    assert!(outcome.granted().is_err());
    Ok(())
}

/// Whether each record has this name, as the calls that look it up say.
pub(super) fn ask_names(bench: &Bench, text: &str) -> Result<(), Error> {
    let store = &bench.world.store;
    let (york, north) =
        (store.branches().find(bench.york)?, store.organisations().find(bench.north)?);
    let _ = (york.unwrap().has_name(text), north.unwrap().has_name(text));
    let ada = store.users().find(bench.ada)?.unwrap();
    let found = store.users().find_by_username(text)?;
    assert_eq!(ada.has_username(text), found.is_some_and(|found| found.id == ada.id), "{text:?}");
    Ok(())
}

/// Without an enrolment, which is not found.
pub(super) fn confirm(bench: &Bench, code: FactorCode) -> Result<(), Error> {
    let held = (&bench.token, &device("till-1"));
    let second = FactorCode::from("123456");
    match bench.world.store.second_factors().confirm(held, code, second) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        confirmed => confirmed.map(|confirmed| assert!(confirmed.done().is_err())),
    }
}

/// Whether the token is valid.
pub(super) fn reset(bench: &Bench, token: &str, password: &str) -> Result<bool, Error> {
    let tokens = bench.world.store.one_time_tokens();
    let reset = tokens.reset_password(token, Password::from(password), RevokeApiKeys::Keep)?;
    Ok(reset.valid().is_ok())
}

pub(super) fn list(bench: &Bench, filter: UserFilter) -> Result<(), Error> {
    bench.world.store.users().list(&filter, Page::default()).map(drop)
}

pub(super) fn record(bench: &Bench, event: HostEvent) -> Result<(), Error> {
    bench.world.store.audit().record(&[event])
}

pub(super) fn in_force(bench: &Bench) -> Result<Configuration, Error> {
    bench.world.store.configuration().effective_all(bench.ada)
}

/// Too many attempts would hide what a login does with a text.
pub(super) fn log_in(bench: &Bench, request: LoginRequest) -> Result<(), Error> {
    let _ = bench.world.store.log_in(request)?;
    bench.world.store.users().unlock(bench.ada).map(drop)
}

/// The handles of ines, who administers the organisation that robin is in.
pub(super) fn administered(bench: &Bench) -> Administration {
    bench.world.store.administering(&bench.ines)
}

pub(super) fn forget_listed(bench: &Bench, handle: &str) -> Result<(), Error> {
    bench.world.store.devices().forget_listed(bench.ada, handle).map(drop)
}

#[track_caller]
pub(super) fn give(bench: &Bench, text: &str) {
    let shown: String = text.chars().take(60).collect();
    for attack in ATTACKS {
        let may = [&[ErrorKind::Invalid], attack.may].concat();
        let what = format!("{} of {shown:?} ({} bytes)", attack.path, text.len());
        bench.check(&what, &may, || (attack.call)(bench, text));
    }
}
