//! Reads parts of Services and InternalServiceExports from their JSON.

use serde_json::Value;

use super::{ServicePort, TargetPort};
use crate::meta;

/// Reads one port of a Service or of an InternalServiceExport: both have the same shape.
pub(crate) fn port(value: &Value) -> ServicePort {
    let protocol = match text(value, "/protocol") {
        empty if empty.is_empty() => "TCP".to_owned(),
        named => named,
    };
    let number = |value: &Value| value.as_i64().and_then(|number| i32::try_from(number).ok());
    let target_port = value.get("targetPort").and_then(|target| match target.as_str() {
        Some(name) => Some(TargetPort::Name(name.to_owned())),
        None => number(target).map(TargetPort::Number),
    });
    ServicePort {
        name: text(value, "/name"),
        protocol,
        app_protocol: value.get("appProtocol").and_then(Value::as_str).map(str::to_owned),
        port: value.get("port").and_then(number).unwrap_or_default(),
        target_port,
    }
}

/// The text at a path, owned; empty where there is none.
pub(crate) fn text(value: &Value, pointer: &str) -> String {
    meta::text(value, pointer).to_owned()
}

/// The list at a path; empty where there is none.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
