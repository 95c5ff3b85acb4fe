//! The doors that take a second factor, or a password in a session.

use gatepost::second_factors::{NewTotp, TotpEnrolment};
use gatepost::sessions::Reauthentication;
use gatepost::{CompleteLogin, DeviceId, Error, LoginRequest};

use super::kinds::{ENROLMENT, PASSWORD_OF, PLAIN, RECOVERY, SESSION, STEP, TILL, TOTP};
use super::scene::{Scene, ada, ben};
use super::{Door, change, code, forged, password, unguessable};
use crate::pending_step::wrong_at;
use crate::world::{PASSWORD, device};

/// The device of what a door needs besides the credential, so that it replaces no session or step
/// that is presented.
const DESK: &str = "desk";
/// The same of ben, because a device has one user.
const BENCH: &str = "bench";
const NO_CODE: &str = "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aa";

#[rustfmt::skip]
pub(super) const FACTORS: &[Door] = &[
    Door {
        call: "Store::change_password(current)",
        accepts: &[PASSWORD_OF],
        present: |world, held, _| change(world, (&here(world), Some(&desk())), &held.text, false),
        guesses: &[password("password.change_refused invalid_credentials", |world| {
            change(world, (&here(world), Some(&desk())), "wrong", false)
        })],
    },
    Door {
        call: "Store::change_password_and_revoke_keys(current)",
        accepts: &[PASSWORD_OF],
        present: |world, held, _| change(world, (&here(world), Some(&desk())), &held.text, true),
        guesses: &[password("password.change_refused invalid_credentials", |world| {
            change(world, (&here(world), Some(&desk())), "wrong", true)
        })],
    },
    Door {
        call: "Store::log_in(code)",
        accepts: &[TOTP],
        present: |world, held, _| log_in(world, |login| login.code(held.text.as_str())),
        guesses: &[password("login.refused invalid_credentials", |world| {
            log_in(world, |login| login.code(wrong_at(world.now())))
        })],
    },
    Door {
        call: "Store::log_in(recovery code)",
        accepts: &[RECOVERY],
        present: |world, held, _| log_in(world, |login| login.recovery_code(held.text.as_str())),
        guesses: &[password("login.refused invalid_credentials", |world| {
            log_in(world, |login| login.recovery_code(NO_CODE))
        })],
    },
    Door {
        call: "Store::prove",
        accepts: &[SESSION, PLAIN],
        present: |world, held, with| {
            let on = with.then(till);
            let presented = (held.text.as_str(), on.as_ref());
            Ok(prove(world, presented, Reauthentication::code(world.code()))?
                || prove(world, presented, Reauthentication::password(PASSWORD))?)
        },
        guesses: &[unguessable("verify.refused unknown", |world| {
            let with = Reauthentication::code(world.code());
            prove(world, (&forged(world, "gps_"), Some(&till())), with)
        })],
    },
    Door {
        call: "Store::prove(password)",
        accepts: &[PASSWORD_OF],
        present: |world, held, _| prove_plain(world, &held.text),
        guesses: &[password("session.proof_refused invalid_credentials", |world| {
            prove_plain(world, "wrong")
        })],
    },
    Door {
        call: "Store::prove(code)",
        accepts: &[TOTP],
        present: |world, held, _| {
            let with = Reauthentication::code(held.text.as_str());
            prove(world, (&here(world), Some(&desk())), with)
        },
        guesses: &[code("session.proof_refused invalid_credentials", |world| {
            let with = Reauthentication::code(wrong_at(world.now()));
            prove(world, (&here(world), Some(&desk())), with)
        })],
    },
    Door {
        call: "Store::complete_login",
        accepts: &[STEP, ENROLMENT],
        present: |world, held, with| {
            let on = with.then(till);
            let with_code = CompleteLogin::with_code(&held.text, on.clone(), world.code());
            Ok(complete(world, with_code)? || enrol_and_complete(world, &held.text, on)?)
        },
        guesses: &[
            unguessable("login.refused step_not_live", |world| {
                let token = forged(world, "gpm_");
                complete(world, CompleteLogin::with_code(token, till(), world.code()))
            }),
            code("login.refused invalid_credentials", |world| {
                let token = world.enrolment_step(DESK);
                let factors = world.store.second_factors();
                let begun = factors.enrol_at_login(&token, &desk(), NewTotp::new())?.done();
                let (first, second) = world.codes(&begun.unwrap());
                // In the wrong order.
                let codes = CompleteLogin::with_enrolment(token, desk(), second, first);
                complete(world, codes)
            }),
        ],
    },
    Door {
        call: "Store::complete_login(code)",
        accepts: &[TOTP],
        present: |world, held, _| {
            let (step, code) = (world.step(DESK), held.text.as_str());
            complete(world, CompleteLogin::with_code(step, desk(), code))
        },
        guesses: &[code("login.refused invalid_credentials", |world| {
            let (step, code) = (world.step(DESK), wrong_at(world.now()));
            complete(world, CompleteLogin::with_code(step, desk(), code))
        })],
    },
    Door {
        call: "Store::complete_login(recovery code)",
        accepts: &[RECOVERY],
        present: |world, held, _| {
            let (step, code) = (world.step(DESK), held.text.as_str());
            complete(world, CompleteLogin::with_recovery_code(step, desk(), code))
        },
        guesses: &[code("login.refused invalid_credentials", |world| {
            let step = world.step(DESK);
            complete(world, CompleteLogin::with_recovery_code(step, desk(), NO_CODE))
        })],
    },
    Door {
        call: "SecondFactors::enrol_at_login",
        accepts: &[ENROLMENT],
        present: |world, held, with| {
            let on = with.then(till);
            let factors = world.store.second_factors();
            let begun = factors.enrol_at_login(&held.text, on.as_ref(), NewTotp::new())?;
            Ok(begun.done().is_ok())
        },
        guesses: &[unguessable("", |world| {
            let (token, factors) = (forged(world, "gpm_"), world.store.second_factors());
            let begun = factors.enrol_at_login(&token, &till(), NewTotp::new())?;
            Ok(begun.done().is_ok())
        })],
    },
    Door {
        call: "SecondFactors::enrol",
        accepts: &[PLAIN],
        present: |world, held, with| Ok(enrol(world, &held.text, with)?.is_some()),
        guesses: &[unguessable("verify.refused unknown", |world| {
            Ok(enrol(world, &forged(world, "gps_"), true)?.is_some())
        })],
    },
    Door {
        call: "SecondFactors::confirm",
        accepts: &[PLAIN],
        present: |world, held, with| {
            let begun = enrol(world, &held.text, with)?;
            let codes = begun.map_or_else(some_codes, |begun| world.codes(&begun));
            confirm(world, &held.text, with, codes)
        },
        guesses: &[
            unguessable("verify.refused unknown", |world| {
                confirm(world, &forged(world, "gps_"), true, some_codes())
            }),
            code("second_factor.refused invalid_credentials", |world| {
                let session = world.open(ben(world), TILL).token;
                let begun = enrol(world, session.expose(), true)?.unwrap();
                let (first, second) = world.codes(&begun);
                confirm(world, session.expose(), true, (second, first))
            }),
        ],
    },
    Door {
        call: "SecondFactors::replace",
        accepts: &[SESSION],
        present: |world, held, with| {
            let on = with.then(till);
            replace(world, (&held.text, on.as_ref()), PASSWORD, companion(world))
        },
        guesses: &[unguessable("verify.refused unknown", |world| {
            replace(world, (&forged(world, "gps_"), Some(&till())), PASSWORD, companion(world))
        })],
    },
    Door {
        call: "SecondFactors::replace(password)",
        accepts: &[PASSWORD_OF],
        present: |world, held, _| {
            replace(world, (&here(world), Some(&desk())), &held.text, companion(world))
        },
        guesses: &[password("second_factor.refused invalid_credentials", |world| {
            replace(world, (&here(world), Some(&desk())), "wrong", companion(world))
        })],
    },
    Door {
        call: "SecondFactors::replace(code)",
        accepts: &[TOTP, RECOVERY],
        present: |world, held, _| {
            replace(world, (&here(world), Some(&desk())), PASSWORD, &held.text)
        },
        guesses: &[password("second_factor.refused invalid_credentials", |world| {
            replace(world, (&here(world), Some(&desk())), PASSWORD, &wrong_at(world.now()))
        })],
    },
    Door {
        call: "SecondFactors::remove",
        accepts: &[SESSION],
        present: |world, held, with| {
            let on = with.then(till);
            remove(world, (&held.text, on.as_ref()), PASSWORD, companion(world))
        },
        guesses: &[unguessable("verify.refused unknown", |world| {
            remove(world, (&forged(world, "gps_"), Some(&till())), PASSWORD, companion(world))
        })],
    },
    Door {
        call: "SecondFactors::remove(password)",
        accepts: &[PASSWORD_OF],
        present: |world, held, _| {
            remove(world, (&here(world), Some(&desk())), &held.text, companion(world))
        },
        guesses: &[password("second_factor.refused invalid_credentials", |world| {
            remove(world, (&here(world), Some(&desk())), "wrong", companion(world))
        })],
    },
    Door {
        call: "SecondFactors::remove(code)",
        accepts: &[TOTP, RECOVERY],
        present: |world, held, _| {
            remove(world, (&here(world), Some(&desk())), PASSWORD, &held.text)
        },
        guesses: &[password("second_factor.refused invalid_credentials", |world| {
            remove(world, (&here(world), Some(&desk())), PASSWORD, &wrong_at(world.now()))
        })],
    },
    Door {
        call: "SecondFactors::reissue_recovery_codes",
        accepts: &[SESSION],
        present: |world, held, with| {
            let on = with.then(till);
            reissue(world, (&held.text, on.as_ref()), PASSWORD, companion(world))
        },
        guesses: &[unguessable("verify.refused unknown", |world| {
            reissue(world, (&forged(world, "gps_"), Some(&till())), PASSWORD, companion(world))
        })],
    },
    Door {
        call: "SecondFactors::reissue_recovery_codes(password)",
        accepts: &[PASSWORD_OF],
        present: |world, held, _| {
            reissue(world, (&here(world), Some(&desk())), &held.text, companion(world))
        },
        guesses: &[password("second_factor.refused invalid_credentials", |world| {
            reissue(world, (&here(world), Some(&desk())), "wrong", companion(world))
        })],
    },
    Door {
        call: "SecondFactors::reissue_recovery_codes(code)",
        accepts: &[TOTP, RECOVERY],
        present: |world, held, _| {
            reissue(world, (&here(world), Some(&desk())), PASSWORD, &held.text)
        },
        guesses: &[password("second_factor.refused invalid_credentials", |world| {
            reissue(world, (&here(world), Some(&desk())), PASSWORD, &wrong_at(world.now()))
        })],
    },
    Door {
        call: "SecondFactors::reset_by",
        accepts: &[SESSION, PLAIN],
        present: |world, held, with| {
            // An administrator ends the token of the first one, which may be the one presented. A
            // user who becomes an administrator is impersonated no longer.
            let user = world.user_of(held.username);
            let privileges = |names: &[&str]| world.store.users().set_privileges(user, names);
            if held.principal.is_none_or(|principal| principal.is_impersonated) {
                return reset_by(world, &held.text, with);
            }
            privileges(&["admin"])?;
            let reset = reset_by(world, &held.text, with);
            privileges(&[])?;
            reset
        },
        guesses: &[unguessable("verify.refused unknown", |world| {
            reset_by(world, &forged(world, "gps_"), true)
        })],
    },
];

pub(super) fn till() -> DeviceId {
    device(TILL)
}

fn desk() -> DeviceId {
    device(DESK)
}

/// The token of a session of ada's on the desk.
fn here(world: &Scene) -> String {
    world.open(ada(world), DESK).token.expose().to_owned()
}

/// A right code that comes beside a credential; a wrong password does not use it up.
fn companion(world: &Scene) -> &str {
    &world.recovery_codes[1]
}

fn some_codes() -> (String, String) {
    ("123456".to_owned(), "123457".to_owned())
}

fn log_in(world: &Scene, with: impl FnOnce(LoginRequest) -> LoginRequest) -> Result<bool, Error> {
    let login = LoginRequest::new("ada", PASSWORD.into(), desk());
    Ok(world.store.log_in(with(login))?.granted().is_ok())
}

fn prove(
    world: &Scene,
    presented: (&str, Option<&DeviceId>),
    with: Reauthentication,
) -> Result<bool, Error> {
    Ok(world.store.prove(presented, with)?.granted().is_ok())
}

/// Proves with a password in a session of ben's.
fn prove_plain(world: &Scene, password: &str) -> Result<bool, Error> {
    let session = world.open(ben(world), BENCH).token;
    let with = Reauthentication::password(password);
    prove(world, (session.expose(), Some(&device(BENCH))), with)
}

fn complete(world: &Scene, request: CompleteLogin) -> Result<bool, Error> {
    Ok(world.store.complete_login(request)?.granted().is_ok())
}

/// Also if the enrolment was refused.
fn enrol_and_complete(world: &Scene, token: &str, on: Option<DeviceId>) -> Result<bool, Error> {
    let factors = world.store.second_factors();
    let begun = factors.enrol_at_login(token, on.as_ref(), NewTotp::new())?.done().ok();
    let (first, second) = begun.map_or_else(some_codes, |begun| world.codes(&begun));
    complete(world, CompleteLogin::with_enrolment(token, on, first, second))
}

/// An enrolment that is begun in the session of that token, if it is accepted.
fn enrol(world: &Scene, token: &str, with_device: bool) -> Result<Option<TotpEnrolment>, Error> {
    let till = till();
    let presented = (token, with_device.then_some(&till));
    Ok(world.store.second_factors().enrol(presented, NewTotp::new())?.done().ok())
}

fn confirm(
    world: &Scene,
    token: &str,
    with_device: bool,
    (first, second): (String, String),
) -> Result<bool, Error> {
    let till = till();
    let presented = (token, with_device.then_some(&till));
    let factors = world.store.second_factors();
    Ok(factors.confirm(presented, first.into(), second.into())?.done().is_ok())
}

fn replace(
    world: &Scene,
    presented: (&str, Option<&DeviceId>),
    password: &str,
    code: &str,
) -> Result<bool, Error> {
    let factors = world.store.second_factors();
    let done = factors.replace(presented, password.into(), code.into(), NewTotp::new())?;
    Ok(done.done().is_ok())
}

fn remove(
    world: &Scene,
    presented: (&str, Option<&DeviceId>),
    password: &str,
    code: &str,
) -> Result<bool, Error> {
    let factors = world.store.second_factors();
    let done = factors.remove(presented, password.into(), code.into())?;
    Ok(done.done().is_ok())
}

/// Resets the factor of pat, who has none.
fn reset_by(world: &Scene, token: &str, with_device: bool) -> Result<bool, Error> {
    let till = till();
    let presented = (token, with_device.then_some(&till));
    let factors = world.store.second_factors();
    Ok(factors.reset_by(presented, world.user_of("pat"))?.done().is_ok())
}

fn reissue(
    world: &Scene,
    presented: (&str, Option<&DeviceId>),
    password: &str,
    code: &str,
) -> Result<bool, Error> {
    let factors = world.store.second_factors();
    let done = factors.reissue_recovery_codes(presented, password.into(), code.into())?;
    Ok(done.done().is_ok())
}
