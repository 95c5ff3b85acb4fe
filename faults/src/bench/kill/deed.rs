//! What a hand does.

use std::time::Duration;

use gatepost::{Ended, Holder, LogIn, NewApiKey, NewUser, OpenSession, Scope, Store, UserStatus};

use super::hand::{Hand, SETTING, spoken};
use crate::store::device;

/// Does what the hand has asked for; the answer is what it wants to be told.
pub(crate) fn does(hand: &Hand, store: &Store) -> String {
    let [password, next] = hand.passwords();
    let on = device(&hand.fresh_device());
    match hand.deed() {
        "log_in" => {
            let log_in = LogIn::new(format!("hand{}", hand.n), password.as_str().into(), on);
            return spoken(&store.log_in(log_in).unwrap().granted().unwrap().session);
        }
        "open" => {
            let open = OpenSession::new(hand.user, on);
            return spoken(&store.sessions().open(open).unwrap().granted().unwrap().session);
        }
        "log_out" => {
            let session = hand.session();
            let ended = store.log_out(&session.token, &device(&session.on)).unwrap();
            assert_eq!(ended, Ended::Now);
        }
        "end" => assert_eq!(store.sessions().end(hand.session().id).unwrap(), Ended::Now),
        "end_all" => store.sessions().end_all_of(hand.user).unwrap(),
        "change" => {
            let session = hand.session();
            let (on, [old, new]) = (device(&session.on), [password, next]);
            let change = store.change_password(
                &session.token,
                &on,
                old.as_str().into(),
                new.as_str().into(),
            );
            return spoken(&change.unwrap().changed().unwrap().session);
        }
        "set_password" => store.users().set_password(hand.user, next.as_str().into()).unwrap(),
        "set" => {
            let value = (hand.setting + 1).to_string();
            store.configuration().set(Scope::User(hand.user), SETTING, &value).map(drop).unwrap();
        }
        "add" => {
            let total = store.credits().add(Holder::Branch(hand.branch), 7).unwrap();
            assert_eq!(total, hand.credits + 7);
        }
        "reassign" if hand.key.is_none() => {
            let issued = store.api_keys().issue(hand.user, NewApiKey::new()).unwrap();
            return issued.key.expose().to_owned();
        }
        "reassign" => {
            let issued = store.api_keys().reassign(hand.user, Duration::ZERO).unwrap();
            return issued.key.expose().to_owned();
        }
        "disable" => set_status(hand, store, UserStatus::Disabled),
        "activate" => set_status(hand, store, UserStatus::Active),
        "create" => {
            let [name, _] = hand.made_names();
            store.users().create(NewUser::system(name)).map(drop).unwrap();
        }
        "delete" => {
            let [_, name] = hand.made_names();
            let made = store.users().find_by_username(&name).unwrap().unwrap();
            store.users().delete(made.id).unwrap();
        }
        other => panic!("{other}"),
    }
    String::new()
}

fn set_status(hand: &Hand, store: &Store, status: UserStatus) {
    store.users().set_status(hand.user, status).map(drop).unwrap();
}
