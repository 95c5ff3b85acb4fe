//! What a person types into the wrong field of a form comes back in no error.

use std::collections::BTreeSet;

use gatepost::wire::trustid;
use serde_json::{Value, json};

use super::GRANTED;

/// The sources of the types that are read, each with the list of its fields.
const SOURCES: [&str; 2] = [
    include_str!("../../../src/wire/trustid/request.rs"),
    include_str!("../../../src/wire/trustid/reply.rs"),
];

/// The names of all fields that are read, and values of each kind that a person may have typed.
#[test]
fn no_error_of_reading_repeats_what_was_typed_into_any_field() {
    let names = names();
    let missing: Vec<_> = written().into_iter().filter(|name| !names.contains(name)).collect();
    assert!(missing.is_empty(), "a reply has more names: {missing:?}");
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
        for name in &names {
            check_silent(&json!({ name: value }));
            check_silent(&json!({ "User": { name: value } }));
            check_silent(&json!({ "Configuration": [{ name: value }] }));
        }
    }
}

/// The names in the lists of all types.
fn names() -> BTreeSet<String> {
    let lists = SOURCES.iter().flat_map(|source| source.split("read_in_any_case!(").skip(1));
    let lists = lists.map(|list| list.split_once("});").unwrap().0);
    lists.flat_map(|list| list.split('"').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The names that a reply is written with.
fn written() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut values = vec![serde_json::from_str::<Value>(GRANTED).unwrap()];
    while let Some(value) = values.pop() {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    found.insert(name);
                    values.push(value);
                }
            }
            Value::Array(items) => values.extend(items),
            _ => {}
        }
    }
    found
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
