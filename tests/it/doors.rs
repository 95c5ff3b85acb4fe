//! The door matrix: every kind of credential at every public call that takes one.
//!
//! A *door* is such a call. It accepts the kinds that its row names and no other; a credential that
//! it refuses stays as it is. A new kind is one row of `doors/kinds.rs`, a new door one row of
//! [`DOORS`] or of `doors/factors.rs`, which has the doors that take a second factor, or a password
//! in a session: a public call that takes a credential and is in no list fails the first test
//! below. The row of a door also says what a wrong guess there costs and which event it leaves.

mod factors;
mod kinds;
mod scene;

use gatepost::sessions::{Assurance, NewApiKey, NewTicket, Redemption, RevokeApiKeys};
use gatepost::{
    DeviceId, Ended, Error, LoginOutcome, LoginRequest, Permission, ReadOnlyStore, Store,
};

use crate::surface;
use crate::world::{MINUTE, PASSWORD, device};
use factors::{FACTORS, till};
use kinds::{
    API_KEY, CONFIRMATION, FIRST, Held, IMAGE, IMPERSONATION, INVITATION, KINDS, PASSWORD_OF,
    PLAIN, RESET, SESSION, TEMPORARY, TICKET, TILL,
};
pub(crate) use scene::with_another_secret;
use scene::{Scene, forged};

const NEW: &str = "nine brass bells";

/// A public call that takes a credential.
struct Door {
    /// `Type::function`, and in brackets the argument of it that is presented, if it takes several.
    call: &'static str,
    /// The kinds that it accepts.
    accepts: &'static [&'static str],
    /// Presents a credential, with the device of the session or without; whether it was accepted.
    present: fn(&Scene, &Held, bool) -> Result<bool, Error>,
    /// What wrong guesses cost; none where the type of the argument allows no guess.
    guesses: &'static [Guess],
}

impl Door {
    /// `Type::function`.
    fn function(&self) -> &'static str {
        self.call.split('(').next().unwrap()
    }
}

/// What one wrong guess of a credential does.
struct Guess {
    /// By how much the failed attempts of all users rise.
    charges: u64,
    /// How many passwords are hashed.
    hashes: u64,
    /// Its row in the audit log, or the one that counts it by the minute: event and reason.
    leaves: &'static str,
    make: fn(&Scene) -> Result<bool, Error>,
}

/// A guess of a secret of 256 random bits, or of a code of 128: there is nothing to throttle.
const fn unguessable(leaves: &'static str, make: fn(&Scene) -> Result<bool, Error>) -> Guess {
    Guess { charges: 0, hashes: 0, leaves, make }
}

/// A guess of a password, or of what comes beside one.
const fn password(leaves: &'static str, make: fn(&Scene) -> Result<bool, Error>) -> Guess {
    Guess { charges: 1, hashes: 1, leaves, make }
}

/// A guess of a code where no password is hashed.
const fn code(leaves: &'static str, make: fn(&Scene) -> Result<bool, Error>) -> Guess {
    Guess { charges: 1, hashes: 0, leaves, make }
}

#[rustfmt::skip]
const DOORS: &[Door] = &[
    Door {
        call: "Store::verify",
        accepts: &[SESSION, PLAIN, API_KEY, IMPERSONATION],
        present: |world, held, with| {
            let till = device(TILL);
            let on = with.then_some(&till);
            Ok(world.store.verify((&held.text, on))?.valid().is_ok())
        },
        guesses: &[unguessable("verify.refused unknown", |world| {
            let forged = forged(world, "gps_");
            Ok(world.store.verify((&forged, &device(TILL)))?.valid().is_ok())
        })],
    },
    Door {
        call: "ReadOnlyStore::verify",
        accepts: &[SESSION, PLAIN, API_KEY, IMPERSONATION],
        present: |world, held, with| {
            let till = device(TILL);
            let on = with.then_some(&till);
            Ok(reader(world)?.verify((&held.text, on))?.valid().is_ok())
        },
        guesses: &[unguessable("", |world| {
            let forged = forged(world, "gps_");
            Ok(reader(world)?.verify((&forged, &device(TILL)))?.valid().is_ok())
        })],
    },
    Door {
        call: "Store::require_fresh",
        accepts: &[SESSION, PLAIN],
        present: |world, held, with| require_fresh(world, &held.text, with),
        guesses: &[unguessable("verify.refused unknown", |world| {
            require_fresh(world, &forged(world, "gps_"), true)
        })],
    },
    Door {
        call: "Store::log_out",
        accepts: &[SESSION, PLAIN, IMPERSONATION],
        present: |world, held, with| {
            let till = device(TILL);
            let on = with.then_some(&till);
            Ok(world.store.log_out((&held.text, on))? == Ended::Now)
        },
        guesses: &[unguessable("", |world| {
            let forged = forged(world, "gps_");
            Ok(world.store.log_out((&forged, &device(TILL)))? == Ended::Now)
        })],
    },
    Door {
        call: "Store::renew",
        accepts: &[SESSION, PLAIN, IMPERSONATION],
        present: |world, held, with| {
            let till = device(TILL);
            let on = with.then_some(&till);
            Ok(world.store.renew((&held.text, on))?.valid().is_ok())
        },
        guesses: &[unguessable("verify.refused unknown", |world| {
            let forged = forged(world, "gps_");
            Ok(world.store.renew((&forged, &device(TILL)))?.valid().is_ok())
        })],
    },
    Door {
        call: "Store::change_password",
        accepts: &[SESSION, PLAIN],
        present: |world, held, with| {
            let on = with.then(till);
            change(world, (&held.text, on.as_ref()), PASSWORD, false)
        },
        guesses: &[unguessable("verify.refused unknown", |world| {
            change(world, (&forged(world, "gps_"), Some(&device(TILL))), PASSWORD, false)
        })],
    },
    Door {
        call: "Store::change_password_and_revoke_keys",
        accepts: &[SESSION, PLAIN],
        present: |world, held, with| {
            let on = with.then(till);
            change(world, (&held.text, on.as_ref()), PASSWORD, true)
        },
        guesses: &[unguessable("verify.refused unknown", |world| {
            change(world, (&forged(world, "gps_"), Some(&device(TILL))), PASSWORD, true)
        })],
    },
    Door {
        call: "Store::log_in",
        accepts: &[PASSWORD_OF, TEMPORARY],
        present: |world, held, with_new| {
            let text = held.text.as_str();
            let login = LoginRequest::new(held.username, text.into(), device("elsewhere"));
            let login = if with_new { login.new_password(NEW.into()) } else { login };
            Ok(!matches!(world.store.log_in(login)?, LoginOutcome::Refused(_)))
        },
        guesses: &[password("login.refused invalid_credentials", |world| {
            let login = LoginRequest::new("ada", "wrong".into(), device("elsewhere"));
            Ok(world.store.log_in(login)?.granted().is_ok())
        })],
    },
    Door {
        call: "OneTimeTokens::reset_password",
        accepts: &[RESET],
        present: |world, held, _| reset(world, &held.text),
        guesses: &[unguessable("one_time_token.refused unknown", |world| {
            reset(world, &forged(world, "gpo_"))
        })],
    },
    Door {
        call: "OneTimeTokens::confirm_email",
        accepts: &[CONFIRMATION],
        present: |world, held, _| {
            world.store.one_time_tokens().confirm_email(&held.text).map(is_used)
        },
        guesses: &[unguessable("one_time_token.refused unknown", |world| {
            world.store.one_time_tokens().confirm_email(&forged(world, "gpo_")).map(is_used)
        })],
    },
    Door {
        call: "OneTimeTokens::accept_invitation",
        accepts: &[INVITATION],
        present: |world, held, _| {
            world.store.one_time_tokens().accept_invitation(&held.text, NEW.into()).map(is_used)
        },
        guesses: &[unguessable("one_time_token.refused unknown", |world| {
            let forged = forged(world, "gpo_");
            world.store.one_time_tokens().accept_invitation(&forged, NEW.into()).map(is_used)
        })],
    },
    Door {
        call: "OneTimeTokens::create_first_administrator",
        accepts: &[FIRST],
        present: |world, held, _| create(world, &held.text),
        guesses: &[unguessable("one_time_token.refused unknown", |world| {
            create(world, &forged(world, "gpo_"))
        })],
    },
    Door {
        call: "Tickets::verify",
        accepts: &[TICKET],
        present: |world, held, _| {
            Ok(world.store.tickets().verify(&held.text, "GET", IMAGE)?.valid().is_ok())
        },
        guesses: &[unguessable("verify.refused unknown", |world| {
            let forged = forged(world, "gpt_");
            Ok(world.store.tickets().verify(&forged, "GET", IMAGE)?.valid().is_ok())
        })],
    },
    Door {
        call: "Store::may",
        accepts: &[SESSION, PLAIN, API_KEY, IMPERSONATION],
        present: |world, held, _| {
            let Some(principal) = &held.principal else { return Ok(false) };
            Ok(world.store.may(principal, "x")? != Permission::Ended)
        },
        guesses: &[],
    },
    Door {
        call: "ReadOnlyStore::may",
        accepts: &[SESSION, PLAIN, API_KEY, IMPERSONATION],
        present: |world, held, _| {
            let Some(principal) = &held.principal else { return Ok(false) };
            Ok(reader(world)?.may(principal, "x")? != Permission::Ended)
        },
        guesses: &[],
    },
    Door {
        call: "ApiKeys::attenuate",
        accepts: &[SESSION, PLAIN, API_KEY],
        present: |world, held, _| {
            let Some(principal) = &held.principal else { return Ok(false) };
            world.store.api_keys().attenuate(principal, NewApiKey::new()).map(|_| true)
        },
        guesses: &[],
    },
    Door {
        call: "Sessions::impersonate",
        accepts: &[SESSION, PLAIN],
        present: |world, held, _| {
            let Some(principal) = &held.principal else { return Ok(false) };
            world.impersonate(principal)
        },
        guesses: &[],
    },
    Door {
        call: "Store::profile",
        accepts: &[SESSION, PLAIN, API_KEY, IMPERSONATION],
        present: |world, held, _| {
            let Some(principal) = &held.principal else { return Ok(false) };
            world.store.profile(principal).map(|_| true)
        },
        guesses: &[],
    },
    Door {
        call: "Store::administering",
        accepts: &[SESSION, PLAIN, API_KEY],
        present: |world, held, _| {
            let Some(principal) = &held.principal else { return Ok(false) };
            world.store.administering(principal).subtrees().map(|_| true)
        },
        guesses: &[],
    },
    Door {
        call: "Sessions::revoke_own",
        accepts: &[SESSION, PLAIN, API_KEY, IMPERSONATION],
        present: |world, held, _| {
            let Some(principal) = &held.principal else { return Ok(false) };
            let other = world.open(principal.user, "window").id;
            Ok(world.store.sessions().revoke_own(principal, other)? == Ended::Now)
        },
        guesses: &[],
    },
    Door {
        call: "Sessions::revoke_others",
        accepts: &[SESSION, PLAIN, IMPERSONATION],
        present: |world, held, _| {
            let Some(principal) = &held.principal else { return Ok(false) };
            world.store.sessions().revoke_others(principal).map(|()| true)
        },
        guesses: &[],
    },
    Door {
        call: "Tickets::mint",
        accepts: &[SESSION, PLAIN, IMPERSONATION],
        present: |world, held, _| {
            let Some(principal) = &held.principal else { return Ok(false) };
            Ok(world.store.tickets().mint(principal, NewTicket::new("GET", "/"))?.valid().is_ok())
        },
        guesses: &[],
    },
    Door {
        call: "Tickets::may",
        accepts: &[TICKET],
        present: |world, held, _| {
            let Some(bearer) = &held.bearer else { return Ok(false) };
            Ok(world.store.tickets().may(bearer, "x")? != Permission::Ended)
        },
        guesses: &[],
    },
];

/// Calls whose parameters name a credential and that are no door, and why.
const NO_DOORS: &[(&str, &str)] = &[
    ("Actor::from", "attribution only"),
    ("AdministeredUsers::set_password", "a password to be set, by an administrator"),
    ("CompleteLogin::new_password", "a password to be set"),
    ("CompleteLogin::with_code", "the request of `Store::complete_login`"),
    ("CompleteLogin::with_enrolment", "the request of `Store::complete_login`"),
    ("CompleteLogin::with_recovery_code", "the request of `Store::complete_login`"),
    ("LoginRequest::code", "the request of `Store::log_in`"),
    ("LoginRequest::new", "the request of `Store::log_in`"),
    ("LoginRequest::new_password", "a password to be set"),
    ("LoginRequest::recovery_code", "the request of `Store::log_in`"),
    ("NewUser::password", "a password to be set"),
    ("Options::passwords", "the policy of passwords"),
    ("Presented::from", "a conversion, for the calls that take it"),
    ("Store::explain", "for operators: it accepts no credential and counts no use"),
    ("Reauthentication::code", "the argument of `Store::prove`"),
    ("Reauthentication::password", "the argument of `Store::prove`"),
    ("Users::set_password", "a password to be set, by the host"),
];

/// The types and names by which a parameter carries a credential.
const CARRIERS: [&str; 12] = [
    "Presented",
    "Principal",
    "TicketBearer",
    "HeaderCredentials",
    "LoginRequest",
    "CompleteLogin",
    "Reauthentication",
    "FactorCode",
    "Password",
    "Secret",
    "token: &str",
    "ticket: &str",
];

#[test]
fn every_public_call_that_takes_a_credential_is_in_the_matrix() {
    let no_doors = NO_DOORS.iter().map(|(call, _)| *call);
    let listed: Vec<&str> = doors().map(Door::function).chain(no_doors).collect();
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
        assert!(doors().any(|door| door.accepts.contains(&kind.name)), "{}", kind.name);
    }
    for door in doors() {
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
        for own in doors().filter(|door| door.accepts.contains(&kind.name)) {
            let scene = Scene::new();
            let held = (kind.make)(&scene);
            for door in doors().filter(|door| !door.accepts.contains(&kind.name)) {
                assert!(!is_accepted(&scene, door, &held), "{} at {}", kind.name, door.call);
                presented += 1;
            }
            assert!(is_accepted(&scene, own, &held), "{} at {}", kind.name, own.call);
        }
    }
    println!("doors: {} kinds, {} doors, {presented} refused", KINDS.len(), doors().count());
    assert!(presented > KINDS.len() * doors().count());
}

#[test]
fn every_door_charges_and_records_a_wrong_guess_as_its_row_says() {
    for door in doors() {
        for guess in door.guesses {
            let scene = Scene::new();
            // What the guess prepares leaves events of its own.
            let prepared = [
                "session.opened",
                "login.pending",
                "second_factor.enrolment_begun",
                "store.options_changed",
            ];
            let last = scene.count("SELECT max(seq) FROM audit");
            let (before, hashes) = (scene.failed_attempts(), scene.store.status().hashes_done);
            assert!(!(guess.make)(&scene).unwrap(), "{}", door.call);
            let charged = scene.failed_attempts() - before;
            assert_eq!(charged, guess.charges, "{}: charges", door.call);
            let hashed = scene.store.status().hashes_done - hashes;
            assert_eq!(hashed, guess.hashes, "{}: hashes", door.call);
            scene.store.close().unwrap();
            let left = scene.events_since(last);
            let left: Vec<&String> =
                left.iter().filter(|event| !prepared.contains(&event.as_str())).collect();
            let expected: Vec<&str> =
                Some(guess.leaves).filter(|event| !event.is_empty()).into_iter().collect();
            assert_eq!(left, expected, "{}: events", door.call);
        }
    }
}

#[test]
fn every_door_that_takes_a_text_has_a_row_for_a_guess() {
    for function in surface::functions() {
        let typed = ["&Principal", "&TicketBearer"];
        let is_typed = typed.iter().any(|name| function.params.contains(name));
        for door in doors().filter(|door| door.function() == function.path) {
            assert_eq!(door.guesses.is_empty(), is_typed, "{}", door.call);
        }
    }
}

fn doors() -> impl Iterator<Item = &'static Door> {
    DOORS.iter().chain(FACTORS)
}

fn is_accepted(scene: &Scene, door: &Door, held: &Held) -> bool {
    // An argument in brackets is presented in a session or step of the row's own.
    let ways: &[bool] = if door.call.contains('(') { &[true] } else { &[true, false] };
    ways.iter().any(|&with| {
        scene.open_gates();
        (door.present)(scene, held, with).unwrap_or(false)
    })
}

fn reader(world: &Scene) -> Result<ReadOnlyStore, Error> {
    Store::open_read_only(&world.path, world.options.clone())
}

fn require_fresh(world: &Scene, token: &str, with_device: bool) -> Result<bool, Error> {
    let till = device(TILL);
    let presented = (token, with_device.then_some(&till));
    Ok(world.store.require_fresh(presented, MINUTE, Assurance::Aal1)?.granted().is_ok())
}

fn is_used(redeemed: Redemption) -> bool {
    redeemed.valid().is_ok()
}

fn reset(world: &Scene, token: &str) -> Result<bool, Error> {
    let tokens = world.store.one_time_tokens();
    tokens.reset_password(token, NEW.into(), RevokeApiKeys::Keep).map(is_used)
}

fn change(
    world: &Scene,
    presented: (&str, Option<&DeviceId>),
    current: &str,
    and_keys: bool,
) -> Result<bool, Error> {
    let store = &world.store;
    let changed = match and_keys {
        true => store.change_password_and_revoke_keys(presented, current.into(), NEW.into())?,
        false => store.change_password(presented, current.into(), NEW.into())?,
    };
    Ok(changed.granted().is_ok())
}

fn create(world: &Scene, token: &str) -> Result<bool, Error> {
    let tokens = world.store.one_time_tokens();
    tokens.create_first_administrator(token, "root", NEW.into()).map(is_used)
}
