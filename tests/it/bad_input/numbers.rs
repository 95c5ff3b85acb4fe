//! Times and numbers at the ends of their types: refused, or brought within bounds, never an
//! overflow.

use std::sync::Arc;
use std::time::Duration;

use gatepost::audit::*;
use gatepost::directory::*;
use gatepost::host::*;
use gatepost::policy::*;
use gatepost::sessions::*;
use gatepost::*;
use proptest::prelude::*;

use super::{Bench, for_any};
use crate::world::{DAY, PASSWORD, SECOND, device, for_tests, morning};

const FIRST: Timestamp = Timestamp::MIN;
const LAST: Timestamp = Timestamp::MAX;

fn spans() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        Just(Duration::from_nanos(1)),
        Just(Duration::from_millis(i64::MAX.unsigned_abs())),
        Just(Duration::from_millis(i64::MAX.unsigned_abs() + 1)),
        any::<u64>().prop_map(Duration::from_millis),
        (any::<u64>(), 0_u32..1_000_000_000).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
    ]
}

fn times() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        Just(FIRST),
        Just(LAST),
        Just(Timestamp::UNIX_EPOCH),
        Just(Timestamp::UNIX_EPOCH - SECOND),
        any::<i64>().prop_map(Timestamp::from_millis),
        (-4_000_000_000_000_i64..4_000_000_000_000).prop_map(Timestamp::from_millis),
    ]
}

#[test]
fn an_end_in_the_past_is_refused_and_one_far_ahead_is_brought_forward() {
    let bench = Bench::new();
    bench.world.store.second_factors().reset(bench.ada).unwrap();
    let latest = morning() + 30 * DAY;
    for_any(64, &times(), |at| {
        let open = OpenSession::new(bench.ada, device("till-2")).expires_at(at);
        let log_in =
            LoginRequest::new("ada", Password::from(PASSWORD), device("till-3")).expires_at(at);
        let store = &bench.world.store;
        for opened in [
            store.sessions().open(open).map(LoginOutcome::granted),
            store.log_in(log_in).map(LoginOutcome::granted),
        ] {
            match opened {
                Ok(reply) => {
                    let session = reply.unwrap().session;
                    assert!(session.expires_at > morning() && session.expires_at <= latest);
                    assert_eq!(session.clamped, at > latest);
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Invalid);
                    assert!(at < morning() + SECOND);
                }
            }
        }
        store.api_keys().revoke_all(bench.ada).unwrap();
        bench.check("a key", &[ErrorKind::Invalid], || {
            store.api_keys().issue(bench.ada, NewApiKey::new().expires_at(at))
        });
        let filter = AuditFilter::new().since(at).before(at);
        assert_eq!(store.audit().list(&filter, Page::default()).unwrap(), []);
        let all = AuditFilter::new().since(FIRST).before(LAST);
        assert!(!store.audit().list(&all, Page::default()).unwrap().is_empty());
    });
}

#[test]
fn any_span_is_taken_or_refused() {
    let bench = Bench::new();
    for_any(64, &spans(), |span| {
        let store = &bench.world.store;
        store.api_keys().revoke_all(bench.ada).unwrap();
        let key = store.api_keys().issue(bench.ada, NewApiKey::new()).unwrap().id;
        bench.check("an overlap", &[ErrorKind::Invalid], || store.api_keys().rotate(key, span));
        store.api_keys().revoke_all(bench.ada).unwrap();
        bench.check("a lifetime", &[ErrorKind::Invalid], || {
            store.api_keys().issue(bench.ada, NewApiKey::new().lifetime(span))
        });
        let policies = [
            SessionPolicy::server().lifetime(span),
            SessionPolicy::server().max_lifetime(span),
            SessionPolicy::server().lifetime(span).max_lifetime(span),
            SessionPolicy::server().inactivity_timeout(span),
        ];
        let options = policies.map(|policy| for_tests().sessions(policy));
        for options in options.into_iter().chain([
            for_tests().password_expiry(span),
            for_tests().audit_max_age(span).audit_max_rows(u64::MAX),
        ]) {
            match Store::in_memory(options) {
                Ok(store) => live(&store),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid),
            }
        }
    });
}

#[test]
fn any_number_in_the_options_is_taken_or_refused() {
    let number = prop_oneof![Just(0_u64), Just(1), Just(u64::MAX), any::<u64>(), 0_u64..2_000];
    for_any(64, &number, |number| {
        let (short, size) = (number as u32, usize::try_from(number).unwrap_or(usize::MAX));
        for options in [
            for_tests().sessions(SessionPolicy::server().per_user(short)),
            for_tests().api_keys_per_user(short),
            for_tests().max_concurrent_hashes(size).max_waiting_hashes(0),
            for_tests().max_concurrent_hashes(1).max_waiting_hashes(size),
            for_tests().audit_max_age(DAY).audit_max_rows(number),
            for_tests().passwords(PasswordPolicy::default().min_chars(size)),
            for_tests().passwords(PasswordPolicy::default().max_bytes(size)),
        ] {
            match Store::in_memory(options) {
                Ok(store) => live(&store),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid),
            }
        }
        if let Err(error) = Cost::new(short, (number >> 32) as u32, 1) {
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    });
}

#[test]
fn any_count_of_credits_any_version_and_any_page_is_taken_or_refused() {
    let bench = Bench::new();
    let store = &bench.world.store;
    let number = prop_oneof![
        Just(u64::MAX),
        Just(i64::MAX.unsigned_abs()),
        Just(i64::MAX.unsigned_abs() + 1),
        any::<u64>(),
        0_u64..3,
    ];
    let holder = CreditHolder::Branch(bench.york);
    store.credits().set(holder, 1).unwrap();
    for_any(96, &(number.clone(), number), |(one, two)| {
        let credits = store.credits();
        bench.check("set", &[ErrorKind::Invalid], || credits.set(holder, one));
        bench.check("add", &[ErrorKind::Invalid, ErrorKind::LimitReached], || {
            credits.add(holder, two)
        });
        let before = credits.remaining(holder).unwrap().unwrap();
        if bench.check("spend", &[ErrorKind::Insufficient], || credits.spend(holder, two)) {
            assert_eq!(credits.remaining(holder).unwrap(), Some(before - two));
        }
        let sessions = store.sessions();
        let may = [ErrorKind::Stale];
        bench.check("a version", &may, || {
            sessions.set_data_json(bench.session, "{}", Version::from_u64(one))
        });
        let limit = one as u32;
        let good = (1..=500).contains(&limit);
        let audit = store.audit();
        let page = Page::after(two as i64, limit);
        let lists = [
            store.users().list(&UserFilter::new(), Page::first(limit)).is_ok(),
            store.branches().list(&BranchFilter::new(), Page::first(limit)).is_ok(),
            store.organisations().list(&OrganisationFilter::new(), Page::first(limit)).is_ok(),
            store.configuration().list(Subtree::Store, Page::first(limit)).is_ok(),
            audit.list(&AuditFilter::new(), page).is_ok(),
        ];
        assert_eq!(lists, [good; 5]);
    });
}

#[test]
fn a_clock_at_either_end_of_time_breaks_nothing() {
    for_any(32, &times(), |now| {
        let clock = ManualClock::new(now);
        let store = Store::in_memory(for_tests().clock(Arc::new(clock.clone()))).unwrap();
        live(&store);
        clock.set(LAST);
        live(&store);
        clock.set(FIRST);
        clock.go_back(Duration::MAX);
        clock.advance(Duration::MAX);
        live(&store);
        let _ = store.maintain().unwrap();
    });
}

#[test]
fn a_store_before_1970_keeps_its_rules() {
    let long_ago = Timestamp::UNIX_EPOCH - 400 * DAY;
    let clock = ManualClock::new(long_ago);
    let store = Store::in_memory(for_tests().clock(Arc::new(clock.clone()))).unwrap();
    let ada = store.users().create(NewUser::person("ada")).unwrap().id;
    let open = || store.sessions().open(OpenSession::new(ada, device("till-1")));
    let opened = open().unwrap().granted().unwrap().session;
    let verify = |token: &Secret| store.verify((token, &device("till-1"))).unwrap().valid();
    assert_eq!(opened.expires_at, long_ago + DAY);
    assert!(verify(&opened.token).is_ok());
    clock.advance(DAY - Duration::from_millis(1));
    assert!(verify(&opened.token).is_ok());
    clock.advance(Duration::from_millis(1));
    assert!(verify(&opened.token).is_err());
    let again = open().unwrap().granted().unwrap().session;
    let ended = store.log_out((&again.token, &device("till-1"))).unwrap();
    assert_eq!(ended, Ended::Now);
    assert!(verify(&again.token).is_err());
}

/// A user logs in, fails, is verified and logs out; whatever the answers, nothing panics.
fn live(store: &Store) {
    let users = store.users();
    let _ = users.create(NewUser::person("ada").password(Password::from(PASSWORD)));
    let log_in = |password: &str| {
        store.log_in(LoginRequest::new("ada", Password::from(password), device("till-1")))
    };
    let _ = log_in("wrong").map(LoginOutcome::granted);
    if let Ok(LoginOutcome::Granted(reply)) = log_in(PASSWORD) {
        let token = reply.session.token.expose();
        let _ = store.verify((token, &device("till-1"))).map(Verdict::valid);
        let _ = store
            .sessions()
            .list(&SessionFilter::new().under(reply.profile.user.id), Page::default())
            .unwrap();
        let _ = store.log_out((token, &device("till-1")));
    }
    let found = users.find_by_username("ada").unwrap();
    assert!(found.is_none_or(|ada| ada.created_at >= FIRST));
}
