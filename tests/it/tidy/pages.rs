//! Pages that people read: `src/manual.rs` shows each, and each file that one names exists.

use super::source::Project;

/// Where a page may leave out the beginning of a path.
const BEGINNINGS: &[&str] = &["", "src/", "tests/it/", "tests/", "benches/peers/"];
const ENDINGS: &[&str] = &[".rs", ".md", ".sql", ".toml", ".txt", ".svg", ".sqlite"];
/// Parts of the paths and names that CONTRIBUTING.md makes up in its recipes.
pub(super) const MADE_UP: &[&str] = &["NAME", "badge", "lend"];

/// Pages of the manual that `src/manual.rs` does not show.
pub(crate) fn unlisted(project: &Project) -> Vec<String> {
    let index = project.texts.iter().find(|(name, _)| name == "src/manual.rs");
    let index = &index.expect("src/manual.rs").1;
    let is_shown = |name: &str| index.contains(&format!("include_str!(\"../{name}\")"));
    let names = project.texts.iter().map(|(name, _)| name);
    let pages = names.filter(|name| name.starts_with("manual/") && name.ends_with(".md"));
    pages
        .filter(|name| !is_shown(name))
        .map(|name| format!("{name}: src/manual.rs does not show it"))
        .collect()
}

/// Files named in backquotes, with a folder, that do not exist.
pub(crate) fn missing(project: &Project) -> Vec<String> {
    let exists = |path: &str| project.texts.iter().any(|(name, _)| name == path);
    let mut findings = Vec::new();
    for (page, text) in project.texts.iter().filter(|(name, _)| name.ends_with(".md")) {
        for path in text.split('`').skip(1).step_by(2).filter(|code| is_path(code)) {
            if !BEGINNINGS.iter().any(|beginning| exists(&format!("{beginning}{path}"))) {
                findings.push(format!("{page}: there is no {path}"));
            }
        }
    }
    findings
}

fn is_path(code: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '.' | '-');
    code.contains('/')
        && code.chars().all(is_plain)
        && ENDINGS.iter().any(|ending| code.ends_with(ending))
        && !MADE_UP.iter().any(|part| code.contains(part))
}

#[cfg(test)]
mod can_fail {
    use super::*;

    #[test]
    fn a_page_that_is_not_shown_is_found() {
        let shown = r#"#![doc = include_str!("../manual/a.md")]"#;
        let both = [("manual/a.md", ""), ("manual/b.md", ""), ("src/manual.rs", shown)];
        assert_eq!(unlisted(&Project::of(&both)), ["manual/b.md: src/manual.rs does not show it"]);
    }

    #[test]
    fn a_file_that_is_gone_is_found() {
        let page = "`value/time.rs`, `value/gone.rs`, `a / b.rs`, `gone.rs` and `flow/lend.rs`";
        let texts = [("ARCHITECTURE.md", page), ("src/value/time.rs", "")];
        assert_eq!(missing(&Project::of(&texts)), ["ARCHITECTURE.md: there is no value/gone.rs"]);
    }
}
