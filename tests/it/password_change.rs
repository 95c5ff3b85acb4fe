//! Change the own password in a session.

use gatepost::{LogIn, NewUser, Password};

use crate::world::{World, device};

#[test]
fn the_session_goes_on_with_a_new_token_and_all_others_end() {
    let world = World::new();
    let users = world.store.users();
    users.create(NewUser::person("ada").password(Password::from("till and tally"))).unwrap();
    let log_in = |on: &str| {
        let request = LogIn::new("ada", Password::from("till and tally"), device(on));
        world.store.log_in(request).unwrap().granted().unwrap().session
    };
    let (kept, other) = (log_in("till-1"), log_in("till-2"));
    let (current, new) = (Password::from("till and tally"), Password::from("nine brass bells"));
    let reply = world
        .store
        .change_password(kept.token.expose(), &device("till-1"), current, new)
        .unwrap()
        .changed()
        .unwrap();
    let valid =
        |token: &str, on: &str| world.store.verify(token, &device(on)).unwrap().valid().is_ok();
    assert!(valid(reply.session.token.expose(), "till-1"));
    assert!(!valid(kept.token.expose(), "till-1"));
    assert!(!valid(other.token.expose(), "till-2"));
    assert_eq!(reply.session.id, kept.id);
}
