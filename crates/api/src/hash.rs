//! JSON and hashes as Go writes them, because hashes are stored (placement-api 16.3).
//!
//! Structs keep their declared field order, maps are sorted, and `<`, `>`, `&`, U+2028, U+2029 are escaped.

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Serializer, Value, json};
use sha2::{Digest, Sha256};

use crate::placement::v1beta1::{ClusterResourceOverrideSpec, NamespacedName, PlacementPolicy, ResourceOverrideSpec};

/// Hash of a placement policy without `numberOfClusters`; an absent policy hashes the text `null`.
pub fn policy(policy: Option<&PlacementPolicy>) -> Result<String, serde_json::Error> {
    of(&policy.map(|p| PlacementPolicy {
        number_of_clusters: None,
        ..p.clone()
    }))
}

/// Hash of the content of a whole group of resource snapshots, manifests in selection order.
pub fn resources(manifests: &[&Value]) -> Result<String, serde_json::Error> {
    of(&json!({ "selectedResources": manifests }))
}

/// Hash of a ClusterResourceOverride's spec.
pub fn cluster_override(spec: &ClusterResourceOverrideSpec) -> Result<String, serde_json::Error> {
    of(spec)
}

/// Hash of a ResourceOverride's spec.
pub fn resource_override(spec: &ResourceOverrideSpec) -> Result<String, serde_json::Error> {
    of(spec)
}

/// Hash of the names of the applied ClusterResourceOverride snapshots; an empty list hashes `null`.
pub fn cluster_override_list(names: &[String]) -> Result<String, serde_json::Error> {
    of(&(!names.is_empty()).then_some(names))
}

/// Hash of the applied ResourceOverride snapshots; an empty list hashes `null`.
pub fn resource_override_list(names: &[NamespacedName]) -> Result<String, serde_json::Error> {
    of(&(!names.is_empty()).then_some(names))
}

/// Lower-case hex SHA-256 of [`go_json`].
pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    Ok(hex(&Sha256::digest(go_json(value)?)))
}

/// Compact JSON, byte for byte as Go's encoder writes it.
pub fn go_json<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, GoFormatter))?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|b| [b >> 4, b & 15])
        .map(|n| char::from_digit(n.into(), 16).unwrap_or('0'))
        .collect()
}

struct GoFormatter;

impl Formatter for GoFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (plain, tail) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut chars = tail.chars();
            if let Some(escaped) = chars.next() {
                write!(writer, "\\u{:04x}", u32::from(escaped))?;
            }
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(go_float(value).as_bytes())
    }
}

/// A float as Go's JSON encoder prints it: shortest digits, an exponent only below 1e-6 and from 1e21 on.
fn go_float(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
            _ => text,
        }
    } else {
        format!("{value}")
    }
}
