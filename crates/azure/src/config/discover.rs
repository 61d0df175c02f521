//! The addresses of a cloud, as its resource manager or a file describes them (networking 12.1).

use azure_core::Url;
use serde_json::Value;

use super::cloud::{Endpoints, base_url};

/// Largest answer or file in bytes; the public cloud's answer has some thousand.
pub const MAX_ANSWER: usize = 1 << 20;

/// Reads the answer of `<resource manager>/metadata/endpoints?api-version=2019-05-01`: a list of clouds, or a single one.
/// Of several the one of this name counts, else the one of this address. A cloud that does not name its resource manager
/// is the one that was asked.
///
/// # Errors
/// A text that says what is wrong with the answer.
pub fn metadata(body: &[u8], asked: &Url, cloud_name: &str) -> Result<Endpoints, String> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|err| format!("the answer is not JSON (line {}, column {})", err.line(), err.column()))?;
    let entries = match value {
        Value::Array(entries) => entries,
        one @ Value::Object(_) => vec![one],
        _ => return Err("the answer is neither a list nor an object".to_owned()),
    };
    let text = |entry: &Value, pointer: &str| entry.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let address = |entry: &Value| match text(entry, "/resourceManager") {
        Some(text) if !text.trim().is_empty() => {
            base_url("resourceManager", &text).map_err(|err| format!("one cloud's {err}"))
        }
        _ => Ok(asked.clone()),
    };
    let is_named = |entry: &&Value| text(entry, "/name").is_some_and(|name| name.eq_ignore_ascii_case(cloud_name));
    let is_asked = |entry: &&Value| address(entry).is_ok_and(|url| url == *asked);
    let entry = match entries.as_slice() {
        [] => None,
        [one] => Some(one),
        several => several
            .iter()
            .find(is_named)
            .filter(|_| !cloud_name.is_empty())
            .or_else(|| several.iter().find(is_asked)),
    };
    let entry = entry.ok_or("the answer names no cloud that fits the config's cloud or address")?;
    let login = text(entry, "/authentication/loginEndpoint").ok_or("the answer names no login endpoint")?;
    let audience = text(entry, "/authentication/audiences/0").filter(|audience| !audience.trim().is_empty());
    Ok(Endpoints {
        resource_manager: address(entry)?,
        login: base_url("loginEndpoint", &login).map_err(|err| err.to_string())?,
        audience: audience.ok_or("the answer names no audience")?,
    })
}

/// Overrides addresses by those of a file that `AZURE_ENVIRONMENT_FILEPATH` names. The resource manager counts only
/// together with its audience.
///
/// # Errors
/// A text that says what is wrong with the file.
pub fn environment_file(text: &[u8], endpoints: &mut Endpoints) -> Result<(), String> {
    let value: Value = serde_json::from_slice(text)
        .map_err(|err| format!("it is not JSON (line {}, column {})", err.line(), err.column()))?;
    let Value::Object(map) = value else {
        return Err("it is no object".to_owned());
    };
    let get = |wanted: &str| {
        let mut found = map.iter().filter(|(key, _)| key.eq_ignore_ascii_case(wanted));
        let text = found.next().and_then(|(_, value)| value.as_str()).map(str::trim);
        text.filter(|text| !text.is_empty())
    };
    if let Some(login) = get("activeDirectoryEndpoint") {
        endpoints.login = base_url("activeDirectoryEndpoint", login).map_err(|err| err.to_string())?;
    }
    if let (Some(manager), Some(audience)) = (get("resourceManagerEndpoint"), get("tokenAudience")) {
        endpoints.resource_manager = base_url("resourceManagerEndpoint", manager).map_err(|err| err.to_string())?;
        audience.clone_into(&mut endpoints.audience);
    }
    Ok(())
}
