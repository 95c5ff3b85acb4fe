//! Administration: the users inside of what the caller administers, and the end of the audit log.
//!
//! Every call goes through `Store::administering`, which checks in the same transaction that the
//! user is inside: one outside is 404 as one that does not exist. The audit log is for
//! administrators of everything.

use std::collections::BTreeMap;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use gatepost::administration::Administration;
use gatepost::audit::{AuditEntry, AuditFilter};
use gatepost::directory::{Branch, BranchFilter, UserFilter, UserStatus};
use gatepost::sessions::{NewOneTimeToken, RevokeSessions};
use gatepost::{Error, NewUser, NotPermitted, Page, Store, Subtree, User, UserId};
use gatepost_axum::{Admin, Rejection, SignedIn};
use maud::{Markup, html};
use serde::Deserialize;

use crate::page::{again, error, field, page, time};
use crate::{Mail, Site};

const USERS_PER_PAGE: u32 = 50;
/// Branches to choose from; a site with more of them needs a search.
const BRANCHES: u32 = 200;
const AUDIT_ROWS: u32 = 50;

pub(crate) fn pages() -> Router<Site> {
    Router::new()
        .route("/admin/users", get(users).post(create))
        .route("/admin/users/{id}/{act}", post(act))
        .route("/admin/audit", get(audit))
}

#[derive(Deserialize)]
struct Search {
    #[serde(default)]
    text: String,
    after: Option<UserId>,
}

/// What the page of the users shows.
struct Shown {
    users: Vec<User>,
    branches: Vec<Branch>,
    administers_everything: bool,
}

async fn users(me: SignedIn, Query(search): Query<Search>) -> Result<Markup, Rejection> {
    users_page(&me, None, search).await
}

async fn users_page(
    me: &SignedIn,
    wrong: Option<&str>,
    search: Search,
) -> Result<Markup, Rejection> {
    let Search { text, after } = search;
    let mut filter = UserFilter::new();
    if !text.trim().is_empty() {
        filter = filter.text(text.trim());
    }
    let at = after.map_or(Page::first(USERS_PER_PAGE), |id| Page::after(id, USERS_PER_PAGE));
    let principal = me.principal;
    let read = move |store: &Store| -> Result<Shown, Rejection> {
        let inside = store.administering(&principal);
        let subtrees = inside.subtrees()?;
        if subtrees.is_empty() {
            return Err(NotPermitted::Denied.into());
        }
        Ok(Shown {
            users: inside.users().list(&filter, at)?,
            branches: inside.branches().list(&BranchFilter::new(), Page::first(BRANCHES))?,
            administers_everything: subtrees.contains(&Subtree::Store),
        })
    };
    let shown = me.blocking(read).await?;
    let users = &shown.users;
    let rest = users.last().filter(|_| users.len() == USERS_PER_PAGE as usize);
    let body = html! {
        (error(wrong))
        form.stacked method="get" role="search" {
            label for="text" { "Search by name or address" }
            input id="text" name="text" type="search" value=(text);
            button.quiet { "Search" }
        }
        div.scroll {
            table {
                caption { (users.len()) " users" }
                thead { tr {
                    th scope="col" { "Name" } th scope="col" { "Address" }
                    th scope="col" { "Status" } th scope="col" { "Last login" }
                    th scope="col" { "Actions" }
                } }
                tbody { @for user in users { (row(me, user)) } }
            }
        }
        @if let Some(last) = rest {
            p { a href=(next_page(&text, last.id)) { "Next page" } }
        }
        (invitation(&shown))
    };
    Ok(page(me, "/admin/users", "Users", body))
}

/// The link to the page after this user, of the same search.
fn next_page(text: &str, last: UserId) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("text", text).append_pair("after", &last.to_string());
    format!("?{}", query.finish())
}

fn invitation(shown: &Shown) -> Markup {
    html! {
        h2 { "Invite a person" }
        form.stacked method="post" {
            (field("username", "Username", "text", "off", ""))
            (field("email", "E-mail address", "email", "off", ""))
            label for="branch" { "Branch" }
            select id="branch" name="branch" {
                @if shown.administers_everything { option value="" { "None" } }
                @for branch in &shown.branches { option value=(branch.id) { (branch.name) } }
            }
            button { "Send an invitation" }
        }
    }
}

fn row(me: &SignedIn, user: &User) -> Markup {
    let button = |act: &str, text: &str, kind: &str| {
        html! {
            form.inline method="post" action=(format!("/admin/users/{}/{act}", user.id)) {
                button class=(kind) aria-label=(format!("{text}: {}", user.username)) { (text) }
            }
        }
    };
    let is_self = me.principal.user == user.id;
    html! {
        tr.current[is_self] {
            td { (user.username) @if user.privileges.iter().any(|p| p == "admin") { " (admin)" } }
            td { (user.email.as_deref().unwrap_or_default()) }
            td {
                (user.status.as_str())
                @if user.must_change_password { ", must change the password" }
                @if user.failed_attempts > 0 { ", " (user.failed_attempts) " failed attempts" }
            }
            td { @if let Some(at) = user.last_login_at { (time(at)) } @else { "never" } }
            td.actions { @if is_self { "You" } @else {
                @if user.status == UserStatus::Active {
                    (button("disable", "Disable", "danger"))
                    (button("demand-change", "Demand a new password", "quiet"))
                    (button("reset", "Mail a reset link", "quiet"))
                } @else {
                    (button("enable", "Enable", "quiet"))
                }
                (button("revoke", "Sign out", "danger"))
                @if user.failed_attempts > 0 {
                    (button("unlock", "Forgive failed attempts", "quiet"))
                }
            } }
        }
    }
}

/// What a button of a row does.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Act {
    Disable,
    Enable,
    Revoke,
    Unlock,
    DemandChange,
    Reset,
}

async fn act(
    State(site): State<Site>,
    me: SignedIn,
    path: Result<Path<(UserId, Act)>, PathRejection>,
) -> Result<Redirect, Rejection> {
    let Path((id, act)) = path?;
    let principal = me.principal;
    me.blocking(move |store| done(&store.administering(&principal), &site.mail, id, act)).await?;
    Ok(Redirect::to("/admin/users"))
}

fn done(inside: &Administration, mail: &Mail, id: UserId, act: Act) -> Result<(), Error> {
    match act {
        Act::Disable => inside.users().set_status(id, UserStatus::Disabled).map(drop),
        Act::Enable => inside.users().set_status(id, UserStatus::Active).map(drop),
        Act::Revoke => inside.sessions().revoke_all(id),
        Act::Unlock => inside.users().unlock(id).map(drop),
        Act::DemandChange => {
            inside.users().require_password_change(id, RevokeSessions::All).map(drop)
        }
        Act::Reset => {
            let issued = inside.one_time_tokens().issue(id, NewOneTimeToken::password_reset())?;
            // A user who was moved out meanwhile gets no mail.
            if let Some(user) = inside.users().find(id)? {
                let to = user.email.as_deref().unwrap_or(&user.username);
                mail.send(to, "/reset", issued.token.expose());
            }
            Ok(())
        }
    }
}

#[derive(Deserialize)]
struct Invited {
    username: String,
    email: String,
    /// The id of a branch, or nothing for none.
    branch: String,
}

async fn create(State(site): State<Site>, me: SignedIn, Form(invited): Form<Invited>) -> Response {
    let principal = me.principal;
    let invite = move |store: &Store| -> Result<(), Error> {
        let branch = match invited.branch.as_str() {
            "" => None,
            id => Some(id.parse()?),
        };
        let new = NewUser::person(invited.username)
            .email(&invited.email)
            .branch(branch)
            .status(UserStatus::Pending);
        let inside = store.administering(&principal);
        let user = inside.users().create(new)?;
        let issued = inside.one_time_tokens().issue(user.id, NewOneTimeToken::invitation())?;
        site.mail.send(&invited.email, "/welcome", issued.token.expose());
        Ok(())
    };
    match me.blocking(invite).await {
        Ok(()) => Redirect::to("/admin/users").into_response(),
        Err(refused) => {
            let all = Search { text: String::new(), after: None };
            match users_page(&me, Some(&refused.to_string()), all).await {
                Ok(page) => again(refused, page),
                Err(refused) => refused.into_response(),
            }
        }
    }
}

async fn audit(admin: Admin) -> Result<Markup, Rejection> {
    let read = |store: &Store| -> Result<_, Error> {
        let rows = store.audit().latest(AUDIT_ROWS, &AuditFilter::new())?;
        let mut names = BTreeMap::new();
        for id in rows.iter().flat_map(|row| [row.user, row.actor.user()]).flatten() {
            if let Some(user) = store.users().find(id)? {
                names.insert(id, user.username);
            }
        }
        Ok((rows, names))
    };
    let (rows, names) = admin.blocking(read).await?;
    let body = html! {
        div.scroll {
            table {
                caption { "The latest events, the newest first, in UTC" }
                thead { tr {
                    th scope="col" { "Time" } th scope="col" { "Event" }
                    th scope="col" { "Outcome" }
                    th scope="col" { "By" } th scope="col" { "About" } th scope="col" { "From" }
                } }
                tbody { @for row in &rows { (audit_row(row, &names)) } }
            }
        }
    };
    Ok(page(&admin, "/admin/audit", "Audit log", body))
}

fn audit_row(row: &AuditEntry, names: &BTreeMap<UserId, String>) -> Markup {
    let name =
        |user: Option<UserId>| user.and_then(|id| names.get(&id)).map_or("", String::as_str);
    html! {
        tr {
            td { (time(row.at)) }
            td { (row.event) }
            td { (row.outcome.as_str()) @if let Some(reason) = &row.reason { ": " (reason) } }
            td { (name(row.actor.user())) }
            td { (name(row.user)) }
            td { @if let Some(ip) = row.client_info.as_ref().and_then(|c| c.address()) { (ip) } }
        }
    }
}
