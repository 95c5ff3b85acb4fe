//! The kinds of credentials: one row each.

use gatepost::sessions::{Impersonation, NewApiKey, NewOneTimeToken, NewTicket, TicketBearer};
use gatepost::{LoginRequest, Principal, UserId};

use super::scene::{Scene, ada, ben};
use crate::pending_step::pending;
use crate::world::{PASSWORD, device};

pub(super) const TILL: &str = "till";
pub(super) const IMAGE: &str = "/images/7";

/// A kind of credential.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) make: fn(&Scene) -> Held,
}

/// A credential, and what its owner knows besides.
pub(super) struct Held {
    /// The text, as it was given out.
    pub(super) text: String,
    /// The username of its user, also where it has none.
    pub(super) username: &'static str,
    /// The identity behind it, where a verify returns one.
    pub(super) principal: Option<Principal>,
    /// The same of a ticket.
    pub(super) bearer: Option<TicketBearer>,
}

pub(super) const SESSION: &str = "session";
pub(super) const PLAIN: &str = "session of a user without a second factor";
pub(super) const IMPERSONATION: &str = "session of an impersonation";
pub(super) const API_KEY: &str = "API key";
pub(super) const RESET: &str = "password reset";
pub(super) const CONFIRMATION: &str = "e-mail confirmation";
pub(super) const INVITATION: &str = "invitation";
pub(super) const TEMPORARY: &str = "temporary password";
pub(super) const FIRST: &str = "first administrator";
pub(super) const TICKET: &str = "ticket";
pub(super) const PASSWORD_OF: &str = "password";
pub(super) const STEP: &str = "pending step";
pub(super) const ENROLMENT: &str = "pending step that waits for an enrolment";
pub(super) const TOTP: &str = "code of an authenticator";
pub(super) const RECOVERY: &str = "recovery code";

pub(super) const KINDS: &[Kind] = &[
    Kind { name: SESSION, make: |world| session(world, "ada", ada(world)) },
    Kind { name: PLAIN, make: |world| session(world, "ben", ben(world)) },
    Kind {
        name: IMPERSONATION,
        make: |world| {
            let request = Impersonation::new(ben(world), device(TILL));
            let outcome = world.store.sessions().impersonate(&world.administrator(), request);
            let text = outcome.unwrap().granted().unwrap().session.token.expose().to_owned();
            let verdict = world.store.verify((&text, &device(TILL))).unwrap();
            Held { username: "ben", principal: verdict.valid().ok(), ..held(text) }
        },
    },
    Kind {
        name: API_KEY,
        make: |world| {
            let issued = world.store.api_keys().issue(ada(world), NewApiKey::new()).unwrap();
            let verdict = world.store.verify((&issued.key, None)).unwrap();
            let text = issued.key.expose().to_owned();
            Held { principal: verdict.valid().ok(), ..held(text) }
        },
    },
    Kind { name: RESET, make: |world| one_time(world, "ada", NewOneTimeToken::password_reset()) },
    Kind {
        name: CONFIRMATION,
        make: |world| one_time(world, "ada", NewOneTimeToken::email_confirmation()),
    },
    Kind { name: INVITATION, make: |world| one_time(world, "pat", NewOneTimeToken::invitation()) },
    Kind {
        name: TEMPORARY,
        make: |world| one_time(world, "ben", NewOneTimeToken::temporary_password()),
    },
    Kind {
        name: FIRST,
        make: |world| {
            let issued = world.store.one_time_tokens().issue_first_administrator().unwrap();
            held(issued.token.expose().to_owned())
        },
    },
    Kind {
        name: TICKET,
        make: |world| {
            let session = world.open(ada(world), TILL);
            let verdict = world.store.verify((&session.token, &device(TILL))).unwrap();
            let (tickets, new) = (world.store.tickets(), NewTicket::new("GET", IMAGE));
            let minted = tickets.mint(&verdict.valid().unwrap(), new).unwrap().valid().unwrap();
            let text = minted.ticket.expose().to_owned();
            let bearer = tickets.verify(&text, "GET", IMAGE).unwrap().valid().ok();
            Held { bearer, ..held(text) }
        },
    },
    Kind { name: PASSWORD_OF, make: |_| held(PASSWORD.to_owned()) },
    Kind {
        name: STEP,
        make: |world| {
            let login = LoginRequest::new("ada", PASSWORD.into(), device(TILL));
            let step = pending(world.store.log_in(login).unwrap());
            held(step.token.expose().to_owned())
        },
    },
    Kind {
        name: ENROLMENT,
        make: |world| Held { username: "ben", ..held(world.enrolment_step(TILL)) },
    },
    Kind { name: TOTP, make: |world| held(world.code()) },
    Kind { name: RECOVERY, make: |world| held(world.recovery_codes[0].clone()) },
];

fn held(text: String) -> Held {
    Held { text, username: "ada", principal: None, bearer: None }
}

fn one_time(world: &Scene, username: &'static str, new: NewOneTimeToken) -> Held {
    let issued = world.store.one_time_tokens().issue(world.user_of(username), new).unwrap();
    Held { username, ..held(issued.token.expose().to_owned()) }
}

fn session(world: &Scene, username: &'static str, user: UserId) -> Held {
    let text = world.open(user, TILL).token.expose().to_owned();
    let verdict = world.store.verify((&text, &device(TILL))).unwrap();
    Held { username, principal: verdict.valid().ok(), ..held(text) }
}
