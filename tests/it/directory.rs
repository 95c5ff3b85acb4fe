//! The directory that the examples load is what its README says.

use std::collections::HashSet;

use serde_json::Value;

#[test]
fn it_is_as_large_as_a_real_one_in_all_three_shapes() {
    let directory = directory();
    let organised: HashSet<&str> = list(&directory, "branches")
        .iter()
        .filter(|branch| branch.get("organisation").is_some())
        .filter_map(|branch| branch["name"].as_str())
        .collect();
    let (mut in_organisation, mut in_branch, mut alone) = (0, 0, 0);
    for user in list(&directory, "users") {
        match user.get("branch").and_then(Value::as_str) {
            Some(branch) if organised.contains(branch) => in_organisation += 1,
            Some(_) => in_branch += 1,
            None => alone += 1,
        }
    }
    assert_eq!((in_organisation, in_branch, alone), (206, 54, 40));
    assert_eq!(list(&directory, "organisations").len(), 5);
    assert_eq!(list(&directory, "branches").len(), 25);
}

#[test]
fn each_name_it_refers_to_is_in_it_once() {
    let directory = directory();
    let organisations = names(&directory, "organisations", "name");
    let branches = names(&directory, "branches", "name");
    let users = names(&directory, "users", "username");
    names(&directory, "public_configuration_keys", "");
    for branch in list(&directory, "branches") {
        assert!(branch.get("organisation").is_none_or(|name| organisations.contains(text(name))));
    }
    for user in list(&directory, "users") {
        assert!(user.get("branch").is_none_or(|name| branches.contains(text(name))));
    }
    for entry in list(&directory, "configuration") {
        let of = entry.get("of").map(text);
        match text(&entry["scope"]) {
            "system" => assert_eq!(of, None),
            "organisation" => assert!(organisations.contains(of.unwrap())),
            "branch" => assert!(branches.contains(of.unwrap())),
            "user" => assert!(users.contains(of.unwrap())),
            other => panic!("no such scope: {other}"),
        }
    }
}

#[test]
fn each_password_is_hashed_at_the_real_cost_under_its_own_salt() {
    let directory = directory();
    let mut salts = HashSet::new();
    let mut hashed = 0;
    for user in list(&directory, "users") {
        let Some(phc) = user.get("password_hash").map(text) else { continue };
        let parts: Vec<&str> = phc.split('$').collect();
        assert_eq!(parts[..4], ["", "argon2id", "v=19", "m=19456,t=2,p=1"]);
        assert!(salts.insert(parts[4].to_owned()), "a salt is used twice");
        assert_ne!(user["kind"], "system", "a system user never has a password");
        hashed += 1;
    }
    assert_eq!(hashed, 284);
}

#[test]
fn each_address_belongs_to_no_real_person() {
    for user in list(&directory(), "users") {
        let Some(email) = user.get("email").map(text) else { continue };
        assert!(email.ends_with("@example.com") || email.ends_with("@example.org"), "{email}");
    }
}

fn directory() -> Value {
    serde_json::from_str(include_str!("../../examples/data/directory.json")).unwrap()
}

fn list<'d>(directory: &'d Value, member: &str) -> &'d [Value] {
    directory[member].as_array().unwrap()
}

/// The names of a list, each of which is there once.
#[track_caller]
fn names(directory: &Value, member: &str, field: &str) -> HashSet<String> {
    let mut names = HashSet::new();
    for entry in list(directory, member) {
        let name = text(if field.is_empty() { entry } else { &entry[field] });
        assert!(names.insert(name.to_owned()), "{member}: {name} is there twice");
    }
    names
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
