//! Steps of a user whom the host has authenticated: the stored password is no part of the login.

use gatepost::policy::ChangeAtLogin;
use gatepost::sessions::{OpenSession, RevokeSessions};
use gatepost::{CompleteLogin, LoginRefusal, Options, PendingStep};

use super::{NEW, Scene, pending};
use crate::world::{DAY, device};

fn step(scene: &Scene) -> PendingStep {
    let open = OpenSession::new(scene.ada, device("till"));
    pending(scene.world.store.sessions().open(open).unwrap())
}

/// The completion with a new password is refused, and uses neither code nor share up.
#[track_caller]
fn check_no_change(scene: &Scene, step: &PendingStep, code: &str) {
    let with = CompleteLogin::with_code(step.token.expose(), device("till"), code);
    let refused = scene.complete(with.new_password(NEW.into())).unwrap_err();
    assert_eq!(refused, LoginRefusal::PasswordChangeNotAllowed);
    assert_eq!(scene.world.user(scene.ada).failed_attempts, 0);
    assert_eq!(scene.world.count("SELECT guesses_left FROM pending_step"), 5);
}

/// Such a step said that no new password was needed, and then demanded one at each completion.
#[test]
fn a_password_that_must_be_replaced_is_not_asked_for_where_the_host_has_authenticated() {
    let mark: fn(&Scene) = |scene| {
        let users = scene.world.store.users();
        users.require_password_change(scene.ada, RevokeSessions::Keep).unwrap();
    };
    let expire: fn(&Scene) = |scene| scene.world.clock.advance(DAY);
    for demand in [mark, expire] {
        let scene = Scene::with(|options| options.password_expiry(DAY));
        demand(&scene);
        let step = step(&scene);
        assert!(!step.new_password_required);
        let code = scene.code();
        check_no_change(&scene, &step, &code);
        let before = scene.world.user(scene.ada).must_change_password;
        let reply = scene.finish(&step, "till", &code).unwrap();
        assert_eq!(reply.profile.user.must_change_password, before, "the mark stays");
        // A login with the password still needs another one.
        let login = scene.login("desk").code(scene.next_code());
        assert_eq!(scene.world.ask(login).unwrap_err(), LoginRefusal::NewPasswordRequired);
    }
}

#[test]
fn where_each_login_may_change_the_password_one_that_the_host_opened_may_not() {
    let scene = Scene::with(|options: Options| options.change_at_login(ChangeAtLogin::Always));
    let step = step(&scene);
    let code = scene.code();
    check_no_change(&scene, &step, &code);
    assert!(scene.finish(&step, "till", &code).is_ok());
    drop(scene.step("desk"));
}
