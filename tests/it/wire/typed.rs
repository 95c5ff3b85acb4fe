//! What a person types into the wrong field of a form comes back in no error.

use gatepost::wire::trustid;
use serde_json::{Value, json};

/// The names of all fields, and values of each kind that a person may have typed.
#[test]
fn no_error_of_reading_repeats_what_was_typed_into_any_field() {
    let names = [
        "Username",
        "Password",
        "DeviceId",
        "ChangePassword",
        "NewPassword",
        "RequireAdmin",
        "DesktopClient",
        "ApiVersionNumber",
        "SessionId",
        "CurrentPassword",
        "Success",
        "Message",
        "Configuration",
        "User",
        "Branch",
        "Organisation",
        "DesktopClientDenied",
        "RemainingCredits",
        "ServerApiVersion",
        "Id",
        "Privileges",
        "FailedPasswordAttemptCount",
        "Active",
        "Key",
        "Value",
        "Name",
        "OrganisationId",
    ];
    let values = [
        json!("planted4711"),
        json!(4_711_471_147_u64),
        json!(-4_711_471_147_i64),
        json!(4711.4711),
        json!(["planted4711"]),
        json!([4_711_471_147_u64]),
        json!({ "Id": "planted4711" }),
        json!({ "Branch": 4711.4711 }),
        json!({ "Active": "planted4711" }),
    ];
    for value in &values {
        check_silent(value);
        for name in names {
            check_silent(&json!({ name: value }));
            check_silent(&json!({ "User": { name: value } }));
            check_silent(&json!({ "Configuration": [{ name: value }] }));
        }
    }
}

#[track_caller]
fn check_silent(body: &Value) {
    let text = body.to_string();
    let of = |error: Option<serde_json::Error>| error.map(|error| error.to_string());
    let errors = [
        of(serde_json::from_str::<trustid::LoginRequest>(&text).err()),
        of(serde_json::from_str::<trustid::SessionRequest>(&text).err()),
        of(serde_json::from_str::<trustid::ChangePasswordRequest>(&text).err()),
        of(serde_json::from_str::<trustid::LoginReply>(&text).err()),
        of(serde_json::from_str::<trustid::User>(&text).err()),
        of(serde_json::from_str::<trustid::Branch>(&text).err()),
        of(serde_json::from_str::<trustid::Organisation>(&text).err()),
        of(serde_json::from_str::<trustid::Credits>(&text).err()),
        of(serde_json::from_str::<trustid::Setting>(&text).err()),
        of(serde_json::from_value::<trustid::LoginRequest>(body.clone()).err()),
    ];
    for error in errors.into_iter().flatten() {
        assert!(!error.contains("4711"), "{text}: {error}");
    }
}
