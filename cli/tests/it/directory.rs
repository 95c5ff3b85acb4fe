//! `gatepost organisation`, `branch`, `config` and `credit`.

use serde_json::json;

use crate::world::World;

#[test]
fn branches_and_organisations_are_named_by_id_or_by_the_only_name() {
    let world = World::new();
    let northern = world.row(&["organisation", "add", "Northern"]);
    let id = northern["id"].as_str().unwrap();
    world.ok(&["branch", "add", "York"]);
    let moved = world.row(&["branch", "move", "York", "--organisation", id]);
    assert_eq!(moved["organisation"], id);
    let out = world.row(&["branch", "move", "York"]);
    assert_eq!(out["organisation"], json!(null));

    world.ok(&["branch", "add", "York"]);
    world.refused(&["branch", "show", "York"], 4, "more than one branch York");
    world.refused(&["branch", "show", "Hull"], 3, "there is no branch Hull");
    world.refused(&["organisation", "show", "Southern"], 3, "no organisation Southern");
    assert_eq!(world.rows(&["branch", "list"]).len(), 2);
}

/// Once `branch disable York` found no branch that was added as `York `.
#[test]
fn a_place_is_found_by_the_name_that_it_was_added_with_in_every_spelling() {
    let world = World::new();
    assert_eq!(world.row(&["branch", "add", "York "])["name"], "York");
    for name in ["York", "York ", "\u{a0}York"] {
        assert_eq!(world.row(&["branch", "disable", name])["active"], false, "{name:?}");
    }
    world.refused(&["branch", "show", "york"], 3, "there is no branch york");
    let (composed, apart) = ("Orl\u{e9}ans", "Orle\u{301}ans");
    assert_eq!(world.row(&["organisation", "add", apart])["name"], composed);
    for name in [composed, apart] {
        assert_eq!(world.row(&["organisation", "show", name])["name"], composed);
    }
    let renamed = world.row(&["branch", "rename", "York", &format!(" {apart}")]);
    assert_eq!(renamed["name"], composed);
    let lines = "{\"type\":\"branch\",\"name\":\"Leeds \"}\n";
    std::fs::write(world.directory().join("b.jsonl"), lines).unwrap();
    world.ok(&["import", "b.jsonl"]);
    assert_eq!(world.row(&["branch", "show", "Leeds"])["name"], "Leeds");
}

#[test]
fn a_place_is_renamed_disabled_listed_and_deleted() {
    let world = World::new();
    world.ok(&["organisation", "add", "Northern"]);
    world.ok(&["branch", "add", "York", "--organisation", "Northern"]);
    world.refused(&["organisation", "delete", "Northern", "--yes"], 4, "");

    assert_eq!(world.row(&["branch", "disable", "York"])["active"], false);
    assert!(world.rows(&["branch", "list", "--enabled"]).is_empty());
    let disabled = world.row(&["branch", "list", "--disabled", "--organisation", "Northern"]);
    assert_eq!(disabled["name"], "York");
    assert_eq!(world.row(&["branch", "enable", "York"])["active"], true);
    assert_eq!(world.row(&["organisation", "disable", "Northern"])["active"], false);
    assert!(world.rows(&["organisation", "list", "--enabled"]).is_empty());
    assert_eq!(world.row(&["organisation", "enable", "Northern"])["active"], true);

    assert_eq!(world.row(&["branch", "rename", "York", "York City"])["name"], "York City");
    assert_eq!(world.row(&["organisation", "rename", "Northern", "North"])["name"], "North");
    world.ok(&["branch", "delete", "York City", "--yes"]);
    world.ok(&["organisation", "delete", "North", "--yes"]);
    assert!(world.rows(&["organisation", "list"]).is_empty());
}

#[test]
fn the_narrowest_of_four_scopes_is_in_force() {
    let world = World::new();
    world.ok(&["organisation", "add", "Northern"]);
    world.ok(&["branch", "add", "York", "--organisation", "Northern"]);
    world.ok(&["user", "add", "ada", "--no-password", "--branch", "York"]);
    let in_force = ["config", "get", "pageSize", "--user", "ada", "--in-force"];
    world.refused(&in_force, 3, "has no value");
    let scopes: [&[&str]; 4] =
        [&[], &["--organisation", "Northern"], &["--branch", "York"], &["--user", "ada"]];
    for (value, scope) in ["10", "20", "30", "40"].into_iter().zip(scopes) {
        world.ok(&[&["config", "set", "pageSize", value], scope].concat());
        assert_eq!(world.row(&[&["config", "get", "PAGESIZE"], scope].concat())["value"], value);
        assert_eq!(world.row(&in_force)["value"], value);
        assert_eq!(world.row(&[&["config", "list"], scope].concat())["value"], value);
    }
    assert_eq!(world.row(&["config", "get", "pageSize", "--in-force"])["value"], "10");
    world.ok(&["config", "unset", "pageSize", "--user", "ada"]);
    assert_eq!(world.row(&in_force)["value"], "30");
    world.refused(&["config", "unset", "pageSize", "--user", "ada"], 3, "has no value");

    world.ok(&["config", "public", "pageSize", "true"]);
    let listed = world.row(&["config", "list", "--user", "ada", "--in-force"]);
    assert_eq!((&listed["value"], &listed["is_public"]), (&json!("30"), &json!(true)));
}

#[test]
fn credits_never_go_below_zero() {
    let world = World::new();
    world.ok(&["organisation", "add", "Northern"]);
    world.ok(&["branch", "add", "York"]);
    let remaining =
        |words: &[&str]| world.row(&[&["credit"], words].concat())["remaining"].clone();
    assert_eq!(remaining(&["get", "--branch", "York"]), json!(null));
    assert_eq!(remaining(&["set", "--branch", "York", "5"]), 5);
    assert_eq!(remaining(&["add", "--branch", "York", "2"]), 7);
    assert_eq!(remaining(&["spend", "--branch", "York", "6"]), 1);
    world.refused(&["credit", "spend", "--branch", "York", "2"], 4, "");
    assert_eq!(remaining(&["get", "--branch", "York"]), 1);
    assert_eq!(remaining(&["set", "--organisation", "Northern", "9"]), 9);
    assert_eq!(remaining(&["unset", "--branch", "York", "--yes"]), json!(null));
    assert_eq!(world.run(&["credit", "get"]).code, 2);
}
