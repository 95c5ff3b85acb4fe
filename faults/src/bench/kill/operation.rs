//! The operations of a hand.

use std::time::Duration;

use gatepost::directory::{CreditHolder, UserStatus};
use gatepost::sessions::{NewApiKey, OpenSession};
use gatepost::{Ended, LoginRequest, NewUser, Store, Subtree};

use super::hand::{Hand, SETTING, spoken};
use crate::store::device;

/// Does what the hand has asked for, and answers in the words that the hand reads.
pub(crate) fn does(hand: &Hand, store: &Store) -> String {
    let [password, next] = hand.passwords();
    let on = device(&hand.fresh_device());
    match hand.operation() {
        "log_in" => {
            let log_in =
                LoginRequest::new(format!("hand{}", hand.n), password.as_str().into(), on);
            return spoken(&store.log_in(log_in).unwrap().granted().unwrap().session);
        }
        "open" => {
            let open = OpenSession::new(hand.user, on);
            return spoken(&store.sessions().open(open).unwrap().granted().unwrap().session);
        }
        "log_out" => {
            let session = hand.session();
            let ended = store.log_out((&session.token, &device(&session.on))).unwrap();
            assert_eq!(ended, Ended::Now);
        }
        "end" => assert_eq!(store.sessions().revoke(hand.session().id).unwrap(), Ended::Now),
        "end_all" => store.sessions().revoke_all(hand.user).unwrap(),
        "change" => {
            let session = hand.session();
            let (on, [old, new]) = (device(&session.on), [password, next]);
            let change = store.change_password(
                (&session.token, &on),
                old.as_str().into(),
                new.as_str().into(),
            );
            return spoken(&change.unwrap().granted().unwrap().session);
        }
        "set_password" => store.users().set_password(hand.user, next.as_str().into()).unwrap(),
        "set" => {
            let value = (hand.setting + 1).to_string();
            store
                .configuration()
                .set(Subtree::User(hand.user), SETTING, &value)
                .map(drop)
                .unwrap();
        }
        "add" => {
            let total = store.credits().add(CreditHolder::Branch(hand.branch), 7).unwrap();
            assert_eq!(total, hand.credits + 7);
        }
        "rotate" if hand.key.is_none() => {
            let issued = store.api_keys().issue(hand.user, NewApiKey::new()).unwrap();
            return issued.key.expose().to_owned();
        }
        "rotate" => {
            let keys = store.api_keys().list(hand.user).unwrap();
            let [old] = keys.as_slice() else { panic!("{} keys", keys.len()) };
            let issued = store.api_keys().rotate(old.id, Duration::ZERO).unwrap();
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
