//! The part of the story in which logins wait for a second factor, a device is trusted, and a user
//! proves again.

use gatepost::policy::SecondFactorPolicy;
use gatepost::second_factors::NewTotp;
use gatepost::sessions::{Assurance, Reauthentication};
use gatepost::*;

use super::story::{FIRST, Story};
use crate::keyring::{OLD, keys};
use crate::second_factor::STEP;
use crate::second_factor::authenticator::Authenticator;
use crate::world::{HOUR, World, device};

const PAD: &str = "pad-of-mia-0005";

impl Story {
    pub(super) fn has_steps(&mut self, world: &World) {
        let place = world.directory().join("steps.db");
        let options = world.options.clone().keyring(keys(&[OLD]));
        self.held(&SecondFactorPolicy::All);
        let store = Store::open(place, options.second_factor(SecondFactorPolicy::All)).unwrap();
        let mia = NewUser::person("mia").password(FIRST.into());
        let mia = store.users().create(mia).unwrap().id;
        let login = || LoginRequest::new("mia", FIRST.into(), device(PAD));
        let waits = |request| match store.log_in(request).unwrap() {
            LoginOutcome::Pending(step) => step,
            other => panic!("{other:?}"),
        };
        let step = waits(login());
        self.gave(&step.token);
        self.held(&step);
        self.held(&step.demand);

        let (factors, on) = (store.second_factors(), device(PAD));
        let begun = factors.enrol_at_login(step.token.expose(), &on, NewTotp::new()).unwrap();
        self.held(&begun);
        let enrolment = begun.done().unwrap();
        self.secret_of_factor(enrolment.base32.expose());
        let authenticator = Authenticator::scan(&enrolment);
        let code = |later: i64| authenticator.code(world.now(), later);
        let token = step.token.expose();
        let long = CompleteLogin::with_code(token, device(PAD), "1".repeat(65));
        self.held(&long);
        self.failed(store.complete_login(long).map(drop));
        let complete = CompleteLogin::with_enrolment(token, device(PAD), code(-1), code(0));
        let outcome = store.complete_login(complete).unwrap();
        self.held(&outcome);
        let reply = outcome.granted().unwrap();
        self.gave(&reply.session.token);
        self.recovery(reply.recovery_codes.as_ref().unwrap());
        self.held(&reply);

        world.clock.advance(STEP);
        let with = Reauthentication::code(code(0));
        self.held(&with);
        let presented = (&reply.session.token, &on);
        let reply = store.prove(presented, with).unwrap().granted().unwrap();
        self.gave(&reply.session.token);
        let token = &reply.session.token;
        let fresh = store.require_fresh((token, &on), HOUR, Assurance::Aal2).unwrap();
        self.held(&fresh);
        self.held(&fresh.granted().unwrap());
        let stale = store.require_fresh((token, &on), HOUR, Assurance::Aal3).unwrap();
        self.held(&stale.granted().unwrap_err());

        world.clock.advance(STEP);
        let trusting = login().code(code(0)).trust_device(HOUR);
        self.held(&trusting);
        drop(store.log_in(trusting).unwrap().granted().unwrap());
        assert!(store.devices().revoke_trust(mia).unwrap());
        store.close().unwrap();
    }
}
