//! Second factors, pending steps and trusted devices after a restore.

use gatepost::backup::Stricter;
use gatepost::{CompleteLogin, LoginRefusal, Password};

use super::stricter::check;
use super::{backs_up, restores};
use crate::pending_step::{Scene, give_factor, pending, unsealed};
use crate::world::{DAY, PASSWORD, World, device};

#[test]
fn no_code_step_or_trust_from_before_a_restore_is_worth_anything() {
    let scene = Scene::new();
    let world = &scene.world;
    let session = scene.enter("till-1").session;
    let (on, code) = (device("till-1"), scene.next_code());
    let codes = world
        .store
        .second_factors()
        .reissue_recovery_codes((&session.token, &on), PASSWORD.into(), code.into())
        .unwrap()
        .done()
        .unwrap();
    let code = scene.next_code();
    world.ask(scene.login("till-2").code(code).trust_device(DAY)).unwrap();
    assert!(world.ask(scene.login("till-2")).is_ok(), "the device is trusted");
    let step = scene.step("till-3");
    backs_up(world);
    scene.enter("till-4");
    assert_eq!(restores(world).stricter, []);

    let refused = |request| world.ask(request).unwrap_err();
    // The file of the backup had not seen this code.
    let used = scene.login("till-5").code(scene.code());
    assert_eq!(refused(used), LoginRefusal::InvalidCredentials);
    let recovery = scene.login("till-5").recovery_code(codes.codes[0].expose());
    assert_eq!(refused(recovery), LoginRefusal::InvalidCredentials);
    scene.step("till-2");
    let code = scene.next_code();
    let completed = CompleteLogin::with_code(step.token.expose(), device("till-3"), code.as_str());
    assert_eq!(scene.complete(completed).unwrap_err(), LoginRefusal::StepNotLive);
    // The next code is new.
    assert!(world.ask(scene.login("till-5").code(code)).is_ok());
}

#[test]
fn the_second_factor_that_a_user_had_last_stays() {
    let info = |world: &World, user| world.store.second_factors().info(user).unwrap();
    let scene = Scene::new();
    let (world, ada) = (&scene.world, scene.ada);
    backs_up(world);
    world.store.second_factors().reset(ada).unwrap();
    check(world, &[Stricter::SecondFactor(ada)], |world| info(world, ada).is_none());

    let world = World::with(unsealed);
    let ada = world.person("ada").id;
    backs_up(&world);
    give_factor(&world, ada);
    check(&world, &[Stricter::SecondFactor(ada)], |world| {
        let login = gatepost::LoginRequest::new("ada", Password::from(PASSWORD), device("till"));
        let is_there = info(world, ada).is_some();
        if is_there {
            pending(world.store.log_in(login).unwrap());
        }
        is_there
    });
}
