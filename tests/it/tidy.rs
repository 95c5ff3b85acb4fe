//! The rules of the project, checked by tests: floors, owners of tables, bans, sizes and words.
//!
//! A test here reads the project as text. Each check is a function from a file (or a few) to a
//! list of findings, and is beside tests that feed it a bad snippet, so that a check that can no
//! longer fail fails itself. The lists of a rule (floors, owners, exceptions) are at the top of its
//! own module, in one column, each exception with its reason.

mod bans;
mod crypto;
mod desk;
mod docs;
mod floors;
mod guards;
mod layout;
mod map;
mod mutants;
mod names;
mod pages;
mod revocations;
mod size;
pub(crate) mod source;
mod sql;
mod words;

use crate::operations::{OPERATIONS, Operation};
use source::{Project, Source};

#[test]
fn imports_only_go_down() {
    let project = Project::read();
    let module_map = floors::ModuleMap::of(&project);
    report(project.library().flat_map(|file| module_map.climbs(file)));
}

#[test]
fn no_files_import_each_other() {
    report(floors::circles(&Project::read()));
}

#[test]
fn each_module_is_on_a_listed_floor_and_each_listed_one_exists() {
    let project = Project::read();
    report(floors::unlisted(&project));
    report(floors::missing(&project));
}

#[test]
fn each_table_has_an_owner() {
    report(sql::tables_without_owner(&Project::read().schema(), sql::OWNERS));
}

#[test]
fn each_table_is_written_by_its_owner_alone() {
    each_of_library(|file| sql::foreign_writes(file, sql::OWNERS));
}

#[test]
fn change_rows_are_written_by_triggers_alone() {
    each_of_library(sql::change_rows);
}

#[test]
fn no_write_revokes_by_another_way_than_the_door() {
    each_of_library(revocations::elsewhere);
}

#[test]
fn statements_live_in_storage_and_record_alone() {
    each_of_library(sql::misplaced);
}

#[test]
fn no_statement_is_built_from_pieces() {
    each_of_library(sql::built_statements);
}

#[test]
fn no_statement_selects_star() {
    each_statement(sql::stars);
}

#[test]
fn no_statement_is_an_upsert() {
    each_statement(sql::upserts);
}

#[test]
fn a_ban_is_lifted_in_the_listed_files_only() {
    each_of_all(bans::lifted_lints);
}

#[test]
fn no_file_is_touched_behind_the_back_of_sqlite() {
    each_of_library(bans::file_calls);
}

#[test]
fn the_suite_opens_its_stores_with_the_options_of_its_run() {
    each_of_all(bans::own_options);
}

#[test]
fn no_test_is_ignored() {
    each_of_all(bans::ignored);
}

#[test]
fn no_matches_goes_unasserted() {
    each_of_all(bans::bare_matches);
}

#[test]
fn no_file_is_too_long() {
    each_of_all(size::long_file);
}

#[test]
fn no_function_is_too_long() {
    each_of_all(size::long_functions);
}

#[test]
fn no_line_is_too_wide() {
    each_of_all(size::wide_lines);
}

#[test]
fn no_size_exception_is_left_over() {
    report(size::needless_exceptions(&Project::read()));
}

#[test]
fn each_record_type_and_each_operation_has_a_test_module() {
    report(layout::untested(&Project::read()));
}

#[test]
fn each_test_module_is_listed_in_order() {
    report(layout::unlisted_tests(&Project::read()));
}

#[test]
fn each_file_is_part_of_a_module() {
    report(layout::undeclared(&Project::read()));
}

#[test]
fn no_path_of_a_private_machine_is_named() {
    let project = Project::read();
    report(project.texts.iter().flat_map(|(name, text)| layout::private_paths(name, text)));
}

#[test]
fn each_text_is_in_plain_words() {
    let project = Project::read();
    report(project.texts.iter().flat_map(|(name, text)| words::banned(name, text)));
}

#[test]
fn each_banned_word_and_exempt_file_is_in_its_place() {
    report(words::misplaced(&Project::read()));
}

#[test]
fn each_page_is_shown_and_names_files_that_exist() {
    let project = Project::read();
    report(pages::unlisted(&project));
    report(pages::missing(&project));
}

#[test]
fn each_line_of_nginx_on_a_page_is_one_that_the_drive_of_the_example_server_runs() {
    report(pages::unlike_nginx(&Project::read()));
}

#[test]
fn each_name_and_heading_that_a_page_refers_to_exists() {
    let project = Project::read();
    report(names::unknown_in_map(&project));
    report(names::unknown_on_pages(&project));
    report(names::unknown_headings(&project));
}

#[test]
fn each_promise_has_a_test_and_a_mutant_that_fails_it() {
    report(map::findings(&Project::read()));
}

#[test]
fn a_desktop_program_sees_neither_a_device_id_nor_a_token() {
    each_of_all(desk::carriers);
}

#[test]
fn only_the_listed_cryptography_is_used() {
    let project = Project::read();
    let manifest = project.texts.iter().find(|(name, _)| name == "Cargo.toml");
    report(crypto::unlisted_dependencies(&manifest.expect("a manifest").1));
    report(project.library().flat_map(crypto::unlisted_algorithms));
}

#[test]
fn secrets_are_compared_in_constant_time() {
    let project = Project::read();
    report(crypto::digest_comparison(&project));
    report(project.library().flat_map(crypto::variable_time));
}

#[test]
fn each_operation_has_an_example_that_asserts() {
    let calls = OPERATIONS.iter().map(Operation::call);
    report(docs::without_an_example(&Project::read(), calls));
}

#[test]
fn no_example_needs_test_util_without_saying_so() {
    let project = Project::read();
    let of_library = project.library().flat_map(docs::unsaid_features);
    report(of_library.chain(docs::unsaid_on_pages(&project)));
}

fn each_of_library(check: impl Fn(&Source) -> Vec<String>) {
    let project = Project::read();
    report(project.library().flat_map(check));
}

fn each_of_all(check: impl Fn(&Source) -> Vec<String>) {
    let project = Project::read();
    report(project.sources.iter().flat_map(check));
}

/// The literals of the library and its `.sql` files.
fn each_statement(check: impl Fn(&str, &str) -> Vec<String>) {
    let project = Project::read();
    let literals = project.library().flat_map(Source::statements);
    let scripts = project.scripts().map(|(name, text)| (name, sql::without_comments(&text)));
    report(literals.chain(scripts).flat_map(|(place, text)| check(&place, &text)));
}

#[track_caller]
fn report(findings: impl IntoIterator<Item = String>) {
    let findings: Vec<String> = findings.into_iter().collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}
