//! Administration: the users of an administrator's subtree, and the end of the audit log.
//!
//! An administrator of a branch sees and changes its users alone; one without a branch, all users.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use gatepost::audit::{AuditEntry, AuditFilter};
use gatepost::directory::{UserFilter, UserStatus};
use gatepost::sessions::{NewOneTimeToken, RevokeSessions};
use gatepost::{Error, ErrorClass, NewUser, Page, Store, Subtree, User, UserId};
use gatepost_axum::{Admin, Rejection};
use maud::{Markup, html};
use serde::Deserialize;

use crate::page::{again, error, field, page, time};
use crate::{Mail, Site};

const USERS_PER_PAGE: u32 = 50;
const AUDIT_ROWS: u32 = 50;

pub(crate) fn pages() -> Router<Site> {
    Router::new()
        .route("/admin/users", get(users).post(create))
        .route("/admin/users/{id}/{act}", post(act))
        .route("/admin/audit", get(audit))
}

fn subtree(admin: &Admin) -> Subtree {
    admin.principal.branch.map_or(Subtree::Store, Subtree::Branch)
}

#[derive(Deserialize)]
struct Search {
    #[serde(default)]
    text: String,
    after: Option<UserId>,
}

async fn users(admin: Admin, Query(search): Query<Search>) -> Result<Markup, Rejection> {
    users_page(&admin, None, search).await
}

async fn users_page(
    admin: &Admin,
    wrong: Option<&str>,
    search: Search,
) -> Result<Markup, Rejection> {
    let Search { text, after } = search;
    let mut filter = UserFilter::new();
    if let Subtree::Branch(branch) = subtree(admin) {
        filter = filter.branch(branch);
    }
    if !text.trim().is_empty() {
        filter = filter.text(text.trim());
    }
    let at = after.map_or(Page::first(USERS_PER_PAGE), |id| Page::after(id, USERS_PER_PAGE));
    let users = admin.blocking(move |store| store.users().list(&filter, at)).await?;
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
                tbody { @for user in &users { (row(admin, user)) } }
            }
        }
        @if let Some(last) = rest {
            p { a href=(format!("?after={}", last.id)) { "Next page" } }
        }
        h2 { "Invite a person" }
        form.stacked method="post" {
            (field("username", "Username", "text", "off", ""))
            (field("email", "E-mail address", "email", "off", ""))
            button { "Send an invitation" }
        }
    };
    Ok(page(admin, "/admin/users", "Users", body))
}

fn row(admin: &Admin, user: &User) -> Markup {
    let button = |act: &str, text: &str, kind: &str| {
        html! {
            form.inline method="post" action=(format!("/admin/users/{}/{act}", user.id)) {
                button class=(kind) aria-label=(format!("{text}: {}", user.username)) { (text) }
            }
        }
    };
    let is_self = admin.principal.user == user.id;
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

/// The user, if the administrator may act on it: else 404, as for one that does not exist.
fn within(store: &Store, subtree: Subtree, id: UserId) -> Result<User, Rejection> {
    let found = store.users().find(id)?.filter(|user| match subtree {
        Subtree::Branch(branch) => user.branch == Some(branch),
        _ => true,
    });
    let missing = || Rejection::new(ErrorClass::NotFound, "no_user", "There is no such user.");
    found.ok_or_else(missing)
}

async fn act(
    State(site): State<Site>,
    admin: Admin,
    Path((id, act)): Path<(UserId, String)>,
) -> Result<Redirect, Rejection> {
    let subtree = subtree(&admin);
    let work = move |store: &Store| -> Result<(), Rejection> {
        let user = within(store, subtree, id)?;
        Ok(done(store, &site.mail, &user, &act)?)
    };
    admin.blocking(work).await?;
    Ok(Redirect::to("/admin/users"))
}

fn done(store: &Store, mail: &Mail, user: &User, act: &str) -> Result<(), Error> {
    match act {
        "disable" => store.users().set_status(user.id, UserStatus::Disabled).map(drop),
        "enable" => store.users().set_status(user.id, UserStatus::Active).map(drop),
        "revoke" => store.sessions().revoke_all(user.id),
        "unlock" => store.users().unlock(user.id).map(drop),
        "demand-change" => {
            store.users().require_password_change(user.id, RevokeSessions::All).map(drop)
        }
        "reset" => {
            let new = NewOneTimeToken::password_reset();
            let issued = store.one_time_tokens().issue(user.id, new)?;
            let to = user.email.as_deref().unwrap_or(&user.username);
            mail.send(to, "/reset", issued.token.expose());
            Ok(())
        }
        _ => Ok(()),
    }
}

#[derive(Deserialize)]
struct Invited {
    username: String,
    email: String,
}

async fn create(State(site): State<Site>, admin: Admin, Form(invited): Form<Invited>) -> Response {
    let branch = admin.principal.branch;
    let invite = move |store: &Store| -> Result<(), Error> {
        let new = NewUser::person(invited.username)
            .email(&invited.email)
            .branch(branch)
            .status(UserStatus::Pending);
        let user = store.users().create(new)?;
        let issued = store.one_time_tokens().issue(user.id, NewOneTimeToken::invitation())?;
        site.mail.send(&invited.email, "/welcome", issued.token.expose());
        Ok(())
    };
    match admin.blocking(invite).await {
        Ok(()) => Redirect::to("/admin/users").into_response(),
        Err(refused) => {
            let all = Search { text: String::new(), after: None };
            match users_page(&admin, Some(&refused.to_string()), all).await {
                Ok(page) => again(refused, page),
                Err(refused) => refused.into_response(),
            }
        }
    }
}

async fn audit(admin: Admin) -> Result<Markup, Rejection> {
    let subtree = subtree(&admin);
    let read = move |store: &Store| -> Result<_, Error> {
        let mut rows = store.audit().latest(AUDIT_ROWS, &AuditFilter::new())?;
        rows.retain(|row| match subtree {
            Subtree::Branch(branch) => row.branch == Some(branch),
            _ => true,
        });
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
