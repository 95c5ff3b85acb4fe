//! The number of sessions of a user, while sixty-four threads open more.

use gatepost::policy::{SessionLimit, SessionPolicy};
use gatepost::sessions::OpenSession;
use gatepost::{
    DeviceId, LoginOutcome, LoginRefusal, LoginRequest, NewUser, Options, Secret, UserId,
};

use super::Run;
use super::fleet::{Fleet, Racer, each_round};
use crate::child::Parent;
use crate::world::{PASSWORD, World, device};

const LIMIT: usize = 3;
const USERS: usize = 4;
/// Devices of each user: few enough that logins also replace.
const SLOTS: usize = 24;

fn options(options: Options, at_limit: SessionLimit) -> Options {
    let limit = u32::try_from(LIMIT).unwrap();
    options.sessions(SessionPolicy::server().per_user(limit).at_limit(at_limit))
}

/// At each moment that is checked, no user has more sessions than the limit.
pub(crate) fn hold(run: Run, at_limit: SessionLimit) {
    let world = World::with(|tests| options(tests, at_limit));
    let users: Vec<UserId> = (0..USERS)
        .map(|n| NewUser::person(name_of(n)).password(PASSWORD.into()))
        .map(|user| world.store.users().create(user).unwrap().id)
        .collect();
    let full = if at_limit == SessionLimit::Refuse { "refuse" } else { "end oldest" };
    let ids: Vec<String> = users.iter().map(ToString::to_string).collect();
    let mut words = vec![full];
    words.extend(ids.iter().map(String::as_str));
    let mut fleet = Fleet::start("limits", &world, run.seed, &words);
    let sql = world.sql();
    let mut rows = sql
        .prepare(
            "SELECT coalesce(max(n), 0) FROM (SELECT count(*) n FROM session GROUP BY user_id)",
        )
        .unwrap();
    let (mut looks, mut most) = (0, 0);
    let tally = fleet.race_watched(&run.rounds.to_string(), || {
        let in_file: i64 = rows.query_row([], |row| row.get(0)).unwrap();
        most = most.max(in_file);
        for user in &users {
            let listed = world.sessions_of(*user).len();
            assert!(listed <= LIMIT, "{listed} sessions are listed");
        }
        looks += 1;
    });
    fleet.end();
    println!("limits, {full}: {}; {looks} looks saw {most} of {LIMIT} at most", tally.line());
    assert_eq!(usize::try_from(most).unwrap(), LIMIT);
    assert!(tally.of("opened") > 0 && tally.of("logged_in") > 0);
    assert_eq!(tally.of("too_many_sessions") > 0, at_limit == SessionLimit::Refuse);
}

fn name_of(user: usize) -> String {
    format!("user{user}")
}

/// Opens sessions and logs in as any user; where logins are refused, makes room again before the
/// next.
pub(crate) fn open(parent: &mut Parent, racer: &Racer) {
    let refuses = racer.rest[0] == "refuse";
    let users: Vec<UserId> = racer.rest[1..].iter().map(|id| id.parse().unwrap()).collect();
    let at_limit =
        if refuses { SessionLimit::Refuse } else { SessionLimit::EvictLeastRecentlyUsed };
    let store = racer.store(|tests| options(tests, at_limit));
    each_round(parent, |rounds| {
        let rounds: usize = rounds.parse().unwrap();
        let tally = racer.threads(|player| {
            let mut held: Option<(Secret, DeviceId)> = None;
            for _ in 0..rounds {
                if let Some((token, on)) = held.take_if(|_| refuses) {
                    let _ = player.insist(|| store.log_out((&token, &on)));
                }
                let user = player.dice.below(users.len());
                let on = device(&format!("user{user}-{}", player.dice.below(SLOTS)));
                let by_password = player.dice.below(3) == 0;
                let answer = player.insist(|| {
                    if by_password {
                        return store.log_in(LoginRequest::new(
                            name_of(user),
                            PASSWORD.into(),
                            on.clone(),
                        ));
                    }
                    store.sessions().open(OpenSession::new(users[user], on.clone()))
                });
                player.tally.count(match &answer {
                    LoginOutcome::Granted(_) if by_password => "logged_in",
                    LoginOutcome::Granted(_) => "opened",
                    LoginOutcome::Refused(LoginRefusal::TooManySessions) => "too_many_sessions",
                    // Five attempts at once from unknown devices close the gate.
                    LoginOutcome::Refused(
                        LoginRefusal::TooManyAttempts { .. } | LoginRefusal::InvalidCredentials,
                    ) => "too_many_attempts",
                    LoginOutcome::Refused(LoginRefusal::Overloaded { .. }) => "overloaded",
                    other => panic!("{other:?}"),
                });
                if let LoginOutcome::Granted(reply) = answer {
                    held = Some((reply.session.token, on));
                }
            }
        });
        tally.line()
    });
}
