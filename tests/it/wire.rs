//! The wire formats: replies byte for byte, requests in any case, no input that panics.

mod typed;

use gatepost::directory::{CreditHolder, UserStatus};
use gatepost::policy::ApiVersion;
use gatepost::sessions::OpenSession;
use gatepost::{
    ErrorKind, HeaderCredentials, LoginRefusal, LoginRequest, NewUser, Password, Store, Subtree,
    wire::trustid,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{PASSWORD, World, device};

const GRANTED: &str = include_str!("golden/login_reply.json");
const REFUSED: &str = include_str!("golden/login_refused.json");
const NEXT: &str = "nine brass bells";

fn world() -> World {
    World::with(|options| options.service_name("Local Server"))
}

/// The directory that the golden reply describes.
fn golden_user(store: &Store) -> gatepost::User {
    for (key, value) in [("autoDeleteThresholdDays", "1"), ("autoDeleteEnabled", "False")] {
        store.configuration().set(Subtree::Store, key, value).unwrap();
        store.configuration().set_public(key, true).unwrap();
    }
    store.configuration().set(Subtree::Store, "internal.path", "hidden").unwrap();
    let northern = store.organisations().create("Northern").unwrap();
    let york = store.branches().create("York", northern.id).unwrap();
    let user = NewUser::person("admin")
        .email("admin@example.com")
        .first_name("Ada")
        .last_name("Marsh")
        .branch(york.id)
        .privilege("admin")
        .password(Password::from(PASSWORD));
    store.users().create(user).unwrap()
}

fn log_in() -> LoginRequest {
    LoginRequest::new("admin", Password::from(PASSWORD), device("till-1"))
}

/// JSON without the white space between its parts.
fn compact(json: &str) -> String {
    let (mut in_text, mut escaped) = (false, false);
    json.chars()
        .filter(|&c| {
            let kept = in_text || !c.is_whitespace();
            if c == '"' && !escaped {
                in_text = !in_text;
            }
            escaped = in_text && c == '\\' && !escaped;
            kept
        })
        .collect()
}

#[track_caller]
fn check_reply(wire: &trustid::LoginReply, golden: &str) {
    assert_eq!(serde_json::to_string(wire).unwrap(), compact(golden));
}

#[test]
fn a_granted_login_is_the_golden_reply_byte_for_byte() {
    let world = world();
    let user = golden_user(&world.store);
    let reply = world.store.log_in(log_in()).unwrap().granted().unwrap();
    let organisation = reply.profile.organisation.as_ref().unwrap().id;
    let golden = GRANTED
        .replace("(the session's token)", reply.session.token.expose())
        .replace("01890a5d-ac96-774b-bcce-b302099a8057", &user.id.to_string())
        .replace("01890a5d-ac96-774b-bcce-b302099a8058", &user.branch.unwrap().to_string())
        .replace("01890a5d-ac96-774b-bcce-b302099a8059", &organisation.to_string());
    check_reply(&reply.into_wire(), &golden);
}

#[test]
fn a_refused_login_is_the_golden_refusal_byte_for_byte() {
    let world = world();
    world
        .store
        .users()
        .create(NewUser::person("admin").password(Password::from(PASSWORD)).must_change_password())
        .unwrap();
    let answer = world.store.log_in(log_in()).unwrap();
    check_reply(&answer.into_wire(&world.store.service()), REFUSED);
}

#[test]
fn a_refusal_sets_its_own_flag_and_no_other() {
    let service = world().store.service();
    let flags = |refusal: LoginRefusal| {
        let wire = refusal.into_wire(&service);
        assert!(!wire.success && wire.session_id.is_none() && wire.user.is_none());
        assert_eq!(wire.message, refusal.message());
        [
            wire.desktop_client_denied,
            wire.incompatible_service_version,
            wire.locked_user_account,
            wire.new_password_required,
        ]
    };
    assert_eq!(flags(LoginRefusal::DesktopClientDenied), [true, false, false, false]);
    assert_eq!(flags(LoginRefusal::IncompatibleApiVersion), [false, true, false, false]);
    assert_eq!(flags(LoginRefusal::NewPasswordRequired), [false, false, false, true]);
    for refusal in [
        LoginRefusal::InvalidCredentials,
        LoginRefusal::AccountDisabled,
        LoginRefusal::AdministratorRequired,
        LoginRefusal::PasswordChangeNotAllowed,
        LoginRefusal::SessionNotLive,
    ] {
        assert_eq!(flags(refusal), [false; 4], "{refusal:?}");
    }
}

#[test]
fn a_lock_by_an_administrator_is_reported_as_a_locked_account_and_a_wait_is_not() {
    let world = World::new();
    let store = &world.store;
    let user = golden_user(store);
    let wrong = || LoginRequest::new("admin", Password::from("not this one"), device("elsewhere"));
    for _ in 0..5 {
        assert!(!store.log_in(wrong()).unwrap().into_wire(&store.service()).locked_user_account);
    }
    let waits = store.log_in(wrong()).unwrap();
    assert!(matches!(
        waits,
        gatepost::LoginOutcome::Refused(LoginRefusal::TooManyAttempts { .. })
    ));
    assert!(!waits.into_wire(&store.service()).locked_user_account);

    store.users().unlock(user.id).unwrap();
    // What was typed goes on waiting in this process.
    world.clock.advance(crate::world::MINUTE);
    store.users().set_status(user.id, UserStatus::Locked).unwrap();
    let locked = store.log_in(log_in()).unwrap().into_wire(&store.service());
    assert!(locked.locked_user_account && !locked.success);
}

#[test]
fn a_user_locked_out_elsewhere_is_shown_so_until_the_lock_has_passed() {
    let world = world();
    let store = &world.store;
    golden_user(store);
    // A login on the device first, so that it has a budget of its own.
    store.log_in(log_in()).unwrap().granted().unwrap();
    for number in 0..5 {
        let stranger = device(&format!("elsewhere-{number}"));
        let guess = LoginRequest::new("admin", Password::from("not this one"), stranger);
        assert!(store.log_in(guess).unwrap().granted().is_err());
    }
    let user = store.users().find_by_username("admin").unwrap().unwrap();
    assert!(user.locked_out_until.is_some());
    let open = || {
        let request = OpenSession::new(user.id, device("till-2"));
        store.sessions().open(request).unwrap().granted().unwrap().into_wire().user.unwrap()
    };
    assert!(open().is_locked_out && open().active);
    world.clock.advance(crate::world::HOUR);
    assert!(!open().is_locked_out);
}

#[test]
fn remaining_credits_are_null_only_if_both_counts_are() {
    let world = world();
    let store = &world.store;
    let user = golden_user(store);
    let credits = || {
        let wire = store.log_in(log_in()).unwrap().granted().unwrap().into_wire();
        serde_json::to_value(&wire).unwrap()["RemainingCredits"].clone()
    };
    let york = store.branches().find(user.branch.unwrap()).unwrap().unwrap();
    let organisation = CreditHolder::Organisation(york.organisation.unwrap());
    assert_eq!(credits(), Value::Null);
    store.credits().set(organisation, 0).unwrap();
    assert_eq!(credits(), json!({ "Branch": null, "Organisation": 0 }));
    store.credits().set(CreditHolder::Branch(york.id), 7).unwrap();
    assert_eq!(credits(), json!({ "Branch": 7, "Organisation": 0 }));
    store.credits().set(organisation, None).unwrap();
    assert_eq!(credits(), json!({ "Branch": 7, "Organisation": null }));
}

#[test]
fn a_changed_password_is_answered_in_the_same_shape_with_the_new_token() {
    let world = world();
    let store = &world.store;
    golden_user(store);
    let login = store.log_in(log_in()).unwrap().granted().unwrap().into_wire();
    let body = json!({
        "SessionId": login.session_id.as_ref().unwrap().expose(),
        "DeviceId": "till-1",
        "CurrentPassword": PASSWORD,
        "NewPassword": NEXT,
    });
    let answer = change_password(store, &body).into_wire(&store.service());
    let token = answer.session_id.as_ref().unwrap().expose();
    assert!(store.verify((token, &device("till-1"))).unwrap().valid().is_ok());

    let shape = |wire: &trustid::LoginReply| {
        let mut value = serde_json::to_value(wire).unwrap();
        value["SessionId"] = Value::Null;
        value
    };
    assert_eq!(shape(&answer), shape(&login));

    let refused = change_password(store, &body).into_wire(&store.service());
    assert!(!refused.success);
    assert_eq!(refused.message, LoginRefusal::SessionNotLive.message());
}

fn change_password(store: &Store, body: &Value) -> gatepost::LoginOutcome {
    let wire: trustid::ChangePasswordRequest = serde_json::from_value(body.clone()).unwrap();
    let trustid::ChangePassword { presented, current, new, .. } = wire.try_into().unwrap();
    let device = presented.device.as_ref();
    store.change_password((&presented.token, device), current, new).unwrap()
}

#[test]
fn what_is_written_is_read_in_any_case() {
    for golden in [GRANTED, REFUSED] {
        for text in [golden.to_owned(), in_other_case(golden, false), in_other_case(golden, true)]
        {
            let wire: trustid::LoginReply = serde_json::from_str(&text).unwrap();
            check_reply(&wire, golden);
        }
    }
}

/// The same JSON with every name in upper or lower case.
fn in_other_case(json: &str, upper: bool) -> String {
    fn turn(value: Value, case: fn(&str) -> String) -> Value {
        match value {
            Value::Array(items) => items.into_iter().map(|item| turn(item, case)).collect(),
            Value::Object(fields) => {
                fields.into_iter().map(|(name, value)| (case(&name), turn(value, case))).collect()
            }
            other => other,
        }
    }
    let case = if upper { str::to_uppercase } else { str::to_lowercase };
    turn(serde_json::from_str(json).unwrap(), case).to_string()
}

#[test]
fn unknown_names_are_passed_over_and_a_name_given_twice_is_refused() {
    let read = serde_json::from_str::<trustid::SessionRequest>;
    assert!(read(r#"{"Extra": [{"SessionId": 1}], "SessionId": "gps_x"}"#).is_ok());
    let twice = read(r#"{"SessionId": "gps_x", "sessionid": "gps_y"}"#).unwrap_err();
    assert!(twice.to_string().starts_with("duplicate field `SessionId`"), "{twice}");
    let partial = serde_json::from_str::<trustid::LoginReply>(r#"{"Success": true}"#).unwrap_err();
    assert!(partial.to_string().starts_with("missing field `Message`"), "{partial}");
}

#[test]
fn a_login_request_means_what_it_says() {
    let world =
        World::with(|options| options.api_versions(ApiVersion::new(1, 1), ApiVersion::new(1, 4)));
    let store = &world.store;
    let user = golden_user(store);
    let answer = |more: Value| {
        let mut body = json!({ "Username": "admin", "Password": PASSWORD, "DeviceId": "till-1" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let wire: trustid::LoginRequest = serde_json::from_value(body).unwrap();
        store.log_in(wire.try_into().unwrap()).unwrap().granted().map(|reply| reply.session.id)
    };
    assert!(answer(json!({})).is_ok());
    assert!(answer(json!({ "RequireAdmin": true, "ApiVersionNumber": "1.4" })).is_ok());
    let version = answer(json!({ "ApiVersionNumber": "1.5" }));
    assert_eq!(version, Err(LoginRefusal::IncompatibleApiVersion));

    let unasked = answer(json!({ "ChangePassword": true, "NewPassword": NEXT }));
    assert_eq!(unasked, Err(LoginRefusal::PasswordChangeNotAllowed));
    assert!(answer(json!({ "ChangePassword": false, "NewPassword": NEXT })).is_ok());
    assert!(answer(json!({ "NewPassword": "" })).is_ok());

    store
        .users()
        .update(user.id, gatepost::directory::UserUpdate::new().desktop_client_denied(true))
        .unwrap();
    store.users().set_privileges(user.id, &[] as &[&str]).unwrap();
    let desktop = answer(json!({ "DesktopClient": true }));
    assert_eq!(desktop, Err(LoginRefusal::DesktopClientDenied));
    assert!(answer(json!({ "DesktopClient": false })).is_ok());
    let admin = answer(json!({ "RequireAdmin": true }));
    assert_eq!(admin, Err(LoginRefusal::AdministratorRequired));
}

#[test]
fn a_request_that_cannot_be_meant_is_invalid_and_says_why() {
    let login = |body: Value| {
        let wire: trustid::LoginRequest = serde_json::from_value(body).unwrap();
        LoginRequest::try_from(wire).map(drop)
    };
    check_invalid(login(json!({ "Password": "x" })), "the request has no Username");
    check_invalid(login(json!({ "Username": "x" })), "the request has no Password");
    check_invalid(
        login(json!({ "Username": "x", "Password": null })),
        "the request has no Password",
    );
    let base = |name: &str, value: Value| {
        let mut body = json!({ "Username": "ada", "Password": "x" });
        body[name] = value;
        body
    };
    check_invalid(
        login(base("DeviceId", json!(""))),
        "the device identifier is empty, not 1 to 128 bytes: DeviceId::random makes one",
    );
    check_invalid(
        login(base("ApiVersionNumber", json!("one"))),
        "the API version is not two numbers with a dot between",
    );
    check_invalid(
        login(base("NewPassword", json!("y"))),
        "a NewPassword is given without ChangePassword",
    );
    check_invalid(
        login(base("ChangePassword", json!(true))),
        "ChangePassword is set without a NewPassword",
    );
    let session: trustid::SessionRequest =
        serde_json::from_value(json!({ "DeviceId": "till-1" })).unwrap();
    check_invalid(HeaderCredentials::try_from(session).map(drop), "the request has no SessionId");
    let change = |body: Value| {
        let wire: trustid::ChangePasswordRequest = serde_json::from_value(body).unwrap();
        trustid::ChangePassword::try_from(wire).map(drop)
    };
    let without = "the request has no CurrentPassword";
    check_invalid(change(json!({ "SessionId": "gps_x", "NewPassword": "y" })), without);
    let without = "the request has no NewPassword";
    check_invalid(change(json!({ "SessionId": "gps_x", "CurrentPassword": "y" })), without);
}

#[track_caller]
fn check_invalid(answer: Result<(), gatepost::Error>, says: &str) {
    let error = answer.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Invalid, says));
}

#[test]
fn no_secret_of_a_request_shows_in_debug() {
    let body = json!({
        "Username": "ada", "Password": "planted-1", "NewPassword": "planted-2",
        "CurrentPassword": "planted-3", "SessionId": "planted-4", "DeviceId": "till-1",
    });
    let login: trustid::LoginRequest = serde_json::from_value(body.clone()).unwrap();
    let change: trustid::ChangePasswordRequest = serde_json::from_value(body.clone()).unwrap();
    let session: trustid::SessionRequest = serde_json::from_value(body).unwrap();
    let reply: trustid::LoginReply =
        serde_json::from_str(&GRANTED.replace("(the session's token)", "planted-5")).unwrap();
    let mut shown = format!("{login:?} {change:?} {session:?} {reply:#?}");
    shown += &format!("{:?}", trustid::ChangePassword::try_from(change).unwrap());
    shown += &format!("{:?}", HeaderCredentials::try_from(session).unwrap());
    assert!(!shown.contains("planted"), "{shown}");
}

#[test]
fn no_error_of_reading_repeats_a_secret() {
    for text in [
        r#"{"Password": 4711471147}"#,
        r#"{"Password": -4711471147}"#,
        r#"{"Password": 4711.4711}"#,
        r#"{"Password": ["4711471147"]}"#,
        r#"{"Password": {"text": "4711471147"}}"#,
        r#"{"Password": "4711471147"#,
        r#""4711471147""#,
    ] {
        let error = serde_json::from_str::<trustid::LoginRequest>(text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("4711"), "{error}");
    }
}

fn read_all(bytes: &[u8]) {
    let _ = serde_json::from_slice::<trustid::LoginRequest>(bytes).map(LoginRequest::try_from);
    let _ =
        serde_json::from_slice::<trustid::SessionRequest>(bytes).map(HeaderCredentials::try_from);
    let _ = serde_json::from_slice::<trustid::ChangePasswordRequest>(bytes)
        .map(trustid::ChangePassword::try_from);
    if let Ok(reply) = serde_json::from_slice::<trustid::LoginReply>(bytes) {
        let text = serde_json::to_string(&reply).unwrap();
        assert!(serde_json::from_str::<trustid::LoginReply>(&text).is_ok());
    }
}

const NAMES: [&str; 9] = [
    "Username",
    "PASSWORD",
    "DeviceId",
    "changepassword",
    "NewPassword",
    "RequireAdmin",
    "SessionId",
    "CurrentPassword",
    "ApiVersionNumber",
];

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        read_all(&bytes);
    }

    #[test]
    fn no_damaged_reply_panics(at in 0..GRANTED.len(), byte: u8, end in 0..GRANTED.len()) {
        let mut bytes = GRANTED.as_bytes().to_vec();
        bytes[at] = byte;
        read_all(&bytes);
        bytes.truncate(end);
        read_all(&bytes);
    }

    #[test]
    fn no_value_of_a_request_panics(
        fields in prop::collection::vec((prop::sample::select(&NAMES[..]), value()), 0..6),
    ) {
        let body: serde_json::Map<String, Value> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        read_all(Value::Object(body).to_string().as_bytes());
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::collection::vec(any::<u8>().prop_map(Value::from), 0..4).prop_map(Value::from),
        Just(json!({ "Key": "a", "Value": "b" })),
    ]
}
