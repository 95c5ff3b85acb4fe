//! How the program of a project is made: by cargo, by npm or, for what it starts, by pip.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;

/// A program that can be started.
#[derive(Clone)]
pub struct Program {
    command: Vec<OsString>,
    /// Where it finds programs that were installed for it, before all others.
    path: Option<PathBuf>,
}

impl Program {
    pub fn command(&self) -> Outcome<Command> {
        let (first, rest) = self.command.split_first().ok_or("no program")?;
        let mut command = Command::new(first);
        command.args(rest).env("NODE_ENV", "production");
        if let Some(path) = &self.path {
            let others = env::var_os("PATH").unwrap_or_default();
            let all = [path.clone()].into_iter().chain(env::split_paths(&others));
            command.env("PATH", env::join_paths(all)?);
        }
        Ok(command)
    }
}

/// Builds a project of `home`; the reason, if what builds it is not installed or fails.
///
/// # Errors
/// A project of cargo that does not build.
pub fn build(home: &Path, target: &Path, project: &str) -> Outcome<Result<Program, String>> {
    let source = home.join(project);
    if source.join("package.json").exists() {
        return npm(&source, &target.join(project));
    }
    let program = cargo(&source, target, project)?;
    let requirements = source.join("requirements.txt");
    if !requirements.exists() {
        return Ok(Ok(program));
    }
    let packages = target.join("python").join(project);
    Ok(pip(&requirements, &packages)
        .map(|()| Program { path: Some(packages.join("bin")), ..program }))
}

fn cargo(source: &Path, target: &Path, project: &str) -> Outcome<Program> {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--manifest-path"])
        .arg(source.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .status()?;
    if !built.success() {
        return Err(format!("{project} does not build").into());
    }
    let built = target.join("release").join(format!("peer-{project}"));
    Ok(Program { command: vec![built.into()], path: None })
}

/// Installs what the lock file names, by its hashes, beside a copy of the sources; once for each
/// lock file, as some of it is compiled.
fn npm(source: &Path, copy: &Path) -> Outcome<Result<Program, String>> {
    const LOCK: &str = "package-lock.json";
    fs::create_dir_all(copy)?;
    let is_installed = fs::read(copy.join("installed")).ok() == fs::read(source.join(LOCK)).ok();
    for file in fs::read_dir(source)? {
        let file = file?;
        if file.file_type()?.is_file() {
            fs::copy(file.path(), copy.join(file.file_name()))?;
        }
    }
    if !is_installed {
        let mut install = Command::new("npm");
        install.args(["ci", "--omit=peer", "--no-fund", "--no-audit"]).current_dir(copy);
        if let Err(why) = installed(install) {
            return Ok(Err(why));
        }
        fs::copy(copy.join(LOCK), copy.join("installed"))?;
    }
    let peer = copy.join("peer.mjs").into();
    Ok(Ok(Program { command: vec!["node".into(), peer], path: None }))
}

fn pip(requirements: &Path, packages: &Path) -> Result<(), String> {
    let mut install = Command::new("python3");
    install.args(["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]);
    install.args(["--upgrade", "--target"]).arg(packages).arg("-r").arg(requirements);
    installed(install)
}

fn installed(mut command: Command) -> Result<(), String> {
    let run = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let program = command.get_program().display();
    match run {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("{program} cannot install its packages")),
        Err(_) => Err(format!("{program} is not installed")),
    }
}
