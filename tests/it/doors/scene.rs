//! The people whose credentials are presented, and what the doors need besides.

use std::ops::Deref;

use gatepost::directory::UserStatus;
use gatepost::policy::SecondFactorPolicy;
use gatepost::second_factors::TotpEnrolment;
use gatepost::sessions::{Impersonation, OpenSession};
use gatepost::{DeviceId, Error, LoginOutcome, NewUser, Options, Principal, UserId};

use super::kinds::TILL;
use crate::pending_step::{self, STEP, code_at, code_of, give_factor, unsealed};
use crate::world::{PASSWORD, World, device};

/// Ada has a password and a second factor, ben has a password alone, and pat is pending. The clock
/// does not move, so that a code stays right as long as the world lasts.
pub(super) struct Scene {
    world: World,
    /// Ada's: the first is presented as a credential, the second comes beside one.
    pub(super) recovery_codes: Vec<String>,
}

impl Deref for Scene {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Scene {
    pub(super) fn new() -> Self {
        let world = World::in_memory(unsealed);
        let person = |name: &str| NewUser::person(name).email(format!("{name}@example.com"));
        for name in ["ada", "ben"] {
            world.store.users().create(person(name).password(PASSWORD.into())).unwrap();
        }
        world.store.users().create(person("pat").status(UserStatus::Pending)).unwrap();
        give_factor(&world, ada(&world));
        let (session, on) = (world.open(ada(&world), "issue"), device("issue"));
        let (presented, code) = ((&session.token, &on), code_at(world.now()));
        let factors = world.store.second_factors();
        let codes = factors.reissue_recovery_codes(presented, PASSWORD.into(), code.into());
        let codes = codes.unwrap().done().unwrap().codes;
        let recovery_codes = codes.iter().map(|code| code.expose().to_owned()).collect();
        world.log_out(&session, "issue");
        world.clock.advance(STEP);
        Self { world, recovery_codes }
    }

    /// The code that ada's authenticator shows. No call has used it.
    pub(super) fn code(&self) -> String {
        code_at(self.now())
    }

    /// The token of a step of ada's on that device.
    pub(super) fn step(&self, on: &str) -> String {
        self.step_of(ada(self), on)
    }

    /// As the host asks for it, so that no password is hashed.
    fn step_of(&self, user: UserId, on: &str) -> String {
        let open = OpenSession::new(user, device(on));
        let step = pending_step::pending(self.store.sessions().open(open).unwrap());
        step.token.expose().to_owned()
    }

    /// The token of a step of ben's on that device, which waits for an enrolment.
    pub(super) fn enrolment_step(&self, on: &str) -> String {
        let policy = |policy| {
            let change = |options: Options| options.second_factor(policy);
            self.store.change_options(change).unwrap();
        };
        policy(SecondFactorPolicy::All);
        let token = self.step_of(ben(self), on);
        policy(SecondFactorPolicy::Optional);
        token
    }

    /// The principal of a session of an administrator, who is there from now on.
    pub(super) fn administrator(&self) -> Principal {
        let users = self.store.users();
        let found = users.find_by_username("boss").unwrap();
        let boss = found
            .unwrap_or_else(|| users.create(NewUser::person("boss").privilege("admin")).unwrap());
        let on = device("office");
        let session = self.open(boss.id, "office");
        self.store.verify((&session.token, &on)).unwrap().valid().unwrap()
    }

    /// Whether a principal that has the right to may impersonate another user.
    pub(super) fn impersonate(&self, by: &Principal) -> Result<bool, Error> {
        let users = self.store.users();
        let found = users.find_by_username("zoe").unwrap();
        let zoe = found.unwrap_or_else(|| users.create(NewUser::person("zoe")).unwrap());
        // Not for an impersonation, which would end with it.
        let grant = |names: &[&str]| match by.is_impersonated {
            true => Ok(()),
            false => users.set_privileges(by.user, names).map(drop),
        };
        grant(&["admin"])?;
        let request = Impersonation::new(zoe.id, DeviceId::random()?);
        let outcome = self.store.sessions().impersonate(by, request);
        grant(&[])?;
        Ok(!matches!(outcome?, LoginOutcome::Refused(_)))
    }

    /// The two codes that confirm an enrolment.
    pub(super) fn codes(&self, enrolment: &TotpEnrolment) -> (String, String) {
        let base32 = enrolment.base32.expose().as_bytes();
        let secret = data_encoding::BASE32_NOPAD.decode(base32).unwrap();
        (code_of(&secret, self.now() - STEP), code_of(&secret, self.now()))
    }

    /// Takes back what wrong guesses were charged: a closed gate would refuse a right credential.
    pub(super) fn open_gates(&self) {
        for user in [ada(self), ben(self)] {
            if self.user(user).failed_attempts > 0 {
                self.store.users().unlock(user).unwrap();
            }
        }
    }

    /// Those of all users.
    pub(super) fn failed_attempts(&self) -> u64 {
        [ada(self), ben(self)].map(|user| self.user(user).failed_attempts).iter().sum()
    }

    /// Event and reason of each row since that one.
    pub(super) fn events_since(&self, last: i64) -> Vec<String> {
        let sql = self.sql();
        let rows =
            "SELECT event || coalesce(' ' || reason, '') FROM audit WHERE seq > ?1 ORDER BY seq";
        let mut statement = sql.prepare(rows).unwrap();
        statement.query_map([last], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

pub(super) fn ada(world: &World) -> UserId {
    world.user_of("ada")
}

pub(super) fn ben(world: &World) -> UserId {
    world.user_of("ben")
}

/// A well-formed text of that kind that no call has given out: the id of a session of ada, and
/// another secret.
pub(super) fn forged(world: &Scene, prefix: &str) -> String {
    with_another_secret(world.open(ada(world), TILL).token.expose(), prefix)
}

/// A token with the id of this one, and a secret that differs in one bit.
pub(crate) fn with_another_secret(token: &str, prefix: &str) -> String {
    let raw = data_encoding::BASE64URL_NOPAD.decode(&token.as_bytes()[4..]);
    let mut raw = raw.unwrap()[..48].to_vec();
    raw[47] ^= 1;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(prefix.as_bytes());
    hasher.update(&raw);
    raw.extend(hasher.finalize().to_be_bytes());
    format!("{prefix}{}", data_encoding::BASE64URL_NOPAD.encode(&raw))
}
