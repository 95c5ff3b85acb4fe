//! A file of version 1 with rows in every table, kept as bytes, opened by the library of today.
//!
//! `frozen/version_1.sqlite` was made by the library itself (`maker.rs`), and
//! `frozen/version_1.secrets` has what the file itself does not contain: tokens and an anchor, for
//! tests only. Until 0.1 is tagged, `scripts/frozen` makes both again whenever the format changes.
//! From then on the two files never change: `the_file_is_what_the_maker_makes_today` goes, and the
//! other tests show that each later version still opens the file with all its rows.

mod maker;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gatepost::audit::*;
use gatepost::directory::*;
use gatepost::host::*;
use gatepost::second_factors::*;
use gatepost::sessions::*;
use gatepost::*;
use tempfile::TempDir;

use crate::keyring::keys;
use crate::second_factor::authenticator::Authenticator;
use crate::world::{SECOND, World, device, for_tests, morning};
use maker::{ADA_PASSWORD, ATTRIBUTES, Known, MIA_PASSWORD};

const MAKE_AGAIN: &str =
    "the format changed before 0.1: run `scripts/frozen` and commit the files";

/// The kept file.
fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/frozen/version_1.sqlite")
}

/// A copy of the kept file, opened a second after it was made.
struct Copy {
    store: Store,
    known: Known,
    path: PathBuf,
    _directory: TempDir,
}

impl Copy {
    fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.db");
        fs::copy(kept(), &path).unwrap();
        let options = for_tests()
            .clock(Arc::new(ManualClock::new(morning() + SECOND)))
            .random_source(Arc::new(SeededRandom::new(8)))
            .keyring(keys(maker::KEY));
        let store = Store::open(&path, options).unwrap_or_else(|error| {
            panic!("{error}; {MAKE_AGAIN}");
        });
        let known = Known::read(&kept().with_extension("secrets"));
        Self { store, known, path, _directory: directory }
    }

    fn user(&self, name: &str) -> User {
        self.store.users().find_by_username(name).unwrap().unwrap()
    }

    fn places(&self) -> (Organisation, Branch, Branch) {
        let organisations =
            self.store.organisations().list(&OrganisationFilter::new(), Page::default()).unwrap();
        let branches = self.store.branches().list(&BranchFilter::new(), Page::default()).unwrap();
        assert_eq!((organisations.len(), branches.len()), (1, 2));
        let branch = |name: &str| branches.iter().find(|branch| branch.name == name).cloned();
        (organisations[0].clone(), branch("York").unwrap(), branch("Leeds").unwrap())
    }
}

/// What SQLite says of a file: its version, its objects, and how many rows each table has.
#[derive(Debug, PartialEq)]
struct Format {
    version: i64,
    objects: Vec<(String, String, String)>,
    rows: BTreeMap<String, i64>,
}

impl Format {
    /// Reads a copy, as SQLite leaves files beside one that it opens.
    fn of(path: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let copy = directory.path().join("copy.db");
        fs::copy(path, &copy).unwrap();
        let sql = rusqlite::Connection::open(copy).unwrap();
        let version = sql.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        let objects: Vec<(String, String, String)> = sql
            .prepare("SELECT type, name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let tables = objects.iter().filter(|object| object.0 == "table");
        let count = |table: &str| {
            sql.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        };
        let rows = tables.map(|(_, name, _)| (name.clone(), count(name))).collect();
        Self { version, objects, rows }
    }
}

#[test]
fn every_table_of_a_made_file_has_rows() {
    // `scripts/frozen` takes the files from there.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("frozen");
    let made = maker::make(&folder);
    let format = Format::of(&made);
    let empty: Vec<_> = format.rows.iter().filter(|(_, rows)| **rows == 0).collect();
    assert!(empty.is_empty(), "without rows: {empty:?}");
}

#[test]
fn the_file_is_what_the_maker_makes_today() {
    let directory = tempfile::tempdir().unwrap();
    let made = Format::of(&maker::make(directory.path()));
    let kept = Format::of(&kept());
    assert_eq!(kept.version, made.version, "{MAKE_AGAIN}");
    for (kept, made) in kept.objects.iter().zip(&made.objects) {
        assert_eq!(kept, made, "{MAKE_AGAIN}");
    }
    assert_eq!(kept.objects.len(), made.objects.len(), "{MAKE_AGAIN}");
    assert_eq!(kept.rows, made.rows, "{MAKE_AGAIN}");
}

#[test]
fn an_opened_file_has_the_objects_of_a_new_one() {
    let copy = Copy::open();
    copy.store.close().unwrap();
    let opened = Format::of(&copy.path);
    let world = World::new();
    world.store.close().unwrap();
    let new = Format::of(&world.path);
    assert_eq!((opened.version, opened.objects), (new.version, new.objects));
}

#[test]
fn a_kept_token_verifies_and_an_ended_one_does_not() {
    let copy = Copy::open();
    let (north, york, _) = copy.places();
    let ada = copy.user("ada");
    let till = device("till-1");
    let principal = copy.store.verify((&copy.known.session, &till)).unwrap().valid().unwrap();
    assert_eq!((principal.user, principal.branch), (ada.id, Some(york.id)));
    assert_eq!((principal.organisation, principal.is_admin), (Some(north.id), true));
    assert_eq!((principal.assurance, principal.opened_at), (Assurance::Aal1, morning()));

    let info =
        &copy.store.sessions().list(&SessionFilter::new().under(ada.id), Page::default()).unwrap()
            [0];
    assert_eq!(
        (Some(info.id), info.label.as_deref()),
        (principal.credential.session(), Some("Till 1"))
    );
    let client_info = ClientInfo::new().ip([192, 0, 2, 7]).user_agent("browser");
    assert_eq!(info.client_info, Some(client_info));
    let document = copy.store.sessions().data_json(info.id).unwrap().unwrap();
    assert_eq!((document.value.as_str(), document.version.as_u64()), ("{\"basket\":3}", 1));

    let key = copy.store.verify((&copy.known.api_key, None)).unwrap().valid().unwrap();
    assert_eq!((key.user, key.kind), (copy.user("robot").id, UserKind::System));
    let made = copy.store.verify((&copy.known.made_key, None)).unwrap().valid().unwrap();
    let keys = copy.store.api_keys().list(key.user).unwrap();
    let listed = |id| keys.iter().find(|one| Credential::ApiKey(one.id) == id).unwrap();
    let (first, second) = (listed(key.credential), listed(made.credential));
    assert_eq!((first.label.as_deref(), first.parent), (Some("night"), None));
    assert_eq!(second.parent, Some(key.credential));
    assert_eq!(first.scopes, Some(vec!["export".to_owned(), "print".to_owned()]));
    assert_eq!(second.scopes, Some(vec!["print".to_owned()]));
    assert!(first.last_used_at.is_some());
    let of_session = copy.store.api_keys().list(ada.id).unwrap();
    assert_eq!(of_session[0].parent, Some(principal.credential));

    let administers = copy.store.users().administrations(ada.id).unwrap();
    let (north, york, _) = copy.places();
    assert_eq!(administers, [Subtree::Branch(york.id), Subtree::Organisation(north.id)]);
    let identity = &copy.store.external_identities().list(ada.id).unwrap()[0];
    assert_eq!(
        (identity.provider.as_str(), identity.subject.as_str(), identity.linked_at),
        ("https://login.example.com", "7", morning())
    );

    let confirmed = copy.store.one_time_tokens().confirm_email(&copy.known.one_time).unwrap();
    assert_eq!(confirmed.valid().unwrap().id, ada.id);

    // The user was locked after the login; the row of the session is still in the file.
    let ended = copy.store.verify((&copy.known.ended_session, &device("till-2"))).unwrap();
    assert!(ended.valid().is_err());
}

#[test]
fn kept_passwords_log_in_and_what_bars_a_login_still_does() {
    let copy = Copy::open();
    let log_in = |name: &str, password: &str| {
        let request = LoginRequest::new(name, Password::from(password), device("desk-9"));
        copy.store.log_in(request).unwrap().granted()
    };
    let reply = log_in("ADA@example.com", ADA_PASSWORD);
    assert_eq!(reply.unwrap_err(), LoginRefusal::InvalidCredentials, "an address is no username");
    let reply = log_in("Ada", ADA_PASSWORD).unwrap();
    assert_eq!(
        reply.profile.credits.map(|all| (all.branch, all.organisation)),
        Some((Some(5), Some(70)))
    );
    assert_eq!(log_in("ada", MIA_PASSWORD).unwrap_err(), LoginRefusal::InvalidCredentials);
    assert_eq!(log_in("mia", MIA_PASSWORD).unwrap_err(), LoginRefusal::NewPasswordRequired);
    let bob = log_in("bob", maker::BOB_PASSWORD).unwrap_err();
    assert_eq!(bob, LoginRefusal::AccountLocked);

    let ada = copy.user("ada");
    assert_eq!(copy.store.devices().list(ada.id).unwrap().len(), 2);
    let kim = copy.user("kim");
    assert_eq!(kim.failed_attempts, maker::FAILURES);
    let kim = log_in("kim", maker::KIM_PASSWORD).unwrap_err();
    assert_eq!(kim, LoginRefusal::InvalidCredentials, "her gate is closed");
    assert!(copy.user("kim").locked_out_until.is_some());
}

#[test]
fn a_kept_hash_of_another_system_logs_in_and_is_replaced() {
    let copy = Copy::open();
    let foreign = || {
        let sql = rusqlite::Connection::open(&copy.path).unwrap();
        let count = "SELECT count(*) FROM hash_cost WHERE cost LIKE '$bcrypt$%'";
        sql.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let log_in = |password: &str| {
        let login = LoginRequest::new("max", password.into(), device("desk-9"));
        copy.store.log_in(login).unwrap().granted()
    };
    assert_eq!(foreign(), 1);
    assert_eq!(log_in(MIA_PASSWORD).unwrap_err(), LoginRefusal::InvalidCredentials);
    assert_eq!(foreign(), 1);
    assert!(log_in(maker::MAX_PASSWORD).is_ok());
    assert_eq!(foreign(), 0);
    assert!(log_in(maker::MAX_PASSWORD).is_ok());
}

#[test]
fn kept_hashes_are_sealed_and_are_sealed_again() {
    let copy = Copy::open();
    let uses = copy.store.key_use().unwrap();
    assert_eq!((uses.len(), uses[0].hashes), (1, 7));
    assert_eq!(uses[0].key.as_ref().map(KeyId::as_str), Some("2026-01"));
    copy.store.close().unwrap();
    let both = keys(&[("2027-01", 8), maker::KEY[0]]);
    let store = Store::open(&copy.path, for_tests().keyring(both)).unwrap();
    let report = store.rekey(9).unwrap();
    assert_eq!((report.hashes, report.totp_secrets), (7, 1));
    assert_eq!((report.damaged, report.is_complete), (0, true));
}

#[test]
fn kept_users_stand_as_they_stood() {
    let copy = Copy::open();
    assert_eq!(copy.user("ada").failed_attempts, 1, "from a known device");
    let (north, york, leeds) = copy.places();
    assert_eq!((north.name.as_str(), north.active), ("North", true));
    assert_eq!((york.organisation, york.active), (Some(north.id), true));
    assert_eq!((leeds.organisation, leeds.active), (None, false));

    let ada = copy.user("ada");
    assert_eq!((ada.email.as_deref(), ada.branch), (Some("ada@example.com"), Some(york.id)));
    assert_eq!((ada.first_name.as_deref(), ada.last_name.as_deref()), (Some("Ada"), Some("L")));
    assert_eq!(ada.description.as_deref(), Some("Countess"));
    assert_eq!(ada.privileges, ["admin", "reports"]);
    assert_eq!(ada.attributes.as_deref(), Some(ATTRIBUTES));
    assert_eq!((ada.confirmed_at, ada.last_login_at), (Some(morning()), Some(morning())));
    assert_eq!(copy.user("bob").status, UserStatus::Locked);

    let deleted = UserFilter::new().deleted();
    let deleted = copy.store.users().list(&deleted, Page::default()).unwrap();
    assert_eq!(deleted.len(), 1);
    assert_eq!((deleted[0].username.as_str(), deleted[0].deleted_at), ("eve", Some(morning())));
    let sql = rusqlite::Connection::open(&copy.path).unwrap();
    let written: Vec<i64> = sql
        .prepare(
            "SELECT names_version FROM user WHERE email = 'ada@example.com' OR username = 'eve'
                 ORDER BY names_version",
        )
        .and_then(|mut rows| rows.query_map([], |row| row.get(0))?.collect())
        .unwrap();
    assert_eq!(written, [0, 1]);
    let back = copy.store.users().restore(deleted[0].id).unwrap();
    assert_eq!((back.branch, back.deleted_at), (Some(york.id), None));
}

#[test]
fn a_kept_second_factor_has_its_codes_and_none_that_was_used() {
    let copy = Copy::open();
    let lea = copy.user("lea").id;
    let factor = copy.store.second_factors().info(lea).unwrap().unwrap();
    assert_eq!((factor.algorithm, factor.digits), (TotpAlgorithm::Sha1, 6));
    assert_eq!((factor.origin, factor.since), (FactorOrigin::Enrolled, morning()));
    assert_eq!(factor.recovery_codes_left, 9);
    let secret = data_encoding::BASE32_NOPAD.decode(copy.known.totp_secret.as_bytes()).unwrap();
    let authenticator = Authenticator::of(&secret);
    let on = device("desk-of-lea");
    let open = OpenSession::new(lea, on.clone()).assurance(Assurance::Aal2);
    let token = copy.store.sessions().open(open).unwrap().granted().unwrap().session.token;
    let replace = |code: FactorCode| {
        let (factors, password) = (copy.store.second_factors(), maker::LEA_PASSWORD.into());
        let begun = factors.replace((&token, &on), password, code, NewTotp::new()).unwrap();
        begun.done().is_ok()
    };
    assert!(!replace(authenticator.code(morning(), 0)), "used before");
    assert!(replace(copy.known.recovery_code.as_str().into()));
    assert_eq!(copy.store.second_factors().info(copy.user("lev").id).unwrap(), None);
    let uses = copy.store.key_use().unwrap();
    assert_eq!((uses.len(), uses[0].totp_secrets), (1, 1));
}

#[test]
fn a_kept_login_that_waits_is_completed_and_a_kept_device_is_trusted() {
    let copy = Copy::open();
    let secret = data_encoding::BASE32_NOPAD.decode(copy.known.totp_secret.as_bytes()).unwrap();
    let lea = copy.user("lea").id;
    let devices = copy.store.devices().list(lea).unwrap();
    let trusted: Vec<_> = devices.iter().filter_map(|device| device.trusted_until).collect();
    assert_eq!(trusted, [morning() + maker::TRUST]);
    let login = |on| LoginRequest::new("lea", maker::LEA_PASSWORD.into(), device(on));
    assert!(copy.store.log_in(login("trusted")).unwrap().granted().is_ok());
    let refused = copy.store.log_in(login("new")).unwrap().granted().unwrap_err();
    assert_eq!(refused, LoginRefusal::MfaCodeRequired);
    let step = copy.known.pending_step.as_str();
    let with = |code| CompleteLogin::with_code(step, device("waiting"), code);
    let used = Authenticator::of(&secret).code(morning(), 0);
    let refused = copy.store.complete_login(with(used)).unwrap().granted().unwrap_err();
    assert_eq!(refused, LoginRefusal::InvalidCredentials);
    let code = copy.known.recovery_code.as_str();
    let with = CompleteLogin::with_recovery_code(step, device("waiting"), code);
    assert!(copy.store.complete_login(with).unwrap().granted().is_ok());
}

#[test]
fn kept_configuration_and_credits_are_in_force() {
    let copy = Copy::open();
    let (north, york, _) = copy.places();
    let configuration = copy.store.configuration();
    let of_ada = configuration.effective_all(copy.user("ada").id).unwrap();
    let texts: Vec<_> = of_ada.iter().map(|s| (s.key.as_str(), s.value.as_str())).collect();
    let expected =
        [("Colour", "of ada"), ("Layout", "of York"), ("Paper", "of North"), ("Theme", "of all")];
    assert_eq!(texts, expected);
    let public = configuration.public_for(None).unwrap();
    assert_eq!((public.len(), public.text("theme")), (1, Some("of all")));
    let credits = copy.store.credits();
    assert_eq!(credits.spend(CreditHolder::Branch(york.id), 2).unwrap(), 3);
    assert_eq!(credits.remaining(CreditHolder::Organisation(north.id)).unwrap(), Some(70));
}

#[test]
fn the_kept_audit_log_is_intact_and_goes_on() {
    let copy = Copy::open();
    let anchor: AuditAnchor = copy.known.anchor.parse().unwrap();
    let audit = copy.store.audit();
    let intact = |audit: &Audit<'_>| audit.verify_chain(Some(&anchor)).unwrap().is_intact();
    assert!(intact(&audit));
    let from_host = audit.list(&AuditFilter::new().from_host(), Page::first(9)).unwrap();
    assert_eq!(from_host.len(), 2);
    let erased = &from_host[1];
    assert_eq!((erased.event.as_str(), erased.detail.as_deref()), ("invoice.seen", None));
    assert_eq!(audit.unseen("mailer", 9).unwrap().entries[0].event, "audit.consumer_added");
    assert_eq!((from_host[0].event.as_str(), from_host[0].at), ("invoice.printed", morning()));
    assert_eq!(from_host[0].detail.as_deref(), Some("number 7"));
    let deleted = AuditFilter::new().kind(EventKind::UserDeleted);
    assert_eq!(audit.list(&deleted, Page::first(9)).unwrap().len(), 2);
    copy.store.branches().create("Hull", None).unwrap();
    assert!(intact(&audit));
}

#[test]
fn the_kept_log_has_its_three_sources_and_the_clock_what_it_was_believed_to_be() {
    let copy = Copy::open();
    let refused = AuditFilter::new().kind(EventKind::LoginRefused).user(copy.user("kim").id);
    assert_eq!(copy.store.audit().count(&refused).unwrap(), maker::FAILURES);
    assert_eq!(copy.store.maintain().unwrap(), status::MaintenanceReport::default());
    copy.store.close().unwrap();
    let sql = rusqlite::Connection::open(&copy.path).unwrap();
    let one = |query: &str| sql.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(one("SELECT count(DISTINCT source) FROM audit WHERE length(salt) = 8"), 3);
    assert_eq!(one("SELECT count(DISTINCT salt) - count(*) FROM audit"), 0);
    assert_eq!(one("SELECT seen_at FROM store"), morning().as_millis());
    assert_eq!(one("SELECT believed_at FROM store"), morning().as_millis());
}
