//! Statements: which module writes which table, and what no statement may be.

use super::source::{Source, is_name};

/// Each table and the modules that write it: one file, or one folder.
#[rustfmt::skip]
pub(crate) const OWNERS: &[(&str, &[&str])] = &[
    ("administration",    &["record/administration"]),
    ("api_key",           &["record/api_key"]),
    ("audit",             &["record/audit"]),
    ("audit_consumer",    &["record/audit"]),
    ("audit_chain",       &["record/audit", "storage"]), // a new file begins both chains
    ("branch",            &["record/branch"]),
    ("change",            &["record/change", "storage"]), // row 1 and trimming; the rest: triggers
    ("configuration_key", &["record/configuration"]),
    ("credential",        &["record/credential"]),
    ("credit",            &["record/credit"]),
    ("device",            &["record/device"]),
    ("external_identity", &["record/external_identity"]),
    ("hash_cost",         &["record/credential"]), // by triggers
    ("one_time_token",    &["record/one_time_token"]),
    ("organisation",      &["record/organisation"]),
    ("pending_step",      &["record/pending_step"]),
    ("policy",            &["record/options"]),
    ("recovery_code",     &["record/second_factor"]),
    ("session",           &["record/session"]),
    ("session_document",  &["record/session"]),
    ("setting",           &["record/configuration"]),
    // Creation: storage. What the clock said: record/clock.
    ("store",             &["record/store", "record/options", "record/clock", "storage"]),
    ("throttle",          &["record/throttle"]),
    ("totp",              &["record/second_factor"]),
    ("totp_enrolment",    &["record/second_factor"]),
    ("user",              &["record/user"]),
    ("user_privilege",    &["record/user"]),
];

/// Writes any table, on the copy of a backup that becomes the file.
const RESTORE: &str = "record/restore";

const WRITES: [&str; 4] = ["INSERT INTO ", "DELETE FROM ", "UPDATE ", "REPLACE INTO "];
const VERBS: [&str; 14] = [
    "ALTER ",
    "ATTACH ",
    "CREATE ",
    "DELETE ",
    "DROP ",
    "INSERT ",
    "PRAGMA ",
    "RELEASE ",
    "REPLACE ",
    "SAVEPOINT ",
    "SELECT ",
    "UPDATE ",
    "VACUUM",
    "WITH ",
];
const PIECED: [&str; 6] =
    ["format!", "write!", "writeln!", "format_args!", "String::from", "push_str"];
const RUN: [&str; 6] =
    [".execute(", ".execute_batch(", ".prepare(", ".prepare_cached(", ".query(", ".query_row("];

/// Tables of the schema without a listed owner.
pub(crate) fn tables_without_owner(schema: &str, owners: &[(&str, &[&str])]) -> Vec<String> {
    let text = normal(&without_comments(schema));
    let mut findings = Vec::new();
    for (at, create) in text.match_indices("CREATE TABLE ") {
        let rest = &text[at + create.len()..];
        let table = first_name(rest.strip_prefix("IF NOT EXISTS ").unwrap_or(rest));
        if !owners.iter().any(|(name, _)| *name == table) {
            findings.push(format!("schema.sql: list an owner of {table} in tests/it/tidy/sql.rs"));
        }
    }
    findings
}

/// Statements outside the floors of the file and the record types.
pub(crate) fn misplaced(file: &Source) -> Vec<String> {
    if ["src/storage/", "src/record/"].iter().any(|floor| file.name.starts_with(floor)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (place, literal) in file.statements() {
        if is_statement(&normal(&literal)) {
            findings.push(format!("{place}: statements live in storage/ and record/"));
        }
    }
    findings
}

/// Statements that write a table of another module.
pub(crate) fn foreign_writes(file: &Source, owners: &[(&str, &[&str])]) -> Vec<String> {
    let module = file.name.trim_start_matches("src/").trim_end_matches(".rs");
    let mut findings = Vec::new();
    if module.starts_with(RESTORE) {
        return findings;
    }
    for (place, literal) in file.statements() {
        for table in written_tables(&literal) {
            let owner = owners.iter().find(|(name, _)| *name == table);
            let is_owner = |own: &str| module == own || module.starts_with(&format!("{own}/"));
            match owner {
                Some((_, modules)) if modules.iter().copied().any(is_owner) => {}
                Some((_, modules)) => {
                    let whose = modules.join(" and ");
                    findings.push(format!("{place}: writes {table}, which belongs to {whose}"));
                }
                None => findings.push(format!("{place}: writes {table}, which has no owner")),
            }
        }
    }
    findings
}

/// Rows of the change log that no trigger writes, except the first one of a new file.
pub(crate) fn change_rows(file: &Source) -> Vec<String> {
    if file.name.starts_with("src/storage/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (place, literal) in file.statements() {
        if normal(&literal).contains("INSERT INTO change") {
            findings.push(format!("{place}: change rows are written by triggers alone"));
        }
    }
    findings
}

fn written_tables(statement: &str) -> Vec<String> {
    let text = normal(statement);
    let mut tables = Vec::new();
    for write in WRITES {
        for (at, _) in text.match_indices(write) {
            let is_word = !text[..at].ends_with(is_name);
            let rest = &text[at + write.len()..];
            let is_trigger_head = rest.starts_with("OF ") || rest.starts_with("ON ");
            if is_word && !is_trigger_head && is_statement(&text) {
                tables.push(first_name(rest));
            }
        }
    }
    tables
}

/// Prose may hold the word UPDATE; a statement begins with a verb.
fn is_statement(text: &str) -> bool {
    VERBS.iter().any(|verb| text.trim_start().starts_with(verb))
}

/// Statements put together at run time, and statements that are no literal where they run.
pub(crate) fn built_statements(file: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for maker in PIECED {
        for at in file.find(maker) {
            let literal = file.literals.iter().find(|l| l.at > at);
            let end = file.code[at..].find(';').map_or(file.code.len(), |n| at + n);
            if literal.is_some_and(|l| l.at < end && is_statement(&normal(&l.text))) {
                findings.push(format!("{}: a statement is built with {maker}", file.place(at)));
            }
        }
    }
    // The list of rules is of constants, each with its statements.
    if file.name.starts_with("src/storage/") || file.name.contains(RESTORE) {
        return findings;
    }
    for call in RUN {
        for at in file.find(call) {
            let argument = file.code[at + call.len()..].trim_start();
            let name: String = argument.chars().take_while(|c| is_name(*c)).collect();
            let is_constant = !name.is_empty() && name == name.to_uppercase();
            // The compiler joins literals alone, so what `concat!` makes is one.
            let is_joined =
                argument.starts_with("include_str!") || argument.starts_with("concat!");
            if !argument.starts_with('"') && !is_constant && !is_joined {
                findings.push(format!("{}: {call} takes no literal", file.place(at)));
            }
        }
    }
    findings
}

pub(crate) fn stars(place: &str, statement: &str) -> Vec<String> {
    let text = normal(statement);
    let starred = ["SELECT *", "SELECT DISTINCT *", "RETURNING *", ".* FROM", ".*,"];
    let is_starred = is_sql(place, &text) && starred.iter().any(|star| text.contains(star));
    found(is_starred, place, "names no columns")
}

pub(crate) fn upserts(place: &str, statement: &str) -> Vec<String> {
    let text = normal(statement);
    let clauses = ["ON CONFLICT", "INSERT OR ", "UPDATE OR ", "REPLACE INTO "];
    let is_upsert = is_sql(place, &text) && clauses.iter().any(|clause| text.contains(clause));
    found(is_upsert, place, "is an upsert")
}

fn is_sql(place: &str, text: &str) -> bool {
    place.ends_with(".sql") || is_statement(text)
}

fn found(is_bad: bool, place: &str, what: &str) -> Vec<String> {
    if is_bad { vec![format!("{place}: a statement {what}")] } else { Vec::new() }
}

/// Upper case keywords, one space between words; names keep their spelling if lower case.
fn normal(statement: &str) -> String {
    let words = statement.replace("\\n", " ").replace("\\\n", " ").replace('"', "");
    let upper = |word: &str| {
        let is_keyword = KEYWORDS.iter().any(|keyword| word.eq_ignore_ascii_case(keyword));
        if is_keyword { word.to_uppercase() } else { word.to_owned() }
    };
    words.split_whitespace().map(upper).collect::<Vec<_>>().join(" ")
}

#[rustfmt::skip]
const KEYWORDS: &[&str] = &[
    "alter", "attach", "conflict", "create", "delete", "distinct", "drop", "exists", "from", "if",
    "insert", "into", "not", "of", "on", "or", "pragma", "release", "replace", "returning",
    "savepoint", "select", "table", "update", "vacuum", "with",
];

fn first_name(text: &str) -> String {
    text.chars().take_while(|c| is_name(*c)).collect()
}

/// The script without its `--` comments.
pub(crate) fn without_comments(script: &str) -> String {
    let line = |line: &str| line.split("--").next().unwrap_or_default().to_owned();
    script.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod can_fail {
    use super::*;

    const TWO: &[(&str, &[&str])] =
        &[("user", &["record/user"]), ("store", &["record/store", "storage"])];

    #[track_caller]
    fn writes(name: &str, text: &str, expect: &[&str]) {
        assert_eq!(foreign_writes(&Source::new(name, text), TWO), expect);
    }

    #[track_caller]
    fn built(text: &str, expect: usize) {
        let findings = built_statements(&Source::new("src/record/user.rs", text));
        assert_eq!(findings.len(), expect, "{findings:?}");
    }

    #[test]
    fn a_table_without_owner_is_found() {
        let schema =
            "-- CREATE TABLE note\nCREATE TABLE user (id);\ncreate table if not exists pet(id);";
        let finding = "schema.sql: list an owner of pet in tests/it/tidy/sql.rs";
        assert_eq!(tables_without_owner(schema, TWO), [finding]);
    }

    #[test]
    fn a_write_of_another_modules_table_is_found() {
        let finding = "src/flow/login.rs:2: writes user, which belongs to record/user";
        writes("src/flow/login.rs", "tx.execute(\n\"UPDATE\n  user SET a = 1\")", &[finding]);
        writes("src/flow/login.rs", "\n\"insert into user(id) values(1)\"", &[finding]);
        writes("src/flow/login.rs", "\nr#\"DELETE FROM \"user\"\"#", &[finding]);
        writes("src/record/user.rs", "\"UPDATE user SET a = 1\"", &[]);
        writes("src/record/user/list.rs", "\"UPDATE user SET a = 1\"", &[]);
        writes(
            "src/record/users.rs",
            "\n\"UPDATE user SET a = 1\"",
            &["src/record/users.rs:2: writes user, which belongs to record/user"],
        );
    }

    #[test]
    fn a_write_of_a_shared_or_of_no_known_table_is_found() {
        let text = "\"UPDATE store SET a = 1\"; \"DELETE FROM pet\"";
        writes(
            "src/record/user.rs",
            text,
            &[
                "src/record/user.rs:1: writes store, which belongs to record/store and storage",
                "src/record/user.rs:1: writes pet, which has no owner",
            ],
        );
        writes("src/record/user.rs", "\"the UPDATE of a user\"", &[]);
        writes("src/storage/open.rs", "\"UPDATE store SET a = 1\"", &[]);
    }

    #[test]
    fn a_change_row_by_hand_is_found() {
        let text = "\"insert into\n change (kind) VALUES (0)\"";
        let finding = "src/flow/sweep.rs:1: change rows are written by triggers alone";
        assert_eq!(change_rows(&Source::new("src/flow/sweep.rs", text)), [finding]);
    }

    #[test]
    fn a_statement_in_pieces_is_found() {
        built("let s = format!(\"SELECT {a} FROM user\");", 1);
        built("s.push_str(\"SELECT 1\");", 1);
        built("write!(f, \"pragma user_version = {v}\");", 1);
        built("format!(\"Selected {n}\"); \"SELECT 1\"", 0);
        built("tx.execute(&sql, [])", 1);
        built("tx.execute(\"DELETE FROM user\", []); tx.execute(SQL, [])", 0);
    }

    #[test]
    fn a_statement_on_another_floor_is_found() {
        let text = "\n\"SELECT id FROM user\"; \"Selected by name\"";
        let finding = "src/flow/login.rs:2: statements live in storage/ and record/";
        assert_eq!(misplaced(&Source::new("src/flow/login.rs", text)), [finding]);
        assert!(misplaced(&Source::new("src/record/user.rs", text)).is_empty());
    }

    #[test]
    fn a_star_is_found() {
        assert_eq!(stars("a:1", "SELECT\n * FROM user"), ["a:1: a statement names no columns"]);
        assert_eq!(stars("a:1", "SELECT u.*, b.id FROM user u").len(), 1);
        assert!(stars("a:1", "SELECT count(*) FROM user").is_empty());
    }

    #[test]
    fn an_upsert_is_found() {
        let insert = "INSERT INTO user VALUES (1) ON\n CONFLICT DO NOTHING";
        assert_eq!(upserts("a:1", insert), ["a:1: a statement is an upsert"]);
        assert_eq!(upserts("a:1", "insert or ignore into user values (1)").len(), 1);
        assert_eq!(upserts("a.sql", "id UNIQUE ON CONFLICT REPLACE").len(), 1);
        assert!(upserts("a:1", "no upsert: ON CONFLICT").is_empty());
    }
}
