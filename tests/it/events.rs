//! Every write and every login outcome leaves exactly one row in the audit log, in the name of
//! whoever acts.

use std::collections::HashSet;
use std::time::Duration;

use gatepost::{
    Actor, AuditFilter, EndSessions, EventKind, Holder, HostEvent, LogIn, NewApiKey, NewUser,
    OpenSession, Page, Password, Scope, Store, UserStatus, UserUpdate,
};

use crate::world::{DAY, HOUR, MINUTE, PASSWORD, World, device};

const NEW: &str = "nine brass bells";

/// Kinds that no call of this test can leave, and why.
const ELSEWHERE: [EventKind; 5] = [
    EventKind::StoreCreated,  // by the first open
    EventKind::StoreMigrated, // by an open with a newer library
    EventKind::StoreRestored, // by a restore
    EventKind::VerifyRefused, // counted, a row a minute: verify/refused.rs
    EventKind::HostRecorded,  // the host's own names: below
];

/// A store in the name of somebody, and what it has left in the log so far.
struct Ledger<'w> {
    world: &'w World,
    store: Store,
    actor: Actor,
    seen: HashSet<EventKind>,
}

impl Ledger<'_> {
    /// Makes a call that must leave exactly one row, of this kind.
    #[track_caller]
    fn one<T>(&mut self, kind: EventKind, call: impl FnOnce(&Store) -> T) -> T {
        let before = self.rows();
        let answer = call(&self.store);
        let after = self.rows();
        assert_eq!(after - before, 1, "{}: rows", kind.name());
        let log = self.world.store.audit();
        let row = log.list(&AuditFilter::new(), Page::after(before, 1)).unwrap().pop().unwrap();
        assert_eq!((row.event.as_str(), row.actor), (kind.name(), self.actor));
        self.seen.insert(kind);
        answer
    }

    fn rows(&self) -> i64 {
        self.world.count("SELECT max(head_seq) FROM audit_chain")
    }
}

#[test]
fn every_write_and_every_login_outcome_leaves_exactly_one_row_in_the_name_of_its_actor() {
    let world = World::new();
    let root = world.person("root").id;
    let actor = Actor::User(root);
    let store = world.store.acting_as(root);
    let mut ledger = Ledger { world: &world, store, actor, seen: HashSet::new() };
    hierarchy(&mut ledger);
    users(&mut ledger);
    passwords(&mut ledger);
    settings(&mut ledger);
    keys(&mut ledger);
    sessions(&mut ledger);
    upkeep(&mut ledger);
    let missing: Vec<&EventKind> = EventKind::ALL
        .iter()
        .filter(|kind| !ledger.seen.contains(kind) && !ELSEWHERE.contains(kind))
        .collect();
    assert!(missing.is_empty(), "no call here leaves {missing:?}");
    assert!(world.store.audit().verify_chain(None).unwrap().is_intact());
}

fn hierarchy(ledger: &mut Ledger<'_>) {
    use EventKind::*;
    let northern =
        ledger.one(OrganisationCreated, |s| s.organisations().create("Northern")).unwrap().id;
    ledger.one(OrganisationRenamed, |s| s.organisations().rename(northern, "North")).unwrap();
    let off = |s: &Store| s.organisations().set_active(northern, false);
    ledger.one(OrganisationDeactivated, off).unwrap();
    let on = |s: &Store| s.organisations().set_active(northern, true);
    ledger.one(OrganisationActivated, on).unwrap();
    let york = ledger.one(BranchCreated, |s| s.branches().create("York", None)).unwrap().id;
    ledger.one(BranchRenamed, |s| s.branches().rename(york, "York 2")).unwrap();
    ledger.one(BranchMoved, |s| s.branches().move_to(york, northern)).unwrap();
    ledger.one(BranchDeactivated, |s| s.branches().set_active(york, false)).unwrap();
    ledger.one(BranchActivated, |s| s.branches().set_active(york, true)).unwrap();
    let end = |s: &Store| s.sessions().end_all_of_branch(york);
    ledger.one(BranchSessionsEnded, end).unwrap();
    let end = |s: &Store| s.sessions().end_all_of_organisation(northern);
    ledger.one(OrganisationSessionsEnded, end).unwrap();
    ledger.one(StoreSessionsEnded, |s| s.sessions().end_all()).unwrap();
    let holder = Holder::Branch(york);
    ledger.one(CreditsSet, |s| s.credits().set(holder, Some(5))).unwrap();
    ledger.one(CreditsAdded, |s| s.credits().add(holder, 5)).unwrap();
    ledger.one(CreditsSpent, |s| s.credits().spend(holder, 7)).unwrap();
    ledger.one(CreditsRemoved, |s| s.credits().set(holder, None)).unwrap();
    ledger.one(BranchDeleted, |s| s.branches().delete(york)).unwrap();
    ledger.one(OrganisationDeleted, |s| s.organisations().delete(northern)).unwrap();
}

fn users(ledger: &mut Ledger<'_>) {
    use EventKind::*;
    let york = ledger.one(BranchCreated, |s| s.branches().create("Leeds", None)).unwrap().id;
    let new = NewUser::person("bob").email("bob@example.com").privilege("admin");
    let bob = ledger.one(UserCreated, |s| s.users().create(new)).unwrap().id;
    let update = UserUpdate::new().first_name("Bob").desktop_client_denied(true);
    ledger.one(UserUpdated, |s| s.users().update(bob, update)).unwrap();
    ledger.one(UserRenamed, |s| s.users().rename(bob, "robert")).unwrap();
    ledger.one(UserEmailChanged, |s| s.users().set_email(bob, None)).unwrap();
    ledger.one(UserMoved, |s| s.users().move_to(bob, york)).unwrap();
    let set = |s: &Store| s.users().set_privileges(bob, &["report"]);
    ledger.one(UserPrivilegesChanged, set).unwrap();
    for (kind, status) in [
        (UserMadePending, UserStatus::Pending),
        (UserActivated, UserStatus::Active),
        (UserLocked, UserStatus::Locked),
        (UserDisabled, UserStatus::Disabled),
    ] {
        ledger.one(kind, |s| s.users().set_status(bob, status)).unwrap();
    }
    ledger.one(UserConfirmed, |s| s.users().confirm(bob)).unwrap();
    ledger.one(UserDeleted, |s| s.users().delete(bob)).unwrap();
    ledger.one(UserRestored, |s| s.users().restore(bob)).unwrap();
}

fn passwords(ledger: &mut Ledger<'_>) {
    use EventKind::*;
    let carol =
        ledger.one(UserCreated, |s| s.users().create(NewUser::person("carol"))).unwrap().id;
    ledger.one(PasswordSet, |s| s.users().set_password(carol, PASSWORD.into())).unwrap();
    let demand = |s: &Store| s.users().require_password_change(carol, EndSessions::All);
    ledger.one(PasswordChangeRequired, demand).unwrap();
    ledger.one(PasswordMarkedCompromised, |s| s.users().mark_compromised(carol)).unwrap();
    ledger.one(PasswordRemoved, |s| s.users().remove_password(carol)).unwrap();
    ledger.one(PasswordSet, |s| s.users().set_password(carol, PASSWORD.into())).unwrap();

    let log_in = |password: &str, new: Option<&str>| {
        let request = LogIn::new("carol", Password::from(password), device("carol's"));
        let request = new.map(Password::from).into_iter().fold(request, LogIn::new_password);
        move |s: &Store| s.log_in(request).unwrap().granted()
    };
    for _ in 0..4 {
        ledger.one(LoginRefused, log_in("wrong horse battery", None)).unwrap_err();
    }
    ledger.one(LoginRefused, log_in(PASSWORD, Some(NEW))).unwrap_err();
    let held = ledger.one(LoginGranted, log_in(PASSWORD, None)).unwrap().session;
    let mark = |s: &Store| s.users().require_password_change(carol, EndSessions::Keep);
    ledger.one(PasswordChangeRequired, mark).unwrap();
    ledger.one(LoginRefused, log_in(PASSWORD, None)).unwrap_err();
    ledger.one(LoginRefused, log_in(PASSWORD, Some("short"))).unwrap_err();

    let change = |current: &str| {
        let (current, new) = (Password::from(current), Password::from(NEW));
        let token = held.token.expose();
        move |s: &Store| {
            s.change_password(token, &device("carol's"), current, new).unwrap().changed()
        }
    };
    ledger.one(PasswordChangeRefused, change("wrong horse battery")).unwrap_err();
    ledger.one(PasswordChanged, change(PASSWORD)).unwrap();
    ledger.one(PasswordChangeRequired, mark).unwrap();
    ledger.one(LoginGranted, log_in(NEW, Some(PASSWORD))).unwrap();

    for _ in 0..5 {
        ledger.one(LoginRefused, log_in("wrong horse battery", None)).unwrap_err();
    }
    ledger.one(AttemptsThrottled, log_in(PASSWORD, None)).unwrap_err();
    ledger.one(AttemptsUnlocked, |s| s.users().unlock(carol)).unwrap();
    let forget = |s: &Store| s.devices().forget(carol, &device("carol's"));
    assert!(ledger.one(DeviceForgotten, forget).unwrap());
}

fn settings(ledger: &mut Ledger<'_>) {
    use EventKind::*;
    let set = |s: &Store| s.configuration().set(Scope::System, "theme", "dark");
    ledger.one(ConfigurationSet, set).unwrap();
    let set_if = |s: &Store| s.configuration().set_if(Scope::System, "theme", Some("dark"), "x");
    ledger.one(ConfigurationSet, set_if).unwrap();
    let public = |public| move |s: &Store| s.configuration().set_public("theme", public);
    ledger.one(ConfigurationMadePublic, public(true)).unwrap();
    ledger.one(ConfigurationMadePrivate, public(false)).unwrap();
    let remove = |s: &Store| s.configuration().remove(Scope::System, "theme");
    assert!(ledger.one(ConfigurationRemoved, remove).unwrap());
}

fn keys(ledger: &mut Ledger<'_>) {
    use EventKind::*;
    let new = NewUser::system("mailer");
    let mailer = ledger.one(UserCreated, |s| s.users().create(new)).unwrap().id;
    ledger.one(ApiKeyIssued, |s| s.api_keys().issue(mailer, NewApiKey::new())).unwrap();
    let reassign = |s: &Store| s.api_keys().reassign(mailer, MINUTE);
    ledger.one(ApiKeyReassigned, reassign).unwrap();
    let reassign = |s: &Store| s.api_keys().reassign_as(mailer, NewApiKey::new(), Duration::ZERO);
    let key = ledger.one(ApiKeyReassigned, reassign).unwrap().id;
    ledger.one(ApiKeyRevoked, |s| s.api_keys().revoke(key)).unwrap();
    ledger.one(ApiKeyIssued, |s| s.api_keys().issue(mailer, NewApiKey::new())).unwrap();
    ledger.one(ApiKeysRevoked, |s| s.api_keys().revoke_all(mailer)).unwrap();
}

fn sessions(ledger: &mut Ledger<'_>) {
    use EventKind::*;
    let dora = ledger.one(UserCreated, |s| s.users().create(NewUser::person("dora"))).unwrap().id;
    let mut open = |on: &str| {
        let request = OpenSession::new(dora, device(on));
        let open = |s: &Store| s.sessions().open(request).unwrap().granted().unwrap();
        ledger.one(SessionOpened, open).session
    };
    let (one, two) = (open("one"), open("two"));
    let again = open("two");
    let label = |s: &Store| s.sessions().set_label(one.id, Some("One"));
    ledger.one(SessionLabelled, label).unwrap();
    let set = |s: &Store| s.sessions().set_document(one.id, "[1]", 0);
    ledger.one(SessionDocumentSet, set).unwrap();
    let set = |s: &Store| s.sessions().set_document(one.id, "[2]", 1);
    ledger.one(SessionDocumentSet, set).unwrap();
    let verdict = ledger.store.verify(one.token.expose(), &device("one")).unwrap();
    let facts = verdict.valid().unwrap();
    ledger.one(SessionOthersEnded, |s| s.sessions().end_others(&facts)).unwrap();
    let log_out = |s: &Store| s.log_out(one.token.expose(), &device("one")).unwrap();
    let _ = ledger.one(SessionLoggedOut, log_out);
    ledger.one(UserSessionsEnded, |s| s.sessions().end_all_of(dora)).unwrap();
    for gone in [one, two, again] {
        assert!(ledger.store.sessions().find(gone.id).unwrap().is_none());
    }
    let request = OpenSession::new(dora, device("three"));
    let open = |s: &Store| s.sessions().open(request).unwrap().granted().unwrap();
    let three = ledger.one(SessionOpened, open).session;
    let _ = ledger.one(SessionEnded, |s| s.sessions().end(three.id)).unwrap();
    ledger.one(UserLocked, |s| s.users().set_status(dora, UserStatus::Locked)).unwrap();
    let request = OpenSession::new(dora, device("three"));
    let open = |s: &Store| s.sessions().open(request).unwrap().granted();
    ledger.one(SessionOpened, open).unwrap_err();
}

fn upkeep(ledger: &mut Ledger<'_>) {
    let eve = ledger.world.person("eve").id;
    ledger.world.open(eve, "eve's");
    ledger.world.clock.advance(DAY + HOUR);
    let swept = ledger.one(EventKind::StoreMaintained, Store::maintain).unwrap();
    assert!(swept.sessions >= 1);
}

#[test]
fn what_the_host_records_is_one_row_an_event_of_its_own_name() {
    let world = World::new();
    let ada = world.person("ada").id;
    let session = world.open(ada, "till-1");
    let facts = world.store.verify(session.token.expose(), &device("till-1")).unwrap();
    let store = world.store.acting_as(facts.valid().unwrap());
    let before = world.last_event().seq;
    let events: Vec<HostEvent> =
        (0..3).map(|_| HostEvent::new("report.printed").unwrap()).collect();
    store.audit().record(&events).unwrap();
    let log = world.store.audit().list(&AuditFilter::new(), Page::after(before, 10)).unwrap();
    assert_eq!(log.len(), 3);
    for row in log {
        assert!(row.from_host);
        assert_eq!(row.event, "report.printed");
        assert_eq!(row.actor, Actor::Session { user: ada, session: session.id });
    }
}
