//! Where each platform keeps the private data of a program: a pure function of the environment.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::error::{DeskError, Result};

/// The platform by whose rules the private folder of a program is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Platform {
    /// Linux and the other systems that follow the XDG Base Directory Specification.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

/// The longest name of a program, in bytes.
const APP_MAX_BYTES: usize = 100;
/// Names of devices, which Windows keeps for itself also before a dot.
const RESERVED: [&str; 4] = ["con", "prn", "aux", "nul"];
/// Their kin, with a digit behind.
const RESERVED_WITH_DIGIT: [&str; 2] = ["com", "lpt"];

impl Platform {
    /// The platform that this program was compiled for.
    ///
    /// ```
    /// use gatepost_desk::Platform;
    ///
    /// assert_eq!(Platform::here() == Platform::Windows, cfg!(windows));
    /// ```
    #[must_use]
    pub const fn here() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::MacOs
        } else {
            Self::Linux
        }
    }

    /// Returns the private folder of the program `app` for the current account of the operating
    /// system. Only computes: nothing is read or created. `variable` returns an environment
    /// variable.
    ///
    /// | platform | folder |
    /// |---|---|
    /// | Linux | `$XDG_DATA_HOME/APP`, or `$HOME/.local/share/APP` without an absolute path there |
    /// | macOS | `$HOME/Library/Application Support/APP` |
    /// | Windows | `%LOCALAPPDATA%\APP`, which does not roam to other machines |
    ///
    /// ```
    /// use std::ffi::OsString;
    /// use std::path::Path;
    ///
    /// use gatepost_desk::Platform;
    ///
    /// let home = |name: &str| (name == "HOME").then(|| OsString::from("/home/ada"));
    /// let folder = Platform::Linux.data_folder("com.example.till", home)?;
    /// assert_eq!(folder, Path::new("/home/ada/.local/share/com.example.till"));
    /// # Ok::<(), gatepost_desk::DeskError>(())
    /// ```
    ///
    /// # Errors
    /// - [`Invalid`](DeskError::Invalid) if `app` is not 1 to 100 of `a-z A-Z 0-9 . _ -`, begins or
    ///   ends with another character than a letter or digit, has two dots in a row, or begins with
    ///   a name that Windows keeps for devices (such as `con` or `com1`, before a dot too);
    /// - [`NoHome`](DeskError::NoHome) if the variable that names the home is missing, or is not an
    ///   absolute path.
    pub fn data_folder(
        self,
        app: &str,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<PathBuf> {
        check_app(app)?;
        let absolute =
            |name: &str| variable(name).filter(|path| self.is_absolute(path.as_os_str()));
        let home = |name: &'static str| absolute(name).ok_or(DeskError::NoHome(name));
        let (base, parts): (OsString, &[&str]) = match self {
            Self::Windows => (home("LOCALAPPDATA")?, &["\\", app]),
            Self::MacOs => (home("HOME")?, &["/Library/Application Support/", app]),
            // The specification says to ignore a relative path.
            Self::Linux => match absolute("XDG_DATA_HOME") {
                Some(data) => (data, &["/", app]),
                None => (home("HOME")?, &["/.local/share/", app]),
            },
        };
        let mut folder = base;
        folder.extend(parts.iter().map(OsStr::new));
        Ok(PathBuf::from(folder))
    }

    /// By the rules of this platform, whatever the one that the program runs on.
    fn is_absolute(self, path: &OsStr) -> bool {
        let bytes = path.as_encoded_bytes();
        match (self, bytes) {
            (Self::Windows, [drive, b':', b'\\' | b'/', ..]) => drive.is_ascii_alphabetic(),
            (Self::Windows, bytes) => bytes.starts_with(b"\\\\"),
            (Self::Linux | Self::MacOs, bytes) => bytes.starts_with(b"/"),
        }
    }
}

/// # Errors
/// As of [`Platform::data_folder`].
pub(crate) fn check_app(app: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let begins_and_ends = app.starts_with(|c: char| c.is_ascii_alphanumeric())
        && app.ends_with(|c: char| c.is_ascii_alphanumeric());
    if app.len() > APP_MAX_BYTES || !begins_and_ends || !app.chars().all(is_plain) {
        return Err(DeskError::Invalid(
            "the name of the program is not 1 to 100 of a-z A-Z 0-9 . _ - that begin and end with \
             a letter or digit",
        ));
    }
    if app.contains("..") {
        return Err(DeskError::Invalid("the name of the program has two dots in a row"));
    }
    let first = app.split('.').next().unwrap_or(app).to_ascii_lowercase();
    let has_digit = |device: &str| {
        first.strip_prefix(device).is_some_and(|rest| matches!(rest.as_bytes(), [b'1'..=b'9']))
    };
    if RESERVED.contains(&&*first) || RESERVED_WITH_DIGIT.iter().any(|device| has_digit(device)) {
        return Err(DeskError::Invalid(
            "the name of the program begins with a name that Windows keeps for a device",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(platform: Platform, variables: &[(&str, &str)], expect: Result<&str, &str>) {
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let folder = platform.data_folder("com.example.till", variable);
        match (folder, expect) {
            (Ok(folder), Ok(expect)) => assert_eq!(folder.as_os_str(), OsStr::new(expect)),
            (Err(DeskError::NoHome(name)), Err(expect)) => assert_eq!(name, expect),
            (folder, expect) => panic!("{folder:?}, not {expect:?}"),
        }
    }

    #[test]
    fn each_platform_has_its_folder() {
        let home = ("HOME", "/home/ada");
        let xdg = |path| [home, ("XDG_DATA_HOME", path)];
        let linux = Platform::Linux;
        check(linux, &[home], Ok("/home/ada/.local/share/com.example.till"));
        check(linux, &xdg("/data"), Ok("/data/com.example.till"));
        check(linux, &xdg(""), Ok("/home/ada/.local/share/com.example.till"));
        check(linux, &xdg("data"), Ok("/home/ada/.local/share/com.example.till"));
        check(linux, &[], Err("HOME"));
        check(linux, &[("HOME", "ada")], Err("HOME"));

        let library = "/home/ada/Library/Application Support/com.example.till";
        check(Platform::MacOs, &[("HOME", "/home/ada")], Ok(library));
        check(Platform::MacOs, &[("XDG_DATA_HOME", "/data")], Err("HOME"));

        let local = |path| [("LOCALAPPDATA", path), ("HOME", "/home/ada")];
        let windows = Platform::Windows;
        let expect = r"C:\Users\ada\AppData\Local\com.example.till";
        check(windows, &local(r"C:\Users\ada\AppData\Local"), Ok(expect));
        check(windows, &local(r"\\server\ada"), Ok(r"\\server\ada\com.example.till"));
        check(windows, &local(r"Users\ada"), Err("LOCALAPPDATA"));
        check(windows, &local("/home/ada"), Err("LOCALAPPDATA"));
        check(windows, &[home], Err("LOCALAPPDATA"));
    }

    #[test]
    fn a_name_that_is_no_folder_on_some_platform_is_refused() {
        let long = "a".repeat(APP_MAX_BYTES + 1);
        let bad = [
            "",
            ".",
            "..",
            "a/b",
            "a\\b",
            ".till",
            "till.",
            "a..b",
            "till ",
            "tüll",
            "-till",
            "con",
            "CON.example",
            "nul.till",
            "com1",
            "lpt9.till",
            "a\0b",
            &long,
        ];
        for app in bad {
            let folder = Platform::Linux.data_folder(app, |_| Some("/home".into()));
            assert!(matches!(folder, Err(DeskError::Invalid(_))), "{app:?}: {folder:?}");
        }
        for app in
            ["a", "com.example.till", "Till_2-x", "com10.example", "comx.a", long.split_at(1).1]
        {
            let folder = Platform::Linux.data_folder(app, |_| Some("/home".into()));
            assert!(folder.is_ok(), "{app:?}: {folder:?}");
        }
    }
}
