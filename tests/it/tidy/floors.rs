//! The floors: which module may use which.

use std::collections::{BTreeSet, HashMap};

use super::source::{Project, Source, is_name};

/// The modules from the lowest floor up. A module uses the floors below its own; on its own floor
/// it uses only the modules listed before it. A new module goes to the lowest place that its uses
/// allow.
#[rustfmt::skip]
const ORDER: &[(u8, &str)] = &[
    (0, "value::limits"),
    (0, "value::password_rule"),
    (0, "value::time"),
    (0, "value::random"),
    (0, "value::digest"),
    (0, "value::keyring"),
    (0, "value::id"),
    (0, "value::name"),
    (0, "value::secret"),
    (0, "value::token"),
    (0, "value::ticket"),
    (0, "value::header"),
    (0, "value::presented"),
    (0, "value::subtree"),
    (0, "value::principal"),
    (0, "value::totp"),
    (0, "value::factor_code"),
    (0, "value::one_time"),
    (0, "value::permission"),
    (0, "value::freshness"),
    (0, "value::second_factor"),
    (0, "value::target"),
    (0, "value::event"),
    (0, "value::blocklist"),
    (0, "value::policy"),
    (0, "value::password_check"),
    (0, "value::refusal"),
    (0, "value::version"),
    (0, "value::wait"),
    (0, "value::path"),
    (1, "sync"),
    (1, "spans"),
    (1, "storage::clock"),
    (1, "storage::fault"),
    (1, "storage::files"),
    (1, "storage::sql"),
    (1, "storage::fork"),
    (1, "storage::guard"),
    (1, "storage::key_file"),
    (1, "storage::watch"),
    (1, "storage::connection"),
    (1, "storage::header"),
    (1, "storage::upkeep"),
    (1, "storage::pool"),
    (1, "storage::reserve"),
    (1, "storage::transaction"),
    (1, "storage::backup"),
    (1, "storage::migrate"),
    (1, "storage::reading"),
    (1, "storage::writer"),
    (1, "storage::change_log"),
    (1, "storage::wal_index"),
    (1, "storage::whereabouts"),
    (1, "storage::open"),
    (1, "storage::restore"),
    (1, "pending"),
    (1, "cache"),
    (1, "hasher"),
    (2, "options"),
    (2, "store"),
    (3, "record::pieces"),
    (3, "record::options"),
    (3, "record::clock"),
    (3, "record::change"),
    (3, "record::audit"),
    (3, "record::watermarks"),
    (3, "record::store"),
    (3, "record::administration"),
    (3, "record::organisation"),
    (3, "record::branch"),
    (3, "record::credential"),
    (3, "record::device"),
    (3, "record::throttle"),
    (3, "record::user"),
    (3, "record::external_identity"),
    (3, "record::proof"),
    (3, "record::session"),
    (3, "record::configuration"),
    (3, "record::credit"),
    (3, "record::api_key"),
    (3, "record::one_time_token"),
    (3, "record::pending_step"),
    (3, "record::second_factor"),
    (3, "record::examine"),
    (3, "record::restore"),
    (4, "flow::opening"),
    (4, "flow::backup"),
    (4, "flow::change_options"),
    (4, "flow::counts"),
    (4, "flow::examine"),
    (4, "flow::verify"),
    (4, "flow::may"),
    (4, "flow::explain"),
    (4, "flow::ticket"),
    (4, "flow::held"),
    (4, "flow::renew"),
    (4, "flow::revoke"),
    (4, "flow::sweep"),
    (4, "flow::attenuate"),
    (4, "flow::lifecycle"),
    (4, "flow::administration"),
    (4, "flow::erase"),
    (4, "flow::restore"),
    (4, "flow::personal_data"),
    (4, "flow::import"),
    (4, "flow::export"),
    (4, "flow::identity"),
    (4, "flow::password_set"),
    (4, "flow::rekey"),
    (4, "flow::read_only"),
    (4, "flow::one_time"),
    (4, "flow::login"),
    (4, "flow::session_open"),
    (4, "flow::impersonate"),
    (4, "flow::password_change"),
    (4, "flow::prove"),
    (4, "flow::second_factor"),
    (4, "flow::profile"),
    (4, "flow::administering"),
    (4, "wire"),
    (5, "testing"),
    (5, "manual"),
];

/// What every floor may use, and what is above all (`lib.rs` lists the modules).
const FOR_ALL: [&str; 4] = ["Error", "ErrorClass", "ErrorKind", "error"];
const ABOVE_ALL: &str = "lib";

/// The modules, and which module each name that a `mod.rs` or `lib.rs` re-exports comes from.
pub(crate) struct ModuleMap {
    passed_on: HashMap<String, Vec<String>>,
}

impl ModuleMap {
    pub(crate) fn of(project: &Project) -> Self {
        let mut passed_on = HashMap::new();
        for file in project.library() {
            let module = module_of(&file.name);
            if module == [ABOVE_ALL] || file.name.ends_with("/mod.rs") {
                let from = if module == [ABOVE_ALL] { Vec::new() } else { module };
                for (name, path) in passed_on_by(file, &from) {
                    passed_on.insert(name, path);
                }
            }
        }
        Self { passed_on }
    }

    /// Each use of a module above, or of a later one on the same floor.
    pub(crate) fn climbs(&self, file: &Source) -> Vec<String> {
        let module = module_of(&file.name);
        let Some(own) = rung_of(&module).or_else(|| top_rung_of(&module)) else {
            return Vec::new();
        };
        let mut findings = Vec::new();
        for (at, path) in paths_in(file, &module) {
            let target = self.resolve(path);
            let written = target.join("::");
            if target.is_empty() || FOR_ALL.contains(&target[0].as_str()) {
                continue;
            }
            let allowed = match rung_of(&target) {
                Some(place) => place <= own,
                None => is_front_of_lower_floor(&target, own) || target.starts_with(&module),
            };
            if !allowed {
                let from = module.join("::");
                findings.push(format!("{}: {from} climbs to {written}", file.place(at)));
            }
        }
        findings
    }

    fn resolve(&self, mut path: Vec<String>) -> Vec<String> {
        for _ in 0..4 {
            if rung_of(&path).is_some() {
                break;
            }
            let named =
                (1..=path.len()).rev().find_map(|n| self.passed_on.get(&path[..n].join("::")));
            match named {
                Some(origin) if *origin != path => path = origin.clone(),
                _ => break,
            }
        }
        path
    }
}

/// Modules of the library that the list does not name.
pub(crate) fn unlisted(project: &Project) -> Vec<String> {
    let mut findings = Vec::new();
    for file in project.library() {
        let module = module_of(&file.name);
        let is_front = file.name.ends_with("/mod.rs") && module.len() == 1;
        let is_known = is_front || [&["lib"][..], &["error"]].iter().any(|m| module == *m);
        if !is_known && rung_of(&module).is_none() {
            findings.push(format!("{}: list this module in tests/it/tidy/floors.rs", file.name));
        }
    }
    findings
}

/// Files that import each other, directly or in a cycle. A module and its own inner modules count
/// as one: the module names them, and they name what they share.
pub(crate) fn circles(project: &Project) -> Vec<String> {
    let module_map = ModuleMap::of(project);
    let modules: Vec<_> = project.library().map(|file| module_of(&file.name)).collect();
    let uses = |file: &Source, module: &[String]| -> BTreeSet<usize> {
        let targets = paths_in(file, module).into_iter().map(|(_, path)| module_map.resolve(path));
        let found = targets.filter_map(|path| {
            let longest =
                (1..=path.len()).rev().find(|n| modules.contains(&path[..*n].to_vec()))?;
            modules.iter().position(|one| one[..] == path[..longest])
        });
        let is_apart =
            |other: &Vec<String>| !other.starts_with(module) && !module.starts_with(other);
        found.filter(|at| is_apart(&modules[*at])).collect()
    };
    let arrows: Vec<_> = project.library().zip(&modules).map(|(f, m)| uses(f, m)).collect();
    let mut findings = Vec::new();
    for (from, module) in modules.iter().enumerate() {
        let mut reached = arrows[from].clone();
        let mut waiting: Vec<usize> = reached.iter().copied().collect();
        while let Some(at) = waiting.pop() {
            waiting.extend(arrows[at].iter().filter(|next| reached.insert(**next)));
        }
        if reached.contains(&from) {
            findings.push(format!("{} imports itself around a circle", module.join("::")));
        }
    }
    findings
}

/// Listed modules that no file of the library is.
pub(crate) fn missing(project: &Project) -> Vec<String> {
    let modules: Vec<_> = project.library().map(|file| module_of(&file.name)).collect();
    let is_there = |listed: &str| modules.iter().any(|module| module.join("::") == listed);
    let empty = ORDER.iter().filter(|(_, listed)| !is_there(listed));
    empty
        .map(|(_, listed)| {
            format!("tests/it/tidy/floors.rs: {listed} is listed and does not exist")
        })
        .collect()
}

/// The first two names decide; the inner modules of a module are not checked.
fn rung_of(path: &[String]) -> Option<usize> {
    ORDER.iter().position(|(_, listed)| {
        let names: Vec<&str> = listed.split("::").collect();
        path.len() >= names.len() && names.iter().zip(path).all(|(a, b)| a == b)
    })
}

/// A `mod.rs` re-exports all the modules of its folder.
fn top_rung_of(path: &[String]) -> Option<usize> {
    let [folder] = path else { return None };
    ORDER.iter().rposition(|(_, listed)| listed.starts_with(&format!("{folder}::")))
}

/// `storage` alone, or a name that it re-exports from an unknown module, used from a higher floor.
fn is_front_of_lower_floor(path: &[String], own: usize) -> bool {
    let inside = |listed: &str| listed.split("::").next() == path.first().map(String::as_str);
    ORDER.iter().find(|(_, listed)| inside(listed)).is_some_and(|(floor, _)| *floor < ORDER[own].0)
}

fn module_of(name: &str) -> Vec<String> {
    let path = name.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

/// Every path of the crate that the file names, written from the crate's root.
fn paths_in(file: &Source, module: &[String]) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for at in file.find("crate::") {
        for path in tree(&file.code[at + "crate::".len()..]) {
            found.push((at, path));
        }
    }
    for at in file.find("super::") {
        if file.code[..at].ends_with("super::") {
            continue;
        }
        let mut rest = &file.code[at..];
        let mut base = module.to_vec();
        while let Some(inner) = rest.strip_prefix("super::") {
            base.pop();
            rest = inner;
        }
        found.extend(tree(rest).into_iter().map(|path| (at, [base.clone(), path].concat())));
    }
    found
}

/// The names that a file re-exports, each with its origin.
fn passed_on_by(file: &Source, module: &[String]) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for at in file.find("use") {
        let rest = file.code[at + 3..].trim_start();
        let inner = ["self::", "crate::"].into_iter().find_map(|p| rest.strip_prefix(p));
        let base = if rest.starts_with("crate::") { &[] } else { module };
        for path in tree(inner.unwrap_or(rest)) {
            let Some(name) = path.last() else { continue };
            let passed = [module, std::slice::from_ref(name)].concat().join("::");
            found.push((passed, [base, &path].concat()));
        }
    }
    found
}

/// Expands `a::{b, c::D as E}` to `a::b` and `a::c::D`.
fn tree(text: &str) -> Vec<Vec<String>> {
    let name: String = text.chars().take_while(|c| is_name(*c)).collect();
    let rest = &text[name.len()..];
    let inner = match (name.is_empty(), rest.strip_prefix("::")) {
        (true, _) if text.starts_with('{') => return branches(text),
        (true, _) => return Vec::new(),
        (false, Some(inner)) => tree(inner),
        (false, None) => Vec::new(),
    };
    if inner.is_empty() {
        return vec![vec![name]];
    }
    inner.into_iter().map(|path| [vec![name.clone()], path].concat()).collect()
}

fn branches(text: &str) -> Vec<Vec<String>> {
    let inside = &text[1..super::source::closing(text, 0) - 1];
    let (mut depth, mut from, mut found) = (0_usize, 0, Vec::new());
    for (at, c) in inside.char_indices().chain([(inside.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.extend(tree(inside[from..at].trim_start()));
                from = at + 1;
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod can_fail {
    use super::*;

    #[track_caller]
    fn check(name: &str, text: &str, expect: &[&str]) {
        let fronts = [
            ("src/lib.rs", "mod value; pub use value::UserId; pub use store::Store;"),
            ("src/value/mod.rs", "mod id; pub use id::{UserId, BranchId}; pub use policy::Rule;"),
            (name, text),
        ];
        let project = Project::of(&fronts);
        let climbs = ModuleMap::of(&project).climbs(&Source::new(name, text));
        assert_eq!(climbs, expect);
    }

    #[test]
    fn an_import_that_climbs_is_found() {
        let text = "use crate::{\n    store::Store,\n    value::id::UserId,\n};";
        check(
            "src/value/name.rs",
            text,
            &["src/value/name.rs:1: value::name climbs to store::Store"],
        );
    }

    #[test]
    fn an_inline_path_that_climbs_is_found() {
        let text = "fn f() { crate::flow::login::go() }";
        let finding = "src/record/user.rs:1: record::user climbs to flow::login::go";
        check("src/record/user.rs", text, &[finding]);
    }

    #[test]
    fn a_later_rung_of_the_same_floor_is_found_through_each_spelling() {
        let finding = "src/value/id.rs:1: value::id climbs to value::policy::Rule";
        check("src/value/id.rs", "use crate::value::policy::Rule;", &[finding]);
        check("src/value/id.rs", "use crate::value::Rule;", &[finding]);
        check("src/value/id.rs", "use super::policy::Rule;", &[finding]);
        check("src/value/id.rs", "use super::Rule;", &[finding]);
    }

    #[test]
    fn a_name_passed_on_by_the_root_is_traced() {
        let finding = "src/storage/open.rs:1: storage::open climbs to store::Store";
        check("src/storage/open.rs", "use crate::{Error, Store, UserId};", &[finding]);
    }

    #[test]
    fn an_earlier_module_the_error_and_its_own_inner_modules_are_fine() {
        check("src/value/token.rs", "use super::digest::Digest; use crate::error::Result;", &[]);
        check("src/value/token.rs", "use crate::{Error, ErrorKind, value::UserId};", &[]);
        check("src/record/user.rs", "use crate::storage::{ReadTx, params};", &[]);
        check("src/record/user/filter.rs", "use super::User; use super::super::branch::X;", &[]);
    }

    #[test]
    fn the_front_of_a_floor_climbs_no_further_than_its_modules() {
        let finding = "src/storage/mod.rs:1: storage climbs to record::user";
        check("src/storage/mod.rs", "pub use crate::record::user; use self::open::X;", &[finding]);
    }

    #[test]
    fn files_that_import_each_other_are_found() {
        let project = Project::of(&[
            ("src/record/user.rs", "mod new; mod list; mod update; use update::Fields;"),
            ("src/record/user/new.rs", "use super::update::Fields; use super::User;"),
            ("src/record/user/list.rs", "use crate::record::user::new::NewUser;"),
            ("src/record/user/update.rs", "use super::list::page;"),
        ]);
        let circle = |name: &str| format!("record::user::{name} imports itself around a circle");
        let mut found = circles(&project);
        found.sort();
        assert_eq!(found, ["list", "new", "update"].map(circle));
    }

    #[test]
    fn a_rung_missing_is_found() {
        let project = Project::of(&[("src/cache/mod.rs", ""), ("src/store.rs", "")]);
        let found = missing(&project);
        assert_eq!(found.len(), ORDER.len() - 2);
        assert!(!found.iter().any(|line| line.ends_with(" cache") || line.ends_with(" store")));
    }

    #[test]
    fn a_room_without_a_rung_is_found() {
        let project = Project::of(&[("src/value/misc.rs", ""), ("src/value/mod.rs", "")]);
        let finding = "src/value/misc.rs: list this module in tests/it/tidy/floors.rs";
        assert_eq!(unlisted(&project), [finding]);
    }
}
