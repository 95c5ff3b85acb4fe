//! Log in: the whole request, the whole reply, every refusal.

use gatepost::{LogIn, NewUser, Password, Refusal};

use crate::world::{World, device};

const PASSWORD: &str = "till and tally";

fn ada(world: &World) -> gatepost::User {
    world.store.users().create(NewUser::person("ada").password(Password::from(PASSWORD))).unwrap()
}

fn log_in(world: &World, name: &str, password: &str) -> gatepost::LoginAnswer {
    world.store.log_in(LogIn::new(name, Password::from(password), device("till-1"))).unwrap()
}

#[test]
fn a_right_password_opens_a_session() {
    let world = World::new();
    let ada = ada(&world);
    let reply = log_in(&world, "ada", PASSWORD).granted().unwrap();
    assert_eq!(reply.user.id, ada.id);
    let facts = world.store.verify(reply.session.token.expose(), &device("till-1")).unwrap();
    assert_eq!(facts.valid().unwrap().session, Some(reply.session.id));
}

#[test]
fn an_unknown_user_and_a_wrong_password_get_one_answer() {
    let world = World::new();
    ada(&world);
    let wrong = log_in(&world, "ada", "tally and till").granted().unwrap_err();
    let unknown = log_in(&world, "bob", PASSWORD).granted().unwrap_err();
    assert_eq!((wrong, unknown), (Refusal::InvalidCredentials, Refusal::InvalidCredentials));
}
