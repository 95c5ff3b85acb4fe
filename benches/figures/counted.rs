//! Figures that are counted and not timed: instructions, allocations and statements of a
//! cache hit, and instructions of a miss.

use std::collections::HashMap;
use std::process::{Command, Stdio};

use crate::child::ROLE;
use crate::filled::Filled;
use crate::harness::{Order, Run};
use crate::hit::verify_all;

pub const FIGURES: &[&str] = &[
    "verify_hit_instructions",
    "verify_hit_allocations",
    "verify_miss_instructions",
    "verify_writes",
];

/// An allocator that counts every allocation of the program.
const ALLOCATORS: [&str; 6] =
    ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign"];

const FEW: u64 = 1_000;
const MANY: u64 = 11_000;

pub fn run(run: &mut Run) {
    let has_valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if !has_valgrind.is_ok_and(|status| status.success()) {
        for name in FIGURES {
            run.left_out(name, "valgrind is not installed");
        }
        return;
    }
    if run.wants(&["verify_hit_instructions"]) {
        run.counted("verify_hit_instructions", "instructions", instructions("verify"));
    }
    if run.wants(&["verify_miss_instructions"]) {
        let select = instructions("select");
        run.note(format_args!("raw SELECT: {select:.0} instructions"));
        run.counted("verify_miss_instructions", "instructions", instructions("miss"));
    }
    if run.wants(&["verify_hit_allocations"]) {
        let allocations = calls_of(&ALLOCATORS, MANY) as f64 / MANY as f64;
        run.counted("verify_hit_allocations", "allocations", allocations);
    }
    if run.wants(&["verify_writes"]) {
        // Every statement is stepped, a COMMIT as well.
        let steps = calls_of(&["sqlite3_step"], MANY) as f64 * 1_000.0 / MANY as f64;
        run.note(format_args!("commits seen by another connection: {}", commits(run)));
        run.counted("verify_writes", "statements in 1,000", steps);
    }
}

/// Instructions of one more call: the part that does not grow with their number is the program's.
fn instructions(role: &str) -> f64 {
    let of = |calls: u64| {
        let options =
            ["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*hits*"];
        number_after(&under_valgrind(&options, role, &calls.to_string()), "Collected :") as f64
    };
    (of(MANY) - of(FEW)) / (MANY - FEW) as f64
}

/// Calls of these functions from inside so many cache hits: callgrind begins its list when
/// they begin, and the child ends when they end.
fn calls_of(functions: &[&str], calls: u64) -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("calls");
    let to = format!("--callgrind-out-file={}", list.display());
    under_valgrind(
        &["--tool=callgrind", &to, "--zero-before=*hit*hits*"],
        "verify",
        &format!("timeless {calls}"),
    );
    let (mut callee, mut names, mut sum) = (String::new(), HashMap::new(), 0);
    let list = std::fs::read_to_string(list).unwrap();
    assert!(list.contains("Store>::verify"), "the verifies themselves are not in the list");
    for line in list.lines() {
        if let Some(named) = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn=")) {
            // A name is written out once, behind its number.
            let (number, name) = named.split_once(' ').unwrap_or((named, ""));
            if !name.is_empty() {
                names.insert(number.to_owned(), name.to_owned());
            }
            callee = names.get(number).cloned().unwrap_or_default();
        } else if let Some(counted) = line.strip_prefix("calls=")
            && functions.iter().any(|name| callee.starts_with(name))
        {
            sum += counted.split(' ').next().unwrap().parse::<u64>().unwrap();
        }
    }
    sum
}

fn under_valgrind(options: &[&str], role: &str, calls: &str) -> String {
    // The child leaves without clearing up.
    let room = tempfile::tempdir().unwrap();
    let output = Command::new("valgrind")
        .env("TMPDIR", room.path())
        .args(options)
        .arg(std::env::current_exe().unwrap())
        .args([ROLE, role, calls])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn number_after(text: &str, label: &str) -> u64 {
    let rest = text.split(label).nth(1).unwrap();
    let number = rest.split_whitespace().next().unwrap();
    number.replace(',', "").parse().unwrap()
}

/// Changes of `PRAGMA data_version` on another connection during many verifies.
fn commits(run: &Run) -> i64 {
    let filled = Filled::remembered(run.size(10_000));
    let raw = filled.raw();
    let version = || raw.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0));
    let before = version().unwrap();
    let mut order = Order(4);
    for _ in 0..100 {
        verify_all(&filled.store, &filled.drawn(&mut order, 1_000));
    }
    version().unwrap() - before
}
