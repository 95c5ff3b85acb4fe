//! The guards of the library, for `scripts/guards`: each place whose code refuses a call.
//!
//! A guard is an `if`, an arm of a `match` with a condition, an `else`, a `let … else` or a call of
//! a check with `?`, that ends in an error or a refusal. They are found in the sources, so that a
//! new one needs no entry anywhere. The instrumented sources ask the function `guard` of
//! [`HOOK`] before each refusal: it notes that the guard refuses here, and returns false for the
//! one guard that is taken out. An `else` has no value to go on with, so without it its place
//! panics.
//!
//! They are found by their names, so the finder misses a guard whose answer has none of them: an
//! `if`, an arm or a `let … else` that answers `false`, `None`, an empty list or a variant such as
//! `Ended::Before`; a filter in a chain of calls; a condition in SQL. Those are taken out by the
//! mutants of `tests/mutants.toml`. In [`SILENT`] an `if` that only returns `false` is found too.

use std::fs;
use std::path::Path;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Arm, Attribute, Block, Expr, ExprIf, Ident, ImplItemFn, Item, ItemFn, Lit, Local, Stmt,
};

use super::source::{Project, Source};

/// A call with `?` whose name begins with one of these words is a guard.
const CHECKS: [&str; 5] = ["check", "ensure", "existing", "refuse", "require"];
/// A guard returns `Err`, or something whose name has one of these, in lower case.
const REFUSALS: [&str; 6] = ["broken", "error", "invalidtoken", "refus", "rule", "wrong"];
/// Where a guard is also an `if` whose block is `return false;` and nothing else: what answers so
/// there decides whether a file, a lock or a commit is trusted.
const SILENT: &str = "src/storage/";

/// The end of `src/lib.rs` in the instrumented sources. `GATEPOST_GUARD_OFF` is the number of the
/// guard that is out, `GATEPOST_GUARD_LOG` the file that gets a line for each guard that refuses.
const HOOK: &str = r#"
#[allow(clippy::disallowed_methods, clippy::disallowed_types)]
pub(crate) fn guard(number: usize) -> bool {
    use std::io::Write;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering};
    static SEEN: [AtomicBool; COUNT] = [const { AtomicBool::new(false) }; COUNT];
    static OFF: OnceLock<usize> = OnceLock::new();
    let is_new = SEEN.get(number).is_some_and(|seen| !seen.swap(true, Ordering::SeqCst));
    if is_new && let Some(log) = std::env::var_os("GATEPOST_GUARD_LOG") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(log);
        let _ = file.and_then(|mut file| writeln!(file, "{number}"));
    }
    let off = || std::env::var("GATEPOST_GUARD_OFF").ok().and_then(|text| text.parse().ok());
    *OFF.get_or_init(|| off().unwrap_or(usize::MAX)) != number
}
"#;

/// A comment right above a guard that begins with this says why no test can show it.
const ARGUED: &str = "// No test fails without this: ";

/// One guard of a file.
#[derive(Debug)]
struct Guard {
    line: usize,
    kind: &'static str,
    edits: Vec<Edit>,
}

/// A text that is put at a place; `NUMBER` in it is the guard's.
#[derive(Debug)]
struct Edit {
    at: usize,
    text: &'static str,
}

/// The guards of a file in order, and its text with each of them asking `guard`.
fn instrumented(file: &Source, first: usize) -> (Vec<Guard>, String) {
    let Ok(parsed) = syn::parse_file(&file.text) else { return (Vec::new(), file.text.clone()) };
    let is_silent = file.name.starts_with(SILENT);
    let mut finder = Finder { is_silent, ..Finder::default() };
    finder.visit_file(&parsed);
    let mut edits: Vec<(usize, String)> = finder
        .constants
        .iter()
        .map(|at| (*at, "/*".into()))
        .chain(finder.constants.iter().map(|at| (at + "const".len(), "*/".into())))
        .collect();
    for (number, guard) in finder.guards.iter().enumerate() {
        let number = (first + number).to_string();
        edits.extend(guard.edits.iter().map(|e| (e.at, e.text.replace("NUMBER", &number))));
    }
    // At one place in the order in which they were found: what is outside comes first.
    edits.sort_by_key(|(at, _)| *at);
    let mut text = file.text.clone();
    for (at, inserted) in edits.iter().rev() {
        text.insert_str(*at, inserted);
    }
    (finder.guards, text)
}

#[derive(Default)]
struct Finder {
    guards: Vec<Guard>,
    /// Where the `const` of each function is that has guards.
    constants: Vec<usize>,
    /// Whether an `if` that returns `false` is one.
    is_silent: bool,
}

impl Finder {
    fn add(&mut self, kind: &'static str, span: Span, edits: Vec<Edit>) {
        self.guards.push(Guard { line: span.start().line, kind, edits });
    }

    /// Ands the question to a condition, after everything that the condition does.
    fn condition(&mut self, kind: &'static str, span: Span, condition: &Expr) {
        let range = condition.span().byte_range();
        let is_chain = has_let(condition);
        let mut edits = Vec::new();
        if !is_chain {
            edits.push(Edit { at: range.start, text: "(" });
        }
        let end = if is_chain { " && crate::guard(NUMBER)" } else { ") && crate::guard(NUMBER)" };
        edits.push(Edit { at: range.end, text: end });
        self.add(kind, span, edits);
    }

    /// Makes the place of a refusal panic.
    fn block(&mut self, kind: &'static str, span: Span, block: &Block) {
        let at = block.brace_token.span.open().byte_range().end;
        let text = " if !crate::guard(NUMBER) { panic!(\"no guard NUMBER\") } ";
        self.add(kind, span, vec![Edit { at, text }]);
    }

    fn function(&mut self, constness: Option<Span>, visit: impl FnOnce(&mut Self)) {
        let before = self.guards.len();
        visit(self);
        if let Some(span) = constness.filter(|_| self.guards.len() > before) {
            self.constants.push(span.byte_range().start);
        }
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes: &[Attribute] = match item {
            Item::Mod(one) => &one.attrs,
            Item::Fn(one) => &one.attrs,
            Item::Impl(one) => &one.attrs,
            _ => &[],
        };
        if !attributes.iter().any(is_test) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, one: &'ast ItemFn) {
        let constness = one.sig.constness.map(|token| token.span());
        self.function(constness, |finder| visit::visit_item_fn(finder, one));
    }

    fn visit_impl_item_fn(&mut self, one: &'ast ImplItemFn) {
        if one.attrs.iter().any(is_test) {
            return;
        }
        let constness = one.sig.constness.map(|token| token.span());
        self.function(constness, |finder| visit::visit_impl_item_fn(finder, one));
    }

    fn visit_expr_if(&mut self, one: &'ast ExprIf) {
        let is_silent = self.is_silent && returns_false(&one.then_branch);
        if is_silent || block_refuses(&one.then_branch) {
            self.condition("if", one.if_token.span(), &one.cond);
        } else if let Some((token, branch)) = &one.else_branch
            && let Expr::Block(branch) = &**branch
            && block_refuses(&branch.block)
        {
            self.block("else", token.span(), &branch.block);
        }
        visit::visit_expr_if(self, one);
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        if let Some((token, condition)) = &arm.guard
            && refuses(&arm.body)
        {
            self.condition("arm", token.span(), condition);
        }
        visit::visit_arm(self, arm);
    }

    fn visit_local(&mut self, local: &'ast Local) {
        if let Some((_, diverge)) = local.init.as_ref().and_then(|init| init.diverge.as_ref())
            && let Expr::Block(block) = &**diverge
            && block_refuses(&block.block)
        {
            self.block("let else", local.let_token.span(), &block.block);
        }
        visit::visit_local(self, local);
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        if let Stmt::Expr(whole @ Expr::Try(attempt), Some(_)) = statement
            && called(&attempt.expr).is_some_and(|name| is_check(&name))
        {
            let (from, to) = (whole.span().byte_range(), attempt.question_token.span());
            let text = ") && crate::guard(NUMBER) { Err::<(), _>(no) } else { Ok(()) })";
            let edits = vec![
                Edit { at: from.start, text: "(if let Err(no) = (" },
                Edit { at: to.byte_range().start, text },
            ];
            self.add("check", whole.span(), edits);
        }
        visit::visit_stmt(self, statement);
    }
}

/// Whether a condition has a `let` that must not be put in parentheses.
fn has_let(condition: &Expr) -> bool {
    match condition {
        Expr::Let(_) => true,
        Expr::Binary(both) => has_let(&both.left) || has_let(&both.right),
        _ => false,
    }
}

fn block_refuses(block: &Block) -> bool {
    match block.stmts.last() {
        Some(Stmt::Expr(Expr::Return(_) | Expr::Break(_), _)) | Some(Stmt::Expr(_, None)) => {
            let Some(Stmt::Expr(last, _)) = block.stmts.last() else { return false };
            refuses(last)
        }
        _ => false,
    }
}

/// Whether the block is `return false;`.
fn returns_false(block: &Block) -> bool {
    let [Stmt::Expr(Expr::Return(one), _)] = block.stmts.as_slice() else { return false };
    let Some(Expr::Lit(value)) = one.expr.as_deref() else { return false };
    matches!(&value.lit, Lit::Bool(answer) if !answer.value)
}

/// Whether that is an error or a refusal, or returns one.
fn refuses(value: &Expr) -> bool {
    match value {
        Expr::Return(one) => one.expr.as_deref().is_some_and(refuses),
        Expr::Break(one) => one.expr.as_deref().is_some_and(refuses),
        Expr::Block(one) => block_refuses(&one.block),
        Expr::If(_) | Expr::Match(_) | Expr::Closure(_) => false,
        other => {
            let mut names = Names::default();
            names.visit_expr(other);
            names.0
        }
    }
}

/// Whether a name in an expression is one of a refusal.
#[derive(Default)]
struct Names(bool);

impl<'ast> Visit<'ast> for Names {
    fn visit_ident(&mut self, name: &'ast Ident) {
        let lower = name.to_string().to_lowercase();
        self.0 |= lower == "err" || REFUSALS.iter().any(|word| lower.contains(word));
    }
}

/// The name of the function that is called.
fn called(call: &Expr) -> Option<String> {
    match call {
        Expr::MethodCall(one) => Some(one.method.to_string()),
        Expr::Call(one) => match &*one.func {
            Expr::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn is_check(name: &str) -> bool {
    CHECKS.contains(&name.split('_').next().unwrap_or(name))
}

/// Whether the comment above a line says why no test can show it.
fn is_argued(text: &str, line: usize) -> bool {
    let above: Vec<&str> = text.lines().take(line - 1).map(str::trim).collect();
    let comment = above.iter().rev().take_while(|line| line.starts_with("//"));
    comment.into_iter().any(|line| line.starts_with(ARGUED))
}

fn is_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
}

/// Each guard of the library as `NUMBER FILE:LINE KIND`, and the instrumented files by name.
fn all(project: &Project) -> (Vec<String>, Vec<(String, String)>) {
    let mut list = Vec::new();
    let mut files = Vec::new();
    for file in project.library().filter(|file| !file.name.contains("/tests/")) {
        let (guards, text) = instrumented(file, list.len());
        for guard in &guards {
            let argued = if is_argued(&file.text, guard.line) { " argued" } else { "" };
            let (number, name) = (list.len(), &file.name);
            list.push(format!("{number} {name}:{} {}{argued}", guard.line, guard.kind));
        }
        if !guards.is_empty() || file.name == "src/lib.rs" {
            files.push((file.name.clone(), text));
        }
    }
    let hook = HOOK.replace("COUNT", &list.len().to_string());
    for (_, text) in files.iter_mut().filter(|(name, _)| name == "src/lib.rs") {
        text.push_str(&hook);
    }
    (list, files)
}

/// Not a test of its own: what `scripts/guards` runs. Its word, after `=`, is a folder, to which it
/// writes the instrumented files, and the list of guards as `list`.
#[test]
fn write_out() {
    let mut words = std::env::args();
    let Some(folder) = words.find_map(|word| Some(word.strip_prefix('=')?.to_owned())) else {
        return;
    };
    let (list, files) = all(&Project::read());
    for (name, text) in files.into_iter().chain([("list".into(), list.join("\n") + "\n")]) {
        let path = Path::new(&folder).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[cfg(test)]
mod can_fail {
    use super::*;

    /// Of a function with that body: the kinds of its guards, and its instrumented body.
    #[track_caller]
    fn check(body: &str, kinds: &[&str], expect: &str) {
        let text = |body: &str| format!("fn f() {{ {body} }}");
        let (guards, changed) = instrumented(&Source::new("src/a.rs", &text(body)), 7);
        assert_eq!(guards.iter().map(|guard| guard.kind).collect::<Vec<_>>(), kinds);
        assert_eq!(changed, text(expect));
        assert!(syn::parse_file(&changed).is_ok(), "{changed}");
    }

    #[test]
    fn a_condition_that_refuses_is_found() {
        let asked = |condition: &str| format!("{condition} && crate::guard(7)");
        let plain = |condition: &str| asked(&format!("({condition})"));
        for refusal in [
            "return Err(x);",
            "say(); return Ok(Err(x));",
            "Err(x)",
            "return refused(x);",
            "break Err(x);",
            "return Some(LoginRefusal::X);",
            "return Err(if y { 1 } else { 2 });",
        ] {
            let whole = |condition: &str| format!("if {condition} {{ {refusal} }}");
            check(&whole("a || b"), &["if"], &whole(&plain("a || b")));
            let chain = "let Some(a) = b && c";
            check(&whole(chain), &["if"], &whole(&asked(chain)));
        }
        let arm = |condition: &str| format!("match a {{ Some(b) if {condition} => Err(b), }}");
        check(&arm("c"), &["arm"], &arm(&plain("c")));
    }

    #[test]
    fn an_else_that_refuses_and_a_check_are_found() {
        let out = " if !crate::guard(7) { panic!(\"no guard 7\") } ";
        let other = |out: &str| format!("if a {{ 1 }} else {{{out} return Err(x); }}");
        check(&other(""), &["else"], &other(out));
        let local = |out: &str| format!("let Some(a) = b else {{{out} return Err(x) }};");
        check(&local(""), &["let else"], &local(out));
        let asked = "(if let Err(no) = (CALL) && crate::guard(7) \
             { Err::<(), _>(no) } else { Ok(()) })?;";
        for call in ["check(a)", "user::existing(tx, id)", "self.a.check_open()"] {
            check(&format!("{call}?;"), &["check"], &asked.replace("CALL", call));
        }
    }

    #[test]
    fn in_the_storage_a_condition_that_returns_false_is_found_too() {
        let found = |name: &str, block: &str| {
            let text = format!("fn f() -> bool {{ if a || b {{ {block} }} c }}");
            let (guards, changed) = instrumented(&Source::new(name, &text), 7);
            assert_eq!(changed.contains("if (a || b) && crate::guard(7) {"), !guards.is_empty());
            guards.len()
        };
        assert_eq!(found("src/storage/a.rs", "return false;"), 1);
        assert_eq!(found("src/value/a.rs", "return false;"), 0);
        for block in ["return true;", "say(); return false;", "return;"] {
            assert_eq!(found("src/storage/a.rs", block), 0, "{block}");
        }
    }

    #[test]
    fn a_guard_is_argued_by_the_comment_right_above_it() {
        let check = |text: &str, expect: bool| assert_eq!(is_argued(text, 3), expect, "{text}");
        check(&format!("    {ARGUED}a\n    // b.\nif c {{}}"), true);
        check(&format!("{ARGUED}a.\n\nif c {{}}"), false);
        check(&format!("a();\n// b.\n{ARGUED}c."), false);
    }

    #[test]
    fn what_refuses_nothing_is_no_guard() {
        for body in [
            "if a { return Ok(()); }",
            "if a { b.map_err(c); }",
            "if a { return b.map_err(c); }",
            "let Some(a) = b else { return Ok(None) };",
            "checked(a)?;",
            "match a { Some(b) => Err(b), }",
        ] {
            check(body, &[], body);
        }
        let test = "mod tests { fn a() { if b { return Err(c); } } }";
        let file = Source::new("src/a.rs", &format!("#[cfg(test)] {test}"));
        assert!(instrumented(&file, 0).0.is_empty());
        assert_eq!(instrumented(&Source::new("src/a.rs", test), 0).0.len(), 1);
    }

    #[test]
    fn a_constant_function_with_a_guard_is_none_in_the_instrumented_sources() {
        let text = "pub const fn a() { if b { return Err(c); } } const fn d() {}";
        let changed = instrumented(&Source::new("src/a.rs", text), 0).1;
        assert!(changed.starts_with("pub /*const*/ fn a()"), "{changed}");
        assert!(changed.ends_with(" const fn d() {}"), "{changed}");
    }
}
