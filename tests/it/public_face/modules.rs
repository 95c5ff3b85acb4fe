//! The modules of a crate, and which item a name in one of them means.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use syn::{Item, UseTree, Visibility};

/// A path of names from the root of the crate.
pub(crate) type Names = Vec<String>;

/// The items of each module, by the path of the module.
pub(crate) struct Crate(BTreeMap<Names, Vec<Item>>);

/// What `lib.rs` exports: under which path of names, and the item it means.
pub(crate) struct Export {
    pub(crate) public: Names,
    pub(crate) defined: Names,
}

impl Crate {
    pub(crate) fn read(source: &Path) -> Self {
        let mut own = Self(BTreeMap::new());
        own.read_module(Vec::new(), &source.join("lib.rs"), source);
        own
    }

    /// Of modules that are given as text.
    pub(crate) fn of(sources: &[(&str, &str)]) -> Self {
        let mut own = Self(BTreeMap::new());
        for (path, text) in sources {
            let path = path.split("::").filter(|name| !name.is_empty()).map(str::to_owned);
            own.add(path.collect(), syn::parse_file(text).unwrap().items);
        }
        own
    }

    fn read_module(&mut self, path: Names, file: &Path, beside: &Path) {
        let text = fs::read_to_string(file).unwrap_or_else(|_| panic!("{}", file.display()));
        let items =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{path:?}: {error}")).items;
        for item in &items {
            let Item::Mod(module) = item else { continue };
            if module.content.is_some() || is_for_tests(&module.attrs) {
                continue;
            }
            let name = module.ident.to_string();
            let directory = beside.join(&name);
            let plain = beside.join(format!("{name}.rs"));
            let file = if plain.exists() { plain } else { directory.join("mod.rs") };
            self.read_module([path.clone(), vec![name]].concat(), &file, &directory);
        }
        self.add(path, items);
    }

    fn add(&mut self, path: Names, items: Vec<Item>) {
        for item in &items {
            if let Item::Mod(module) = item
                && let Some((_, within)) = &module.content
                && !is_for_tests(&module.attrs)
            {
                self.add([path.clone(), vec![module.ident.to_string()]].concat(), within.clone());
            }
        }
        self.0.insert(path, items);
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = (&Names, &Item)> {
        self.0.iter().flat_map(|(path, items)| items.iter().map(move |item| (path, item)))
    }

    /// Everything that a host can name, in the order of its names.
    pub(crate) fn exports(&self) -> Vec<Export> {
        let mut found = Vec::new();
        self.exports_of(&Vec::new(), &mut found);
        found.sort_by(|one, other| one.public.cmp(&other.public));
        found
    }

    fn exports_of(&self, module: &Names, found: &mut Vec<Export>) {
        for item in &self.0[module] {
            match item {
                Item::Mod(inner) if is_public(&inner.vis) && !is_hidden(&inner.attrs) => {
                    self.exports_of(
                        &[module.clone(), vec![inner.ident.to_string()]].concat(),
                        found,
                    );
                }
                Item::Use(statement) if is_public(&statement.vis) => {
                    for (path, name) in uses(&statement.tree) {
                        let defined = self.resolve(module, &path).unwrap_or(path);
                        found.push(Export {
                            public: [module.clone(), vec![name]].concat(),
                            defined,
                        });
                    }
                }
                item => {
                    let is_exported =
                        name_of(item).filter(|(visibility, _)| is_public(visibility));
                    if let Some((_, name)) = is_exported.filter(|_| !module.is_empty()) {
                        let path = [module.clone(), vec![name]].concat();
                        found.push(Export { public: path.clone(), defined: path });
                    }
                }
            }
        }
    }

    /// Where the item is defined that a path in a module means; `None` if it is of another
    /// crate.
    pub(crate) fn resolve(&self, module: &Names, path: &Names) -> Option<Names> {
        let (first, rest) = path.split_first()?;
        let whole = match first.as_str() {
            "crate" => rest.to_vec(),
            "self" => [module.clone(), rest.to_vec()].concat(),
            "super" => [module[..module.len() - 1].to_vec(), rest.to_vec()].concat(),
            _ => [module.clone(), path.clone()].concat(),
        };
        let (name, within) = whole.split_last()?;
        let within = within.to_vec();
        let items = self.0.get(&within)?;
        if items.iter().any(|item| defines(item, name)) {
            return Some(whole);
        }
        let imports = items.iter().filter_map(|item| match item {
            Item::Use(statement) => Some(uses(&statement.tree)),
            _ => None,
        });
        let (path, _) = imports.flatten().find(|(_, called)| called == name)?;
        (path != [name.clone()]).then(|| self.resolve(&within, &path)).flatten()
    }
}

/// Whether the item, or the call of a macro, defines that name.
pub(crate) fn defines(item: &Item, name: &str) -> bool {
    match item {
        Item::Macro(call) if call.ident.is_none() => makes(call).iter().any(|made| made == name),
        item => name_of(item).is_some_and(|(_, own)| own == name),
    }
}

/// The names with which the body of a macro's call begins an item: `Name { … }`, `Name,`.
fn makes(call: &syn::ItemMacro) -> Vec<String> {
    let mut tokens = call.mac.tokens.clone().into_iter();
    let idents = tokens.by_ref().filter_map(|token| match token {
        proc_macro2::TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    });
    idents.collect()
}

fn name_of(item: &Item) -> Option<(&Visibility, String)> {
    let (visibility, ident) = match item {
        Item::Struct(item) => (&item.vis, &item.ident),
        Item::Enum(item) => (&item.vis, &item.ident),
        Item::Trait(item) => (&item.vis, &item.ident),
        Item::Type(item) => (&item.vis, &item.ident),
        Item::Const(item) => (&item.vis, &item.ident),
        Item::Fn(item) => (&item.vis, &item.sig.ident),
        _ => return None,
    };
    Some((visibility, ident.to_string()))
}

/// The paths of a `use`, and the names they get.
fn uses(tree: &UseTree) -> Vec<(Names, String)> {
    match tree {
        UseTree::Path(path) => {
            let first = path.ident.to_string();
            let rest = uses(&path.tree).into_iter();
            rest.map(|(path, name)| {
                let is_self = path == ["self"];
                let path = if is_self { Vec::new() } else { path };
                let name = if is_self { first.clone() } else { name };
                ([vec![first.clone()], path].concat(), name)
            })
            .collect()
        }
        UseTree::Name(name) => vec![(vec![name.ident.to_string()], name.ident.to_string())],
        UseTree::Rename(name) => vec![(vec![name.ident.to_string()], name.rename.to_string())],
        UseTree::Group(group) => group.items.iter().flat_map(uses).collect(),
        UseTree::Glob(_) => Vec::new(),
    }
}

pub(crate) const fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
    })
}

fn is_hidden(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("doc")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|word| word == "hidden")
    })
}
