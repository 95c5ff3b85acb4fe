//! Who needs a second factor: the option of the file, for every kind of user.

use gatepost::policy::SecondFactorPolicy::{self, Administrators, All, Optional};
use gatepost::sessions::{OpenSession, StepDemand};
use gatepost::{LoginOutcome, LoginRequest, NewUser, Password};

use super::{give_factor, unsealed};
use crate::world::{PASSWORD, World, device};

const CODE: Option<StepDemand> = Some(StepDemand::Code);
const ENROLMENT: Option<StepDemand> = Some(StepDemand::Enrolment);

/// What the login of a user waits for.
fn demand(outcome: LoginOutcome) -> Option<StepDemand> {
    match outcome {
        LoginOutcome::Granted(_) => None,
        LoginOutcome::Pending(step) => Some(step.demand),
        LoginOutcome::Refused(refusal) => panic!("{refusal:?}"),
    }
}

#[track_caller]
fn check(policy: SecondFactorPolicy, expect: [Option<StepDemand>; 4]) {
    let world = World::with(|options| unsealed(options).second_factor(policy));
    let users = world.store.users();
    let found = [(false, false), (true, false), (false, true), (true, true)].map(|who| {
        let (is_admin, has_factor) = who;
        let name = format!("user-{is_admin}-{has_factor}");
        let new = NewUser::person(&name).password(Password::from(PASSWORD));
        let user = users.create(new).unwrap().id;
        if is_admin {
            users.set_privileges(user, &["admin"]).unwrap();
        }
        if has_factor {
            give_factor(&world, user);
        }
        let on = device(&format!("of-{name}"));
        let login = LoginRequest::new(&name, Password::from(PASSWORD), on.clone());
        let by_password = demand(world.store.log_in(login).unwrap());
        let open = world.store.sessions().open(OpenSession::new(user, on)).unwrap();
        assert_eq!(demand(open), by_password, "{name}: the host's door asks alike");
        by_password
    });
    assert_eq!(found, expect, "{policy:?}");
}

#[test]
fn a_factor_is_demanded_of_those_whom_the_option_names_and_of_those_who_have_one() {
    check(Optional, [None, None, CODE, CODE]);
    check(Administrators, [None, ENROLMENT, CODE, CODE]);
    check(All, [ENROLMENT, ENROLMENT, CODE, CODE]);
}

#[test]
fn a_system_user_needs_no_factor() {
    let world = World::with(|options| unsealed(options).second_factor(All));
    let system = world.store.users().create(NewUser::system("mailer")).unwrap().id;
    let open = OpenSession::new(system, device("rack"));
    assert!(world.store.sessions().open(open).unwrap().granted().is_ok());
}

/// Existing users are asked at their next login; what they have stays valid.
#[test]
fn a_policy_takes_effect_at_the_next_login() {
    let world = World::with(unsealed);
    world.person("ada");
    let session = world.log_in("ada", PASSWORD, "till").unwrap().session;
    world.store.change_options(|options| options.second_factor(All)).unwrap();
    assert!(world.passes(&session, "till"));
    let refusal = world.log_in("ada", PASSWORD, "desk").unwrap_err();
    assert_eq!(refusal, gatepost::LoginRefusal::MfaEnrolmentRequired);
    world.store.change_options(|options| options.second_factor(Optional)).unwrap();
    assert!(world.log_in("ada", PASSWORD, "desk").is_ok());
}
