//! The doors of one-time tokens: request, reset, confirm, accept.

mod first_administrator;
mod repeated;
mod temporary;

use gatepost::audit::{AuditFilter, EventKind};
use gatepost::directory::UserStatus;
use gatepost::sessions::{
    IssuedOneTimeToken, NewApiKey, NewOneTimeToken, Redemption, RevokeApiKeys,
};
use gatepost::{
    Actor, ErrorClass, ErrorKind, LoginRefusal, LoginRequest, NewUser, Password, Secret, Store,
    UserId,
};

use crate::world::{MINUTE, Meanwhile, PASSWORD, World, device, morning};

const NEW: &str = "nine brass bells";
const ADDRESS: &str = "ada@example.com";

/// Presents a token at a door, with a password that every policy accepts.
type Door = fn(&Store, &str) -> Redemption;

const DOORS: [Door; 3] = [
    |store, token| {
        store.one_time_tokens().reset_password(token, NEW.into(), RevokeApiKeys::Keep).unwrap()
    },
    |store, token| store.one_time_tokens().confirm_email(token).unwrap(),
    |store, token| store.one_time_tokens().accept_invitation(token, NEW.into()).unwrap(),
];

const PURPOSES: [fn() -> NewOneTimeToken; 3] = [
    NewOneTimeToken::password_reset,
    NewOneTimeToken::email_confirmation,
    NewOneTimeToken::invitation,
];

/// The status that a user must have for each purpose.
const STATUSES: [UserStatus; 3] = [UserStatus::Active, UserStatus::Pending, UserStatus::Pending];

#[test]
fn a_token_passes_at_its_own_door_alone_and_a_wrong_door_does_not_use_it_up() {
    for (own, new) in PURPOSES.into_iter().enumerate() {
        let (world, ada) = with_status(STATUSES[own]);
        let issued = issue(&world, ada, new());
        let token = issued.token.expose();
        for (other, door) in DOORS.into_iter().enumerate().filter(|(other, _)| *other != own) {
            let refused =
                world.leaves(&[EventKind::OneTimeTokenRefused], 0, |store| door(store, token));
            assert!(refused.valid().is_err(), "{own} at {other}");
            assert_eq!(world.last_event().reason.as_deref(), Some("wrong_purpose"));
        }
        assert_eq!(DOORS[own](&world.store, token).valid().unwrap().id, ada);
    }
}

#[test]
fn no_other_kind_of_token_passes_and_a_one_time_token_passes_at_no_other_door() {
    let (world, ada) = ada();
    let store = &world.store;
    let session = world.open(ada, "till").token;
    let key = store.api_keys().issue(ada, NewApiKey::new()).unwrap().key;
    for other in [session.expose(), key.expose(), "", "gpo_", "junk"] {
        for door in DOORS {
            assert!(world.leaves(&[], 0, |store| door(store, other)).valid().is_err(), "{other}");
        }
    }
    let token = issue(&world, ada, NewOneTimeToken::password_reset()).token;
    assert!(store.verify((&token, None)).unwrap().valid().is_err());
    assert!(store.verify((&token, &device("till"))).unwrap().valid().is_err());
    let change = store.change_password((&token, &device("till")), PASSWORD.into(), NEW.into());
    assert_eq!(change.unwrap().granted().unwrap_err(), LoginRefusal::SessionNotLive);
    assert!(DOORS[0](store, token.expose()).valid().is_ok());
}

#[test]
fn the_second_use_is_refused_and_recorded() {
    for (own, new) in PURPOSES.into_iter().enumerate() {
        let (world, ada) = with_status(STATUSES[own]);
        let issued = issue(&world, ada, new());
        let token = issued.token.expose();
        assert!(DOORS[own](&world.store, token).valid().is_ok());
        let again =
            world.leaves(&[EventKind::OneTimeTokenRefused], 0, |store| DOORS[own](store, token));
        assert_eq!(again.valid().unwrap_err().class(), ErrorClass::SignIn);
        let event = world.last_event();
        assert_eq!((event.user, event.reason.as_deref()), (Some(ada), Some("used")));
    }
}

/// ferriskey#1220: a wrong token consumed the right one.
#[test]
fn a_wrong_secret_leaves_the_token_as_it_is() {
    for (own, new) in PURPOSES.into_iter().enumerate() {
        let (world, ada) = with_status(STATUSES[own]);
        let issued = issue(&world, ada, new());
        // Another store with the same random source gives out the same id with another secret.
        let forged = with_the_id_of(&issued);
        let refused = world.leaves(&[], 0, |store| DOORS[own](store, &forged));
        assert!(refused.valid().is_err());
        assert!(DOORS[own](&world.store, issued.token.expose()).valid().is_ok());
    }
}

#[test]
fn junk_is_counted_by_the_minute_and_writes_no_row_of_its_own() {
    let (world, ada) = ada();
    let forged = with_the_id_of(&issue(&world, ada, NewOneTimeToken::password_reset()));
    for door in DOORS {
        assert!(door(&world.store, "junk").valid().is_err());
        assert!(door(&world.store, &forged).valid().is_err());
    }
    world.store.close().unwrap();
    let counted = "SELECT group_concat(reason || count, ' ') FROM (SELECT reason, count FROM audit
         WHERE event = 'one_time_token.refused' AND source = 2 ORDER BY reason)";
    let counts: String = world.sql().query_row(counted, [], |row| row.get(0)).unwrap();
    assert_eq!(counts, "malformed3 unknown3");
}

#[test]
fn a_reset_sets_the_password_ends_the_sessions_and_opens_none() {
    let (world, ada) = ada();
    let session = world.open(ada, "till").token;
    let key = world.store.api_keys().issue(ada, NewApiKey::new()).unwrap().key;
    fail(&world, 5);
    let token = issue(&world, ada, NewOneTimeToken::password_reset()).token;
    let user =
        world.leaves(&[EventKind::PasswordReset], 1, |store| DOORS[0](store, token.expose()));
    assert_eq!(user.valid().unwrap().failed_attempts, 0);
    assert_eq!(world.count("SELECT count(*) FROM session"), 1, "no session was opened");
    assert!(!passes(&world, &session));
    assert!(world.store.verify((&key, None)).unwrap().valid().is_ok(), "the key stays");
    // The typed name waits in this process, also after a reset.
    world.clock.advance(MINUTE);
    assert!(logs_in(&world, NEW).is_ok());
    assert_eq!(logs_in(&world, PASSWORD), Err(LoginRefusal::InvalidCredentials));
}

#[test]
fn a_reset_revokes_the_api_keys_if_it_is_asked_to() {
    let (world, ada) = ada();
    let key = world.store.api_keys().issue(ada, NewApiKey::new()).unwrap().key;
    let token = issue(&world, ada, NewOneTimeToken::password_reset()).token;
    let tokens = world.store.one_time_tokens();
    let reset = tokens.reset_password(token.expose(), NEW.into(), RevokeApiKeys::All).unwrap();
    assert!(reset.valid().is_ok());
    assert!(world.store.verify((&key, None)).unwrap().valid().is_err());
}

#[test]
fn a_reset_ends_a_compromised_password_and_a_demand_of_a_change() {
    let (world, ada) = ada();
    assert!(world.store.users().mark_compromised(ada).unwrap());
    let token = issue(&world, ada, NewOneTimeToken::password_reset()).token;
    assert!(!DOORS[0](&world.store, token.expose()).valid().unwrap().must_change_password);
    assert!(logs_in(&world, NEW).is_ok());
}

#[test]
fn a_password_that_breaks_the_policy_does_not_use_the_token_up() {
    let (world, ada) = ada();
    let reset = issue(&world, ada, NewOneTimeToken::password_reset()).token;
    let (world, hashes) = (world, |world: &World| world.store.status().hashes_done);
    let before = hashes(&world);
    for weak in ["short", "password1", ADDRESS] {
        let error = world
            .leaves(&[], 0, |store| {
                let tokens = store.one_time_tokens();
                tokens.reset_password(reset.expose(), weak.into(), RevokeApiKeys::Keep)
            })
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.password_rule().is_some(), "{weak}");
    }
    assert_eq!(hashes(&world), before);
    assert!(DOORS[0](&world.store, reset.expose()).valid().is_ok());
    assert!(logs_in(&world, NEW).is_ok());

    let (world, ada) = with_status(UserStatus::Pending);
    let invitation = issue(&world, ada, NewOneTimeToken::invitation()).token;
    let accept = |text: &str| {
        world.store.one_time_tokens().accept_invitation(invitation.expose(), text.into())
    };
    assert_eq!(accept("short").unwrap_err().kind(), ErrorKind::Invalid);
    assert!(accept(NEW).unwrap().valid().is_ok());
}

#[test]
fn a_token_that_is_not_valid_costs_no_hash_and_says_nothing_of_the_password() {
    let (world, ada) = ada();
    let token = issue(&world, ada, NewOneTimeToken::password_reset()).token;
    world.store.one_time_tokens().revoke_all(ada).unwrap();
    let before = world.store.status().hashes_done;
    let tokens = world.store.one_time_tokens();
    for text in ["short", NEW] {
        let reset = tokens.reset_password(token.expose(), text.into(), RevokeApiKeys::Keep);
        assert!(reset.unwrap().valid().is_err());
    }
    assert_eq!(world.store.status().hashes_done, before);
}

#[test]
fn a_confirmation_confirms_the_account_and_revokes_what_the_first_one_does() {
    let (world, ada) = with_status(UserStatus::Active);
    let session = world.open(ada, "till").token;
    let key = world.store.api_keys().issue(ada, NewApiKey::new()).unwrap().key;
    let token = issue(&world, ada, NewOneTimeToken::email_confirmation()).token;
    let user =
        world.leaves(&[EventKind::UserConfirmed], 1, |store| DOORS[1](store, token.expose()));
    assert_eq!(user.valid().unwrap().confirmed_at, Some(morning()));
    assert!(!passes(&world, &session));
    assert!(world.store.verify((&key, None)).unwrap().valid().is_err());

    let session = world.open(ada, "till").token;
    let token = issue(&world, ada, NewOneTimeToken::email_confirmation()).token;
    assert!(DOORS[1](&world.store, token.expose()).valid().is_ok());
    assert!(passes(&world, &session), "a later confirmation revokes no session");
}

/// CVE-2026-32700: the address was read from the user and not from the token. A change through the
/// library revokes the token; here another program changes the address.
#[test]
fn an_address_that_changed_meanwhile_is_not_confirmed() {
    let (world, ada) = with_status(UserStatus::Pending);
    let token = issue(&world, ada, NewOneTimeToken::email_confirmation()).token;
    let change = |to: &str| {
        let sql = "UPDATE user SET email = ?1, email_key = ?1, names_version = names_version + 1";
        assert_eq!(world.sql().execute(sql, [to]).unwrap(), 1);
    };
    change("eve@example.com");
    assert!(DOORS[1](&world.store, token.expose()).valid().is_err());
    assert_eq!(world.last_event().reason.as_deref(), Some("address_changed"));
    assert_eq!(world.user(ada).confirmed_at, None);
    change(ADDRESS);
    assert!(DOORS[1](&world.store, token.expose()).valid().is_ok());
}

#[test]
fn an_invitation_sets_the_first_password_and_makes_the_user_active() {
    let (world, ada) = with_status(UserStatus::Pending);
    let key = world.store.api_keys().issue(ada, NewApiKey::new()).unwrap().key;
    assert_eq!(logs_in(&world, PASSWORD), Err(LoginRefusal::AccountPending));
    let token = issue(&world, ada, NewOneTimeToken::invitation()).token;
    let user =
        world.leaves(&[EventKind::InvitationAccepted], 1, |store| DOORS[2](store, token.expose()));
    let user = user.valid().unwrap();
    assert_eq!((user.status, user.confirmed_at), (UserStatus::Active, Some(morning())));
    assert!(logs_in(&world, NEW).is_ok());
    assert_eq!(logs_in(&world, PASSWORD), Err(LoginRefusal::InvalidCredentials));
    assert!(world.store.verify((&key, None)).unwrap().valid().is_err(), "the key was revoked");
}

#[test]
fn a_request_gives_a_token_to_an_active_person_with_an_address_alone() {
    let world = World::new();
    let create = |new: NewUser| world.store.users().create(new).unwrap().id;
    let ada = create(NewUser::person("ada").email(ADDRESS));
    create(NewUser::person("bare"));
    create(NewUser::system("printer").email("printer@example.com"));
    for (name, status) in [("pat", UserStatus::Pending), ("lea", UserStatus::Locked)] {
        create(NewUser::person(name).email(format!("{name}@example.com")).status(status));
    }
    create(NewUser::person("cat").email("two@example.com"));
    create(NewUser::person("dan").email("two@example.com"));
    for typed in ["ada", " ADA ", ADDRESS, "Ada@Example.COM"] {
        let mail = request(&world, typed).expect("a mail");
        assert_eq!((mail.to.as_str(), mail.user), (ADDRESS, ada), "{typed}");
        assert!(DOORS[0](&world.store, mail.token.expose()).valid().is_ok());
    }
    for typed in ["bare", "printer", "pat", "lea", "two@example.com", "unknown", "", "a\0b"] {
        assert!(request(&world, typed).is_none(), "{typed}");
    }
    world.store.users().delete(ada).unwrap();
    assert!(request(&world, ADDRESS).is_none());
    world.refuses(ErrorKind::Invalid, |store| {
        store.one_time_tokens().request_password_reset(&"a".repeat(255))
    });
}

/// Telephones add a space behind an address; the longest one was refused with it.
#[test]
fn white_space_around_the_longest_address_does_not_count() {
    let world = World::new();
    let address = format!("{}@{}.example.com", "a".repeat(64), "b".repeat(177));
    assert_eq!(address.len(), 254);
    world.store.users().create(NewUser::person("ada").email(address.as_str())).unwrap();
    assert_eq!(request(&world, &format!(" {address} ")).unwrap().to, address);
    let long = format!("{address}m");
    world.refuses(ErrorKind::Invalid, |store| {
        store.one_time_tokens().request_password_reset(&long)
    });
}

#[test]
fn a_request_looks_and_writes_the_same_for_every_name() {
    let (world, ada) = ada();
    let mut seen = Vec::new();
    for typed in ["ada", "unknown", "ada", "unknown", PASSWORD] {
        let request = world.leaves(&[EventKind::PasswordResetRequested], 0, |store| {
            store.one_time_tokens().request_password_reset(typed).unwrap()
        });
        let rows = world.count("SELECT count(*) FROM one_time_token");
        let page = world.count("SELECT sum(uses_left) FROM one_time_token");
        seen.push((format!("{request:?}"), rows - i64::from(typed != "ada" || rows > 1), page));
    }
    // The first one of each writes the row that every later one replaces.
    assert!(seen.iter().all(|one| *one == ("ResetRequest".into(), 1, 1)), "{seen:?}");
    let source =
        "SELECT count(*) FROM audit WHERE event = 'password.reset_requested' AND source = 2";
    assert_eq!(world.count(source), 5, "the source of unauthenticated callers");
    let log = world.store.audit().latest(2, &AuditFilter::new()).unwrap();
    assert!(log.iter().all(|entry| entry.detail.is_none() && entry.reason.is_none()));
    assert_eq!(world.store.one_time_tokens().list(ada).unwrap().len(), 1);
}

#[test]
fn a_request_locks_nothing_and_changes_no_password() {
    let (world, ada) = ada();
    let session = world.open(ada, "till").token;
    let before = world.user(ada);
    for _ in 0..200 {
        assert!(request(&world, "ada").is_some());
    }
    assert_eq!(world.user(ada), before);
    assert!(passes(&world, &session));
    assert!(logs_in(&world, PASSWORD).is_ok());
    assert_eq!(world.count("SELECT count(*) FROM one_time_token"), 1);
}

#[test]
fn a_write_with_a_token_is_of_the_actor_that_the_host_names() {
    let (world, ada) = ada();
    let root = world.store.users().create(NewUser::person("root")).unwrap().id;
    let as_root = world.store.acting_as(root);
    let issued = as_root.one_time_tokens().issue(ada, NewOneTimeToken::password_reset()).unwrap();
    assert_eq!(world.last_event().actor, Actor::User(root));
    let as_ada = world.store.acting_as(ada);
    assert!(DOORS[0](&as_ada, issued.token.expose()).valid().is_ok());
    assert_eq!(world.last_event().actor, Actor::User(ada));
}

/// A token of the same id and another secret.
fn with_the_id_of(issued: &IssuedOneTimeToken) -> String {
    let text = issued.token.expose();
    let bytes = data_encoding::BASE64URL_NOPAD.decode(&text.as_bytes()[4..]).unwrap();
    let mut raw = bytes[..48].to_vec();
    raw[47] ^= 1;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(b"gpo_");
    hasher.update(&raw);
    raw.extend(hasher.finalize().to_be_bytes());
    format!("gpo_{}", data_encoding::BASE64URL_NOPAD.encode(&raw))
}

fn ada() -> (World, UserId) {
    with_status(UserStatus::Active)
}

fn with_status(status: UserStatus) -> (World, UserId) {
    let world = World::new();
    let ada = NewUser::person("ada").email(ADDRESS).status(status);
    let ada = world.store.users().create(ada.password(PASSWORD.into())).unwrap().id;
    (world, ada)
}

fn issue(world: &World, user: UserId, new: NewOneTimeToken) -> IssuedOneTimeToken {
    world.store.one_time_tokens().issue(user, new).unwrap()
}

fn request(world: &World, typed: &str) -> Option<gatepost::sessions::ResetMail> {
    world.store.one_time_tokens().request_password_reset(typed).unwrap().mail()
}

fn passes(world: &World, token: &Secret) -> bool {
    world.store.verify((token, &device("till"))).unwrap().valid().is_ok()
}

fn logs_in(world: &World, password: &str) -> Result<(), LoginRefusal> {
    let login = LoginRequest::new("ada", Password::from(password), device("elsewhere"));
    world.store.log_in(login).unwrap().granted().map(drop)
}

fn fail(world: &World, times: usize) {
    for _ in 0..times {
        assert!(logs_in(world, "a wrong one").is_err());
    }
}

/// The new password is hashed between the look at the token and its use.
#[test]
fn a_token_that_is_revoked_meanwhile_sets_no_password() {
    let meanwhile = Meanwhile::default();
    let world = World::with(|options| options.breach_check(meanwhile.check()));
    let ada = world.person("ada").id;
    let issued = issue(&world, ada, NewOneTimeToken::password_reset());
    let store = world.store.clone();
    meanwhile.happens(move || store.one_time_tokens().revoke_all(ada).unwrap());
    assert!(DOORS[0](&world.store, issued.token.expose()).valid().is_err());
    let last = world.last_event();
    assert_eq!(
        (last.event.as_str(), last.reason.as_deref()),
        ("one_time_token.refused", Some("revoked"))
    );
    assert_eq!(logs_in(&world, PASSWORD), Ok(()));
}

#[test]
fn who_is_not_there_has_no_tokens_to_revoke() {
    let (world, ada) = ada();
    world.store.users().delete(ada).unwrap();
    let unknown = "0189f0c4-5a3e-7c11-8d2f-6b1e0a9c4d77".parse().unwrap();
    for user in [ada, unknown] {
        world.refuses(ErrorKind::NotFound, |store| store.one_time_tokens().revoke_all(user));
    }
}
