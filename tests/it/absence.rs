//! What is deliberately not there.

use std::error::Error as Failure;
use std::fmt::{Debug, Display};

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
    // What holds one of them.
    LogIn: Clone, PartialEq, serde::Serialize;
    NewUser: Clone, PartialEq, serde::Serialize;
    LoginReply: Clone, PartialEq, serde::Serialize, Display;
    LoginAnswer: Clone, PartialEq, serde::Serialize, Display;
    OpenedSession: Clone, PartialEq, serde::Serialize, Display;
    IssuedApiKey: Clone, PartialEq, serde::Serialize, Display;
    PasswordChange: Clone, PartialEq, serde::Serialize, Display;
    Presented: Clone, PartialEq, serde::Serialize, Display;
    ChangePassword: Clone, PartialEq, serde::Serialize, Display;
    WireLogIn: Clone, PartialEq, serde::Serialize;
    WireSession: Clone, PartialEq, serde::Serialize;
    WireChangePassword: Clone, PartialEq, serde::Serialize;
    // The one type that writes a token out is made by value and goes out once.
    WireLoginReply: Clone, PartialEq, Display;
}

has! {
    Store: Clone + Debug + Send + Sync + 'static;
    Error: Failure + Debug + Display + Send + Sync + 'static;
    Refusal: Failure + Copy + Send + Sync + 'static;
    Refused: Failure + Copy + Send + Sync + 'static;
    Facts: Copy + Send + Sync + 'static;
    Options: Clone + Eq + Send + Sync + 'static;
    LogIn: Send + Sync + 'static;
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
        "throttle",
        "organisation",
        "branch",
        "setting",
        "configuration_key",
        "credit",
    ] {
        assert_eq!(world.count(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    // The log says that the file was created, and nothing else.
    assert_eq!(world.count("SELECT count(*) FROM audit"), 1);
    for (name, password) in [("admin", "admin"), ("root", ""), ("", ""), ("gatepost", "gatepost")]
    {
        let request = LogIn::new(name, Password::from(password), device("till-1"));
        let refused = world.store.log_in(request).unwrap().granted().unwrap_err();
        assert_eq!(refused, Refusal::InvalidCredentials);
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
    assert_eq!(seen, 5);
}

#[test]
fn nobody_is_asked_for_a_pets_name() {
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
        let builds = ["LogIn::", "OpenSession::"].iter().any(|of| function.path.starts_with(of));
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
        assert!(world.store.verify(&url, &till).unwrap().valid().is_err(), "{url}");
        world.refuses(Reason::Invalid, |store| store.log_out(&url, &till));
        assert_eq!(Presented::from_header(&url).unwrap_err().reason(), Reason::Invalid, "{url}");
    }
    for function in surface::functions() {
        let words = function.params.split(|c: char| !c.is_alphanumeric());
        let names_one = words.into_iter().any(|word| ["url", "uri", "query"].contains(&word));
        assert!(!names_one, "{}({})", function.path, function.params);
    }
    assert!(world.passes(&session, "till-1"));
}

#[test]
fn every_clause_of_an_error_is_plain_text_without_statement_path_or_value() {
    const MAKERS: [&str; 10] = [
        "Error::new",
        "Error::invalid",
        "Error::not_found",
        "Error::taken",
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
            assert!(!text.contains(['/', '{', '}', '`', '"']), "{}: {text}", file.name);
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
    store.credits().set(Holder::Branch(york), 41).unwrap();
    store.configuration().set(Scope::System, "the-key", "the-value").unwrap();
    let opened = store.sessions().open(OpenSession::new(ada, device("till-77"))).unwrap();
    let session = opened.granted().unwrap().session;
    let no_directory = world.directory().join("nowhere").join("auth.db");
    let plain = world.directory().join("plain.txt");
    std::fs::write(&plain, "no database at all, but long enough to be looked at ".repeat(40))
        .unwrap();
    let told = [
        (store.users().create(NewUser::person("ADA-of-York")).map(drop), Reason::Taken),
        (store.users().rename(ada, "\0").map(drop), Reason::Invalid),
        (store.users().delete(UserId::from_uuid(york.into())), Reason::NotFound),
        (store.branches().delete(york), Reason::NotEmpty),
        (store.credits().spend(Holder::Branch(york), 42).map(drop), Reason::Insufficient),
        (store.sessions().set_document(session.id, "{}", 9).map(drop), Reason::Stale),
        (
            store.configuration().set_if(Scope::System, "the-key", None, "x").map(drop),
            Reason::Stale,
        ),
        (store.log_out("till-77", &device("till-77")).map(drop), Reason::Invalid),
        (Store::open(&no_directory, for_tests()).map(drop), Reason::NotFound),
        (Store::open(&plain, for_tests()).map(drop), Reason::NotADatabase),
        (Store::open(&world.path, for_tests()).map(drop), Reason::Misuse),
        (closed_store().users().find(ada).map(drop), Reason::Closed),
    ];
    let here = world.directory().to_string_lossy().into_owned();
    let ids = [ada.to_string(), york.to_string(), session.id.to_string()];
    for (answer, reason) in told {
        let error = answer.unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
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
