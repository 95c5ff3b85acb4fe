//! Help, completions and manual pages; and the command lines of the manual and of README, run.

use std::fs;
use std::process::Command;

use crate::busy::Busy;
use crate::world::{Ran, World};

/// The subcommands that the help of a command lists.
fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Runs `--help` of that command and of all below it; how many there were.
fn read_help(world: &World, words: &[&str]) -> usize {
    let help = world.ok(&[words, &["--help"]].concat());
    assert!(help.contains("Usage: gatepost"), "{words:?}");
    assert!(words.is_empty() || help.contains("--file <PATH>"), "{words:?}");
    let inner = subcommands(&help);
    assert_eq!(inner.is_empty(), help.contains("Example: ") && !words.is_empty(), "{words:?}");
    let below = inner.iter().map(|name| read_help(world, &[words, &[name]].concat()));
    1 + below.sum::<usize>()
}

#[test]
fn every_subcommand_has_a_help_with_an_example() {
    let world = World::empty();
    let seen = read_help(&world, &[]);
    assert!(seen >= 70, "only {seen} helps were read");
}

#[test]
fn completions_and_manual_pages_name_every_subcommand() {
    let world = World::empty();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = world.ok(&["completions", shell]);
        assert!(script.contains("set-password"), "{shell}");
    }
    world.ok(&["man", "pages/man1"]);
    let page = |name: &str| {
        let page = fs::read_to_string(world.directory().join("pages/man1").join(name));
        // Dashes at which roff must not break a line.
        page.unwrap().replace("\\-", "-")
    };
    assert!(page("gatepost.1").contains("doctor"));
    assert!(page("gatepost-user-set-password.1").contains("Example: gatepost user set-password"));
}

/// The blocks of shell commands in a text.
fn shell_blocks(text: &str) -> Vec<&str> {
    text.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("sh\n")).collect()
}

/// Runs the commands in one shell that stops at the first failure.
fn run_all(world: &World, script: &str) -> Ran {
    let mut shell = Command::new("bash");
    shell.args(["-euc", script]).env("PATH", World::search_path());
    shell.current_dir(world.directory()).output().unwrap().into()
}

#[test]
fn the_commands_of_the_manual_run_on_a_store_that_another_process_keeps_busy() {
    let page = include_str!("../../../manual/command.md");
    let blocks = shell_blocks(page);
    let (init, rest) = blocks.split_first().unwrap();
    let world = World::empty();
    let ran = run_all(&world, init);
    assert_eq!(ran.code, 0, "{ran:?}");
    let busy = Busy::start(&world);
    for block in rest {
        let ran = run_all(&world, block);
        assert_eq!(ran.code, 0, "{block}\n{ran:?}");
    }
    busy.end();
    let lines = blocks.iter().flat_map(|block| block.lines());
    let commands = lines.filter(|line| line.starts_with("gatepost ")).count();
    assert!(commands >= 40, "only {commands} commands were run");
}

#[test]
fn the_commands_of_the_page_on_moving_run() {
    let blocks = shell_blocks(include_str!("../../../manual/moving.md"));
    let world = World::new();
    crate::moving::lay_files(&world);
    for block in &blocks {
        let ran = run_all(&world, &format!("umask 077\n{block}"));
        assert_eq!(ran.code, 0, "{block}\n{ran:?}");
    }
    let lines = blocks.iter().flat_map(|block| block.lines());
    let commands = lines.filter(|line| line.starts_with("gatepost ")).count();
    assert!(commands >= 12, "only {commands} commands were run");
}

#[test]
fn the_commands_of_the_readme_run() {
    let readme = include_str!("../../../README.md");
    let section = readme.split("\n## ").find(|part| part.starts_with("The command\n")).unwrap();
    let lines = section.lines().filter(|line| line.starts_with("gatepost "));
    let script: Vec<&str> = lines.collect();
    assert!(script.len() >= 4, "{section}");
    let world = World::empty();
    let ran = run_all(&world, &format!("umask 077\n{}", script.join("\n")));
    assert_eq!(ran.code, 0, "{ran:?}");
}
