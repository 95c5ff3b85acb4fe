//! A program on gatepost-desk sees neither a device id nor a token: none is in the signature of a
//! call that it can make, except those of a vault, which saves tokens.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Field, ImplItemFn, ItemFn, ItemImpl, ItemMod, Visibility};

use super::source::{Source, is_name};

/// The types that have a device id or a token.
const CARRIERS: &[&str] = &[
    "CompleteLogin",
    "DeviceId",
    "HeaderCredentials",
    "LoginOutcome",
    "LoginReply",
    "OpenedSession",
    "PendingStep",
    "Presented",
    "SavedToken",
    "Secret",
];
const CRATE: &str = "desk/src/";
/// Where a token is saved: a program may bring a vault of its own.
const VAULT: &str = "desk/src/vault/";

/// Each public call and field of the crate with one of these types.
pub(crate) fn carriers(file: &Source) -> Vec<String> {
    if !file.name.starts_with(CRATE) || file.name.starts_with(VAULT) {
        return Vec::new();
    }
    let Ok(parsed) = syn::parse_file(&file.text) else { return Vec::new() };
    let mut finder = Finder { file, is_trait: false, findings: Vec::new() };
    finder.visit_file(&parsed);
    finder.findings
}

struct Finder<'a> {
    file: &'a Source,
    /// Inside the implementation of a trait, whose calls are as public as the trait.
    is_trait: bool,
    findings: Vec<String>,
}

impl Finder<'_> {
    fn check(&mut self, spanned: &impl Spanned) {
        let range = spanned.span().byte_range();
        let text = &self.file.text[range.clone()];
        let has = |name: &str| text.split(|c| !is_name(c)).any(|word| word == name);
        for name in CARRIERS.iter().filter(|name| has(name)) {
            let place = self.file.place(range.start);
            self.findings.push(format!("{place}: a program would see a {name}"));
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !module.attrs.iter().any(is_of_tests) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_impl(&mut self, block: &'ast ItemImpl) {
        if let Some((_, path, _)) = &block.trait_ {
            self.check(path);
        }
        self.is_trait = block.trait_.is_some();
        visit::visit_item_impl(self, block);
        self.is_trait = false;
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if self.is_trait || is_public(&function.vis) {
            self.check(&function.sig);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        if is_public(&function.vis) {
            self.check(&function.sig);
        }
    }

    fn visit_field(&mut self, field: &'ast Field) {
        if is_public(&field.vis) {
            self.check(&field.ty);
        }
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_of_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
}

#[cfg(test)]
mod can_fail {
    use super::*;

    #[track_caller]
    fn check(name: &str, text: &str, expect: usize) {
        let findings = carriers(&Source::new(name, text));
        assert_eq!(findings.len(), expect, "{name}: {text}: {findings:?}");
    }

    #[test]
    fn a_public_call_with_a_device_or_a_token_is_found() {
        let desk = "desk/src/desk.rs";
        check(desk, "impl Desk { pub fn device(&self) -> &gatepost::DeviceId { &self.0 } }", 1);
        check(desk, "impl Desk { pub(crate) fn device(&self) -> &DeviceId { &self.0 } }", 0);
        check(desk, "impl Desk { pub fn keep(&self) { let t: SavedToken = self.load(); } }", 0);
        check(desk, "pub fn reply(device: Option<DeviceId>) -> LoginReply { todo!() }", 2);
        check(
            desk,
            "impl From<PendingStep> for Step { fn from(step: PendingStep) -> Self {} }",
            2,
        );
        check(desk, "pub struct Seat { pub token: SavedToken, device: DeviceId }", 1);
        check(desk, "#[cfg(test)] mod tests { pub fn device() -> DeviceId {} }", 0);
        check("desk/src/vault/mod.rs", "pub fn token() -> SavedToken {}", 0);
        check("axum/src/client.rs", "pub fn device() -> DeviceId {}", 0);
    }
}
