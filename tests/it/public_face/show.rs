//! The parts of an item that a host sees, as text.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use syn::{Attribute, Fields, File, ImplItem, Item, ItemImpl, TraitItem, Type, parse_quote};

use super::modules::{Crate, Names, defines, is_public};

/// Every exported item with its implementations, then the macros that make some of them.
pub(crate) fn face(own: &Crate) -> String {
    let mut text = String::new();
    let mut macros = BTreeSet::new();
    for export in own.exports() {
        writeln!(text, "// {}\n", export.public.join("::")).unwrap();
        let Some((name, module)) = export.defined.split_last() else { continue };
        let defining = own
            .items()
            .filter(|(path, item)| path.as_slice() == module && defines(item, name))
            .map(|(_, item)| item);
        let mut items: Vec<Item> = defining.filter_map(|item| shown(item, &mut macros)).collect();
        items.extend(implementations(own, &export.defined));
        if items.is_empty() {
            let name = syn::Ident::new(name, proc_macro2::Span::call_site());
            items.push(parse_quote!(pub use #name;));
        }
        text.push_str(&prettyplease::unparse(&File { shebang: None, attrs: Vec::new(), items }));
        text.push('\n');
    }
    let rules = own.items().filter_map(|(_, item)| match item {
        Item::Macro(rules) => rules.ident.as_ref().map(|ident| (ident.to_string(), rules)),
        _ => None,
    });
    for (_, rules) in rules.filter(|(name, _)| macros.contains(name)) {
        let mut rules = rules.clone();
        rules.attrs.clear();
        rules.mac.tokens = without_docs(rules.mac.tokens);
        let items = vec![Item::Macro(rules)];
        text.push_str(&prettyplease::unparse(&File { shebang: None, attrs: Vec::new(), items }));
        text.push('\n');
    }
    text
}

fn shown(item: &Item, macros: &mut BTreeSet<String>) -> Option<Item> {
    let mut item = item.clone();
    match &mut item {
        Item::Struct(one) => {
            one.attrs.retain(is_shown);
            hide_fields(&mut one.fields);
        }
        Item::Enum(one) => {
            one.attrs.retain(is_shown);
            for variant in &mut one.variants {
                variant.attrs.retain(is_shown);
                variant.fields.iter_mut().for_each(|field| field.attrs.retain(is_shown));
            }
        }
        Item::Trait(one) => {
            one.attrs.retain(is_shown);
            for item in &mut one.items {
                if let TraitItem::Fn(function) = item {
                    function.attrs.retain(is_shown);
                    function.default = function.default.is_some().then(|| parse_quote!({}));
                }
            }
        }
        Item::Fn(one) => {
            one.attrs.retain(is_shown);
            one.block = parse_quote!({});
        }
        Item::Macro(call) => {
            macros.insert(call.mac.path.segments.last()?.ident.to_string());
            call.mac.tokens = without_docs(call.mac.tokens.clone());
        }
        _ => {}
    }
    Some(item)
}

/// Private fields become one, of a type that is not said.
fn hide_fields(fields: &mut Fields) {
    match fields {
        Fields::Named(named) => {
            let is_whole = named.named.iter().all(|field| is_public(&field.vis));
            let public = named.named.iter().filter(|field| is_public(&field.vis)).cloned();
            named.named = public.collect();
            named.named.iter_mut().for_each(|field| field.attrs.retain(is_shown));
            if !is_whole {
                let private: syn::FieldsNamed = parse_quote!({ private: _ });
                named.named.extend(private.named);
            }
        }
        Fields::Unnamed(unnamed) => {
            for field in &mut unnamed.unnamed {
                field.attrs.retain(is_shown);
                if !is_public(&field.vis) {
                    field.ty = Type::Infer(parse_quote!(_));
                }
            }
        }
        Fields::Unit => {}
    }
}

/// The functions and constants of a type, and the traits that it implements by hand.
fn implementations(own: &Crate, defined: &Names) -> Vec<Item> {
    let mut found = Vec::new();
    for (module, item) in own.items() {
        let Item::Impl(implementation) = item else { continue };
        let Some(names) = self_type(implementation) else { continue };
        if own.resolve(module, &names).as_ref() != Some(defined) {
            continue;
        }
        let mut implementation = implementation.clone();
        implementation.attrs.retain(is_shown);
        if implementation.trait_.is_some() {
            implementation.items.retain(|item| matches!(item, ImplItem::Type(_)));
        } else {
            implementation.items = implementation.items.into_iter().filter_map(public).collect();
            if implementation.items.is_empty() {
                continue;
            }
        }
        if !implementation.attrs.iter().any(is_test_only) {
            found.push(Item::Impl(implementation));
        }
    }
    found
}

fn public(item: ImplItem) -> Option<ImplItem> {
    match item {
        ImplItem::Fn(mut function) if is_public(&function.vis) => {
            function.attrs.retain(is_shown);
            function.block = parse_quote!({});
            Some(ImplItem::Fn(function))
        }
        ImplItem::Const(mut constant) if is_public(&constant.vis) => {
            constant.attrs.retain(is_shown);
            Some(ImplItem::Const(constant))
        }
        _ => None,
    }
}

fn self_type(implementation: &ItemImpl) -> Option<Names> {
    let Type::Path(path) = &*implementation.self_ty else { return None };
    Some(path.path.segments.iter().map(|segment| segment.ident.to_string()).collect())
}

/// What changes how a host may use the item.
fn is_shown(attribute: &Attribute) -> bool {
    let shown = ["derive", "must_use", "non_exhaustive", "cfg", "deprecated", "serde"];
    shown.iter().any(|name| attribute.path().is_ident(name))
}

fn is_test_only(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
}

/// Without `#[doc = "…"]`, at any depth.
fn without_docs(tokens: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    use proc_macro2::{Group, TokenTree};
    let mut kept: Vec<TokenTree> = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let is_doc = group.stream().to_string().starts_with("doc =");
                let after_hash = kept.last().is_some_and(
                    |last| matches!(last, TokenTree::Punct(punct) if punct.as_char() == '#'),
                );
                if is_doc && after_hash {
                    kept.pop();
                    continue;
                }
                let within = without_docs(group.stream());
                kept.push(TokenTree::Group(Group::new(group.delimiter(), within)));
            }
            token => kept.push(token),
        }
    }
    kept.into_iter().collect()
}
