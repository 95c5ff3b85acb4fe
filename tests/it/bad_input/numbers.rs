//! Times and numbers at the ends of what can be said: refused, or brought within bounds, never an
//! overflow.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use gatepost::*;
use proptest::prelude::*;

use super::{Bench, for_any};
use crate::world::{DAY, PASSWORD, SECOND, device, for_tests, morning};

const FIRST: DateTime<Utc> = DateTime::<Utc>::MIN_UTC;
const LAST: DateTime<Utc> = DateTime::<Utc>::MAX_UTC;

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

fn times() -> impl Strategy<Value = DateTime<Utc>> {
    prop_oneof![
        Just(FIRST),
        Just(LAST),
        Just(DateTime::UNIX_EPOCH),
        Just(DateTime::UNIX_EPOCH - SECOND),
        any::<i64>().prop_map(|millis| DateTime::from_timestamp_millis(millis).unwrap_or(LAST)),
        (-4_000_000_000_i64..4_000_000_000).prop_map(|s| DateTime::from_timestamp(s, 1).unwrap()),
    ]
}

#[test]
fn an_end_in_the_past_is_refused_and_one_far_ahead_is_brought_forward() {
    let bench = Bench::new();
    let latest = morning() + 30 * DAY;
    for_any(64, &times(), |at| {
        let open = OpenSession::new(bench.ada, device("till-2")).expires_at(at);
        let log_in = LogIn::new("ada", Password::from(PASSWORD), device("till-3")).expires_at(at);
        let store = &bench.world.store;
        for opened in [
            store.sessions().open(open).map(LoginAnswer::granted),
            store.log_in(log_in).map(LoginAnswer::granted),
        ] {
            match opened {
                Ok(reply) => {
                    let session = reply.unwrap().session;
                    assert!(session.expires_at > morning() && session.expires_at <= latest);
                    assert_eq!(session.clamped, at > latest);
                }
                Err(error) => {
                    assert_eq!(error.reason(), Reason::Invalid);
                    assert!(at < morning() + SECOND);
                }
            }
        }
        bench.check("a key", &[Reason::Invalid, Reason::Taken], || {
            store.api_keys().reassign_as(
                bench.ada,
                NewApiKey::new().expires_at(at),
                Duration::ZERO,
            )
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
        bench.check("an overlap", &[Reason::Invalid], || {
            store.api_keys().reassign(bench.ada, span)
        });
        let policies = [
            SessionPolicy::server().lifetime(span),
            SessionPolicy::server().lifetime_max(span),
            SessionPolicy::server().lifetime(span).lifetime_max(span),
            SessionPolicy::server().idle(span),
        ];
        let options = policies.map(|policy| for_tests().sessions(policy));
        for options in options
            .into_iter()
            .chain([for_tests().password_expiry(span), for_tests().audit_kept(span, u64::MAX)])
        {
            match Store::in_memory(options) {
                Ok(store) => live(&store),
                Err(error) => assert_eq!(error.reason(), Reason::Invalid),
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
            for_tests().hashing(size, 0),
            for_tests().hashing(1, size),
            for_tests().audit_kept(DAY, number),
            for_tests().passwords(PasswordPolicy::default().min_chars(size)),
            for_tests().passwords(PasswordPolicy::default().min_chars_with_mfa(size)),
            for_tests().passwords(PasswordPolicy::default().max_bytes(size)),
        ] {
            match Store::in_memory(options) {
                Ok(store) => live(&store),
                Err(error) => assert_eq!(error.reason(), Reason::Invalid),
            }
        }
        if let Err(error) = Cost::new(short, (number >> 32) as u32, 1) {
            assert_eq!(error.reason(), Reason::Invalid);
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
    let holder = Holder::Branch(bench.york);
    store.credits().set(holder, 1).unwrap();
    for_any(96, &(number.clone(), number), |(one, two)| {
        let credits = store.credits();
        bench.check("set", &[Reason::Invalid], || credits.set(holder, one));
        bench.check("add", &[Reason::Invalid], || credits.add(holder, two));
        let before = credits.remaining(holder).unwrap().unwrap();
        if bench.check("spend", &[Reason::Insufficient], || credits.spend(holder, two)) {
            assert_eq!(credits.remaining(holder).unwrap(), Some(before - two));
        }
        let sessions = store.sessions();
        let may = [Reason::Stale];
        bench.check("a version", &may, || sessions.set_document(bench.session, "{}", one));
        let limit = one as u32;
        let good = (1..=500).contains(&limit);
        let audit = store.audit();
        let page = Page::after(two as i64, limit);
        let lists = [
            store.users().list(&UserFilter::new(), Page::first(limit)).is_ok(),
            store.branches().list(&BranchFilter::new(), Page::first(limit)).is_ok(),
            store.organisations().list(Page::first(limit)).is_ok(),
            store.configuration().list(Scope::System, Page::first(limit)).is_ok(),
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
    let long_ago = DateTime::UNIX_EPOCH - 400 * DAY;
    let clock = ManualClock::new(long_ago);
    let store = Store::in_memory(for_tests().clock(Arc::new(clock.clone()))).unwrap();
    let ada = store.users().create(NewUser::person("ada")).unwrap().id;
    let open = || store.sessions().open(OpenSession::new(ada, device("till-1")));
    let opened = open().unwrap().granted().unwrap().session;
    let verify = |token: &Secret| store.verify(token.expose(), &device("till-1")).unwrap().valid();
    assert_eq!(opened.expires_at, long_ago + DAY);
    assert!(verify(&opened.token).is_ok());
    clock.advance(DAY - Duration::from_millis(1));
    assert!(verify(&opened.token).is_ok());
    clock.advance(Duration::from_millis(1));
    assert!(verify(&opened.token).is_err());
    let again = open().unwrap().granted().unwrap().session;
    let ended = store.log_out(again.token.expose(), &device("till-1")).unwrap();
    assert_eq!(ended, Ended::Now);
    assert!(verify(&again.token).is_err());
}

/// Somebody logs in, fails, is verified and leaves; whatever the answers, nothing panics.
fn live(store: &Store) {
    let users = store.users();
    let _ = users.create(NewUser::person("ada").password(Password::from(PASSWORD)));
    let log_in = |password: &str| {
        store.log_in(LogIn::new("ada", Password::from(password), device("till-1")))
    };
    let _ = log_in("wrong").map(LoginAnswer::granted);
    if let Ok(LoginAnswer::Granted(reply)) = log_in(PASSWORD) {
        let token = reply.session.token.expose();
        let _ = store.verify(token, &device("till-1")).map(Verdict::valid);
        let _ = store.sessions().list_of(reply.user.id).unwrap();
        let _ = store.log_out(token, &device("till-1"));
    }
    let found = users.find_by_username("ada").unwrap();
    assert!(found.is_none_or(|ada| ada.created_at >= FIRST));
}
