//! No secret is found where it does not belong: not in the file or beside it, not in the audit log,
//! not in anything that can be printed (promise 3; R33, R49, R65, CVE-2023-20866).
//!
//! The story gives secrets that occur nowhere else to every operation there is, and keeps every
//! text that it is handed. Then all of it is searched, for the secrets themselves and for the forms
//! in which they would hide.

mod clients;
mod copies;
mod factors;
pub(crate) mod memory;
mod needle;
mod people;
mod prints;
mod sealed;
mod steps;
mod story;
mod tokens;

use std::collections::BTreeSet;
use std::fs;

use needle::{Haystack, Needle};
use sha2::{Digest, Sha256};
use story::Story;

use crate::surface;
use crate::world::World;

/// Exports that have no values.
const NOT_HELD: &[(&str, &str)] = &[
    ("BreachCheck", "a trait of the host's"),
    ("Clock", "a trait of the host's"),
    ("Keyring", "a trait of the host's"),
    ("Observer", "a trait of the host's"),
    ("RandomSource", "a trait of the host's"),
];

/// Functions that return handles, without a secret on the way in or out.
const DOORS: &[&str] = &[
    "Administration::api_keys",
    "Administration::branches",
    "Administration::one_time_tokens",
    "Administration::organisations",
    "Administration::second_factors",
    "Administration::sessions",
    "Administration::users",
    "Store::administering",
    "Store::api_keys",
    "Store::audit",
    "Store::branches",
    "Store::configuration",
    "Store::credits",
    "Store::devices",
    "Store::external_identities",
    "Store::in_memory",
    "Store::one_time_tokens",
    "Store::organisations",
    "Store::second_factors",
    "Store::sessions",
    "Store::tickets",
    "Store::users",
];

const HANDLES: &[&str] = &[
    "AdministeredApiKeys",
    "AdministeredBranches",
    "AdministeredOrganisations",
    "AdministeredSecondFactors",
    "AdministeredSessions",
    "AdministeredTokens",
    "AdministeredUsers",
    "Administration",
    "ApiKeys",
    "Audit",
    "Branches",
    "CreditBook",
    "Devices",
    "ExternalIdentities",
    "OneTimeTokens",
    "Organisations",
    "SecondFactors",
    "Sessions",
    "Settings",
    "Store",
    "Tickets",
    "Users",
];

#[test]
fn no_secret_is_in_the_file_or_beside_it() {
    let world = World::new();
    let story = Story::run(&world);
    check_files(&world, &story, "while it is open");
    world.store.close().unwrap();
    check_files(&world, &story, "once it is closed");
}

#[test]
fn no_secret_is_in_the_audit_log() {
    let world = World::new();
    let story = Story::run(&world);
    let rows = rows(&world, "audit");
    assert!(rows.len() > 60, "{} rows", rows.len());
    for row in rows {
        check_clean(&story.secrets, row.as_bytes(), "an audit row");
    }
}

#[test]
fn the_audit_log_keeps_no_image_of_an_unknown_name() {
    let world = World::new();
    Story::run(&world);
    let unknown = "SELECT count(*) FROM audit
         WHERE event = 'login.refused' AND user_id IS NULL AND detail IS NOT NULL
             AND count IS NULL";
    assert_eq!(world.count(unknown), 0);
}

#[test]
fn no_secret_is_printed_by_any_type_that_can_be_held() {
    let world = World::new();
    let story = Story::run(&world);
    let printable: Vec<Needle> =
        story.secrets.into_iter().filter(|needle| !needle.may_be_printed).collect();
    for (name, text) in &story.prints {
        check_clean(&printable, text.as_bytes(), name);
    }
}

#[cfg(feature = "tracing")]
#[test]
fn no_secret_is_in_a_span_or_an_event() {
    let world = World::new();
    let mut story = None;
    let lines = crate::spans::Capture::of(|| story = Some(Story::run(&world)));
    assert!(lines.len() > 300, "{} lines", lines.len());
    for line in lines {
        check_clean(&story.as_ref().unwrap().secrets, line.as_bytes(), &line);
    }
}

#[test]
fn every_exported_type_is_among_those_printed() {
    let world = World::new();
    let story = Story::run(&world);
    let printed: BTreeSet<&str> = story.prints.iter().map(|(name, _)| name.as_str()).collect();
    let exempt = |name: &str| NOT_HELD.iter().any(|(exempt, _)| *exempt == name);
    let exports = surface::exports();
    let missing: Vec<&String> =
        exports.iter().filter(|name| !printed.contains(name.as_str()) && !exempt(name)).collect();
    assert!(missing.is_empty(), "hold one of each in tests/it/leak/story.rs: {missing:?}");
    for (name, _) in NOT_HELD {
        assert!(exports.iter().any(|export| export == name), "{name} is no export");
    }
}

#[test]
fn every_operation_is_part_of_the_story() {
    let story = [
        include_str!("leak/story.rs"),
        include_str!("leak/copies.rs"),
        include_str!("leak/people.rs"),
        include_str!("leak/tokens.rs"),
        include_str!("leak/sealed.rs"),
        include_str!("leak/factors.rs"),
        include_str!("leak/steps.rs"),
    ]
    .concat();
    let missing: Vec<String> = surface::functions()
        .into_iter()
        .filter(|function| {
            let owner = function.path.split("::").next().unwrap_or_default();
            HANDLES.contains(&owner) && !DOORS.contains(&function.path.as_str())
        })
        .filter(|function| !story.contains(&format!(".{}(", function.name)))
        .filter(|function| !story.contains(&format!("{}(", function.path)))
        .map(|function| function.path)
        .collect();
    assert!(missing.is_empty(), "call each in tests/it/leak/story.rs: {missing:?}");
}

#[test]
fn a_token_is_stored_as_its_sha_256() {
    let world = World::new();
    let story = Story::run(&world);
    let of_table = |sql: &str| -> Vec<Vec<u8>> {
        let connection = world.sql();
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let kept = ["session", "api_key", "one_time_token WHERE user_id IS NOT NULL"]
        .map(|rows| of_table(&format!("SELECT secret_hash FROM {rows}")))
        .concat();
    let digests: Vec<Vec<u8>> =
        story.raw_secrets.iter().map(|raw| Sha256::digest(raw).to_vec()).collect();
    assert!(kept.len() >= 3);
    for hash in kept {
        assert!(digests.contains(&hash), "a stored hash is of no token that was given out");
    }
}

#[test]
fn the_search_finds_what_is_there() {
    let needle = Needle::text("a password", "plum under the bridge");
    let hex = "706c756d20756e64657220746865206272696467652e";
    for hidden in [
        "x plum under the bridge y",
        &format!("detail {hex}"),
        &format!("detail {}", hex.to_uppercase()),
        // Behind one byte more and two bytes more, base64 looks different each time.
        "cGx1bSB1bmRlciB0aGUgYnJpZGdl",
        "eHBsdW0gdW5kZXIgdGhlIGJyaWRnZQ==",
        "eHhwbHVtIHVuZGVyIHRoZSBicmlkZ2U=",
    ] {
        assert!(Haystack::of(hidden.as_bytes()).has(&needle), "{hidden}");
    }
    assert!(!Haystack::of(b"plum under the bridg").has(&needle));
}

#[track_caller]
fn check_files(world: &World, story: &Story, when: &str) {
    let mut read = 0;
    for entry in fs::read_dir(world.directory()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        read += bytes.len();
        check_clean(&story.secrets, &bytes, &format!("{} {when}", path.display()));
    }
    assert!(read > 100_000, "{read} bytes");
}

#[track_caller]
fn check_clean(secrets: &[Needle], haystack: &[u8], place: &str) {
    let haystack = Haystack::of(haystack);
    for needle in secrets {
        assert!(!haystack.has(needle), "{} is in {place}", needle.what);
    }
}

/// Every row of a table, each as one text of all its columns.
fn rows(world: &World, table: &str) -> Vec<String> {
    let connection = world.sql();
    let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let columns = statement.column_count();
    let texts = statement.query_map([], |row| {
        let mut text = String::new();
        for column in 0..columns {
            match row.get_ref(column)? {
                rusqlite::types::ValueRef::Text(bytes)
                | rusqlite::types::ValueRef::Blob(bytes) => {
                    text.push_str(&String::from_utf8_lossy(bytes));
                    text.push_str(&data_encoding::HEXLOWER.encode(bytes));
                }
                other => text.push_str(&format!("{other:?}")),
            }
            text.push('\n');
        }
        Ok(text)
    });
    texts.unwrap().map(Result::unwrap).collect()
}
