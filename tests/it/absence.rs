//! Features that are deliberately absent.

use std::error::Error as Failure;
use std::fmt::{Debug, Display};

use gatepost::directory::*;
use gatepost::sessions::*;
use gatepost::wire::trustid;
use gatepost::*;

use crate::surface;
use crate::tidy::source::Project;
use crate::world::{PASSWORD, World, device, for_tests};

/// Fails to compile if the type implements any of the traits: two candidates for one name.
macro_rules! lacks {
    ($($type:ty: $($trait:path),+;)+) => {$(
        const _: fn() = || {
            trait AmbiguousIf<Implemented> {
                fn found() {}
            }
            impl<T: ?Sized> AmbiguousIf<()> for T {}
            $({
                struct Marker;
                impl<T: ?Sized + $trait> AmbiguousIf<Marker> for T {}
            })+
            let _ = <$type as AmbiguousIf<_>>::found;
        };
    )+};
}

/// Fails to compile if the type does not implement all of the traits.
macro_rules! has {
    ($($type:ty: $first:ident $(+ $more:ident)* $(+ $life:lifetime)?;)+) => {$(
        const _: fn() = || {
            fn implemented<T: ?Sized + $first $(+ $more)* $(+ $life)?>() {}
            implemented::<$type>();
        };
    )+};
}

lacks! {
    Password: Clone, PartialEq, PartialOrd, Display, serde::Serialize, AsRef<str>, std::ops::Deref,
        std::hash::Hash, Default;
    Secret: Clone, PartialEq, PartialOrd, Display, serde::Serialize, AsRef<str>, std::ops::Deref,
        std::hash::Hash, Default;
    // The types that contain one of them.
    LoginRequest: Clone, PartialEq, serde::Serialize;
    NewUser: Clone, PartialEq, serde::Serialize;
    LoginReply: Clone, PartialEq, serde::Serialize, Display;
    LoginOutcome: Clone, PartialEq, serde::Serialize, Display;
    OpenedSession: Clone, PartialEq, serde::Serialize, Display;
    IssuedApiKey: Clone, PartialEq, serde::Serialize, Display;
    LoginOutcome: Clone, PartialEq, serde::Serialize, Display;
    HeaderCredentials: Clone, PartialEq, serde::Serialize, Display;
    trustid::ChangePassword: Clone, PartialEq, serde::Serialize, Display;
    trustid::LoginRequest: Clone, PartialEq, serde::Serialize;
    trustid::SessionRequest: Clone, PartialEq, serde::Serialize;
    trustid::ChangePasswordRequest: Clone, PartialEq, serde::Serialize;
    // The one type that writes a token out is made by value and serialised once.
    trustid::LoginReply: Clone, PartialEq, Display;
}

has! {
    Store: Clone + Debug + Send + Sync + 'static;
    Error: Failure + Debug + Display + Send + Sync + 'static;
    LoginRefusal: Failure + Copy + Send + Sync + 'static;
    InvalidToken: Failure + Copy + Send + Sync + 'static;
    Principal: Copy + Send + Sync + 'static;
    Options: Clone + Eq + Send + Sync + 'static;
    LoginRequest: Send + Sync + 'static;
    LoginReply: Send + Sync + 'static;
    OpenSession: Send + Sync + 'static;
    NewUser: Send + Sync + 'static;
    DeviceId: Clone + Eq + Send + Sync + 'static;
}

#[test]
fn a_fresh_file_has_no_user_no_key_and_no_session() {
    let world = World::new();
    for table in [
        "user",
        "user_privilege",
        "credential",
        "session",
        "session_document",
        "api_key",
        "device",
        "hash_cost",
        "organisation",
        "branch",
        "setting",
        "configuration_key",
        "credit",
    ] {
        assert_eq!(world.count(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    // The row for unknown names.
    assert_eq!(world.count("SELECT count(*) FROM throttle"), 1);
    // The log says that the file was created, and nothing else.
    assert_eq!(world.count("SELECT count(*) FROM audit"), 1);
    for (name, password) in [("admin", "admin"), ("root", ""), ("", ""), ("gatepost", "gatepost")]
    {
        let request = LoginRequest::new(name, Password::from(password), device("till-1"));
        let refused = world.store.log_in(request).unwrap().granted().unwrap_err();
        assert_eq!(refused, LoginRefusal::InvalidCredentials);
    }
}

#[test]
fn no_verify_takes_a_time() {
    let takes_time = |params: &str| {
        ["DateTime", "Timestamp", "Instant", "SystemTime", "Clock", "now"]
            .iter()
            .any(|kind| params.contains(kind))
    };
    let mut seen = 0;
    for function in surface::functions() {
        if ["verify", "log_in", "log_out", "profile", "change_password"].contains(&&*function.name)
        {
            seen += 1;
            assert!(!takes_time(&function.params), "{}({})", function.path, function.params);
        }
    }
    assert_eq!(seen, 7);
}

#[test]
fn no_security_question_is_asked() {
    let banned =
        ["question", "hint", "mother", "maiden", "secret_answer", "reminder", "pet", "recall"];
    let is_banned = |name: &str| {
        let name = name.to_lowercase();
        name.split('_').any(|word| banned.contains(&word)) || name.contains("question")
    };
    for function in surface::functions() {
        assert!(!is_banned(&function.name), "{}", function.path);
    }
    for export in surface::exports() {
        assert!(!is_banned(&export), "{export}");
    }
    let schema = Project::read().schema();
    assert!(!schema.split(|c: char| !c.is_alphanumeric() && c != '_').any(is_banned));
}

#[test]
fn no_function_takes_a_session_id_for_a_session_to_be_opened() {
    for function in surface::functions() {
        let opens = ["log_in", "open", "change_password"].contains(&&*function.name);
        let builds =
            ["LoginRequest::", "OpenSession::"].iter().any(|of| function.path.starts_with(of));
        if opens || builds {
            assert!(!function.params.contains("SessionId"), "{}", function.path);
        }
    }
}

/// URLs end up in the logs of servers and in the histories of browsers.
#[test]
fn no_token_is_taken_from_a_url() {
    let world = World::new();
    let session = world.open(world.person("ada").id, "till-1");
    let (token, till) = (session.token.expose(), device("till-1"));
    for url in [
        format!("/image/{token}"),
        format!("https://example.com/image/{token}"),
        format!("https://example.com/image?session={token}"),
        format!("/image?a=b&SessionId={token}"),
        format!("?{token}"),
    ] {
        assert!(world.store.verify((&url, &till)).unwrap().valid().is_err(), "{url}");
        world.refuses(ErrorKind::Invalid, |store| store.log_out((&url, &till)));
        assert_eq!(
            HeaderCredentials::from_header(&url).unwrap_err().kind(),
            ErrorKind::Invalid,
            "{url}"
        );
    }
    for function in surface::functions() {
        let words = function.params.split(|c: char| !c.is_alphanumeric());
        let names_one = words.into_iter().any(|word| ["url", "uri", "query"].contains(&word));
        assert!(!names_one, "{}({})", function.path, function.params);
    }
    assert!(world.passes(&session, "till-1"));
}

/// The places where an error names a value: an option that the host set, with its name and bound.
const SAY_OPTIONS: [&str; 10] = [
    "src/value/policy.rs",
    "src/value/policy/passwords.rs",
    "src/options/bounds.rs",
    "src/options/file.rs",
    "src/options/stored.rs",
    "src/flow/opening.rs",
    "src/flow/change_options.rs",
    "src/flow/rekey.rs",
    // It names the key that an operator must find: the id of a key is no secret.
    "src/record/credential/sealed.rs",
    // It names what another program added to the schema, which is no row.
    "src/storage/migrate.rs",
];

#[test]
fn every_clause_of_an_error_is_plain_text_without_statement_path_or_value() {
    const MAKERS: [&str; 11] = [
        "Error::new",
        "Error::invalid",
        "Error::not_found",
        "Error::taken",
        "Error::limit_reached",
        "Error::stale",
        "Error::corrupt",
        "Error::misuse",
        "Self::new",
        "text",
        "required_text",
    ];
    let statements = ["SELECT", "INSERT", "UPDATE ", "DELETE", "PRAGMA", "WHERE", "sqlite_"];
    let project = Project::read();
    let mut clauses = 0;
    for file in project.library() {
        for literal in &file.literals {
            let before = file.code[..literal.at].trim_end();
            let before = before.rsplit_once([';', '{', '}']).map_or(before, |(_, last)| last);
            if !MAKERS.iter().any(|maker| before.contains(&format!("{maker}("))) {
                continue;
            }
            clauses += 1;
            let text = &literal.text;
            let of_options = SAY_OPTIONS.iter().any(|name| file.name.ends_with(name));
            let is_filled_in = text.contains(['{', '}']) && !of_options;
            assert!(!is_filled_in, "{}: {text}", file.name);
            assert!(!text.contains(['/', '`', '"']), "{}: {text}", file.name);
            assert!(!statements.iter().any(|word| text.contains(word)), "{}: {text}", file.name);
        }
    }
    assert!(clauses > 80, "{clauses} clauses");
}

#[test]
fn no_error_or_refusal_shows_what_it_was_about() {
    let world = World::new();
    let store = &world.store;
    let ada = NewUser::person("ada-of-york").password(Password::from(PASSWORD));
    let ada = store.users().create(ada).unwrap().id;
    let york = store.branches().create("York-of-old", None).unwrap().id;
    store.users().move_to(ada, york).unwrap();
    store.credits().set(CreditHolder::Branch(york), 41).unwrap();
    store.configuration().set(Subtree::Store, "the-key", "the-value").unwrap();
    let opened = store.sessions().open(OpenSession::new(ada, device("till-77"))).unwrap();
    let session = opened.granted().unwrap().session;
    let no_directory = world.directory().join("nowhere").join("auth.db");
    let plain = world.directory().join("plain.txt");
    std::fs::write(&plain, "no database at all, but long enough to be looked at ".repeat(40))
        .unwrap();
    let answers = [
        (store.users().create(NewUser::person("ADA-of-York")).map(drop), ErrorKind::Taken),
        (store.users().rename(ada, "\0").map(drop), ErrorKind::Invalid),
        (store.users().delete(UserId::from_uuid(york.into())), ErrorKind::NotFound),
        (store.branches().delete(york), ErrorKind::NotEmpty),
        (store.credits().spend(CreditHolder::Branch(york), 42).map(drop), ErrorKind::Insufficient),
        (
            store.sessions().set_data_json(session.id, "{}", Version::from_u64(9)).map(drop),
            ErrorKind::Stale,
        ),
        (
            store.configuration().set_if(Subtree::Store, "the-key", None, "x").map(drop),
            ErrorKind::Stale,
        ),
        (store.log_out(("till-77", &device("till-77"))).map(drop), ErrorKind::Invalid),
        (Store::open(&no_directory, for_tests()).map(drop), ErrorKind::NotFound),
        (Store::open(&plain, for_tests()).map(drop), ErrorKind::NotADatabase),
        (Store::open(&world.path, for_tests()).map(drop), ErrorKind::Misuse),
        (closed_store().users().find(ada).map(drop), ErrorKind::Closed),
    ];
    let here = world.directory().to_string_lossy().into_owned();
    let ids = [ada.to_string(), york.to_string(), session.id.to_string()];
    for (answer, reason) in answers {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), reason, "{error}");
        let text = format!("{error} {error:?} {error:#?} {}", error.advice());
        let lower = text.to_lowercase();
        for shown in ids.iter().map(String::as_str).chain([
            here.as_str(),
            "ada-of",
            "york",
            "till-77",
            "the-key",
            "the-value",
            "41",
            "42",
            "auth.db",
            "plain.txt",
            "select ",
            "insert ",
            "from user",
            "constraint",
            "rusqlite",
        ]) {
            assert!(!lower.contains(&shown.to_lowercase()), "{shown} is shown in {text}");
        }
    }
}

fn closed_store() -> Store {
    let store = Store::in_memory(for_tests()).unwrap();
    store.close().unwrap();
    store
}
