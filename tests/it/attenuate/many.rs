//! Many keys of one session or of one key: what a change of that costs, and whom it reaches.

use gatepost::audit::EventKind;
use gatepost::sessions::{IssuedApiKey, NewApiKey};
use gatepost::{Ended, Store};

use super::Scene;
use crate::world::{HOUR, MINUTE, device};

/// Every process that has the file open reads each change row in a verify.
#[test]
fn a_change_of_many_keys_leaves_one_change_row_for_all_of_them() {
    let scene = Scene::new();
    let world = &scene.world;
    let other = Store::open(&world.path, world.options.clone()).unwrap();
    let root = world.store.api_keys().issue(scene.ada, NewApiKey::new()).unwrap();
    let (mut of_session, mut of_root) = (Vec::new(), Vec::new());
    for parent in 0..12 {
        // Every other one is made from the key before it.
        for (keys, first) in
            [(&mut of_session, scene.session()), (&mut of_root, scene.verified(&root.key))]
        {
            let before: Option<&IssuedApiKey> = keys.last();
            let parent = match before {
                Some(before) if parent % 2 == 1 => scene.verified(&before.key),
                _ => first,
            };
            keys.push(scene.make(&parent, NewApiKey::new()));
        }
        world.clock.advance(MINUTE);
    }
    let pass = |keys: &[IssuedApiKey]| {
        let passing = |store: &Store| {
            let passes =
                |key: &IssuedApiKey| store.verify((&key.key, None)).unwrap().valid().is_ok();
            keys.iter().filter(|key| passes(key)).count()
        };
        // From the file and then from memory.
        [passing(&world.store), passing(&other), passing(&world.store), passing(&other)]
    };
    assert_eq!((pass(&of_session), pass(&of_root)), ([12; 4], [12; 4]));

    world.clock.advance(20 * HOUR);
    let presented = (&scene.session.token, &device("till-1"));
    let renewed = world.leaves(&[EventKind::SessionRenewed], 2, |store| store.renew(presented));
    assert!(renewed.unwrap().valid().is_ok());
    assert_eq!((pass(&of_session), pass(&of_root)), ([12; 4], [12; 4]));

    let out = world.leaves(&[EventKind::SessionLoggedOut], 2, |store| store.log_out(presented));
    assert_eq!(out.unwrap(), Ended::Now);
    assert_eq!((pass(&of_session), pass(&of_root)), ([0; 4], [12; 4]));

    let keys = world.store.api_keys();
    world.leaves(&[EventKind::ApiKeyRevoked], 2, |_| keys.revoke(root.id)).unwrap();
    assert_eq!((pass(&of_session), pass(&of_root)), ([0; 4], [0; 4]));
    assert_eq!(world.count("SELECT count(*) FROM api_key"), 0);
}

/// A program may make a key for each job and never log in.
#[test]
fn each_attenuated_key_sweeps_at_most_thirty_two_expired_keys() {
    let scene = Scene::new();
    let root = scene.world.store.api_keys().issue(scene.ada, NewApiKey::new()).unwrap();
    let job = || scene.make(&scene.verified(&root.key), NewApiKey::new().lifetime(MINUTE));
    (0..70).for_each(|_| drop(job()));
    scene.world.clock.advance(HOUR);
    let rows = || scene.world.count("SELECT count(*) FROM api_key");
    assert!(scene.passes(&job()));
    assert_eq!(rows(), 72);
    scene.world.believe_clock();
    for left in [72 - 31, 72 - 62, 72 - 70 + 3] {
        job();
        assert_eq!(rows(), left);
    }
}
