//! The manual's table of what revokes what, made from the list.

use super::list::{OPERATIONS, Operation, Reach, Trust};

const PAGE: &str = include_str!("../../../manual/revocation.md");

/// One line of the table: operations of one row with the same effect.
fn line(operations: &[&Operation], is_first: bool) -> String {
    let [first, ..] = operations else { panic!("a line without an operation") };
    let calls: Vec<String> = operations.iter().map(|one| format!("`{}`", one.name)).collect();
    let event = if is_first { first.row } else { "" };
    let (sessions, keys) = (sessions(first), keys(first));
    let (tokens, trust) = (tokens(first), trust(first));
    format!("| {event} | {} | {sessions} | {keys} | {tokens} | {trust} |", calls.join(", "))
}

fn sessions(operation: &Operation) -> &'static str {
    match operation.sessions {
        Reach::Nothing | Reach::OneLater => "none",
        Reach::One => "that one",
        Reach::OneRenewed => "none; that one gets a new token",
        Reach::Others => "all others of the user",
        Reach::Renewed => "all others of the user; this one gets a new token",
        Reach::User => "all of the user",
        Reach::Branch | Reach::Organisation => "all under it",
        Reach::Store => "all",
    }
}

fn keys(operation: &Operation) -> &'static str {
    match (operation.keys, operation.suspends) {
        (Reach::Nothing, _) => "none",
        (Reach::One, false) => "that one",
        (Reach::User, false) => "all of the user",
        (Reach::Store, false) => "all",
        (Reach::User, true) => "all of the user, suspended until the status is active again",
        (Reach::OneLater, _) => "that one, when the overlap is over",
        (Reach::Branch | Reach::Organisation, true) => {
            "all under it, suspended until it is active again"
        }
        (reach, _) => panic!("no words for {reach:?}"),
    }
}

fn tokens(operation: &Operation) -> &'static str {
    match (operation.tokens, operation.sessions) {
        (false, _) => "none",
        (true, Reach::Store) => "all",
        (true, Reach::Branch | Reach::Organisation) => "all under it",
        (true, _) => "all of the user",
    }
}

fn trust(operation: &Operation) -> &'static str {
    match operation.trust {
        Trust::Kept => "none",
        Trust::One => "that one",
        Trust::All => "all of the user",
    }
}

fn table() -> String {
    let mut lines = vec![
        "| event | calls | sessions revoked | API keys revoked | one-time tokens and pending steps \
         revoked | trust of devices revoked |"
            .to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    let listed: Vec<&Operation> = OPERATIONS.iter().filter(|one| !one.row.is_empty()).collect();
    for row in listed.chunk_by(|one, next| one.row == next.row) {
        let alike = |one: &&Operation, next: &&Operation| {
            let words = |one| (sessions(one), keys(one), tokens(one), trust(one));
            words(*one) == words(*next)
        };
        for (number, operations) in row.chunk_by(alike).enumerate() {
            lines.push(line(operations, number == 0));
        }
    }
    lines.join("\n")
}

#[test]
fn the_table_of_the_manual_is_the_list() {
    let from = PAGE.find("| event |").expect("the page has the table");
    let rest = &PAGE[from..];
    let found = &rest[..rest.find("\n\n").unwrap_or(rest.trim_end().len())];
    let table = table();
    assert!(found == table, "put this table into manual/revocation.md:\n{table}");
}
