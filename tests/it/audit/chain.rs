//! The chains: a row changed by hand is found, and a cut tail is found with an anchor.

mod large;

use gatepost::audit::{AuditAnchor, AuditSource, ChainCheck, HostEvent};
use gatepost::{ClientInfo, ErrorKind, NewUser, Store};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::world::World;

/// A log of both sources, and a connection that first dropped the triggers.
struct Log {
    world: World,
    hand: Connection,
}

const TABLES: [&str; 2] = ["audit", "audit_chain"];

impl Log {
    /// Ten rows.
    fn new() -> Self {
        Self::with_rounds(4)
    }

    /// Two rows for each round, and two before them.
    fn with_rounds(rounds: usize) -> Self {
        let world = World::new();
        let store = &world.store;
        let ada = store.users().create(NewUser::person("ada")).unwrap().id;
        for round in 0..rounds {
            let acting = store.acting_as(ada);
            acting.organisations().create(&format!("No. {round}")).unwrap();
            let event = HostEvent::new("invoice.printed").unwrap().user(ada);
            let client_info = ClientInfo::new().ip([127, 0, 0, 1]).user_agent("curl/8");
            acting
                .audit()
                .record(&[event.detail("one").unwrap().client_info(client_info)])
                .unwrap();
        }
        let hand = world.sql();
        hand.execute_batch("PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF").unwrap();
        // Dropped triggers would be noticed by the next write.
        hand.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).unwrap();
        for table in TABLES {
            let copy = format!("CREATE TEMP TABLE kept_{table} AS SELECT * FROM {table}");
            hand.execute_batch(&copy).unwrap();
        }
        Self { world, hand }
    }

    /// Puts back what differs from the log as it was.
    fn restore(&self) {
        for sql in [
            "DELETE FROM audit WHERE seq IN
                 (SELECT seq FROM (SELECT * FROM audit EXCEPT SELECT * FROM kept_audit))",
            "INSERT INTO audit SELECT * FROM kept_audit WHERE seq NOT IN (SELECT seq FROM audit)",
            "DELETE FROM audit_chain",
            "INSERT INTO audit_chain SELECT * FROM kept_audit_chain",
        ] {
            self.hand.prepare_cached(sql).unwrap().execute([]).unwrap();
        }
    }

    fn store(&self) -> &Store {
        &self.world.store
    }

    /// Asserts that the change that the script makes to the log is found, if it makes any.
    #[track_caller]
    fn finds(&self, script: &str) -> bool {
        self.hand.execute_batch("BEGIN").unwrap();
        self.restore();
        if self.hand.execute_batch(script).is_err() || !self.differs() {
            self.hand.execute_batch("ROLLBACK").unwrap();
            return false;
        }
        self.hand.execute_batch("COMMIT").unwrap();
        let found = self.store().audit().verify_chain(None);
        let found = found.unwrap_or_else(|error| panic!("{script}: {error}"));
        assert!(!found.is_intact(), "not found: {script}");
        true
    }

    /// Trims the first rows of the library, and of the host, as a call that records does.
    fn trim(&self, library: i64, host: i64) {
        for (source, to) in [(0, library), (1, host)] {
            let script = "UPDATE audit_chain SET trimmed_seq = TO, kept_rows = kept_rows
                     - (SELECT count(*) FROM audit WHERE source = SOURCE AND seq <= TO),
                     trimmed_chain = (SELECT chain FROM audit WHERE seq = TO)
                 WHERE source = SOURCE;
                 DELETE FROM audit WHERE source = SOURCE AND seq <= TO";
            let script = script.replace("SOURCE", &source.to_string());
            self.hand.execute_batch(&script.replace("TO", &to.to_string())).unwrap();
        }
    }

    fn differs(&self) -> bool {
        let sql = "SELECT EXISTS (SELECT * FROM audit EXCEPT SELECT * FROM kept_audit)
                 OR EXISTS (SELECT * FROM audit_chain EXCEPT SELECT * FROM kept_audit_chain)
                 OR (SELECT count(*) FROM audit) <> (SELECT count(*) FROM kept_audit)";
        self.hand.prepare_cached(sql).unwrap().query_row([], |row| row.get(0)).unwrap()
    }
}

/// A small generator, so that a run can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % sides
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.roll(of.len())]
    }
}

#[rustfmt::skip]
const BLOBS: &[&str] = &["actor_user_id", "actor_via_id", "user_id", "branch_id",
    "organisation_id", "session_id", "api_key_id", "device_hash", "salt", "person_hash"];
const TEXTS: &[&str] = &["event", "ip", "user_agent", "reason", "detail"];

/// An edit that a hand could make to one of so many rows.
fn edit(dice: &mut Dice, rows: usize) -> String {
    let seq = dice.roll(rows) + 1;
    let noise = dice.roll(1 << 20);
    match dice.roll(12) {
        0 | 1 => {
            let column = dice.one(BLOBS);
            let value = match dice.roll(4) {
                0 => String::from("NULL"),
                1 => String::from("x''"),
                2 => format!("x'{noise:032x}'"),
                _ => format!("x'{noise:08x}'"),
            };
            format!("UPDATE audit SET {column} = {value} WHERE seq = {seq}")
        }
        2 | 3 => {
            let column = dice.one(TEXTS);
            let value = match dice.roll(5) {
                0 if column != "event" => String::from("NULL"),
                1 => String::from("''"),
                2 => String::from("CAST(x'ff00fe' AS TEXT)"),
                3 => format!("{column} || 'x'"),
                _ => format!("'{noise}'"),
            };
            format!("UPDATE audit SET {column} = {value} WHERE seq = {seq}")
        }
        4 => format!("UPDATE audit SET chain = x'{noise:064x}' WHERE seq = {seq}"),
        5 => {
            let column = dice.one(&["at", "count", "seq"]);
            let value = [noise.to_string(), (noise % 13).to_string(), String::from("-1")];
            format!("UPDATE audit SET {column} = {} WHERE seq = {seq}", value[dice.roll(3)])
        }
        6 => match dice.roll(3) {
            0 => format!("UPDATE audit SET source = 1 - source WHERE seq = {seq}"),
            1 => format!("UPDATE audit SET outcome = 'refused' WHERE seq = {seq}"),
            _ => {
                let actor = dice.one(&["host", "user", "session", "api_key"]);
                format!("UPDATE audit SET actor = '{actor}' WHERE seq = {seq}")
            }
        },
        7 => format!("DELETE FROM audit WHERE seq = {seq}"),
        8 => format!("DELETE FROM audit WHERE seq >= {seq}"),
        9 => {
            let other = dice.roll(rows) + 1;
            format!(
                "UPDATE audit SET seq = -1 WHERE seq = {seq}; UPDATE audit SET seq = {seq}
                     WHERE seq = {other}; UPDATE audit SET seq = {other} WHERE seq = -1"
            )
        }
        10 => {
            let last = i64::try_from(rows).unwrap();
            let number = [-7, 0, last + 1, last + 2, last + 89][dice.roll(5)];
            format!(
                "CREATE TEMP TABLE one AS SELECT * FROM audit WHERE seq = {seq};
                 UPDATE one SET seq = {number}; INSERT INTO audit SELECT * FROM one;
                 DROP TABLE one"
            )
        }
        _ => {
            let column =
                dice.one(&["trimmed_seq", "trimmed_chain", "head_seq", "head_chain", "kept_rows"]);
            let value = match column {
                "trimmed_chain" | "head_chain" => format!("x'{noise:064x}'"),
                _ => (noise % 13).to_string(),
            };
            format!("UPDATE audit_chain SET {column} = {value} WHERE source = {}", noise % 3)
        }
    }
}

#[test]
fn each_of_ten_thousand_edits_is_found() {
    let log = Log::new();
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let mut found = 0;
    while found < 10_000 {
        found += i32::from(log.finds(&edit(&mut dice, 10)));
    }
    log.restore();
    let whole = log.store().audit().verify_chain(None).unwrap();
    assert!(matches!(whole, ChainCheck::Intact { rows: 10, .. }));
}

#[test]
fn the_first_row_that_is_wrong_is_named() {
    let log = Log::new();
    for seq in 1..=10 {
        let edit = format!("UPDATE audit SET at = at + 1 WHERE seq = {seq}");
        log.hand.execute_batch(&edit).unwrap();
        let found = log.store().audit().verify_chain(None).unwrap();
        assert!(matches!(found, ChainCheck::Broken { seq: at, .. } if at == seq), "{found:?}");
        log.restore();
    }
}

/// Cuts off everything from `seq` on, as if it had never been.
fn cut(log: &Log, seq: i64) {
    let script = format!(
        "DELETE FROM audit WHERE seq >= {seq};
         UPDATE audit_chain SET
             kept_rows = (SELECT count(*) FROM audit AS a WHERE a.source = audit_chain.source),
             head_seq = coalesce((SELECT max(seq) FROM audit AS a
                 WHERE a.source = audit_chain.source), 0),
             head_chain = coalesce((SELECT chain FROM audit AS a
                 WHERE a.source = audit_chain.source ORDER BY seq DESC LIMIT 1), zeroblob(32))"
    );
    log.hand.execute_batch(&script).unwrap();
}

#[test]
fn an_anchor_finds_a_tail_that_was_cut_off() {
    let log = Log::new();
    let audit = log.store().audit();
    let anchor = audit.anchor().unwrap();
    for seq in (1..=10).rev() {
        cut(&log, seq);
        assert!(audit.verify_chain(None).unwrap().is_intact(), "no hash shows the end");
        assert!(!audit.verify_chain(Some(&anchor)).unwrap().is_intact(), "{seq}");
        log.restore();
    }
    assert!(audit.verify_chain(Some(&anchor)).unwrap().is_intact());
}

/// Later rows, of the other source, may get the numbers of those that were cut off.
#[test]
fn an_anchor_finds_a_tail_that_was_replaced() {
    for host_first in [true, false] {
        for seq in 1..=10 {
            let log = Log::new();
            let audit = log.store().audit();
            let anchor = audit.anchor().unwrap();
            cut(&log, seq);
            for round in 0..12 {
                if (round % 2 == 0) == host_first {
                    audit.record(&[HostEvent::new("later").unwrap()]).unwrap();
                } else {
                    log.store().organisations().create("Later").unwrap();
                }
            }
            assert!(audit.verify_chain(None).unwrap().is_intact());
            let found = audit.verify_chain(Some(&anchor)).unwrap();
            assert!(!found.is_intact(), "cut from {seq}, host first: {host_first}");
        }
    }
}

#[test]
fn an_anchor_of_before_holds_while_the_log_grows_and_is_trimmed() {
    let world =
        World::with(|options| options.audit_max_age(crate::world::DAY).audit_max_rows(1_000));
    let audit = world.store.audit();
    let many = vec![HostEvent::new("many").unwrap(); 1_000];
    let empty = audit.anchor().unwrap();
    world.store.organisations().create("Northern").unwrap();
    let early = audit.anchor().unwrap();
    audit.record(&many).unwrap();
    let middle = audit.anchor().unwrap();
    for anchor in [&empty, &early, &middle] {
        assert!(audit.verify_chain(Some(anchor)).unwrap().is_intact());
    }
    // The row that the anchor names is the last one trimmed, then one long gone.
    for trimmed in [1_002, 1_012] {
        audit.record(if trimmed == 1_002 { &many } else { &many[..10] }).unwrap();
        for (anchor, at) in [(&empty, 0), (&early, 0), (&middle, 1_002)] {
            let found = audit.verify_chain(Some(anchor)).unwrap();
            assert!(!found.is_intact());
            let ChainCheck::AnchorTrimmed { chains, .. } = found else { panic!("{found:?}") };
            let [library, host, strangers] = chains;
            assert!(host.is_anchor_trimmed());
            assert!(!library.is_anchor_trimmed() && !strangers.is_anchor_trimmed());
            assert_eq!((host.source, host.anchored_at), (AuditSource::Host, Some(at)));
            let span = (host.trimmed_to, host.checked_to, host.rows);
            assert_eq!(span, (trimmed, trimmed + 1_000, 1_000));
        }
    }
    // Without an anchor it says from where to where it checked.
    let found = audit.verify_chain(None).unwrap();
    let ChainCheck::Intact { rows, chains, .. } = found else { panic!("{found:?}") };
    assert_eq!(rows, 1_002);
    let spans = chains.map(|chain| (chain.trimmed_to, chain.checked_to, chain.anchored_at));
    assert_eq!(spans, [(0, 2, None), (1_012, 2_012, None), (0, 0, None)]);
}

/// What a hand may try on the ends of a chain: all rows trimmed at once, and a chain begun from a
/// hash of no row.
const EMPTIED: &str = "UPDATE audit_chain SET trimmed_seq = head_seq, trimmed_chain = head_chain,
        kept_rows = 0 WHERE source = 0;
    DELETE FROM audit WHERE source = 0";
const BEGUN_AGAIN: &str =
    "UPDATE audit_chain SET trimmed_seq = head_seq + 2, head_seq = head_seq + 2,
        trimmed_chain = HASH, head_chain = HASH, kept_rows = 0
        WHERE source = 0;
    DELETE FROM audit WHERE source = 0";

/// The hash of no row.
fn with_hash(script: &str) -> String {
    script.replace("HASH", &format!("x'{:064x}'", 7))
}

/// Once the file let both through.
#[test]
fn the_file_refuses_a_log_that_is_emptied_or_begun_again() {
    let world = World::new();
    for number in 0..20 {
        world.store.organisations().create(&format!("No. {number}")).unwrap();
    }
    let anchor = world.store.audit().anchor().unwrap();
    let hand = world.sql();
    let head_of_no_row = "UPDATE audit_chain SET head_seq = head_seq + 2, head_chain = HASH,
        kept_rows = kept_rows + 1 WHERE source = 0";
    let deleted = "DELETE FROM audit WHERE source = 0";
    for script in [EMPTIED, BEGUN_AGAIN, head_of_no_row, deleted] {
        let refused = hand.execute_batch(&with_hash(script)).unwrap_err().to_string();
        let by_trigger = ["newest row", "trimmed"].iter().any(|words| refused.contains(words));
        assert!(by_trigger, "{script}: {refused}");
    }
    assert!(world.store.audit().verify_chain(Some(&anchor)).unwrap().is_intact());
    assert_eq!(world.count("SELECT count(*) FROM audit"), 21);
}

/// A hand that dropped the triggers gets that far, and no further: once the answer was that the
/// log is intact.
#[test]
fn an_anchor_below_what_was_trimmed_is_never_intact() {
    for (script, trimmed) in [(EMPTIED, 9), (BEGUN_AGAIN, 11)] {
        let log = Log::new();
        let audit = log.store().audit();
        let anchor = audit.anchor().unwrap();
        log.hand.execute_batch(&with_hash(script)).unwrap();
        for later in 0..2 {
            let found = audit.verify_chain(Some(&anchor)).unwrap();
            assert!(!found.is_intact());
            let ChainCheck::AnchorTrimmed { chains, .. } = found else { panic!("{found:?}") };
            let [library, host, _] = chains;
            assert!(library.is_anchor_trimmed() && !host.is_anchor_trimmed());
            assert_eq!((library.trimmed_to, library.anchored_at), (trimmed, Some(9)));
            assert_eq!(library.rows, later);
            log.store().organisations().create("Later").unwrap();
        }
        // Without an anchor it says from where it checked.
        let found = audit.verify_chain(None).unwrap();
        let ChainCheck::Intact { chains: [library, ..], .. } = found else { panic!("{found:?}") };
        assert_eq!((library.trimmed_to, library.rows), (trimmed, 2));
    }
}

/// All sources share one sequence without gaps.
#[test]
fn a_chain_that_was_taken_out_whole_is_missed_without_an_anchor() {
    let log = Log::new();
    let out = "DELETE FROM audit WHERE source = 1;
        UPDATE audit_chain SET trimmed_seq = 0, trimmed_chain = zeroblob(32), head_seq = 0,
            head_chain = zeroblob(32), kept_rows = 0 WHERE source = 1";
    let first = log.world.count("SELECT min(seq) FROM audit WHERE source = 1");
    log.hand.execute_batch(out).unwrap();
    let found = log.store().audit().verify_chain(None).unwrap();
    assert!(matches!(found, ChainCheck::Broken { seq, .. } if seq == first), "{found:?}");
}

#[test]
fn the_number_up_to_which_rows_were_trimmed_is_no_number_of_a_row() {
    let log = Log::new();
    // Rows 1, 2, 3 and 5 are the library's, row 4 is the host's.
    let trim = "UPDATE audit_chain SET trimmed_seq = 3, kept_rows = kept_rows - 3,
            trimmed_chain = (SELECT chain FROM audit WHERE seq = 3) WHERE source = 0;
        DELETE FROM audit WHERE seq <= 3";
    log.hand.execute_batch(trim).unwrap();
    assert!(log.store().audit().verify_chain(None).unwrap().is_intact());
    let moved = "UPDATE audit_chain SET trimmed_seq = 4 WHERE source = 0";
    log.hand.execute_batch(moved).unwrap();
    let found = log.store().audit().verify_chain(None).unwrap();
    assert!(matches!(found, ChainCheck::Broken { seq: 4, .. }), "{found:?}");
}

#[test]
fn an_anchor_of_another_log_does_not_fit() {
    let (one, other) = (Log::new(), World::new());
    for name in ["Northern", "Southern", "Eastern"] {
        other.store.organisations().create(name).unwrap();
        other.store.audit().record(&[HostEvent::new("other").unwrap()]).unwrap();
    }
    let anchor = other.store.audit().anchor().unwrap();
    assert!(!one.store().audit().verify_chain(Some(&anchor)).unwrap().is_intact());
}

#[test]
fn an_anchor_is_the_same_again_when_read_from_its_text() {
    let log = Log::new();
    let anchor = log.store().audit().anchor().unwrap();
    let text = anchor.to_string();
    assert_eq!(text.parse::<AuditAnchor>().unwrap(), anchor);
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b':'));
    let empty = World::new().store.audit().anchor().unwrap();
    assert_eq!(empty.to_string().parse::<AuditAnchor>().unwrap(), empty);
}

/// What nothing but the beginning of the chain shows: its other ends fit.
#[test]
fn a_false_beginning_of_a_chain_that_was_trimmed_is_found() {
    let log = Log::new();
    let hash = |seq: i64| -> String {
        let sql = "SELECT lower(hex(chain)) FROM audit WHERE seq = ?1";
        log.hand.query_row(sql, [seq], |row| row.get(0)).unwrap()
    };
    let anchor = |hash: &str| {
        let none = format!("0:{:064}", 0);
        format!("2:{hash}:{none}:{none}").parse::<AuditAnchor>().unwrap()
    };
    let (right, wrong) = (anchor(&hash(2)), anchor(&hash(3)));
    let check = |anchor: Option<&AuditAnchor>| log.store().audit().verify_chain(anchor).unwrap();
    log.trim(2, 4);
    assert!(check(None).is_intact());
    assert!(matches!(check(Some(&right)), ChainCheck::AnchorTrimmed { .. }));
    assert!(matches!(check(Some(&wrong)), ChainCheck::Broken { seq: 2, .. }));
    for (lie, seq) in [
        ("UPDATE audit_chain SET trimmed_seq = 0 WHERE source = 0", 0),
        (
            "UPDATE audit_chain SET kept_rows = kept_rows + 1 WHERE source = 0;
             INSERT INTO audit SELECT * FROM kept_audit WHERE seq = 1",
            1,
        ),
    ] {
        log.hand.execute_batch("SAVEPOINT lie").unwrap();
        log.restore();
        log.trim(2, 4);
        log.hand.execute_batch(lie).unwrap();
        log.hand.execute_batch("RELEASE lie").unwrap();
        let found = check(None);
        assert!(matches!(found, ChainCheck::Broken { seq: at, .. } if at == seq), "{found:?}");
    }
}

#[test]
fn what_is_no_anchor_is_refused() {
    let good = Log::new().store().audit().anchor().unwrap().to_string();
    let parts: Vec<&str> = good.split(':').collect();
    let [own, own_hash, host, host_hash, strangers, strangers_hash] = parts[..] else {
        panic!("{good}")
    };
    let rest = format!("{host}:{host_hash}:{strangers}:{strangers_hash}");
    let upper = own_hash.to_uppercase();
    for bad in [
        String::new(),
        String::from(":::"),
        format!("{good}:"),
        format!(" {good}"),
        format!("{good}\n"),
        format!("+{good}"),
        format!("0{good}"),
        format!("-1:{own_hash}:{rest}"),
        format!("99999999999999999999:{own_hash}:{rest}"),
        format!("{own}:{upper}:{rest}"),
        format!("{own}:{}:{rest}", &own_hash[1..]),
        format!("{own}:{own_hash}00:{rest}"),
        format!("{own}:{own_hash}:{host}:{host_hash}"),
        format!("{own}:{own_hash}"),
        good.replace(':', ";"),
    ] {
        let refused = bad.parse::<AuditAnchor>().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{bad:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics_as_an_anchor(text in "\\PC*|[0-9a-f:]{0,210}") {
        if let Ok(anchor) = text.parse::<AuditAnchor>() {
            proptest::prop_assert_eq!(anchor.to_string(), text);
        }
    }
}
