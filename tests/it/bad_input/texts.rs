//! Any text, into every function that takes text.

mod calls;

use gatepost::audit::*;
use gatepost::directory::*;
use gatepost::policy::*;
use gatepost::second_factors::*;
use gatepost::sessions::*;
use gatepost::*;
use proptest::prelude::*;

use super::corpus::CORPUS;
use super::{Bench, for_any};
use crate::surface;
use crate::world::{PASSWORD, device, for_tests, one_of};
use calls::*;

/// A function that takes text, and a call that gives it to it.
struct Attack {
    path: &'static str,
    /// Other reasons for which it may refuse a valid text.
    may: &'static [ErrorKind],
    call: fn(&Bench, &str) -> Result<(), Error>,
}

const fn attack(path: &'static str, call: fn(&Bench, &str) -> Result<(), Error>) -> Attack {
    Attack { path, may: &[], call }
}

/// Functions that take text and are attacked elsewhere.
const ELSEWHERE: &[(&str, &str)] = &[
    ("Store::open", "bad_input/paths.rs"),
    ("Store::backup", "bad_input/paths.rs"),
    ("Store::restore", "bad_input/paths.rs"),
    ("Store::adopt_restored", "bad_input/paths.rs"),
    ("Store::open_read_only", "bad_input/paths.rs"),
    ("Impersonation::label", "is checked as OpenSession::label is"),
    ("ReadOnlyStore::may", "checks the name as Store::may does"),
    ("Keys::from_file", "bad_input/paths.rs"),
    ("Keys::create_file", "bad_input/paths.rs"),
    ("SessionId::from_str", "every id is read by `$name::from_str` below"),
];

/// The administrator lacks the privilege.
const NOT_PERMITTED: &[ErrorKind] = &[ErrorKind::NotPermitted];

#[rustfmt::skip]
const ATTACKS: &[Attack] = &[
    // Types that are made of text without a store.
    attack("$name::from_str", |_, text| {
        let _ = (text.parse::<UserId>()?, text.parse::<OrganisationId>()?);
        text.parse::<BranchId>()?;
        text.parse::<OneTimeTokenId>()?;
        text.parse::<SessionId>().and_then(|_| text.parse::<ApiKeyId>()).map(drop)
    }),
    attack("$name::parse", |_, text| {
        let _ = (UserKind::parse(text), UserStatus::parse(text), Assurance::parse(text));
        let _ = OneTimePurpose::parse(text);
        let _ = (SecondFactorPolicy::parse(text), StepDemand::parse(text));
        let _ = (TotpAlgorithm::parse(text), FactorOrigin::parse(text));
        Ok(())
    }),
    attack("TotpSecret::from_base32", |_, text| TotpSecret::from_base32(text).map(drop)),
    attack("FactorCode::new", |bench, text| confirm(bench, FactorCode::new(text.to_owned()))),
    attack("FactorCode::from", |bench, text| {
        drop(FactorCode::from(text.to_owned()));
        confirm(bench, FactorCode::from(text))
    }),
    attack("SecondFactors::remove", |bench, text| {
        let factors = bench.world.store.second_factors();
        let pair = || (Password::from(text), FactorCode::from(text));
        let (password, code) = pair();
        assert!(factors.remove((text, None), password, code)?.done().is_err());
        let (password, code) = pair();
        let held = (&bench.token, &device("till-1"));
        assert!(factors.remove(held, password, code)?.done().is_err());
        Ok(())
    }),
    attack("SecondFactors::replace", |bench, text| {
        let factors = bench.world.store.second_factors();
        let held = (&bench.token, &device("till-1"));
        let new = NewTotp::new();
        assert!(factors.replace(held, text.into(), text.into(), new)?.done().is_err());
        Ok(())
    }),
    attack("SecondFactors::reissue_recovery_codes", |bench, text| {
        let factors = bench.world.store.second_factors();
        let held = (&bench.token, &device("till-1"));
        assert!(factors.reissue_recovery_codes(held, text.into(), text.into())?.done().is_err());
        Ok(())
    }),
    attack("CompleteLogin::with_code", |bench, text| {
        complete(bench, CompleteLogin::with_code(text, device("till-1"), text))
    }),
    attack("CompleteLogin::with_recovery_code", |bench, text| {
        complete(bench, CompleteLogin::with_recovery_code(text, device("till-1"), text))
    }),
    attack("CompleteLogin::with_enrolment", |bench, text| {
        complete(bench, CompleteLogin::with_enrolment(text, device("till-1"), text, text))
    }),
    attack("CompleteLogin::new_password", |bench, text| {
        let request = CompleteLogin::with_code(text, device("till-1"), "123456");
        complete(bench, request.new_password(text.into()))
    }),
    attack("Reauthentication::password", |bench, text| {
        let held = (&bench.token, &device("till-1"));
        let proof = bench.world.store.prove(held, Reauthentication::password(text))?;
        assert!(proof.granted().is_err());
        Ok(())
    }),
    attack("SecondFactors::enrol_at_login", |bench, text| {
        let factors = bench.world.store.second_factors();
        assert!(factors.enrol_at_login(text, &device("till-1"), NewTotp::new())?.done().is_err());
        Ok(())
    }),
    attack("$enum::from_name", |_, text| { let _ = EventKind::from_name(text); Ok(()) }),
    attack("AuditAnchor::from_str", |bench, text| {
        let anchor = text.parse::<AuditAnchor>()?;
        bench.world.store.audit().verify_chain(Some(&anchor)).map(drop)
    }),
    attack("Audit::add_consumer", |bench, text| {
        bench.world.store.audit().add_consumer(text).map(drop)
    }),
    attack("Audit::remove_consumer", |bench, text| {
        bench.world.store.audit().remove_consumer(text).map(drop)
    }),
    Attack {
        path: "Audit::unseen",
        may: &[ErrorKind::NotFound],
        call: |bench, text| bench.world.store.audit().unseen(text, 9).map(drop),
    },
    Attack {
        path: "Audit::acknowledge",
        may: &[ErrorKind::NotFound],
        call: |bench, text| bench.world.store.audit().acknowledge(text, 1),
    },
    Attack {
        path: "Audit::open_anchor",
        may: &[ErrorKind::KeyMissing],
        call: |bench, text| bench.world.store.audit().open_anchor(text).map(drop),
    },
    attack("Timestamp::from_str", |_, text| text.parse::<Timestamp>().map(drop)),
    attack("ApiVersion::from_str", |_, text| text.parse::<ApiVersion>().map(drop)),
    attack("KeyId::new", |_, text| gatepost::host::KeyId::new(text).map(drop)),
    attack("DeviceId::new", |_, text| DeviceId::new(text).map(drop)),
    attack("HeaderCredentials::from_header", |_, text| {
        let _ = HeaderCredentials::from_header(&format!("Basic {text}"));
        let _ = HeaderCredentials::from_header(&format!("Bearer {text}"));
        HeaderCredentials::from_header(text).map(drop)
    }),
    attack("HostEvent::new", |bench, text| record(bench, HostEvent::new(text)?)),
    attack("HostEvent::detail", |bench, text| record(bench, HostEvent::new("x")?.detail(text)?)),
    attack("ClientInfo::user_agent", |bench, text| {
        record(bench, HostEvent::new("x")?.client_info(ClientInfo::new().user_agent(text)))
    }),
    attack("Options::service_name", |_, text| {
        Store::in_memory(for_tests().service_name(text)).map(drop)
    }),
    attack("Password::new", |bench, text| set(bench, Password::new(text.to_owned()))),
    attack("Password::from", |bench, text| set(bench, Password::from(text.to_owned()))),

    // Places.
    attack("Organisations::create", |bench, text| {
        let made = bench.world.store.organisations().create(text)?.id;
        bench.world.store.organisations().delete(made)
    }),
    attack("Organisations::rename", |bench, text| {
        bench.world.store.organisations().rename(bench.north, text).map(drop)
    }),
    attack("Branches::create", |bench, text| {
        let made = bench.world.store.branches().create(text, bench.north)?.id;
        bench.world.store.branches().delete(made)
    }),
    attack("Branches::rename", |b, text| b.world.store.branches().rename(b.york, text).map(drop)),
    attack("Branch::has_name", ask_names),
    attack("Organisation::has_name", ask_names),
    attack("User::has_username", ask_names),

    // Users.
    attack("NewUser::person", |bench, text| create(bench, NewUser::person(text))),
    attack("NewUser::system", |bench, text| create(bench, NewUser::system(text))),
    attack("NewUser::email", |bench, text| create(bench, bob().email(text))),
    attack("NewUser::first_name", |bench, text| create(bench, bob().first_name(text))),
    attack("NewUser::last_name", |bench, text| create(bench, bob().last_name(text))),
    attack("NewUser::description", |bench, text| create(bench, bob().description(text))),
    attack("NewUser::privilege", |bench, text| create(bench, bob().privilege(text))),
    attack("NewUser::privileges", |bench, text| create(bench, bob().privileges(text.split(' ')))),
    attack("NewUser::password", |bench, text| create(bench, bob().password(Password::from(text)))),
    attack("NewUser::password_hash", |bench, text| create(bench, bob().password_hash(text))),
    attack("NewUser::attributes", |bench, text| create(bench, bob().attributes(text))),
    attack("UserUpdate::first_name", |bench, text| update(bench, edit().first_name(text))),
    attack("UserUpdate::last_name", |bench, text| update(bench, edit().last_name(text))),
    attack("UserUpdate::description", |bench, text| update(bench, edit().description(text))),
    attack("UserUpdate::attributes", |bench, text| update(bench, edit().attributes(text))),
    attack("Users::set_privileges", |bench, text| {
        bench.world.store.users().set_privileges(bench.ada, &[text, "x"]).map(drop)
    }),
    attack("Users::change_privileges", |bench, text| {
        bench.world.store.users().change_privileges(bench.ada, &[text], &["x"])?;
        bench.world.store.users().change_privileges(bench.ada, &["x"], &[text]).map(drop)
    }),
    Attack { path: "Users::rename", may: &[ErrorKind::Taken], call: |bench, text| {
        bench.world.store.users().rename(bench.robin, text).map(drop)
    }},
    attack("Users::set_email", |bench, text| {
        bench.world.store.users().set_email(bench.robin, Some(text)).map(drop)
    }),
    attack("Users::set_password", |bench, text| set(bench, Password::from(text))),
    attack("Users::set_password_hash", |bench, text| {
        bench.world.store.users().set_password_hash(bench.robin, text)
    }),
    attack("Users::find_by_username", |bench, text| {
        bench.world.store.users().find_by_username(text).map(drop)
    }),
    attack("Users::find_by_email", |bench, text| {
        bench.world.store.users().find_by_email(text).map(drop)
    }),
    Attack { path: "AdministeredUsers::rename", may: &[ErrorKind::Taken], call: |bench, text| {
        administered(bench).users().rename(bench.robin, text).map(drop)
    }},
    attack("AdministeredUsers::set_email", |bench, text| {
        administered(bench).users().set_email(bench.robin, Some(text)).map(drop)
    }),
    attack("AdministeredUsers::set_password", |bench, text| {
        administered(bench).users().set_password(bench.robin, Password::from(text))
    }),
    Attack { path: "AdministeredUsers::set_privileges", may: NOT_PERMITTED, call: |bench, text| {
        administered(bench).users().set_privileges(bench.robin, &[text]).map(drop)
    }},
    Attack { path: "AdministeredUsers::change_privileges", may: NOT_PERMITTED, call: |bench, text| {
        administered(bench).users().change_privileges(bench.robin, &[text], &[]).map(drop)
    }},
    attack("AdministeredUsers::find_by_username", |bench, text| {
        administered(bench).users().find_by_username(text).map(drop)
    }),
    attack("AdministeredBranches::create", |bench, text| {
        let by = administered(bench);
        let made = by.branches().create(text, bench.north)?.id;
        by.branches().delete(made)
    }),
    attack("AdministeredBranches::rename", |bench, text| {
        administered(bench).branches().rename(bench.york, text).map(drop)
    }),
    attack("UserFilter::text", |bench, text| list(bench, UserFilter::new().text(text))),
    attack("UserFilter::privilege", |bench, text| list(bench, UserFilter::new().privilege(text))),

    // Configuration.
    attack("Settings::set", |bench, text| {
        bench.world.store.configuration().set(Subtree::User(bench.ada), text, "x").map(drop)
    }),
    attack("Settings::set", |bench, text| {
        bench.world.store.configuration().set(Subtree::Store, "any", text).map(drop)
    }),
    Attack { path: "Settings::set_if", may: &[ErrorKind::Stale], call: |bench, text| {
        bench.world.store.configuration().set_if(Subtree::Store, text, None, text).map(drop)
    }},
    Attack { path: "Settings::set_if", may: &[ErrorKind::Stale], call: |bench, text| {
        bench.world.store.configuration().set_if(Subtree::Store, "any", Some(text), "x").map(drop)
    }},
    attack("Settings::remove", |bench, text| {
        bench.world.store.configuration().remove(Subtree::User(bench.ada), text).map(drop)
    }),
    attack("Settings::set_public", |bench, text| {
        bench.world.store.configuration().set_public(text, true)
    }),
    attack("Settings::get", |bench, text| {
        bench.world.store.configuration().get(Subtree::Store, text).map(drop)
    }),
    attack("Settings::list", |bench, text| {
        let page = Page::after(text, 500);
        bench.world.store.configuration().list(Subtree::Store, page).map(drop)
    }),
    attack("Settings::effective", |bench, text| {
        bench.world.store.configuration().effective(bench.ada, text).map(drop)
    }),
    attack("Configuration::get", |bench, text| { let _ = in_force(bench)?.get(text); Ok(()) }),
    attack("Configuration::text", |bench, text| { let _ = in_force(bench)?.text(text); Ok(()) }),
    Attack { path: "Configuration::flag", may: &[ErrorKind::NotFound], call: |bench, text| {
        in_force(bench)?.flag(text).map(drop)
    }},
    Attack { path: "Configuration::integer", may: &[ErrorKind::NotFound], call: |bench, text| {
        in_force(bench)?.integer(text).map(drop)
    }},

    // Logins, sessions and keys.
    attack("LoginRequest::new", |bench, text| {
        log_in(bench, LoginRequest::new(text, Password::from(text), device("till-1")))
    }),
    attack("LoginRequest::new_password", |bench, text| {
        log_in(bench, ada().new_password(Password::from(text)))
    }),
    attack("LoginRequest::label", |bench, text| log_in(bench, ada().label(text))),
    attack("OpenSession::label", |bench, text| {
        let open = OpenSession::new(bench.ada, device("till-2")).label(text);
        bench.world.store.sessions().open(open).map(drop)
    }),
    attack("Devices::forget_listed", forget_listed),
    Attack { path: "Sessions::set_label", may: &[], call: |bench, text| {
        bench.world.store.sessions().set_label(bench.session, Some(text))
    }},
    attack("Sessions::set_data_json", |bench, text| {
        let sessions = bench.world.store.sessions();
        let version = sessions.data_json(bench.session)?.map_or(Version::NONE, |data| data.version);
        sessions.set_data_json(bench.session, text, version)?;
        let stored = sessions.data_json(bench.session)?.unwrap().value;
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(&stored).is_ok(), "{stored:?}");
        Ok(())
    }),
    attack("NewApiKey::label", |bench, text| {
        let keys = bench.world.store.api_keys();
        let issued = keys.issue(bench.robin, NewApiKey::new().label(text))?;
        keys.revoke(issued.id)
    }),
    attack("NewApiKey::scopes", |bench, text| {
        let keys = bench.world.store.api_keys();
        let issued = keys.issue(bench.robin, NewApiKey::new().scopes([text]))?;
        keys.revoke(issued.id)
    }),
    attack("OneTimeTokens::request_password_reset", |bench, text| {
        bench.world.store.one_time_tokens().request_password_reset(text).map(drop)
    }),
    attack("OneTimeTokens::reset_password", |bench, text| {
        assert!(!reset(bench, text, text)?);
        let token = bench.reset.borrow().clone();
        assert!(reset(bench, &token, text)?);
        bench.reset_again();
        Ok(())
    }),
    attack("OneTimeTokens::confirm_email", |bench, text| {
        assert!(bench.world.store.one_time_tokens().confirm_email(text)?.valid().is_err());
        Ok(())
    }),
    attack("OneTimeTokens::accept_invitation", |bench, text| {
        let accepted = bench.world.store.one_time_tokens().accept_invitation(text, text.into())?;
        assert!(accepted.valid().is_err());
        Ok(())
    }),
    attack("OneTimeTokens::create_first_administrator", |bench, text| {
        let tokens = bench.world.store.one_time_tokens();
        assert!(tokens.create_first_administrator(text, text, text.into())?.valid().is_err());
        let token = bench.first.borrow().clone();
        match tokens.create_first_administrator(&token, text, PASSWORD.into()) {
            // Another attack may have made an administrator: then it is refused.
            Ok(created) => created.valid().map_or(Ok(()), |chief| bench.first_again(chief.id)),
            // A user has this name already, however it is written.
            Err(error) if error.kind() == ErrorKind::Taken => Ok(()),
            Err(error) => Err(error),
        }
    }),
    attack("NewTicket::new", |bench, text| {
        let (tickets, till) = (bench.world.store.tickets(), device("till-1"));
        let principal = bench.world.store.verify((&bench.token, &till))?.valid().unwrap();
        let mint = |method: &str, resource: &str| {
            let minted = tickets.mint(&principal, NewTicket::new(method, resource))?;
            let ticket = minted.valid().unwrap().ticket;
            tickets.verify(ticket.expose(), method, resource).map(|one| one.valid().unwrap())
        };
        mint("GET", text).and_then(|_| mint(text, "/")).map(drop)
    }),
    attack("Tickets::verify", |bench, text| {
        let tickets = bench.world.store.tickets();
        assert!(tickets.verify(text, "GET", "/")?.valid().is_err());
        assert!(tickets.verify(text, text, text)?.valid().is_err());
        Ok(())
    }),
    attack("Tickets::may", |bench, text| {
        let (tickets, till) = (bench.world.store.tickets(), device("till-1"));
        let principal = bench.world.store.verify((&bench.token, &till))?.valid().unwrap();
        let minted = tickets.mint(&principal, NewTicket::new("GET", "/"))?.valid().unwrap();
        let bearer = tickets.verify(minted.ticket.expose(), "GET", "/")?.valid().unwrap();
        tickets.may(&bearer, text).map(drop)
    }),
    attack("ExternalIdentities::link", |bench, text| {
        let identities = bench.world.store.external_identities();
        assert_eq!(identities.link(bench.ada, text, text)?.user, bench.ada);
        assert_eq!(identities.find(text, text)?, Some(bench.ada));
        assert!(identities.unlink(bench.ada, text, text)?);
        Ok(())
    }),
    attack("ExternalIdentities::unlink", |bench, text| {
        assert!(!bench.world.store.external_identities().unlink(bench.ada, text, text)?);
        Ok(())
    }),
    attack("ExternalIdentities::find", |bench, text| {
        assert_eq!(bench.world.store.external_identities().find(text, text)?, None);
        Ok(())
    }),
    attack("Store::may", |bench, text| {
        let till = device("till-1");
        let principal = bench.world.store.verify((&bench.token, &till))?.valid().unwrap();
        bench.world.store.may(&principal, text).map(drop)
    }),
    attack("Store::verify", |bench, text| {
        assert!(bench.world.store.verify((text, None))?.valid().is_err());
        assert!(bench.world.store.verify((text, &device("till-1")))?.valid().is_err());
        Ok(())
    }),
    attack("Store::log_out", |bench, text| bench.world.store.log_out((text, None)).map(drop)),
    attack("Store::change_password", |bench, text| {
        let store = &bench.world.store;
        let pair = || (Password::from(text), Password::from(text));
        let (current, new) = pair();
        let junk = store.change_password((text, None), current, new)?;
        assert!(junk.granted().is_err());
        let (current, new) = pair();
        store.change_password((&bench.token, &device("till-1")), current, new).map(drop)
    }),
    attack("Store::change_password_and_revoke_keys", |bench, text| {
        let store = &bench.world.store;
        let pair = || (Password::from(text), Password::from(text));
        let (current, new) = pair();
        let junk = store.change_password_and_revoke_keys((text, None), current, new)?;
        assert!(junk.granted().is_err());
        let (current, new) = pair();
        let held = (&bench.token, &device("till-1"));
        store.change_password_and_revoke_keys(held, current, new).map(drop)
    }),
];

#[test]
fn every_function_that_takes_text_is_attacked() {
    let takes_text = |params: &str| {
        let whole_password = |(at, word): (usize, &str)| {
            !params[at + word.len()..].starts_with(|c: char| c.is_alphanumeric())
        };
        ["&str", "&[u8]", "String", "AsRef<"].iter().any(|kind| params.contains(kind))
            || params.match_indices("Password").any(whole_password)
    };
    let attacked: Vec<&str> = ATTACKS
        .iter()
        .map(|attack| attack.path)
        .chain(ELSEWHERE.iter().map(|(path, _)| *path))
        .collect();
    let functions = surface::functions();
    let missing: Vec<&str> = functions
        .iter()
        .filter(|function| takes_text(&function.params))
        .map(|function| function.path.as_str())
        .filter(|path| !attacked.contains(path))
        .collect();
    assert!(missing.is_empty(), "attack each in tests/it/bad_input/texts.rs: {missing:?}");
    let is_there = |path: &&str| functions.iter().any(|function| function.path == *path);
    let gone: Vec<&str> =
        ATTACKS.iter().map(|attack| attack.path).filter(|path| !is_there(path)).collect();
    assert!(gone.is_empty(), "no function is called {gone:?}");
}

#[test]
fn texts_that_made_others_stumble_are_taken_or_refused_whole() {
    // With the quote that ends a literal of SQL, whichever are left out.
    for text in CORPUS.iter().skip(8 % one_of(6)).step_by(one_of(6)) {
        // Each is the first text of a store once: a call must not depend on the one before it.
        give(&Bench::new(), text);
    }
    let bench = Bench::new();
    for long in [128, 129, 254, 255, 256, 257, 512, 1_024, 1_025, 4_096, 4_097, 16_384, 16_385] {
        give(&bench, &"a".repeat(long));
        give(&bench, &"é".repeat(long / 2));
        give(&bench, &"\u{fdfa}".repeat(long / 3));
        give(&bench, &format!("\"{}\"", "1".repeat(long - 2)));
        give(&bench, &"[".repeat(long));
    }
    give(&bench, &"a".repeat(2_000_000));
    give(&bench, &"\0".repeat(2_000_000));
}

#[test]
fn any_text_is_taken_or_refused_whole() {
    let bench = Bench::new();
    let any = prop_oneof![
        3 => any::<String>(),
        2 => "\\PC{0,40}",
        2 => "[a-zA-Z0-9._@ -]{0,12}",
        1 => "[\\[\\]{}\",:0-9a-z\\\\]{0,24}",
        1 => ("[ -~]{1,4}", 0_usize..300).prop_map(|(part, times)| part.repeat(times)),
        1 => "(Basic|Bearer|gps_|gpk_|\\$argon2id\\$v=19\\$)[ -~]{0,90}",
    ];
    for_any(48, &any, |text| give(&bench, &text));
}

#[test]
fn logins_with_any_device_and_header_are_taken_or_refused_whole() {
    let bench = Bench::new();
    for_any(48, &(any::<String>(), any::<Vec<u8>>()), |(text, bytes)| {
        let header = format!("Basic {}", data_encoding::BASE64.encode(&bytes));
        bench.check("a header", &[ErrorKind::Invalid], || HeaderCredentials::from_header(&header));
        let Ok(device) = DeviceId::new(&text) else { return };
        assert_eq!(device.as_str(), text);
        let open = OpenSession::new(bench.ada, device.clone()).assurance(Assurance::Aal2);
        let opened = bench.world.store.sessions().open(open).unwrap().granted().unwrap().session;
        let store = &bench.world.store;
        assert!(store.verify((&opened.token, &device)).unwrap().valid().is_ok());
        assert_eq!(store.log_out((&opened.token, &device)).unwrap(), Ended::Now);
    });
}
