//! Everything that the file has about one user, for the user.

mod columns;

use gatepost::audit::HostEvent;
use gatepost::sessions::{Impersonation, NewApiKey, NewOneTimeToken, StepDemand, Version};
use gatepost::{ClientInfo, ErrorKind, LoginRequest, NewUser, Subtree, UserId};

use crate::pending_step::Scene;
use crate::world::{PASSWORD, World, device};

#[test]
fn an_export_has_a_user_s_own_rows_and_no_one_else_s() {
    let world = World::new();
    let store = &world.store;
    let [ada, bob] = ["ada", "bob"].map(|name| {
        let new = NewUser::person(name)
            .email(format!("{name}@example.com"))
            .attributes(format!(r#"{{"own": "{name}"}}"#))
            .password(PASSWORD.into());
        let id = store.users().create(new).unwrap().id;
        let request = LoginRequest::new(name, PASSWORD.into(), device(&format!("till of {name}")))
            .label(format!("label of {name}"))
            .client_info(ClientInfo::new().user_agent(format!("agent of {name}")));
        let session = store.log_in(request).unwrap().granted().unwrap().session;
        let data = format!(r#"{{"data": "of {name}"}}"#);
        store.sessions().set_data_json(session.id, &data, Version::NONE).unwrap();
        let key = NewApiKey::new().label(format!("key of {name}"));
        store.api_keys().issue(id, key).unwrap();
        store.one_time_tokens().issue(id, NewOneTimeToken::password_reset()).unwrap();
        store.external_identities().link(id, "https://id.example", name).unwrap();
        store
            .configuration()
            .set(Subtree::User(id), "theme", &format!("theme of {name}"))
            .unwrap();
        let acted = HostEvent::new("invoice.printed").unwrap();
        let acted = acted.detail(&format!("by {name}")).unwrap();
        store.acting_as(id).audit().record(&[acted]).unwrap();
        id
    });
    let data = store.users().personal_data(ada).unwrap();
    assert_eq!(data.user, store.users().find(ada).unwrap().unwrap());
    assert_eq!((data.devices.len(), data.sessions.len(), data.api_keys.len()), (1, 1, 1));
    assert_eq!((data.one_time_tokens.len(), data.settings.len()), (1, 1));
    assert_eq!(data.external_identities[0].subject, "ada");
    assert_eq!((data.external_identities.len(), &data.second_factor), (1, &None));
    assert_eq!(data.session_data, [r#"{"data": "of ada"}"#]);
    let events: Vec<&str> = data.audit.iter().map(|row| row.event.as_str()).collect();
    let expected = [
        "user.created",
        "login.granted",
        "session.data_set",
        "api_key.issued",
        "one_time_token.issued",
        "external_identity.linked",
        "configuration.set",
        "invoice.printed",
    ];
    assert_eq!(events, expected);
    let text = format!("{data:?}");
    for own in ["label of ada", "agent of ada", "key of ada", "theme of ada", "by ada", "ada@"] {
        assert!(text.contains(own), "{own}");
    }
    assert!(!text.contains("of bob") && !text.contains(&bob.to_string()));

    // Also once the user was deleted, and with sessions that are over.
    store.users().delete(ada).unwrap();
    let deleted = store.users().personal_data(ada).unwrap();
    assert_eq!((deleted.sessions, deleted.settings), (data.sessions, data.settings));
    assert!(deleted.user.deleted_at.is_some());
    let unknown: UserId = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    world.refuses(ErrorKind::NotFound, |store| store.users().personal_data(unknown));
}

#[test]
fn an_export_has_what_the_user_did_as_another_and_what_still_waits() {
    let scene = Scene::new();
    let (world, ada, store) = (&scene.world, scene.ada, &scene.world.store);
    store.users().set_privileges(ada, &["admin"]).unwrap();
    store.users().set_email(ada, Some("Ada@example.com")).unwrap();
    let set_at = world.now();
    store.users().set_password(ada, "nine brass bells".into()).unwrap();
    store.users().mark_compromised(ada).unwrap();
    store.one_time_tokens().issue(ada, NewOneTimeToken::email_confirmation()).unwrap();
    let data = store.users().personal_data(ada).unwrap();
    assert_eq!((data.password_set_at, data.is_password_compromised), (Some(set_at), true));
    let [token] = &data.one_time_tokens[..] else { panic!("one token") };
    assert_eq!((token.email.as_deref(), token.is_used), (Some("ada@example.com"), false));

    store.users().set_password(ada, PASSWORD.into()).unwrap();
    drop(scene.pending(scene.login("pad").label("the pad")));
    let code = scene.next_code();
    let own = world.ask(scene.login("till").code(code)).unwrap();
    let bob = world.person("bob").id;
    let client_info = ClientInfo::new().ip([203, 0, 113, 77]);
    let window = Impersonation::new(bob, device("window")).client_info(client_info.clone());
    drop(store.sessions().impersonate(&own.principal, window).unwrap().granted().unwrap());
    world.ask(LoginRequest::new("ada", "wrong".into(), device("elsewhere"))).unwrap_err();
    let data = store.users().personal_data(ada).unwrap();
    let [waiting] = &data.waiting_logins[..] else { panic!("one login waits") };
    assert_eq!((waiting.demand, waiting.label.as_deref()), (StepDemand::Code, Some("the pad")));
    let [acting] = &data.impersonations[..] else { panic!("one impersonation") };
    assert_eq!((acting.user, acting.impersonator), (bob, Some(ada)));
    assert_eq!(acting.client_info, Some(client_info));
    assert_eq!(data.sessions.len(), 1);
    assert_eq!(data.last_failed_at, Some(world.now()));
    // Bob's own export has the session as one of his, and no more of ada.
    let of_bob = store.users().personal_data(bob).unwrap();
    assert_eq!((of_bob.sessions.len(), of_bob.impersonations.len()), (1, 0));
}

#[cfg(feature = "serde")]
#[test]
fn an_export_is_json() {
    let world = World::new();
    let ada = world.person("ada").id;
    world.open(ada, "till-1");
    let data = world.store.users().personal_data(ada).unwrap();
    let json = serde_json::to_value(&data).unwrap();
    assert_eq!(json["user"]["username"], "ada");
    assert_eq!(json["audit"][0]["event"], "user.created");
    for part in ["settings", "devices", "sessions", "session_data", "api_keys", "one_time_tokens"]
    {
        assert!(json[part].is_array(), "{part}");
    }
}
