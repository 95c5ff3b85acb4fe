//! The door matrix: every kind of credential at every public call that takes one.
//!
//! A *door* is such a call. It accepts the kinds that its row names and no other; a credential that
//! it refuses stays as it is. A new kind is one row of `doors/kinds.rs`, a new door one row of
//! [`DOORS`]: a public call that takes a credential and is in no list fails the first test below.
//! The row of a door also says what a wrong guess there costs and which event it leaves.

mod kinds;

use gatepost::directory::UserStatus;
use gatepost::sessions::{NewTicket, Redemption, RevokeApiKeys};
use gatepost::{Ended, Error, LoginRequest, NewUser, Permission};

use crate::surface;
use crate::world::{PASSWORD, World, device};
use kinds::{
    API_KEY, CONFIRMATION, FIRST, Held, IMAGE, INVITATION, KINDS, RESET, SESSION, TEMPORARY,
    TICKET, TILL, ada,
};

const NEW: &str = "nine brass bells";

/// A public call that takes a credential.
struct Door {
    /// `Type::function`.
    call: &'static str,
    /// The kinds that it accepts.
    accepts: &'static [&'static str],
    /// Presents a credential, with the device of the session or without; whether it was accepted.
    present: fn(&World, &Held, bool) -> Result<bool, Error>,
    /// What a wrong guess costs; `None` where the type of the argument allows no guess.
    guess: Option<Guess>,
}

/// What one wrong guess of ada's credential does.
struct Guess {
    /// By how much her failed attempts rise.
    charges: u64,
    /// How many passwords are hashed.
    hashes: u64,
    /// Its row in the audit log, or the one that counts it by the minute: event and reason.
    leaves: &'static str,
    make: fn(&World) -> Result<bool, Error>,
}

/// A guess of a secret of 256 random bits, or of a code of 128: there is nothing to throttle.
const fn unguessable(
    leaves: &'static str,
    make: fn(&World) -> Result<bool, Error>,
) -> Option<Guess> {
    Some(Guess { charges: 0, hashes: 0, leaves, make })
}

/// A guess of a password.
const fn password(leaves: &'static str, make: fn(&World) -> Result<bool, Error>) -> Option<Guess> {
    Some(Guess { charges: 1, hashes: 1, leaves, make })
}

#[rustfmt::skip]
const DOORS: &[Door] = &[
    Door {
        call: "Store::verify",
        accepts: &[SESSION, API_KEY],
        present: |world, held, with| {
            let till = device(TILL);
            let on = with.then_some(&till);
            Ok(world.store.verify((&held.text, on))?.valid().is_ok())
        },
        guess: unguessable("verify.refused unknown", |world| {
            let forged = forged(world, "gps_");
            Ok(world.store.verify((&forged, &device(TILL)))?.valid().is_ok())
        }),
    },
    Door {
        call: "Store::log_out",
        accepts: &[SESSION],
        present: |world, held, with| {
            let till = device(TILL);
            let on = with.then_some(&till);
            Ok(world.store.log_out((&held.text, on))? == Ended::Now)
        },
        guess: unguessable("", |world| {
            let forged = forged(world, "gps_");
            Ok(world.store.log_out((&forged, &device(TILL)))? == Ended::Now)
        }),
    },
    Door {
        call: "Store::renew",
        accepts: &[SESSION],
        present: |world, held, with| {
            let till = device(TILL);
            let on = with.then_some(&till);
            Ok(world.store.renew((&held.text, on))?.valid().is_ok())
        },
        guess: unguessable("verify.refused unknown", |world| {
            let forged = forged(world, "gps_");
            Ok(world.store.renew((&forged, &device(TILL)))?.valid().is_ok())
        }),
    },
    Door {
        call: "Store::change_password",
        accepts: &[SESSION],
        present: |world, held, with| change(world, &held.text, with, PASSWORD, false),
        guess: password("password.change_refused invalid_credentials", |world| {
            let session = world.open(ada(world), TILL).token;
            change(world, session.expose(), true, "wrong", false)
        }),
    },
    Door {
        call: "Store::change_password_and_revoke_keys",
        accepts: &[SESSION],
        present: |world, held, with| change(world, &held.text, with, PASSWORD, true),
        guess: password("password.change_refused invalid_credentials", |world| {
            let session = world.open(ada(world), TILL).token;
            change(world, session.expose(), true, "wrong", true)
        }),
    },
    Door {
        call: "Store::log_in",
        accepts: &[TEMPORARY],
        present: |world, held, _| {
            let text = held.text.as_str();
            let login = LoginRequest::new(held.username, text.into(), device("elsewhere"));
            Ok(world.store.log_in(login.new_password(NEW.into()))?.granted().is_ok())
        },
        guess: password("login.refused invalid_credentials", |world| {
            let login = LoginRequest::new("ada", "wrong".into(), device("elsewhere"));
            Ok(world.store.log_in(login)?.granted().is_ok())
        }),
    },
    Door {
        call: "OneTimeTokens::reset_password",
        accepts: &[RESET],
        present: |world, held, _| reset(world, &held.text),
        guess: unguessable("one_time_token.refused unknown", |world| {
            reset(world, &forged(world, "gpo_"))
        }),
    },
    Door {
        call: "OneTimeTokens::confirm_email",
        accepts: &[CONFIRMATION],
        present: |world, held, _| {
            world.store.one_time_tokens().confirm_email(&held.text).map(is_used)
        },
        guess: unguessable("one_time_token.refused unknown", |world| {
            world.store.one_time_tokens().confirm_email(&forged(world, "gpo_")).map(is_used)
        }),
    },
    Door {
        call: "OneTimeTokens::accept_invitation",
        accepts: &[INVITATION],
        present: |world, held, _| {
            world.store.one_time_tokens().accept_invitation(&held.text, NEW.into()).map(is_used)
        },
        guess: unguessable("one_time_token.refused unknown", |world| {
            let forged = forged(world, "gpo_");
            world.store.one_time_tokens().accept_invitation(&forged, NEW.into()).map(is_used)
        }),
    },
    Door {
        call: "OneTimeTokens::create_first_administrator",
        accepts: &[FIRST],
        present: |world, held, _| create(world, &held.text),
        guess: unguessable("one_time_token.refused unknown", |world| {
            create(world, &forged(world, "gpo_"))
        }),
    },
    Door {
        call: "Tickets::verify",
        accepts: &[TICKET],
        present: |world, held, _| {
            Ok(world.store.tickets().verify(&held.text, "GET", IMAGE)?.valid().is_ok())
        },
        guess: unguessable("verify.refused unknown", |world| {
            let forged = forged(world, "gpt_");
            Ok(world.store.tickets().verify(&forged, "GET", IMAGE)?.valid().is_ok())
        }),
    },
    Door {
        call: "Store::may",
        accepts: &[SESSION, API_KEY],
        present: |world, held, _| {
            let Some(principal) = &held.principal else { return Ok(false) };
            Ok(world.store.may(principal, "x")? != Permission::Ended)
        },
        guess: None,
    },
    Door {
        call: "Store::profile",
        accepts: &[SESSION, API_KEY],
        present: |world, held, _| {
            let Some(principal) = &held.principal else { return Ok(false) };
            world.store.profile(principal).map(|_| true)
        },
        guess: None,
    },
    Door {
        call: "Sessions::revoke_own",
        accepts: &[SESSION, API_KEY],
        present: |world, held, _| {
            let Some(principal) = &held.principal else { return Ok(false) };
            let other = world.open(ada(world), "desk").id;
            Ok(world.store.sessions().revoke_own(principal, other)? == Ended::Now)
        },
        guess: None,
    },
    Door {
        call: "Sessions::revoke_others",
        accepts: &[SESSION],
        present: |world, held, _| {
            let Some(principal) = &held.principal else { return Ok(false) };
            world.store.sessions().revoke_others(principal).map(|()| true)
        },
        guess: None,
    },
    Door {
        call: "Tickets::mint",
        accepts: &[SESSION],
        present: |world, held, _| {
            let Some(principal) = &held.principal else { return Ok(false) };
            Ok(world.store.tickets().mint(principal, NewTicket::new("GET", "/"))?.valid().is_ok())
        },
        guess: None,
    },
    Door {
        call: "Tickets::may",
        accepts: &[TICKET],
        present: |world, held, _| {
            let Some(bearer) = &held.bearer else { return Ok(false) };
            Ok(world.store.tickets().may(bearer, "x")? != Permission::Ended)
        },
        guess: None,
    },
];

/// Calls whose parameters name a credential and that are no door, and why.
const NO_DOORS: &[(&str, &str)] = &[
    ("Actor::from", "attribution only"),
    ("LoginRequest::new", "the request of `Store::log_in`"),
    ("LoginRequest::new_password", "a password to be set"),
    ("NewUser::password", "a password to be set"),
    ("Options::passwords", "the policy of passwords"),
    ("Presented::from", "a conversion, for the calls that take it"),
    ("Users::set_password", "a password to be set, by the host"),
];

/// The types and names by which a parameter carries a credential.
const CARRIERS: [&str; 9] = [
    "Presented",
    "Principal",
    "TicketBearer",
    "HeaderCredentials",
    "LoginRequest",
    "Password",
    "Secret",
    "token: &str",
    "ticket: &str",
];

#[test]
fn every_public_call_that_takes_a_credential_is_in_the_matrix() {
    let no_doors = NO_DOORS.iter().map(|(call, _)| *call);
    let listed: Vec<&str> = DOORS.iter().map(|door| door.call).chain(no_doors).collect();
    let takes = |params: &str| {
        let words = format!(" {}", params.replace(['(', '&', '<', '>'], " "));
        CARRIERS.iter().any(|carrier| {
            let typed = format!(" {carrier}");
            params.contains(carrier) && (carrier.contains(':') || words.contains(&typed))
        })
    };
    let found: Vec<String> = surface::functions()
        .into_iter()
        .filter(|function| takes(&function.params))
        .map(|function| function.path)
        .collect();
    let missing: Vec<_> = found.iter().filter(|call| !listed.contains(&call.as_str())).collect();
    assert!(missing.is_empty(), "give these a row in tests/it/doors.rs: {missing:?}");
    let gone: Vec<_> =
        listed.iter().filter(|call| !found.iter().any(|one| one == *call)).collect();
    assert!(gone.is_empty(), "no public call that takes a credential: {gone:?}");
}

#[test]
fn every_kind_has_a_door_and_every_door_a_kind() {
    for kind in KINDS {
        assert!(DOORS.iter().any(|door| door.accepts.contains(&kind.name)), "{}", kind.name);
    }
    for door in DOORS {
        assert!(!door.accepts.is_empty(), "{}", door.call);
        for name in door.accepts {
            assert!(KINDS.iter().any(|kind| kind.name == *name), "{name}");
        }
    }
}

/// The credential is presented at every other door first, so that its own door shows that none of
/// them has used it up, prolonged it or ended it.
#[test]
fn only_the_diagonal_passes() {
    let mut presented = 0;
    for kind in KINDS {
        for own in DOORS.iter().filter(|door| door.accepts.contains(&kind.name)) {
            let world = scene();
            let held = (kind.make)(&world);
            for door in DOORS.iter().filter(|door| !door.accepts.contains(&kind.name)) {
                assert!(!is_accepted(&world, door, &held), "{} at {}", kind.name, door.call);
                presented += 1;
            }
            // A password was tried at the door of logins: a closed gate would refuse a right one.
            world.store.users().unlock(ada(&world)).unwrap();
            assert!(is_accepted(&world, own, &held), "{} at {}", kind.name, own.call);
        }
    }
    println!("doors: {} kinds, {} doors, {presented} refused", KINDS.len(), DOORS.len());
    assert!(presented > KINDS.len() * (DOORS.len() - 4));
}

#[test]
fn every_door_charges_and_records_a_wrong_guess_as_its_row_says() {
    for door in DOORS {
        let Some(guess) = &door.guess else { continue };
        let world = scene();
        // What the guess prepares leaves events of its own.
        let is_prepared = |event: &&String| !event.starts_with("session.opened");
        let last = world.count("SELECT max(seq) FROM audit");
        let (before, hashes) = (world.user(ada(&world)), world.store.status().hashes_done);
        assert!(!(guess.make)(&world).unwrap(), "{}", door.call);
        let after = world.user(ada(&world));
        let charged = after.failed_attempts - before.failed_attempts;
        assert_eq!(charged, guess.charges, "{}: charges", door.call);
        let hashed = world.store.status().hashes_done - hashes;
        assert_eq!(hashed, guess.hashes, "{}: hashes", door.call);
        world.store.close().unwrap();
        let left = events_since(&world, last);
        let left: Vec<&String> = left.iter().filter(is_prepared).collect();
        let expected: Vec<&str> =
            Some(guess.leaves).filter(|event| !event.is_empty()).into_iter().collect();
        assert_eq!(left, expected, "{}: events", door.call);
    }
}

#[test]
fn every_door_that_takes_a_text_has_a_row_for_a_guess() {
    for function in surface::functions() {
        let Some(door) = DOORS.iter().find(|door| door.call == function.path) else { continue };
        let typed = ["&Principal", "&TicketBearer"];
        let is_typed = typed.iter().any(|name| function.params.contains(name));
        assert_eq!(door.guess.is_none(), is_typed, "{}", door.call);
    }
}

fn is_accepted(world: &World, door: &Door, held: &Held) -> bool {
    [true, false].into_iter().any(|with| (door.present)(world, held, with).unwrap_or(false))
}

/// Ada, who is active and has a password, and pat, who is pending.
fn scene() -> World {
    let world = World::new();
    let person = |name: &str| NewUser::person(name).email(format!("{name}@example.com"));
    world.store.users().create(person("ada").password(PASSWORD.into())).unwrap();
    world.store.users().create(person("pat").status(UserStatus::Pending)).unwrap();
    world
}

fn is_used(redeemed: Redemption) -> bool {
    redeemed.valid().is_ok()
}

fn reset(world: &World, token: &str) -> Result<bool, Error> {
    let tokens = world.store.one_time_tokens();
    tokens.reset_password(token, NEW.into(), RevokeApiKeys::Keep).map(is_used)
}

fn change(
    world: &World,
    token: &str,
    with_device: bool,
    old: &str,
    and_keys: bool,
) -> Result<bool, Error> {
    let till = device(TILL);
    let (presented, store) = ((token, with_device.then_some(&till)), &world.store);
    let changed = match and_keys {
        true => store.change_password_and_revoke_keys(presented, old.into(), NEW.into())?,
        false => store.change_password(presented, old.into(), NEW.into())?,
    };
    Ok(changed.granted().is_ok())
}

fn create(world: &World, token: &str) -> Result<bool, Error> {
    world
        .store
        .one_time_tokens()
        .create_first_administrator(token, "root", NEW.into())
        .map(is_used)
}

/// A well-formed text of that kind that no call has given out: the id of a session of ada, and
/// another secret.
fn forged(world: &World, prefix: &str) -> String {
    let session = world.open(ada(world), TILL);
    let raw = data_encoding::BASE64URL_NOPAD.decode(&session.token.expose().as_bytes()[4..]);
    let mut raw = raw.unwrap()[..48].to_vec();
    raw[47] ^= 1;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(prefix.as_bytes());
    hasher.update(&raw);
    raw.extend(hasher.finalize().to_be_bytes());
    format!("{prefix}{}", data_encoding::BASE64URL_NOPAD.encode(&raw))
}

/// Event and reason of each row since that one.
fn events_since(world: &World, last: i64) -> Vec<String> {
    let sql = world.sql();
    let rows =
        "SELECT event || coalesce(' ' || reason, '') FROM audit WHERE seq > ?1 ORDER BY seq";
    let mut statement = sql.prepare(rows).unwrap();
    statement.query_map([last], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}
