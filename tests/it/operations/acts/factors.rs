//! How the operations of second factors are called: by ada in her session `ada-1`.

use gatepost::second_factors::{FactorCode, NewTotp, TotpEnrolment, TotpSecret};
use gatepost::{LoginRefusal, Store};

use super::super::scene::Scene;
use super::{Act, NEW};
use crate::second_factor::SECRET;
use crate::world::{PASSWORD, device};

pub(super) const FACTORS_PREPARED: &[(&str, Act)] = &[
    ("SecondFactors::confirm", |s, store| {
        let (token, on) = (s.session("ada-1").token.expose(), device("ada-1"));
        let begun = store.second_factors().enrol((token, &on), NewTotp::new()).unwrap();
        s.begun(&begun.done().unwrap());
    }),
    ("SecondFactors::confirm(replacement)", |s, store| s.begun(&replace(s, store, s.code()))),
    ("SecondFactors::replace(recovery code)", |s, store| {
        let (token, on) = (s.session("ada-1").token.expose(), device("ada-1"));
        let factors = store.second_factors();
        let codes = factors.reissue_recovery_codes((token, &on), PASSWORD.into(), s.code());
        let codes = codes.unwrap().done().unwrap().codes;
        s.remember(codes[0].expose());
    }),
    ("SecondFactors::reset_by", |s, store| {
        store.users().set_privileges(s.root, &["admin"]).unwrap();
        s.remember(s.world.open(s.root, "root-1").token.expose());
    }),
];

pub(super) const FACTORS: &[(&str, Act)] = &[
    ("SecondFactors::enrol", |s, store| {
        let (token, on) = (s.session("ada-1").token.expose(), device("ada-1"));
        let begun = store.second_factors().enrol((token, &on), NewTotp::new()).unwrap();
        assert!(begun.done().is_ok());
    }),
    ("SecondFactors::confirm", confirm_factor),
    ("SecondFactors::confirm(replacement)", confirm_factor),
    ("SecondFactors::replace", |s, store| drop(replace(s, store, s.code()))),
    ("SecondFactors::replace(recovery code)", |s, store| {
        drop(replace(s, store, FactorCode::new(s.one_time())));
    }),
    ("SecondFactors::remove", |s, store| {
        let (token, on) = (s.session("ada-1").token.expose(), device("ada-1"));
        let removed = store.second_factors().remove((token, &on), PASSWORD.into(), s.code());
        removed.unwrap().done().unwrap();
    }),
    ("SecondFactors::remove(refused)", |s, store| {
        let (token, on) = (s.session("ada-1").token.expose(), device("ada-1"));
        let removed = store.second_factors().remove((token, &on), NEW.into(), s.code());
        assert_eq!(removed.unwrap().done().unwrap_err(), LoginRefusal::InvalidCredentials);
    }),
    ("SecondFactors::reissue_recovery_codes", |s, store| {
        let (token, on) = (s.session("ada-1").token.expose(), device("ada-1"));
        let factors = store.second_factors();
        let codes = factors.reissue_recovery_codes((token, &on), PASSWORD.into(), s.code());
        assert_eq!(codes.unwrap().done().unwrap().codes.len(), 10);
    }),
    ("SecondFactors::reset", |s, store| assert!(store.second_factors().reset(s.ada).unwrap())),
    ("SecondFactors::reset_by", |s, store| {
        let (token, on) = (s.one_time(), device("root-1"));
        let reset = store.second_factors().reset_by((&token, &on), s.ada).unwrap();
        assert!(reset.done().unwrap());
    }),
    ("SecondFactors::import", |s, store| {
        let secret = TotpSecret::new(SECRET.to_vec()).unwrap();
        store.second_factors().import(s.ada, secret, NewTotp::new()).unwrap();
    }),
];

fn replace(s: &Scene, store: &Store, code: FactorCode) -> TotpEnrolment {
    let (token, on) = (s.session("ada-1").token.expose(), device("ada-1"));
    let factors = store.second_factors();
    let begun = factors.replace((token, &on), PASSWORD.into(), code, NewTotp::new());
    begun.unwrap().done().unwrap()
}

fn confirm_factor(s: &Scene, store: &Store) {
    let (token, on) = (s.session("ada-1").token.expose(), device("ada-1"));
    let [first, second] = s.pair();
    let codes = store.second_factors().confirm((token, &on), first, second).unwrap();
    assert_eq!(codes.done().unwrap().codes.len(), 10);
}
