//! The token of a pending step opens nothing but its own door, in every state of the step; and no
//! other token opens that door.

use gatepost::second_factors::NewTotp;
use gatepost::sessions::{
    Assurance, NewApiKey, NewOneTimeToken, OpenSession, Reauthentication, RevokeApiKeys,
};
use gatepost::{CompleteLogin, Ended, ErrorKind, LoginRefusal, LoginRequest};

use super::{NEW, Scene};
use crate::world::{MINUTE, PASSWORD, device};

/// Every call that takes a token, with the token of a step: all refuse, and change nothing.
#[track_caller]
fn is_refused_everywhere(scene: &Scene, token: &str) {
    let (store, on) = (&scene.world.store, device("till"));
    for device in [Some(&on), None] {
        assert!(store.verify((token, device)).unwrap().valid().is_err(), "verify");
        assert!(store.renew((token, device)).unwrap().valid().is_err(), "renew");
        match store.log_out((token, device)) {
            Ok(ended) => assert_eq!(ended, Ended::Before, "log_out"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid, "log_out"),
        }
        let fresh = store.require_fresh((token, device), MINUTE, Assurance::Aal1);
        assert!(fresh.unwrap().granted().is_err(), "require_fresh");
        let not_live = LoginRefusal::SessionNotLive;
        let change = store.change_password((token, device), PASSWORD.into(), NEW.into());
        assert_eq!(change.unwrap().granted().unwrap_err(), not_live, "change_password");
        for with in [Reauthentication::password(PASSWORD), Reauthentication::code(scene.code())] {
            let proof = store.prove((token, device), with);
            assert_eq!(proof.unwrap().granted().unwrap_err(), not_live, "prove");
        }
        let factors = store.second_factors();
        let enrol = factors.enrol((token, device), NewTotp::new());
        assert_eq!(enrol.unwrap().done().unwrap_err(), not_live, "enrol");
        let remove = factors.remove((token, device), PASSWORD.into(), scene.code().into());
        assert_eq!(remove.unwrap().done().unwrap_err(), not_live, "remove");
        let codes = (scene.code().into(), scene.code().into());
        let confirm = factors.confirm((token, device), codes.0, codes.1);
        assert_eq!(confirm.unwrap().done().unwrap_err(), not_live, "confirm");
    }
    let tokens = store.one_time_tokens();
    let reset = tokens.reset_password(token, NEW.into(), RevokeApiKeys::Keep);
    assert!(reset.unwrap().valid().is_err(), "reset_password");
    assert!(tokens.confirm_email(token).unwrap().valid().is_err(), "confirm_email");
    let invited = tokens.accept_invitation(token, NEW.into());
    assert!(invited.unwrap().valid().is_err(), "accept_invitation");
    let header = gatepost::HeaderCredentials::from_header(&format!("Bearer {token}")).unwrap();
    assert!(store.verify(&header).unwrap().valid().is_err(), "a header");
}

#[test]
fn the_token_of_a_step_opens_no_other_door_in_any_state() {
    let scene = Scene::new();
    let waiting = scene.step("till");
    let token = waiting.token.expose().to_owned();
    is_refused_everywhere(&scene, &token);
    let code = scene.next_code();
    scene.finish(&waiting, "till", &code).unwrap();
    is_refused_everywhere(&scene, &token);

    let spent = scene.step("till");
    for _ in 0..5 {
        scene.world.clock.advance(MINUTE);
        let wrong = super::wrong_at(scene.world.now());
        drop(scene.finish(&spent, "till", &wrong));
    }
    is_refused_everywhere(&scene, spent.token.expose());
    scene.world.store.users().unlock(scene.ada).unwrap();
    let expired = scene.step("till");
    scene.world.clock.advance(10 * MINUTE);
    is_refused_everywhere(&scene, expired.token.expose());
    let revoked = scene.step("till");
    scene.world.store.sessions().revoke_all(scene.ada).unwrap();
    is_refused_everywhere(&scene, revoked.token.expose());
}

#[test]
fn a_login_does_not_take_the_token_of_a_step_as_password() {
    let scene = Scene::new();
    let step = scene.step("till");
    let login = LoginRequest::new("ada", step.token.expose().into(), device("till"));
    let refusal = scene.world.ask(login.code(scene.code())).unwrap_err();
    assert_eq!(refusal, LoginRefusal::InvalidCredentials);
}

#[test]
fn no_other_token_completes_a_login() {
    let scene = Scene::new();
    let session = scene.enter("till").session;
    let issued = scene.world.store.api_keys().issue(scene.ada, NewApiKey::new()).unwrap();
    let one_time = scene.world.store.one_time_tokens();
    let one_time = one_time.issue(scene.ada, NewOneTimeToken::password_reset()).unwrap();
    let step = scene.step("till");
    // The step's own bytes under another prefix have another checksum.
    let renamed = step.token.expose().replacen("gpm_", "gps_", 1);
    let texts = [
        session.token.expose(),
        issued.key.expose(),
        one_time.token.expose(),
        &renamed,
        "",
        "gpm_",
    ];
    for text in texts {
        let code = scene.next_code();
        let refused = scene.complete(CompleteLogin::with_code(text, device("till"), code));
        assert_eq!(refused.unwrap_err(), LoginRefusal::StepNotLive, "{text}");
        let begun = scene.world.store.second_factors();
        let begun = begun.enrol_at_login(text, &device("till"), NewTotp::new());
        assert_eq!(begun.unwrap().done().unwrap_err(), LoginRefusal::StepNotLive, "{text}");
    }
    assert!(scene.finish(&step, "till", &scene.next_code()).is_ok());
}

/// Every door that opens a session asks for the second factor; the others open none.
#[test]
fn a_session_that_the_host_opens_at_aal1_waits_for_the_factor_as_well() {
    let scene = Scene::new();
    let open = || OpenSession::new(scene.ada, device("till")).label("SSO");
    let outcome = scene.world.store.sessions().open(open()).unwrap();
    let step = super::pending(outcome);
    let reply = scene.finish(&step, "till", &scene.code()).unwrap();
    assert_eq!(reply.principal.assurance, Assurance::Aal2);
    assert_eq!(scene.world.sessions_of(scene.ada)[0].label.as_deref(), Some("SSO"));

    let proved = open().assurance(Assurance::Aal2);
    let reply = scene.world.store.sessions().open(proved).unwrap().granted().unwrap();
    assert_eq!(reply.principal.assurance, Assurance::Aal2);
}

#[test]
fn a_session_that_is_opened_on_a_device_ends_the_step_there() {
    type Opens = fn(&Scene);
    let opens: [Opens; 2] = [
        |scene| drop(scene.enter("till")),
        |scene| {
            let open = OpenSession::new(scene.ada, device("till")).assurance(Assurance::Aal2);
            scene.world.store.sessions().open(open).unwrap().granted().unwrap();
        },
    ];
    for open in opens {
        let scene = Scene::new();
        let (till, desk) = (scene.step("till"), scene.step("desk"));
        open(&scene);
        let code = scene.next_code();
        let late = scene.finish(&till, "till", &code);
        assert_eq!(late.unwrap_err(), LoginRefusal::StepNotLive);
        assert!(scene.finish(&desk, "desk", &code).is_ok());
    }
}
