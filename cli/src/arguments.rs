//! The command line: the options that every subcommand takes, and the subcommands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use gatepost::Options;

use crate::command::{
    audit, backup, branch, calibrate, config, credit, device, doctor, explain, export, factor,
    import, init, key, key_file, organisation, pages, rekey, restore, session, stats, sweep,
    token, user,
};

/// Operates a Gatepost store: users, sessions, keys, configuration, the audit log, and its health.
#[derive(Debug, Parser)]
#[command(
    name = "gatepost",
    version,
    arg_required_else_help = true,
    after_help = "Example: gatepost user list --file auth.db\n\n\
                  The manual's page `command` has one command for each task, and the exit codes."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every subcommand takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "For every subcommand")]
pub(crate) struct Global {
    /// The file of the store
    #[arg(short, long, global = true, value_name = "PATH", default_value = "auth.db")]
    pub(crate) file: PathBuf,

    /// A file with the key that seals the password hashes; first the current one, then older ones
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) key_file: Vec<PathBuf>,

    /// Print JSON, one object on a line, instead of tables
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Answer every question of confirmation with yes
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,

    /// The user who acts, by username or id; the audit log names it as the actor
    #[arg(long = "as", global = true, value_name = "USER")]
    pub(crate) acting_as: Option<String>,

    /// Give up a protection of the file
    #[arg(long, global = true, value_enum, value_name = "PROTECTION")]
    pub(crate) allow: Vec<Protection>,
}

/// A protection that `--allow` gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protection {
    /// A file that belongs to another user of the machine
    ForeignOwner,
    /// A file that has a second name
    HardLinks,
    /// A file on NFS, SMB or AFS
    NetworkFileSystem,
    /// A directory that any user of the machine can write to
    SharedDirectory,
    /// A file that others can read, where its permissions cannot be changed
    WidePermissions,
}

impl Protection {
    /// The options with this protection given up.
    pub(crate) fn give_up(self, options: Options) -> Options {
        let dangerous = options.dangerous();
        match self {
            Self::ForeignOwner => dangerous.allow_foreign_owner(),
            Self::HardLinks => dangerous.allow_hard_links(),
            Self::NetworkFileSystem => dangerous.allow_network_file_system(),
            Self::SharedDirectory => dangerous.allow_shared_directory(),
            Self::WidePermissions => dangerous.allow_wide_permissions(),
        }
    }
}

/// The subcommands. One without a line here has its help beside its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    /// Users: add, find, change, lock, delete
    #[command(subcommand)]
    User(user::User),
    /// Organisations, which contain branches
    #[command(subcommand)]
    Organisation(organisation::Organisation),
    /// Branches, which contain users
    #[command(subcommand)]
    Branch(branch::Branch),
    /// Sessions: who is logged in, and revoking them
    #[command(subcommand)]
    Session(session::Session),
    /// The devices on which a user has logged in
    #[command(subcommand)]
    Device(device::Device),
    /// Second factors of users
    #[command(subcommand)]
    Factor(factor::Factor),
    /// Configuration: keys and values in four scopes
    #[command(subcommand)]
    Config(config::Config),
    /// The remaining credits of branches and organisations
    #[command(subcommand)]
    Credit(credit::Credit),
    /// API keys
    #[command(subcommand)]
    Key(key::Key),
    /// Key files, which seal the password hashes of a store
    #[command(subcommand)]
    KeyFile(key_file::KeyFile),
    Rekey(rekey::Rekey),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Import(import::Import),
    Export(export::Export),
    /// The audit log
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Tokens that callers present, and the one-time tokens of users
    #[command(subcommand)]
    Token(token::Token),
    Explain(explain::Explain),
    Stats(stats::Stats),
    Sweep(sweep::Sweep),
    Doctor(doctor::Doctor),
    Calibrate(calibrate::Calibrate),
    Completions(pages::Completions),
    Man(pages::Man),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Calls `each` with every subcommand that does something, and its words.
    fn visit(command: &clap::Command, words: &str, each: &mut dyn FnMut(&str, &clap::Command)) {
        if !command.has_subcommands() {
            each(words, command);
        }
        for inner in command.get_subcommands() {
            visit(inner, &format!("{words} {}", inner.get_name()), each);
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn each_help_ends_in_an_example_of_that_very_subcommand() {
        let mut seen = 0;
        visit(&Arguments::command(), "gatepost", &mut |words, command| {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let example = help.strip_prefix("Example: ").unwrap_or_default();
            assert!(example.starts_with(words), "{words}: {help:?}");
            assert!(command.get_about().is_some(), "{words} has no summary");
            let command = example.split(['<', '|', '>']).next().unwrap_or_default();
            let typed = shlex::split(command).unwrap_or_default();
            let parsed = Arguments::try_parse_from(typed);
            assert!(parsed.is_ok(), "{example}: {parsed:?}");
            seen += 1;
        });
        assert!(seen >= 63, "only {seen} subcommands were seen");
    }

    /// The commands in the fenced blocks of a page, and those in backticks: from `gatepost` on, to
    /// what the shell reads itself.
    fn commands(page: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (number, block) in page.split("```").enumerate() {
            let pieces: Vec<&str> = match number % 2 {
                1 => block.lines().skip(1).collect(),
                _ => block.split('`').skip(1).step_by(2).collect(),
            };
            for piece in pieces.into_iter().filter(|piece| !piece.starts_with('#')) {
                let words = piece.find("gatepost ").map(|at| piece.split_at(at).1);
                let is_start = piece.trim_start().starts_with("gatepost ")
                    || ["* * ", "ExecStart=", "sudo "].iter().any(|way| piece.contains(way));
                let command = words.filter(|_| is_start).map(|words| words.replace('\n', " "));
                found.extend(command.map(|one| {
                    one.split(['<', '|', '>']).next().unwrap_or_default().trim().to_owned()
                }));
            }
        }
        let is_other =
            |one: &str| ["gatepost help", "gatepost ="].iter().any(|it| one.starts_with(it));
        found.retain(|one| !one.contains('…') && !is_other(one));
        found
    }

    #[test]
    fn every_command_of_readme_and_of_the_manual_is_one_that_this_command_accepts() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let pages = std::fs::read_dir(root.join("manual")).unwrap();
        let pages = pages.map(|entry| entry.unwrap().path());
        let pages = pages.filter(|path| path.extension().is_some_and(|end| end == "md"));
        let readmes = ["README.md", "cli/README.md"].map(|name| root.join(name));
        let (mut accepted, mut refused) = (0, Vec::new());
        for path in pages.chain(readmes) {
            for command in commands(&std::fs::read_to_string(&path).unwrap()) {
                let typed = shlex::split(&command).unwrap_or_default();
                match Arguments::try_parse_from(typed) {
                    Ok(_) => accepted += 1,
                    Err(error) => {
                        refused.push(format!("{}: {command}: {}", path.display(), error.kind()));
                    }
                }
            }
        }
        assert!(refused.is_empty(), "{refused:#?}");
        assert!(accepted >= 100, "only {accepted} commands were found");
    }
}
