//! The part of the story in which second factors are enrolled, used and removed.

use data_encoding::BASE32_NOPAD;
use gatepost::second_factors::*;
use gatepost::sessions::OpenSession;
use gatepost::*;

use super::needle::Needle;
use super::story::{FIRST, Story};
use crate::keyring::{OLD, keys};
use crate::second_factor::authenticator::Authenticator;
use crate::second_factor::{SECRET, STEP};
use crate::world::{World, device};

const PAD: &str = "pad-of-lea-0004";

impl Story {
    pub(super) fn has_second_factors(&mut self, world: &World) {
        let place = world.directory().join("factors.db");
        let store = Store::open(place, world.options.clone().keyring(keys(&[OLD]))).unwrap();
        let lea = NewUser::person("lea").password(FIRST.into());
        let lea = store.users().create(lea).unwrap().id;
        let open = OpenSession::new(lea, device(PAD));
        let token = store.sessions().open(open).unwrap().granted().unwrap().session.token;
        self.gave(&token);
        let factors = store.second_factors();
        self.held(&factors);
        self.held(&factors.policy().unwrap());
        store.devices().forget_listed(lea, "gone").unwrap();
        let new = NewTotp::new().algorithm(TotpAlgorithm::Sha1).digits(6);
        self.held(&new);
        self.held(&TotpAlgorithm::Sha1);
        let (on, of) = (device(PAD), token.expose());
        let begun = factors.enrol((of, &on), new).unwrap();
        self.held(&begun);
        let enrolment = begun.done().unwrap();
        self.held(&enrolment);
        self.secret_of_factor(enrolment.base32.expose());
        let authenticator = Authenticator::scan(&enrolment);
        let code = |later: i64| authenticator.code(world.now(), later);
        self.held(&code(0));
        self.failed(factors.confirm((of, &on), "1".repeat(65).into(), code(0)).map(drop));
        let confirmed = factors.confirm((of, &on), code(-1), code(0)).unwrap();
        self.held(&confirmed);
        let codes = confirmed.done().unwrap();
        self.held(&codes);
        self.recovery(&codes);
        world.clock.advance(STEP);
        let reissued = factors.reissue_recovery_codes((of, &on), FIRST.into(), code(0)).unwrap();
        let codes = reissued.done().unwrap();
        self.recovery(&codes);
        let factor = factors.info(lea).unwrap().unwrap();
        self.held(&factor);
        self.held(&factor.origin);
        let recovery = FactorCode::from(codes.codes[0].expose());
        self.held(&recovery);
        let begun = factors.replace((of, &on), FIRST.into(), recovery, new).unwrap();
        self.secret_of_factor(begun.done().unwrap().base32.expose());
        self.held(&factors.remove((of, &on), FIRST.into(), "000000".into()).unwrap());
        self.held(&factors.reset_by((of, &on), super::story::unknown_user()));
        factors.reset(lea).unwrap();
        let secret = TotpSecret::new(SECRET.to_vec()).unwrap();
        self.held(&secret);
        self.failed(TotpSecret::from_base32("GEZDGNBVGY3TQ").map(drop));
        factors.import(lea, secret, new).unwrap();
        store.close().unwrap();
    }

    pub(super) fn secret_of_factor(&mut self, base32: &str) {
        self.secrets.push(Needle::text("the secret of an authenticator in Base32", base32));
        let raw = BASE32_NOPAD.decode(base32.as_bytes()).unwrap();
        self.secrets.push(Needle::bytes("the secret of an authenticator", &raw));
    }

    pub(super) fn recovery(&mut self, codes: &RecoveryCodes) {
        for code in &codes.codes {
            let plain = code.expose().replace('-', "").to_uppercase();
            self.secrets.push(Needle::text("a recovery code", code.expose()));
            let raw = BASE32_NOPAD.decode(plain.as_bytes()).unwrap();
            self.secrets.push(Needle::bytes("the bits of a recovery code", &raw));
        }
    }
}
