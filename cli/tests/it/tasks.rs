//! What an operator does in a session: each task with one command, on a store with many users that
//! another process keeps busy.

use std::process::Command;
use std::thread;

use gatepost::directory::UserFilter;
use gatepost::{DeviceId, LoginRequest, NewUser, Password, Secret, Store};

use crate::busy::Busy;
use crate::world::{PASSWORD, Ran, World};

const USERS: usize = 1_000;

/// The tasks in order, each with its one command.
const TASKS: [(&str, &str); 15] = [
    ("add a user", "gatepost user add zoe --password-stdin < password.txt"),
    ("reset a password", "gatepost user reset zoe > reset.txt"),
    ("see who is logged in", "gatepost session list --json > sessions.jsonl"),
    ("revoke the sessions of a user", "gatepost session revoke --user ada --yes"),
    (
        "see the last failed logins",
        "gatepost audit tail --event login.refused --rows 10 --json > failed.jsonl",
    ),
    ("back up", "gatepost backup copy.db"),
    ("restore", "gatepost restore copy.db --yes"),
    ("check the health", "gatepost doctor --json > health.json"),
    ("probe the health", "gatepost doctor --quick --json > probe.json"),
    ("list the users", "gatepost user list --json > users.jsonl"),
    ("export the users", "gatepost export --to all.jsonl"),
    ("import users with bcrypt hashes", "gatepost import imported.jsonl --from pocketbase"),
    ("export one person's data", "gatepost user export ada > ada.json"),
    ("explain why a user is refused", "gatepost explain --user ada --json > why.json"),
    ("revoke all API keys of a user", "gatepost key revoke --user ada --yes"),
];

fn run(world: &World, line: &str) -> Ran {
    let mut shell = Command::new("bash");
    shell.args(["-euc", line]).env("PATH", World::search_path());
    shell.current_dir(world.directory()).output().unwrap().into()
}

fn lines(world: &World, name: &str) -> usize {
    std::fs::read_to_string(world.directory().join(name)).unwrap().lines().count()
}

fn is_valid(store: &Store, token: &Secret, device: &DeviceId) -> bool {
    store.verify((token, device)).unwrap().valid().is_ok()
}

#[test]
fn each_task_of_an_operator_is_one_command_on_a_busy_store() {
    let world = World::new();
    std::fs::write(world.directory().join("password.txt"), PASSWORD).unwrap();
    let hashes = include_bytes!("moving/pocketbase.jsonl");
    std::fs::write(world.directory().join("imported.jsonl"), hashes).unwrap();
    let store = world.store();
    thread::scope(|scope| {
        for part in 0..8 {
            let users = store.users();
            scope.spawn(move || {
                for number in (0..USERS).filter(|number| number % 8 == part) {
                    users.create(NewUser::person(format!("user-{number}"))).unwrap();
                }
            });
        }
    });
    world.person("ada");
    let busy = Busy::start(&world);
    let device = DeviceId::random().unwrap();
    let log_in = |password: &str| {
        let request = LoginRequest::new("ada", Password::from(password), device.clone());
        store.log_in(request).unwrap().granted()
    };
    log_in("a wrong one").unwrap_err();
    let mut token = log_in(PASSWORD).unwrap().session.token;
    store
        .api_keys()
        .issue(store.users().find_by_username("ada").unwrap().unwrap().id, {
            gatepost::sessions::NewApiKey::new()
        })
        .unwrap();

    for (task, command) in TASKS {
        let before = is_valid(&store, &token, &device);
        let ran = run(&world, command);
        assert_eq!(ran.code, 0, "{task}: {command}\n{ran:?}");
        let after = is_valid(&store, &token, &device);
        match task {
            "revoke the sessions of a user" | "restore" => {
                assert!(before && !after, "{task}");
                token = log_in(PASSWORD).unwrap().session.token;
            }
            _ => assert!(before && after, "{task}"),
        }
    }
    assert_eq!(lines(&world, "reset.txt"), 1);
    assert!((1..=2).contains(&lines(&world, "sessions.jsonl")));
    assert_eq!(lines(&world, "failed.jsonl"), 1);
    // ada, zoe and the user of the busy process.
    assert_eq!(lines(&world, "users.jsonl"), USERS + 3);
    assert!(lines(&world, "all.jsonl") >= USERS + 3);
    let imported = lines(&world, "imported.jsonl");
    let users = store.users().count(&UserFilter::new()).unwrap();
    assert_eq!(users, u64::try_from(USERS + 3 + imported).unwrap());
    assert!(world.rows(&["key", "list", "ada"]).is_empty());
    busy.end();
}
