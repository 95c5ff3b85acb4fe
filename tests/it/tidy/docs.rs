//! Examples of the documentation: each operation has one that fails if the call does nothing, and
//! none needs the feature `test-util` without saying so. The tests run with all features, so no
//! example fails by itself for the lack of one.

use syn::punctuated::Punctuated;
use syn::{
    Attribute, Expr, Field, Fields, ImplItem, Item, Lit, Meta, TraitItem, Type, Visibility,
};

use super::source::{Project, Source};

/// Names that exist only with the feature `test-util`.
const OF_TEST_UTIL: &[&str] =
    &["for_tests", "in_memory", "ManualClock", "SeededRandom", "gatepost::testing"];
const FEATURE: &str = "`test-util`";

/// The documentation of one item of the library.
struct Documented {
    /// The type that it belongs to, or its own name.
    owner: String,
    name: String,
    is_public: bool,
    /// Whether it exists only with the feature `test-util`, which its page shows by itself.
    is_of_test_util: bool,
    doc: Doc,
}

/// A text in Markdown, in parts.
#[derive(Default)]
struct Doc {
    prose: String,
    /// Each Rust example, its hidden lines included.
    examples: Vec<Example>,
}

#[derive(Default)]
struct Example {
    code: String,
    /// Whether the tests run it, and not only compile it.
    runs: bool,
}

/// Operations (`Type::function`) without a public function that has an example of its own.
pub(crate) fn without_an_example<'o>(
    project: &Project,
    operations: impl IntoIterator<Item = &'o str>,
) -> Vec<String> {
    let items: Vec<Documented> = project.library().flat_map(documented).collect();
    let mut findings = Vec::new();
    for operation in operations {
        let has_one = items.iter().any(|item| {
            let is_it = format!("{}::{}", item.owner, item.name) == operation && item.is_public;
            is_it && item.doc.examples.iter().any(Example::asserts)
        });
        if !has_one {
            findings.push(format!("{operation}: no example that ends in an assertion"));
        }
    }
    findings.dedup();
    findings
}

/// Examples of a file that need the feature `test-util`, where neither their own text nor the page
/// of their type says so.
pub(crate) fn unsaid_features(file: &Source) -> Vec<String> {
    let items = documented(file);
    let says = |item: &Documented| item.is_of_test_util || item.doc.prose.contains(FEATURE);
    let page_says = |owner: &str| items.iter().any(|page| page.name == owner && says(page));
    let mut findings = Vec::new();
    for item in &items {
        if item.doc.needs_test_util() && !says(item) && !page_says(&item.owner) {
            let Documented { owner, name, .. } = item;
            let place = if owner == name { name.clone() } else { format!("{owner}::{name}") };
            findings.push(format!("{}: the example of {place} needs {FEATURE}", file.name));
        }
    }
    findings
}

/// Pages of the manual, and README, with such an example.
pub(crate) fn unsaid_on_pages(project: &Project) -> Vec<String> {
    let is_page = |name: &str| name == "README.md" || name.starts_with("manual/");
    let pages = project.texts.iter().filter(|(name, _)| is_page(name));
    let docs = pages.map(|(name, text)| (name, Doc::of(text)));
    let silent = docs.filter(|(_, doc)| doc.needs_test_util() && !doc.prose.contains(FEATURE));
    silent.map(|(name, _)| format!("{name}: an example of this page needs {FEATURE}")).collect()
}

impl Doc {
    fn of(text: &str) -> Self {
        let mut doc = Self::default();
        let mut open: Option<Option<Example>> = None;
        for line in text.lines() {
            match (line.trim_start().strip_prefix("```"), &mut open) {
                (Some(info), None) => open = Some(Example::begin(info.trim())),
                (Some(_), Some(_)) => doc.examples.extend(open.take().flatten()),
                (None, Some(Some(example))) => example.code.extend([line.trim_start(), "\n"]),
                (None, Some(None)) => {}
                (None, None) => doc.prose.extend([line, "\n"]),
            }
        }
        doc
    }

    fn needs_test_util(&self) -> bool {
        let names = |name: &&str| self.examples.iter().any(|example| example.code.contains(*name));
        OF_TEST_UTIL.iter().any(names)
    }
}

impl Example {
    /// `None` for a block that is not Rust.
    fn begin(info: &str) -> Option<Self> {
        match info {
            "" | "rust" => Some(Self { runs: true, ..Self::default() }),
            "no_run" | "ignore" | "should_panic" | "compile_fail" => Some(Self::default()),
            _ => None,
        }
    }

    fn asserts(&self) -> bool {
        let is_shown = |line: &&str| !line.starts_with("# ");
        let mut shown = self.code.lines().filter(is_shown);
        self.runs && shown.any(|line| line.contains("assert"))
    }
}

/// Every item of a file with its documentation. Files that are no Rust have none.
fn documented(file: &Source) -> Vec<Documented> {
    let Ok(parsed) = syn::parse_file(&file.text) else { return Vec::new() };
    let mut found = Vec::new();
    add(&mut found, "", "", true, &parsed.attrs);
    of_items(&parsed.items, &mut found);
    found
}

fn of_items(items: &[Item], found: &mut Vec<Documented>) {
    for item in items {
        match item {
            Item::Struct(one) => {
                let name = one.ident.to_string();
                add(found, &name, &name, is_public(&one.vis), &one.attrs);
                of_fields(&name, &one.fields, found);
            }
            Item::Enum(one) => {
                let name = one.ident.to_string();
                add(found, &name, &name, is_public(&one.vis), &one.attrs);
                for variant in &one.variants {
                    add(found, &name, &variant.ident.to_string(), true, &variant.attrs);
                    of_fields(&name, &variant.fields, found);
                }
            }
            Item::Trait(one) => {
                let name = one.ident.to_string();
                add(found, &name, &name, is_public(&one.vis), &one.attrs);
                for item in &one.items {
                    if let TraitItem::Fn(function) = item {
                        let inner = function.sig.ident.to_string();
                        add(found, &name, &inner, true, &function.attrs);
                    }
                }
            }
            Item::Impl(one) => of_implementation(one, found),
            Item::Fn(one) => {
                let name = one.sig.ident.to_string();
                add(found, &name, &name, is_public(&one.vis), &one.attrs);
            }
            Item::Mod(one) => {
                let name = one.ident.to_string();
                add(found, &name, &name, is_public(&one.vis), &one.attrs);
                of_items(one.content.as_ref().map_or(&[], |(_, items)| items), found);
            }
            _ => {}
        }
    }
}

fn of_implementation(one: &syn::ItemImpl, found: &mut Vec<Documented>) {
    let Type::Path(of) = &*one.self_ty else { return };
    let Some(last) = of.path.segments.last() else { return };
    let owner = last.ident.to_string();
    for item in &one.items {
        match item {
            ImplItem::Fn(function) => {
                let name = function.sig.ident.to_string();
                add(found, &owner, &name, is_public(&function.vis), &function.attrs);
            }
            ImplItem::Const(constant) => {
                let name = constant.ident.to_string();
                add(found, &owner, &name, is_public(&constant.vis), &constant.attrs);
            }
            _ => {}
        }
    }
}

fn of_fields(owner: &str, fields: &Fields, found: &mut Vec<Documented>) {
    let none = Punctuated::new();
    let fields: &Punctuated<Field, _> = match fields {
        Fields::Named(fields) => &fields.named,
        Fields::Unnamed(fields) => &fields.unnamed,
        Fields::Unit => &none,
    };
    for field in fields {
        let name = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
        add(found, owner, &name, is_public(&field.vis), &field.attrs);
    }
}

fn add(
    found: &mut Vec<Documented>,
    owner: &str,
    name: &str,
    is_public: bool,
    attributes: &[Attribute],
) {
    let lines: Vec<String> = attributes.iter().filter_map(line_of).collect();
    found.push(Documented {
        owner: owner.to_owned(),
        name: name.to_owned(),
        is_public,
        is_of_test_util: attributes.iter().any(is_cfg_of_test_util),
        doc: Doc::of(&lines.join("\n")),
    });
}

fn line_of(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    let Expr::Lit(literal) = &pair.value else { return None };
    match &literal.lit {
        Lit::Str(text) if pair.path.is_ident("doc") => Some(text.value()),
        _ => None,
    }
}

fn is_cfg_of_test_util(attribute: &Attribute) -> bool {
    let Meta::List(list) = &attribute.meta else { return false };
    list.path.is_ident("cfg") && list.tokens.to_string() == "feature = \"test-util\""
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

#[cfg(test)]
mod can_fail {
    use super::*;

    const GOOD: &str = "impl Users<'_> {\n/// Adds.\n///\n/// ```\n/// # let a = 0;\n/// a.add();\n\
                        /// assert_eq!(a, 1);\n/// ```\npub fn add(&self) {}\n}";

    #[track_caller]
    fn check_example(text: &str, expect: usize) {
        let project = Project::of(&[("src/record/user.rs", text)]);
        assert_eq!(without_an_example(&project, ["Users::add"]).len(), expect, "{text}");
    }

    #[test]
    fn an_operation_without_an_assertion_is_found() {
        check_example(GOOD, 0);
        check_example(&GOOD.replace("assert_eq!(a, 1)", "a.add()"), 1);
        check_example(&GOOD.replace("/// assert", "/// # assert"), 1);
        check_example(&GOOD.replace("/// ```\n/// # let", "/// ```no_run\n/// # let"), 1);
        check_example(&GOOD.replace("/// ```\n/// # let", "/// ```text\n/// # let"), 1);
        check_example(&GOOD.replace("pub fn", "fn"), 1);
        check_example(&GOOD.replace("Users", "Branches"), 1);
        check_example("/// ```\n/// assert!(true);\n/// ```\npub struct Users;", 1);
    }

    #[track_caller]
    fn check_feature(text: &str, expect: usize) {
        let findings = unsaid_features(&Source::new("src/a.rs", text));
        assert_eq!(findings.len(), expect, "{findings:?}");
    }

    #[test]
    fn an_example_that_needs_the_feature_in_silence_is_found() {
        let example = "/// ```\n/// # let store = Store::in_memory(options)?;\n/// ```\n";
        let method = format!("impl Store {{\n{example}pub fn open() {{}} }}");
        check_feature(&method, 1);
        check_feature(&method.replacen("{\n", "{\n/// Needs the feature `test-util`.\n", 1), 0);
        check_feature(&format!("/// Needs `test-util`.\npub struct Store;\n{method}"), 0);
        check_feature(&format!("/// Needs `test-util`.\npub struct Other;\n{method}"), 1);
        check_feature(&format!("pub enum Kind {{\n{example}One }}"), 1);
        check_feature(&example.replace("/// ", "//! ").replace("///", "//!"), 1);
        let gated = "#[cfg(feature = \"test-util\")]\npub fn in_memory() {} }";
        check_feature(&method.replace("pub fn open() {} }", gated), 0);
        check_feature("/// ```\n/// let store = Store::open(path)?;\n/// ```\nfn f() {}", 0);
        check_feature("/// As `Options::for_tests` does.\nfn f() {}", 0);
    }

    #[test]
    fn a_page_that_needs_the_feature_in_silence_is_found() {
        let page = "A clock.\n\n```\nlet clock = ManualClock::new(start);\n```\n";
        let said = format!("Needs the feature `test-util`.\n\n{page}");
        let pages = [("manual/a.md", page), ("manual/b.md", &said), ("tests/c.md", page)];
        let found = unsaid_on_pages(&Project::of(&pages));
        assert_eq!(found, ["manual/a.md: an example of this page needs `test-util`"]);
    }
}
