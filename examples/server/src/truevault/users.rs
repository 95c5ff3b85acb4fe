//! Users: read, created, changed and deleted by those who administer them, and their credentials.
//!
//! Every call on another user goes through `Store::administering`, which checks in the same
//! transaction that the user is inside of what the caller administers.

use std::time::Duration;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::routing::{get, post, put};
use gatepost::administration::Administration;
use gatepost::directory::{UserFilter, UserStatus, UserUpdate};
use gatepost::sessions::{ApiKeyInfo, Assurance, IssuedApiKey, NewApiKey, OpenSession};
use gatepost::{
    ApiKeyId, DeviceId, Error, ErrorClass, LoginRefusal, NewUser, Page, Password, Presented,
    Store, User, UserId,
};
use gatepost_axum::{Auth, Peer, Rejection};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Attributes, Done, shown, status_of, with_token};
use super::auth::{Asked, Full, TOKEN_LIFETIME, asked, current, set_attributes};
use super::caller::{Bearer, Caller};
use super::fields::{Fields, invalid};
use super::reset::redeem;
use crate::Site;

const USERS_PER_PAGE: u32 = 500;
/// Users whom one call reads; a URL has room for about as many ids.
const USERS_READ_MAX: usize = 100;
/// How lately a user must have proved to be the user, to make an API key for itself.
const PROOF_MAX_AGE: Duration = Duration::from_secs(15 * 60);

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/users", get(list).post(create))
        .route("/users/{id}", put(update).delete(delete))
        .route("/users/{id}/api_key", post(api_key))
        .route("/users/{id}/access_token", post(access_token))
}

/// Those of version 2 of the API.
pub(super) fn second_routes() -> Router<Site> {
    Router::new().route("/users/{ids}", get(read))
}

type Id = Result<Path<UserId>, PathRejection>;

#[derive(Deserialize)]
struct Listing {
    #[serde(default)]
    full: bool,
    status: Option<String>,
}

/// All users inside; none for a caller who administers nothing.
async fn list(me: Caller, query: Asked<Listing>) -> Result<Done, Rejection> {
    let Listing { full, status } = asked(query)?;
    let mut filter = UserFilter::new();
    if let Some(word) = status {
        filter = filter.status(status_named(&word)?);
    }
    let principal = me.principal;
    let read = move |store: &Store| -> Result<Vec<Value>, Error> {
        let inside = store.administering(&principal);
        let mut found = Vec::new();
        let mut page = Page::first(USERS_PER_PAGE);
        loop {
            let users = inside.users().list(&filter, page)?;
            for user in &users {
                found.push(seen(&inside, user, Attributes::full(full))?);
            }
            match users.last().filter(|_| users.len() == USERS_PER_PAGE as usize) {
                Some(last) => page = Page::after(last.id, USERS_PER_PAGE),
                None => return Ok(found),
            }
        }
    };
    Ok(Done("users", json!(me.blocking(read).await?)))
}

fn seen(inside: &Administration, user: &User, as_: Attributes) -> Result<Value, Error> {
    Ok(shown(user, inside.second_factors().info(user.id)?.is_some(), as_))
}

/// One user or several, by their ids; the caller too, who may administer nothing.
async fn read(me: Caller, Path(ids): Path<String>) -> Result<Done, Rejection> {
    let ids: Vec<UserId> = match ids.split(',').map(str::parse).collect() {
        Ok(ids) => ids,
        Err(_) => return Err(no_such_user()),
    };
    if ids.len() > USERS_READ_MAX {
        return Err(invalid("The path has more than 100 ids of users."));
    }
    let own = current(&me, Attributes::Json).await?;
    let principal = me.principal;
    let read = move |store: &Store| -> Result<Vec<Value>, Rejection> {
        let inside = store.administering(&principal);
        let one = |id: UserId| -> Result<Value, Rejection> {
            if id == principal.user {
                return Ok(own.clone());
            }
            let user = inside.users().find(id)?.ok_or_else(no_such_user)?;
            Ok(seen(&inside, &user, Attributes::Json)?)
        };
        ids.into_iter().map(one).collect()
    };
    Ok(Done("users", json!(me.blocking(read).await?)))
}

/// A new user is in the branch of its creator, if that is in one. Without a password it is a system
/// user, for API keys.
async fn create(me: Caller, query: Asked<Full>, mut fields: Fields) -> Result<Done, Rejection> {
    let full = asked(query)?.full;
    let username = fields.required("username")?;
    let mut new = match fields.password() {
        Some(password) => NewUser::person(username).password(password),
        None => NewUser::system(username),
    };
    new = new.branch(me.principal.branch);
    if let Some(attributes) = fields.attributes()? {
        new = new.attributes(attributes);
    }
    if let Some(word) = fields.take("status") {
        new = new.status(status_named(&word)?);
    }
    if fields.take("group_ids").is_some_and(|ids| !ids.is_empty()) {
        return Err(invalid("The parameter group_ids names a group: there are none here."));
    }
    fields.end()?;
    let principal = me.principal;
    let create = move |store: &Store| store.administering(&principal).users().create(new);
    let user = me.blocking(create).await?;
    Ok(Done("user", shown(&user, false, Attributes::full(full))))
}

/// What one call changes of a user. Several in one call would be several transactions, of which the
/// first might be done and the second not.
enum Change {
    Username(String),
    Password(Password),
    Attributes(String),
    Status(UserStatus),
}

impl Change {
    fn of(mut fields: Fields) -> Result<Self, Rejection> {
        let mut found = Vec::new();
        found.extend(fields.take("username").map(Self::Username));
        found.extend(fields.password().map(Self::Password));
        found.extend(fields.attributes()?.map(Self::Attributes));
        if let Some(word) = fields.take("status") {
            found.push(Self::Status(status_named(&word)?));
        }
        fields.end()?;
        match (found.pop(), found.is_empty()) {
            (Some(change), true) => Ok(change),
            _ => {
                let detail = "A call changes one of username, password, attributes and status.";
                Err(invalid(detail))
            }
        }
    }

    fn make(self, inside: &Administration, id: UserId) -> Result<(), Error> {
        let users = inside.users();
        match self {
            Self::Username(username) => users.rename(id, &username).map(drop),
            Self::Attributes(json) => {
                users.update(id, UserUpdate::new().attributes(json)).map(drop)
            }
            Self::Status(status) => users.set_status(id, status).map(drop),
            Self::Password(password) => users.set_password(id, password),
        }
    }
}

async fn update(
    State(auth): State<Auth>,
    bearer: Bearer,
    path: Id,
    fields: Fields,
) -> Result<Done, Rejection> {
    let Path(id) = path?;
    let (me, change) = match (bearer, Change::of(fields)?) {
        (Bearer::OneTimeToken(token), Change::Password(password)) => {
            return Ok(Done("user", redeem(&auth, token, password).await?));
        }
        (Bearer::OneTimeToken(_), _) => {
            return Err(forbidden("not_permitted", "The link of a mail sets a password alone."));
        }
        (Bearer::Caller(me), Change::Attributes(attributes)) if me.is(id) => {
            set_attributes(&me, attributes).await?;
            return Ok(Done("user", current(&me, Attributes::Omitted).await?));
        }
        (Bearer::Caller(me), _) if me.is(id) => return Err(of_own_user()),
        (Bearer::Caller(me), change) => (me, change),
    };
    let principal = me.principal;
    let make = move |store: &Store| -> Result<Value, Rejection> {
        let inside = store.administering(&principal);
        change.make(&inside, id)?;
        let user = inside.users().find(id)?.ok_or_else(no_such_user)?;
        Ok(seen(&inside, &user, Attributes::Omitted)?)
    };
    Ok(Done("user", me.blocking(make).await?))
}

/// The library refuses it as well. This sentence says where to go.
fn of_own_user() -> Rejection {
    let detail = "Your own password is changed where the current one is asked for, on the page of \
                  your account; your username and status by another administrator.";
    forbidden("own_user", detail)
}

async fn delete(me: Caller, path: Id) -> Result<Done, Rejection> {
    let Path(id) = path?;
    let principal = me.principal;
    let delete = move |store: &Store| -> Result<Value, Rejection> {
        let inside = store.administering(&principal);
        let mut user = inside.users().find(id)?.ok_or_else(no_such_user)?;
        inside.users().delete(id)?;
        user.status = UserStatus::Disabled;
        Ok(shown(&user, false, Attributes::Omitted))
    };
    Ok(Done("user", me.blocking(delete).await?))
}

/// A new key replaces the one that the user has. A key is valid until it is revoked, so a user who
/// makes one for itself must have logged in lately: a stolen session must not become a key.
async fn api_key(me: Caller, path: Id) -> Result<Done, Rejection> {
    let Path(id) = path?;
    let issued = if me.is(id) {
        let issue = move |store: &Store, presented: Presented<'_>| -> Result<_, Rejection> {
            store.require_fresh(presented, PROOF_MAX_AGE, Assurance::Aal1)?.granted()?;
            let keys = store.api_keys();
            let rotate = |old| keys.rotate(old, Duration::ZERO);
            Ok(new_key(&keys.list(id)?, rotate, || keys.issue(id, NewApiKey::new()))?)
        };
        me.presenting(issue).await?
    } else {
        let principal = me.principal;
        let issue = move |store: &Store| -> Result<IssuedApiKey, Error> {
            let inside = store.administering(&principal);
            let keys = inside.api_keys();
            let rotate = |old| keys.rotate(old, Duration::ZERO);
            new_key(&keys.list(id)?, rotate, || keys.issue(id, NewApiKey::new()))
        };
        me.blocking(issue).await?
    };
    Ok(Done("api_key", json!(issued.key.expose())))
}

/// Puts a new key in the place of the one that the user has, if it has one.
fn new_key(
    keys: &[ApiKeyInfo],
    rotate: impl FnOnce(ApiKeyId) -> Result<IssuedApiKey, Error>,
    issue: impl FnOnce() -> Result<IssuedApiKey, Error>,
) -> Result<IssuedApiKey, Error> {
    match keys.iter().find(|key| key.parent.is_none()) {
        Some(old) => rotate(old.id),
        None => issue(),
    }
}

/// A session of another user, for a server that has authenticated the user by other means: that is
/// what the service's call is for, so it is `sessions().open` and no impersonation. The token is
/// the user's own; the audit log names the caller, and a user with a second factor gets none
/// without its code. It takes `admin`, and opens nothing for another `admin`: an administrator of a
/// branch has to set a password, which the user notices.
///
/// No call opens a session and checks its caller in one transaction, so this asks before the
/// opening and once more after it: a right that was lost in between gives out no token. The session
/// that was opened is revoked then; one that made room for it stays revoked as well.
async fn access_token(
    me: Caller,
    peer: Peer,
    path: Id,
    mut fields: Fields,
) -> Result<Done, Rejection> {
    let Path(id) = path?;
    let at = fields.not_valid_after()?;
    fields.end()?;
    let principal = me.principal;
    let open = move |store: &Store| -> Result<Value, Rejection> {
        let inside = store.administering(&principal);
        let allowed = || -> Result<Value, Rejection> {
            store.may(&principal, "admin")?.granted()?;
            let user = inside.users().find(id)?.ok_or_else(no_such_user)?;
            if user.privileges.iter().any(|privilege| privilege == "admin") {
                let detail = "No administrator gets an access token of another, or a second one.";
                return Err(forbidden("not_permitted", detail));
            }
            Ok(seen(&inside, &user, Attributes::Omitted)?)
        };
        allowed()?;
        let mut request =
            OpenSession::new(id, None::<DeviceId>).lifetime(TOKEN_LIFETIME).client_info(peer.info);
        if let Some(at) = at {
            request = request.expires_at(at);
        }
        let session = store.sessions().open(request)?.granted().map_err(refused)?.session;
        match allowed() {
            Ok(user) => Ok(with_token(user, &session.token)),
            Err(rejection) => {
                store.sessions().revoke(session.id)?;
                Err(rejection)
            }
        }
    };
    Ok(Done("user", me.blocking(open).await?))
}

/// The caller's own credential is valid, so no refusal of another user's login is 401.
fn refused(refusal: LoginRefusal) -> Rejection {
    match refusal.class() {
        ErrorClass::SignIn => forbidden(refusal.name(), refusal.message()),
        _ => refusal.into(),
    }
}

fn forbidden(code: &'static str, detail: impl Into<std::borrow::Cow<'static, str>>) -> Rejection {
    Rejection::new(ErrorClass::Forbidden, code, detail)
}

fn no_such_user() -> Rejection {
    Rejection::new(ErrorClass::NotFound, "not_found", "There is no user of this id.")
}

fn status_named(word: &str) -> Result<UserStatus, Rejection> {
    let detail = "The status is not ACTIVATED, PENDING, LOCKED or DEACTIVATED.";
    status_of(word).ok_or_else(|| invalid(detail))
}
