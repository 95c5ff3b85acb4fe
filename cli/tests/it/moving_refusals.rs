//! What an import refuses, so that nothing is lost or mixed up silently.

use std::fmt::Write as _;

use gatepost::Subtree;
use gatepost::directory::{BranchFilter, OrganisationFilter, UserFilter};

use crate::world::World;

fn lay(world: &World, name: &str, text: &str) {
    std::fs::write(world.directory().join(name), text).unwrap();
}

/// Asserts that exactly these lines of the file are refused, each with these words.
#[track_caller]
fn refuses(world: &World, words: &[&str], lines: &[(u64, &str)]) {
    let ran = world.run(words);
    assert_eq!(ran.code, 5, "{ran:?}");
    let said: Vec<&str> = ran.err.lines().collect();
    assert_eq!(said.len(), lines.len(), "{ran:?}");
    for (said, (line, says)) in said.iter().zip(lines) {
        let place = format!("{}:{line}: ", words[1]);
        assert!(said.starts_with(&place) && said.contains(says), "{line} {says}: {said}");
    }
}

fn of_django(pk: usize, groups: &str, permissions: &str) -> String {
    format!(
        "{{\"model\":\"auth.user\",\"pk\":{pk},\"fields\":{{\"username\":\"user{pk}\",\
        \"password\":\"!\",\"groups\":{groups},\"user_permissions\":{permissions}}}}}\n"
    )
}

#[test]
fn two_groups_of_django_never_become_one_privilege() {
    let world = World::new();
    let text = [
        of_django(1, r#"[["Till Staff"]]"#, "[]"),
        of_django(2, r#"[["till-staff"]]"#, "[]"),
        of_django(3, r#"[["Till+Staff"]]"#, "[]"),
        of_django(4, r#"[["Küche"]]"#, "[]"),
        of_django(5, r#"[["Till Staff"], ["Cooks"]]"#, r#"[["Add.All","till","order"]]"#),
        of_django(6, "[]", r#"[["add.all","till","order"]]"#),
        of_django(7, r#"[["till","staff"]]"#, "[]"),
    ];
    lay(&world, "django.jsonl", &text.concat());
    let words = ["import", "django.jsonl", "--from", "django"];
    let lines = [
        (2, "\"Till Staff\" and \"till-staff\" would be one privilege"),
        (3, "\"Till+Staff\" cannot be a privilege"),
        (4, "cannot be a privilege"),
        (6, "would be one privilege"),
        (7, "groups has something that is no group"),
    ];
    refuses(&world, &words, &lines);
    // A second run refuses the same lines: it depends on the file alone.
    refuses(&world, &words, &lines);
    let store = world.store();
    let privileges = |name| store.users().find_by_username(name).unwrap().unwrap().privileges;
    assert_eq!(privileges("user1"), ["group:till-staff"]);
    assert_eq!(privileges("user5"), ["group:cooks", "group:till-staff", "till.add.all"]);
}

#[test]
fn a_field_that_is_there_twice_is_refused_by_its_name() {
    let world = World::new();
    lay(
        &world,
        "twice.jsonl",
        concat!(
            "{\"username\":\"ada\",\"status\":\"disabled\",\"status\":\"active\"}\n",
            "{\"username\":\"bob\",\"attributes\":{\"a\":[{\"till\":1,\"till\":2}]}}\n",
            "{\"username\":\"cem\",\"attributes\":{\"a\":1,\"b\":{\"a\":-1.5}}}\n",
            "{\"username\":\"dea\"} {}\n",
        ),
    );
    let lines = [(1, "status is there twice"), (2, "till is there twice"), (4, "no JSON object")];
    refuses(&world, &["import", "twice.jsonl"], &lines);
    let cem = world.store().users().find_by_username("cem").unwrap().unwrap();
    assert_eq!(cem.attributes.as_deref(), Some(r#"{"a":1,"b":{"a":-1.5}}"#));

    lay(&world, "twice.csv", "username,status, status\neve,disabled,active\n");
    world.refused(&["import", "twice.csv"], 5, "the heading \"status\" is there twice");
    assert_eq!(world.store().users().count(&UserFilter::new()).unwrap(), 1);
}

/// Once two such numbers were rounded to one id, and the second user was taken for the first.
#[test]
fn a_number_that_would_be_rounded_is_no_text() {
    let world = World::new();
    lay(
        &world,
        "numbers.jsonl",
        concat!(
            "{\"id\":18446744073709551615,\"username\":\"ada\"}\n",
            "{\"id\":184467440737095516171,\"username\":\"bob\"}\n",
            "{\"id\":184467440737095516172,\"username\":\"cem\"}\n",
            "{\"id\":1.5,\"username\":\"dea\"}\n",
            "{\"id\":\"184467440737095516172\",\"username\":\"eve\"}\n",
        ),
    );
    let says = "id is no whole number of 64 bits: write it as a text";
    refuses(&world, &["import", "numbers.jsonl"], &[(2, says), (3, says), (4, says)]);
    assert_eq!(world.store().users().count(&UserFilter::new()).unwrap(), 2);
}

/// Once the numbers were rounded, and of two values of one name the last was kept.
#[test]
fn the_attributes_of_a_user_are_stored_as_they_are_written() {
    let world = World::new();
    let kept =
        r#"{"n": [12345678901234567890123, 0.12345678901234567890, -0, 1E2], "é": "\u00e9"}"#;
    let twice = r#"{\"role\":\"a\",\"rol\\u0065\":\"b\"}"#;
    let lines = format!(
        "{{\"username\":\"ada\",\"attributes\": {kept} }}\n\
         {{\"username\":\"bob\",\"attributes\":\"{twice}\"}}\n\
         {{\"username\":\"cem\",\"attributes\":null}}\n\
         {{\"username\":\"dea\",\"attributes\":[1.50]}}\n"
    );
    lay(&world, "numbers.jsonl", &lines);
    let lines = [(2, "an object with the same name twice")];
    refuses(&world, &["import", "numbers.jsonl"], &lines);
    let attributes =
        |name: &str| world.store().users().find_by_username(name).unwrap().unwrap().attributes;
    assert_eq!(attributes("ada").as_deref(), Some(kept));
    assert_eq!(attributes("cem"), None);
    assert_eq!(attributes("dea").as_deref(), Some("[1.50]"));
    // What was exported is imported as it was.
    world.ok(&["export", "--to", "all.jsonl"]);
    let other = World::new();
    let exported = std::fs::read_to_string(world.directory().join("all.jsonl")).unwrap();
    lay(&other, "all.jsonl", &exported);
    other.ok(&["import", "all.jsonl"]);
    let ada = other.store().users().find_by_username("ada").unwrap().unwrap();
    assert_eq!(ada.attributes.as_deref(), Some(kept));

    let words = ["user", "add", "eve", "--no-password", "--attributes"];
    let twice = r#"{"role":"a","role":"b"}"#;
    world.refused(&[&words[..], &[twice]].concat(), 5, "the same name twice");
}

/// As programs of Windows write it. Once the first line was refused, and CSV was not.
#[test]
fn a_byte_order_mark_is_no_part_of_the_first_line() {
    let world = World::new();
    lay(&world, "mark.jsonl", "\u{feff}{\"username\":\"ada\"}\n{\"username\":\"bob\"}\n");
    assert_eq!(world.row(&["import", "mark.jsonl"])["created"], 2);
    lay(&world, "mark.csv", "\u{feff}username\ncem\n");
    assert_eq!(world.row(&["import", "mark.csv"])["created"], 1);
    lay(&world, "within.jsonl", "{\"username\":\"dea\"}\n\u{feff}{\"username\":\"eve\"}\n");
    refuses(&world, &["import", "within.jsonl"], &[(2, "no JSON object")]);
}

#[test]
fn a_quotation_mark_that_is_not_closed_takes_no_more_than_one_mebibyte() {
    let world = World::new();
    let mut users = String::new();
    for n in 0..50_000 {
        writeln!(users, "user{n},secret of the user {n}").unwrap();
    }
    assert!(users.len() > 1_200_000);
    let text = format!("username,description\nada,\nbob,\"the second\n{users}");
    lay(&world, "long.csv", &text);
    let says = "the record that begins in line 3 is longer than 1 MiB";
    world.refused(&["import", "long.csv"], 5, says);
    let ran = world.run(&["import", "long.csv"]);
    assert!(!ran.err.contains("secret"), "{ran:?}");
    lay(&world, "headings.csv", &format!("username,\"description\n{users}"));
    let says = "the record that begins in line 1 is longer than 1 MiB";
    world.refused(&["import", "headings.csv"], 5, says);

    // The same, where the rest of the file is short.
    let world = World::new();
    lay(&world, "short.csv", "username,description\nada,\nbob,\"the second\ncem,\n");
    let lines = [(3, "a quotation mark is not closed")];
    refuses(&world, &["import", "short.csv"], &lines);
    assert_eq!(world.store().users().count(&UserFilter::new()).unwrap(), 1);
    // A closed one may have lines in it, and a file need not end with a line break.
    let closed = "username,description\nbob,\"the second\ncem\"\ndea,\"of two\nlines\"";
    lay(&world, "closed.csv", closed);
    assert_eq!(world.row(&["import", "closed.csv"])["created"], 2);
    // A mark within a cell that has none around it is a part of the text.
    let inch = "username,description\nfay,5\" pipe\ngus,\"of two\nlines\"\nhal,\n";
    lay(&world, "inch.csv", inch);
    assert_eq!(world.row(&["import", "inch.csv"])["created"], 3);
    // Each record has its own bound.
    let half = "x".repeat(600_000);
    let rows = format!("username,description\na,{half}\nb,{half}\nc,{half}\nd,{half}\neve,\n");
    lay(&world, "many.csv", &rows);
    let bound = "4,096";
    let lines = [(2, bound), (3, bound), (4, bound), (5, bound)];
    refuses(&world, &["import", "many.csv"], &lines);
    assert!(world.store().users().find_by_username("eve").unwrap().is_some());
}

/// Once 500 records were kept, whatever their length: half a gigabyte of such lines.
#[test]
fn long_records_are_written_after_a_few_mebibytes() {
    let long = "x".repeat(900_000);
    let longer = "x".repeat(1_100_000);
    let mut lines = String::from("{\"username\":\"ada\"}\n");
    let mut rows = String::from("username,description\nada,\n");
    for n in 0..5 {
        writeln!(lines, "{{\"username\":\"user{n}\",\"description\":\"{long}\"}}").unwrap();
        writeln!(rows, "user{n},{long}").unwrap();
    }
    writeln!(lines, "{{\"username\":\"bob\",\"description\":\"{longer}\"}}").unwrap();
    writeln!(rows, "bob,{longer}").unwrap();
    for (name, text, says) in [
        ("long.jsonl", lines, "line 7 is longer than 1 MiB"),
        ("long.csv", rows, "the record that begins in line 8 is longer than 1 MiB"),
    ] {
        let world = World::new();
        lay(&world, name, &text);
        world.refused(&["import", name], 5, says);
        // The last line ended the import, so what it did not keep is in the store.
        assert!(world.store().users().find_by_username("ada").unwrap().is_some(), "{name}");
    }
}

#[test]
fn only_a_user_that_was_deleted_stays_deleted_when_the_file_is_imported_again() {
    let world = World::new();
    lay(
        &world,
        "all.jsonl",
        concat!(
            "{\"type\":\"organisation\",\"name\":\"Northern\"}\n",
            "{\"type\":\"branch\",\"name\":\"York\"}\n",
            "{\"type\":\"setting\",\"scope\":\"store\",\"key\":\"colour\",\"value\":\"red\"}\n",
            "{\"username\":\"ada\"}\n",
        ),
    );
    assert_eq!(world.row(&["import", "all.jsonl"])["created"], 4);
    let store = world.store();
    let ada = store.users().find_by_username("ada").unwrap().unwrap().id;
    store.users().delete(ada).unwrap();
    let branch = store.branches().iter(&BranchFilter::new()).next().unwrap().unwrap().id;
    store.branches().delete(branch).unwrap();
    let organisation = store.organisations().iter(&OrganisationFilter::new()).next();
    store.organisations().delete(organisation.unwrap().unwrap().id).unwrap();
    store.configuration().remove(Subtree::Store, "colour").unwrap();
    let again = world.row(&["import", "all.jsonl"]);
    assert_eq!((&again["created"], &again["existing"]), (&3.into(), &1.into()));
    assert!(store.users().find(ada).unwrap().is_none());
}
