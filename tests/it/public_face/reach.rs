//! What a value that a host can have carries: its fields, and theirs, private ones too.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::Visit;
use syn::{Fields, Item};

use super::modules::Crate;

/// The columns of the schema that keep a secret or what is derived from one: hashes, keys, seeds,
/// and the text form of a password hash. A digest of a device is shown as such.
pub(crate) fn columns_of_secrets(schema: &str) -> BTreeSet<String> {
    let columns = schema.lines().filter_map(|line| {
        let mut words = line.strip_prefix("    ")?.split_whitespace();
        let (name, kind) = (words.next()?, words.next()?);
        let is_secret = match kind {
            "BLOB" => name.ends_with("_hash") || name.ends_with("_key") || name.contains("secret"),
            "TEXT" => name == "phc" || name.contains("secret"),
            _ => false,
        };
        (is_secret && name != "device_hash").then(|| name.to_owned())
    });
    columns.collect()
}

/// `Type.field` for each field with one of these names in a type that `lib.rs` exports or that such
/// a type has in a field, and so on. A handle lends the store itself, which is where it ends.
pub(crate) fn fields_named(own: &Crate, names: &BTreeSet<String>) -> Vec<String> {
    let types = types(own);
    let exported = own.exports().into_iter().filter_map(|export| export.defined.last().cloned());
    let mut left: Vec<String> = exported.filter(|name| types.contains_key(name)).collect();
    assert!(left.len() > 50, "{} exported types", left.len());
    let mut seen: BTreeSet<String> = ["Store".to_owned()].into();
    let mut found = Vec::new();
    while let Some(name) = left.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        for (field, kinds) in types.get(&name).into_iter().flatten() {
            if names.contains(field) {
                found.push(format!("{name}.{field}"));
            }
            left.extend(kinds.iter().filter(|kind| types.contains_key(*kind)).cloned());
        }
    }
    found
}

/// The name of a field, and the types that its own type names.
type Field = (String, Vec<String>);

/// The fields of each struct and enum of the crate.
fn types(own: &Crate) -> BTreeMap<String, Vec<Field>> {
    let mut types = BTreeMap::new();
    for (_, item) in own.items() {
        let (name, fields) = match item {
            Item::Struct(one) => (one.ident.to_string(), fields(&one.fields)),
            Item::Enum(one) => {
                let all = one.variants.iter().flat_map(|variant| fields(&variant.fields));
                (one.ident.to_string(), all.collect())
            }
            _ => continue,
        };
        types.entry(name).or_insert_with(Vec::new).extend(fields);
    }
    types
}

fn fields(fields: &Fields) -> Vec<Field> {
    let one = |field: &syn::Field| {
        let mut kinds = Kinds::default();
        kinds.visit_type(&field.ty);
        (field.ident.as_ref().map(ToString::to_string).unwrap_or_default(), kinds.0)
    };
    fields.iter().map(one).collect()
}

#[derive(Default)]
struct Kinds(Vec<String>);

impl<'a> Visit<'a> for Kinds {
    fn visit_ident(&mut self, ident: &'a syn::Ident) {
        self.0.push(ident.to_string());
    }
}
