//! The tables of built-in types, read once: `builtin.table` (shapes and markers), `values.table` (what values of fields mean)
//! and `unions.table`.

use super::{Builtin, ListKind, TypeInfo};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A struct of a built-in API.
#[derive(Debug, Default)]
pub(crate) struct Type {
    pub(crate) atomic: bool,
    /// Fields that are not plain scalars.
    pub(crate) fields: BTreeMap<String, Field>,
    pub(crate) union: Option<Union>,
}

/// Branches of which only one may be set.
#[derive(Debug)]
pub(crate) enum Union {
    /// A field says which branch counts.
    By {
        /// That field.
        field: String,
        /// What the server assumes when the field is absent.
        default: Option<String>,
        /// Branches, each with the value of the field that selects it.
        branches: Vec<(String, String)>,
    },
    /// Whichever is set.
    OneOf(Vec<String>),
}

/// A field of a struct, with its markers.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) form: Form,
    pub(crate) atomic: bool,
    /// Whether the server cannot distinguish the field's zero value from its absence.
    pub(crate) zero_is_absent: bool,
    list: List,
    pub(crate) patch: Patch,
}

#[derive(Debug)]
enum List {
    Atomic,
    Set,
    /// Keys, each with its default.
    Keyed(Vec<(String, Option<String>)>),
}

/// What is written in a place.
#[derive(Debug)]
pub(crate) enum Form {
    Scalar(Scalar),
    Opaque,
    Struct(String),
    List(Box<Form>),
    Map(Box<Form>),
}

/// How a scalar is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Scalar {
    /// As it is written.
    #[default]
    Plain,
    /// An amount with a suffix.
    Quantity,
    /// A number, which may be written as text.
    IntOrString,
    /// Base64.
    Bytes,
}

/// The strategic merge markers of a field.
#[derive(Debug, Default)]
pub struct Patch {
    /// Lists: merge the elements instead of replacing the list.
    pub(crate) merge: bool,
    /// Maps: replace as a whole.
    pub(crate) replace: bool,
    /// Members that the patch does not name disappear (unions).
    pub(crate) retain_keys: bool,
    /// The key that identifies elements; empty for lists of scalars.
    pub(crate) key: String,
}

#[derive(Debug, Default)]
struct Table {
    kinds: BTreeMap<(String, String), Form>,
    types: BTreeMap<String, Type>,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = parse(include_str!("builtin.table"));
        add_values(&mut table, include_str!("values.table"));
        add_unions(&mut table, include_str!("unions.table"));
        table
    })
}

/// The form of a kind; `None` when the table does not hold it.
pub(crate) fn kind(api_version: &str, kind: &str) -> Option<&'static Form> {
    table().kinds.get(&(api_version.to_owned(), kind.to_owned()))
}

pub(crate) fn structure(name: &str) -> Option<&'static Type> {
    table().types.get(name)
}

/// The type of every object's metadata.
pub(crate) fn object_meta() -> TypeInfo<'static> {
    static META: OnceLock<Form> = OnceLock::new();
    let form = META.get_or_init(|| Form::Struct("meta.v1.ObjectMeta".to_owned()));
    TypeInfo::Builtin(Builtin { form, field: None })
}

/// Whether the kind belongs to the built-in groups that clients patch strategically (member-behaviour 4.10): those of the core
/// API, not the definitions of custom resources and of aggregated APIs.
pub fn is_client_go_kind(api_version: &str, kind: &str) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    !matches!(group, "apiextensions.k8s.io" | "apiregistration.k8s.io") && self::kind(api_version, kind).is_some()
}

impl Field {
    pub(crate) fn list_kind(&self) -> ListKind<'_> {
        match &self.list {
            List::Atomic => ListKind::Atomic,
            List::Set => ListKind::Set,
            List::Keyed(keys) => ListKind::Keyed(keys.iter().map(|(key, _)| key.as_str()).collect()),
        }
    }

    pub(crate) fn key_default(&self, key: &str) -> Option<&str> {
        match &self.list {
            List::Keyed(keys) => keys.iter().find(|(name, _)| name == key)?.1.as_deref(),
            _ => None,
        }
    }
}

fn parse(text: &str) -> Table {
    let mut table = Table::default();
    let mut current = String::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((left, name)) = line.split_once(" = ") {
            if let Some((version, kind)) = left.split_once(' ') {
                table
                    .kinds
                    .insert((version.to_owned(), kind.to_owned()), Form::Struct(name.to_owned()));
            }
        } else if let Some(field) = line.strip_prefix("  ") {
            let (name, rest) = field.split_once(' ').unwrap_or((field, ""));
            if let Some(of) = table.types.get_mut(&current) {
                of.fields.insert(name.to_owned(), parse_field(rest));
            }
        } else {
            let name = line.strip_suffix(" atomic").unwrap_or(line);
            current = name.to_owned();
            table.types.insert(
                current.clone(),
                Type {
                    atomic: name != line,
                    ..Type::default()
                },
            );
        }
    }
    table
}

/// Adds what values mean. Types that no kind of the table holds are left out.
fn add_values(table: &mut Table, text: &str) {
    let mut current = String::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some(field) = line.strip_prefix("  ") else {
            line.clone_into(&mut current);
            continue;
        };
        let Some(of) = table.types.get_mut(&current) else {
            continue;
        };
        let mut words = field.split(' ');
        let name = words.next().unwrap_or_default();
        let field = of.fields.entry(name.to_owned()).or_insert_with(|| parse_field(""));
        for word in words {
            match word {
                "zero" => field.zero_is_absent = true,
                "quantity" => field.form.read_scalars_as(Scalar::Quantity),
                "int-or-string" => field.form.read_scalars_as(Scalar::IntOrString),
                "bytes" => field.form.read_scalars_as(Scalar::Bytes),
                _ => {}
            }
        }
    }
}

fn add_unions(table: &mut Table, text: &str) {
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((head, branches)) = line.split_once(": ") else {
            continue;
        };
        let words: Vec<&str> = head.split(' ').collect();
        let union = match words.as_slice() {
            [_, "one", "of"] => Union::OneOf(branches.split(' ').map(str::to_owned).collect()),
            [_, "by", field, "default", default] => Union::By {
                field: (*field).to_owned(),
                default: (*default != "-").then(|| (*default).to_owned()),
                branches: branches
                    .split(' ')
                    .filter_map(|pair| pair.split_once('='))
                    .map(|(l, r)| (l.to_owned(), r.to_owned()))
                    .collect(),
            },
            _ => continue,
        };
        if let Some(of) = words.first().and_then(|name| table.types.get_mut(*name)) {
            of.union = Some(union);
        }
    }
}

impl Form {
    fn read_scalars_as(&mut self, scalar: Scalar) {
        match self {
            Self::Scalar(kind) => *kind = scalar,
            Self::List(inner) | Self::Map(inner) => inner.read_scalars_as(scalar),
            Self::Opaque | Self::Struct(_) => {}
        }
    }
}

fn parse_field(text: &str) -> Field {
    let (form, markers) = text.split_once(' ').unwrap_or((text, ""));
    let mut field = Field {
        form: parse_form(form),
        atomic: false,
        zero_is_absent: false,
        list: List::Atomic,
        patch: Patch::default(),
    };
    for marker in markers.split(' ') {
        match marker.split_once('=') {
            None => field.atomic |= marker == "atomic",
            Some(("list", "set")) => field.list = List::Set,
            Some(("list", keys)) => field.list = List::Keyed(keys.split(',').map(parse_key).collect()),
            Some(("patch", strategies)) => {
                for strategy in strategies.split(',') {
                    field.patch.merge |= strategy == "merge";
                    field.patch.replace |= strategy == "replace";
                    field.patch.retain_keys |= strategy == "retainKeys";
                }
            }
            Some(("key", key)) => key.clone_into(&mut field.patch.key),
            Some(_) => {}
        }
    }
    field
}

fn parse_key(text: &str) -> (String, Option<String>) {
    match text.split_once(':') {
        Some((key, default)) => (key.to_owned(), Some(default.to_owned())),
        None => (text.to_owned(), None),
    }
}

fn parse_form(text: &str) -> Form {
    if let Some(item) = text.strip_prefix("[]") {
        Form::List(Box::new(parse_form(item)))
    } else if let Some(element) = text.strip_prefix("{}") {
        Form::Map(Box::new(parse_form(element)))
    } else {
        match text {
            "" => Form::Scalar(Scalar::Plain),
            "?" => Form::Opaque,
            name => Form::Struct(name.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(form: &Form, into: &mut Vec<String>) {
        match form {
            Form::Struct(name) => into.push(name.clone()),
            Form::List(inner) | Form::Map(inner) => names(inner, into),
            Form::Scalar(_) | Form::Opaque => {}
        }
    }

    #[test]
    fn every_type_that_the_table_names_is_in_it() {
        let table = table();
        let mut named = Vec::new();
        table.kinds.values().for_each(|form| names(form, &mut named));
        table
            .types
            .values()
            .flat_map(|t| t.fields.values())
            .for_each(|field| names(&field.form, &mut named));
        assert!(named.len() > 500);
        for name in named {
            assert!(table.types.contains_key(&name), "{name}");
        }
    }

    #[test]
    fn every_union_is_one_of_a_type_of_the_table() {
        let table = table();
        let lines = include_str!("unions.table")
            .lines()
            .filter(|line| !line.starts_with('#'));
        for line in lines {
            let name = line.split(' ').next().unwrap();
            assert!(table.types.get(name).is_some_and(|of| of.union.is_some()), "{line}");
        }
    }

    #[test]
    fn definitions_of_apis_are_known_but_not_patched_strategically() {
        assert!(is_client_go_kind("apps/v1", "Deployment") && is_client_go_kind("v1", "Service"));
        assert!(kind("apiextensions.k8s.io/v1", "CustomResourceDefinition").is_some());
        assert!(!is_client_go_kind(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition"
        ));
        assert!(!is_client_go_kind("example.org/v1", "Deployment"));
    }
}
