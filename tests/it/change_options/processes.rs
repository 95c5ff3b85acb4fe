//! Several processes with one file open: a change is in force in each of them at once.

use gatepost::audit::AuditFilter;
use gatepost::policy::Lockout;
use gatepost::{LoginRefusal, LoginRequest, NewUser, Options, Page, Password, Store};

use crate::child::{Child, Parent};
use crate::world::{DAY, PASSWORD, World, device, for_tests};

/// The options with which a process opens the file.
fn options(word: &str) -> Options {
    match word {
        "as it was" => for_tests(),
        "by e-mail" => for_tests().login_by_email(true),
        "permanent" => for_tests().lockout(Lockout::Permanent),
        "shorter log" => for_tests().audit_max_age(30 * DAY),
        "server" => Options::server(),
        "other policy" => for_tests().service_name("Other").api_keys_per_user(9),
        "other process" => for_tests().cache(None).max_concurrent_hashes(3).disk_reserve(4_096),
        "stored" => Options::stored(),
        other => panic!("{other}"),
    }
}

/// Opens the file, says what it shows, and does what each line says.
pub(crate) fn role(parent: &mut Parent, words: &[String]) {
    let store = match Store::open(&words[0], options(&words[1])) {
        Ok(store) => store,
        Err(error) => return parent.say(&format!("{:?}: {error}", error.kind())),
    };
    parent.say(&format!("{} {:?}", store.service().name, store.status().open_warnings));
    while let Some(line) = parent.hear() {
        let (act, with) = line.split_once(' ').unwrap();
        let said = match act {
            "create" => {
                let new = NewUser::person(with).email("shared@example.com");
                store.users().create(new).map(|_| String::from("created"))
            }
            "log-in" => {
                let password = Password::from(PASSWORD);
                let outcome = store.log_in(LoginRequest::new(with, password, device("child")));
                outcome.map(|outcome| match outcome.granted() {
                    Ok(_) => String::from("granted"),
                    Err(LoginRefusal::InvalidCredentials) => String::from("invalid"),
                    Err(other) => format!("{other:?}"),
                })
            }
            "guess" => {
                let wrong = Password::from("a wrong password");
                let outcome = store.log_in(LoginRequest::new(with, wrong, device("guess")));
                outcome.map(|outcome| outcome.granted().unwrap_err().name().to_owned())
            }
            "write" => store.organisations().create(with).map(|_| String::from("written")),
            other => panic!("{other}"),
        };
        parent.say(&said.unwrap_or_else(|error| format!("{:?}: {error}", error.kind())));
    }
}

fn child(world: &World, options: &str) -> Child {
    Child::start("options", &[world.path.to_str().unwrap(), options])
}

#[track_caller]
fn ask(child: &mut Child, line: &str, expect: &str) {
    child.say(line);
    assert_eq!(child.hear(), expect, "{line}");
}

/// A second service, a cron job or a command-line tool beside the server that created the file.
#[test]
fn what_a_second_process_shows_for_each_kind_of_difference() {
    let world = World::new();
    let shows = |options: &str, expect: &str| assert_eq!(child(&world, options).hear(), expect);
    shows("as it was", "Gatepost []");
    shows("stored", "Gatepost []");
    shows("other process", "Gatepost []");
    let warned = "Other [OptionDiffers(\"service_name\"), OptionDiffers(\"api_keys_per_user\")]";
    shows("other policy", warned);
    shows("by e-mail", "Invalid: login_by_email has another value in the file");
    shows("permanent", "Invalid: lockout has another value in the file");
    shows("shorter log", "Invalid: audit_max_age has another value in the file");
    shows("server", "Invalid: for_tests has another value in the file");
    // Not a row is left by those that were refused.
    let log = world.store.audit().list(&AuditFilter::new(), Page::first(9)).unwrap();
    assert_eq!(log.len(), 1);
}

/// A second user with a taken address was once created by a process with other options; from then
/// on the address logged neither of the two in.
#[test]
fn a_process_that_is_running_follows_login_by_email() {
    let world = World::new();
    let new = NewUser::person("ada").email("shared@example.com").password(PASSWORD.into());
    world.store.users().create(new).unwrap();
    let mut other = child(&world, "as it was");
    assert_eq!(other.hear(), "Gatepost []");
    ask(&mut other, "log-in shared@example.com", "invalid");
    world.store.change_options(|options| options.login_by_email(true)).unwrap();
    ask(&mut other, "log-in shared@example.com", "granted");
    ask(&mut other, "create bob", "Taken: the e-mail address is taken by another user");
    world.store.change_options(|options| options.login_by_email(false)).unwrap();
    ask(&mut other, "log-in shared@example.com", "invalid");
    ask(&mut other, "create bob", "created");
    other.end();
}

#[test]
fn a_process_that_is_running_follows_the_cap_of_the_log() {
    let world = World::with(|options| options.audit_max_rows(2_000));
    let host = gatepost::audit::HostEvent::new("many").unwrap();
    world.store.audit().record(&vec![host; 1_000]).unwrap();
    for number in 0..100 {
        world.store.organisations().create(&format!("No. {number}")).unwrap();
    }
    world.store.change_options(|options| options.audit_max_rows(1_000)).unwrap();
    let mut other = child(&world, "stored");
    assert_eq!(other.hear(), "Gatepost []");
    world.store.change_options(|options| options.audit_max_rows(2_000)).unwrap();
    let kept = || world.count("SELECT kept_rows FROM audit_chain WHERE source = 0");
    let rows = kept();
    ask(&mut other, "write one", "written");
    assert_eq!(kept(), rows + 1);
    other.end();
}

#[test]
fn a_process_that_is_running_follows_the_lockout() {
    let world = World::new();
    let ada = world.person("ada").id;
    let mut other = child(&world, "as it was");
    assert_eq!(other.hear(), "Gatepost []");
    // As after 89 failures, whose waits are over.
    ask(&mut other, "guess ada", "invalid_credentials");
    let sql = "UPDATE throttle SET failures = 89, charged_at = 0 WHERE failures = 1";
    assert_eq!(world.sql().execute(sql, []).unwrap(), 1);
    world.store.change_options(|options| options.lockout(Lockout::Permanent)).unwrap();
    ask(&mut other, "guess ada", "invalid_credentials");
    let ada = world.store.users().find(ada).unwrap().unwrap();
    assert!(ada.is_locked_out("9999-12-31T00:00:00Z".parse().unwrap()));
    other.end();
}
