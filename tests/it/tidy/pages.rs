//! Pages that people read: `src/manual.rs` shows each, each file that one names exists, and each
//! line of nginx is one that a test runs.

use super::source::Project;

/// Where a page may leave out the beginning of a path.
const BEGINNINGS: &[&str] = &["", "src/", "tests/it/", "tests/", "benches/peers/"];
const ENDINGS: &[&str] = &[".rs", ".md", ".sql", ".toml", ".txt", ".svg", ".sqlite"];
/// The configuration that `examples/server/drive/deploy.py` runs.
const NGINX: &str = "examples/server/deploy/nginx.conf";
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

/// Lines of nginx in backquotes that its configuration does not have.
pub(crate) fn unlike_nginx(project: &Project) -> Vec<String> {
    let found = project.texts.iter().find(|(name, _)| name == NGINX);
    let lines: Vec<&str> = found.expect(NGINX).1.lines().map(str::trim).collect();
    let mut findings = Vec::new();
    for (page, text) in project.texts.iter().filter(|(name, _)| name.ends_with(".md")) {
        let spans = text.split('`').skip(1).step_by(2);
        let spans = spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "));
        for line in spans.filter(|span| span.starts_with("proxy_") && span.ends_with(';')) {
            if !lines.contains(&line.as_str()) {
                findings.push(format!("{page}: {NGINX} has no line {line}"));
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

    /// Once a page had `$host`, without the port of the browser's `Origin`.
    #[test]
    fn a_line_of_nginx_that_no_test_runs_is_found() {
        let conf = "server {\n    proxy_set_header Host $http_host;\n}\n";
        let page = "`proxy_set_header Host\n$http_host;`, `proxy_set_header Host $host;`, `$host`";
        let texts = [("manual/web.md", page), (NGINX, conf)];
        let expect = format!("manual/web.md: {NGINX} has no line proxy_set_header Host $host;");
        assert_eq!(unlike_nginx(&Project::of(&texts)), [expect]);
    }
}
