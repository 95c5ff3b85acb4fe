//! The chains: every hand that changes a row is found, and a cut tail by an anchor kept elsewhere.

use gatepost::{Anchor, ChainCheck, HostEvent, NewUser, Origin, Reason, Store};
use rusqlite::Connection;

use crate::world::World;

/// A log of both sources, and a hand that first dropped the triggers.
struct Log {
    world: World,
    hand: Connection,
}

const TABLES: [&str; 2] = ["audit", "audit_chain"];

impl Log {
    fn new() -> Self {
        let world = World::new();
        let store = &world.store;
        let ada = store.users().create(NewUser::person("ada")).unwrap().id;
        for round in 0..4 {
            let acting = store.acting_as(ada);
            acting.organisations().create(&format!("No. {round}")).unwrap();
            let event = HostEvent::new("invoice.printed").unwrap().user(ada);
            let origin = Origin::new().ip([127, 0, 0, 1]).user_agent("curl/8");
            acting.audit().record(&[event.detail("one").unwrap().origin(origin)]).unwrap();
        }
        let hand = world.sql();
        hand.execute_batch("PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF").unwrap();
        let names =
            "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name LIKE 'audit%'";
        let triggers: Vec<String> = hand
            .prepare(names)
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(|name| name.unwrap())
            .collect();
        for trigger in triggers {
            hand.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
        }
        for table in TABLES {
            let copy = format!("CREATE TEMP TABLE kept_{table} AS SELECT * FROM {table}");
            hand.execute_batch(&copy).unwrap();
        }
        Self { world, hand }
    }

    fn restore(&self) {
        for sql in [
            "DELETE FROM audit",
            "INSERT INTO audit SELECT * FROM kept_audit",
            "DELETE FROM audit_chain",
            "INSERT INTO audit_chain SELECT * FROM kept_audit_chain",
        ] {
            self.hand.prepare_cached(sql).unwrap().execute([]).unwrap();
        }
    }

    fn store(&self) -> &Store {
        &self.world.store
    }

    /// Asserts that what the script does to the log as it was is found, if it does anything.
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
    "organisation_id", "session_id", "api_key_id", "device_hash"];
const TEXTS: &[&str] = &["event", "ip", "user_agent", "reason", "detail"];

/// An edit that a hand could make to one row.
fn edit(dice: &mut Dice) -> String {
    let seq = dice.roll(10) + 1;
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
            let other = dice.roll(10) + 1;
            format!(
                "UPDATE audit SET seq = -1 WHERE seq = {seq}; UPDATE audit SET seq = {seq}
                     WHERE seq = {other}; UPDATE audit SET seq = {other} WHERE seq = -1"
            )
        }
        10 => {
            let number = [-7, 0, 11, 12, 99][dice.roll(5)];
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
            format!("UPDATE audit_chain SET {column} = {value} WHERE source = {}", noise % 2)
        }
    }
}

#[test]
fn each_of_ten_thousand_edits_is_found() {
    let log = Log::new();
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let mut found = 0;
    while found < 10_000 {
        found += i32::from(log.finds(&edit(&mut dice)));
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
        assert!(audit.verify_chain(None).unwrap().is_intact(), "no hash tells of the end");
        assert!(!audit.verify_chain(Some(&anchor)).unwrap().is_intact(), "{seq}");
        log.restore();
    }
    assert!(audit.verify_chain(Some(&anchor)).unwrap().is_intact());
}

/// What comes next may get the numbers of what was cut off, in the other source.
#[test]
fn an_anchor_finds_a_tail_that_was_grown_anew() {
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
    let world = World::with(|options| options.audit_kept(crate::world::DAY, 1_000));
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
    // The anchored row is the last one trimmed, then one long gone.
    audit.record(&many).unwrap();
    assert!(audit.verify_chain(Some(&middle)).unwrap().is_intact());
    audit.record(&many[..10]).unwrap();
    for anchor in [&empty, &early, &middle] {
        assert!(audit.verify_chain(Some(anchor)).unwrap().is_intact());
    }
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
    assert_eq!(text.parse::<Anchor>().unwrap(), anchor);
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b':'));
    let empty = World::new().store.audit().anchor().unwrap();
    assert_eq!(empty.to_string().parse::<Anchor>().unwrap(), empty);
}

#[test]
fn what_is_no_anchor_is_refused() {
    let good = Log::new().store().audit().anchor().unwrap().to_string();
    let parts: Vec<&str> = good.split(':').collect();
    let [own, own_hash, host, host_hash] = parts[..] else { panic!("{good}") };
    let upper = own_hash.to_uppercase();
    for bad in [
        String::new(),
        String::from(":::"),
        format!("{good}:"),
        format!(" {good}"),
        format!("{good}\n"),
        format!("+{good}"),
        format!("0{good}"),
        format!("-1:{own_hash}:{host}:{host_hash}"),
        format!("99999999999999999999:{own_hash}:{host}:{host_hash}"),
        format!("{own}:{upper}:{host}:{host_hash}"),
        format!("{own}:{}:{host}:{host_hash}", &own_hash[1..]),
        format!("{own}:{own_hash}00:{host}:{host_hash}"),
        format!("{own}:{own_hash}:{host}"),
        format!("{own}:{own_hash}"),
        good.replace(':', ";"),
    ] {
        let refused = bad.parse::<Anchor>().unwrap_err();
        assert_eq!(refused.reason(), Reason::Invalid, "{bad:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics_as_an_anchor(text in "\\PC*|[0-9a-f:]{0,140}") {
        if let Ok(anchor) = text.parse::<Anchor>() {
            proptest::prop_assert_eq!(anchor.to_string(), text);
        }
    }
}
