//! Rules about single values that several bodies share (networking 12.4).

use std::collections::BTreeMap;

use crate::error::ArmError;
use crate::model::Header;

/// Headers of a profile or an endpoint.
const HEADERS: usize = 8;
/// Longest name of an endpoint.
const NAME: usize = 260;

/// A number within bounds.
///
/// # Errors
/// 400 that names the property.
pub fn bounded(property: &str, value: i64, min: i64, max: i64) -> Result<u32, ArmError> {
    match u32::try_from(value) {
        Ok(number) if (min..=max).contains(&value) => Ok(number),
        _ => Err(ArmError::bad_request(format!(
            "The property '{property}' must be between {min} and {max}, but is {value}."
        ))),
    }
}

/// `Enabled` or `Disabled`, in any case; `default` when absent.
///
/// # Errors
/// 400 that names the property.
pub fn enabled(property: &str, value: Option<&str>, default: bool) -> Result<bool, ArmError> {
    match value {
        None => Ok(default),
        Some(text) if text.eq_ignore_ascii_case("Enabled") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("Disabled") => Ok(false),
        Some(text) => Err(ArmError::bad_request(format!(
            "The property '{property}' must be Enabled or Disabled, but is '{text}'."
        ))),
    }
}

/// Headers that a probe can send: at most eight, names unique.
///
/// # Errors
/// 400 that says which one cannot be sent.
pub fn headers(headers: Vec<Header>) -> Result<Vec<Header>, ArmError> {
    if headers.len() > HEADERS {
        let message = format!(
            "There are {} custom headers; at most {HEADERS} are allowed.",
            headers.len()
        );
        return Err(ArmError::bad_request(message));
    }
    for (at, header) in headers.iter().enumerate() {
        let valid = http::HeaderName::from_bytes(header.name.as_bytes()).is_ok()
            && http::HeaderValue::from_str(&header.value).is_ok();
        if !valid || header.value.is_empty() {
            let message = format!(
                "The custom header '{}' has a name or value that cannot be sent.",
                header.name
            );
            return Err(ArmError::bad_request(message));
        }
        if headers[..at]
            .iter()
            .any(|earlier| earlier.name.eq_ignore_ascii_case(&header.name))
        {
            let message = format!("The custom header '{}' is given twice.", header.name);
            return Err(ArmError::bad_request(message));
        }
    }
    Ok(headers)
}

/// The name of a profile, an endpoint or another resource.
///
/// # Errors
/// 400 when it is too long or has characters that Azure refuses.
pub fn name(name: &str) -> Result<(), ArmError> {
    if name.is_empty() || name.chars().count() > NAME {
        let message = format!("The name must have 1 to {NAME} characters.");
        return Err(ArmError::new(400, "InvalidResourceName", message));
    }
    if let Some(wrong) = name.chars().find(|c| "<>*%$:\\?+/".contains(*c) || c.is_control()) {
        let message = format!("The name '{name}' contains {wrong:?}, which is not allowed.");
        return Err(ArmError::new(400, "InvalidResourceName", message));
    }
    Ok(())
}

/// One DNS label of at most 63 characters.
pub fn is_label(text: &str) -> bool {
    let fits = (1..=63).contains(&text.len());
    let letters = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    fits && letters && !text.starts_with('-') && !text.ends_with('-')
}

/// A host name: labels, which may hold underscores, with dots between them, and a dot at the end or none.
pub fn is_host(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Tags without those that are null.
pub(super) fn tags(tags: Option<BTreeMap<String, Option<String>>>) -> BTreeMap<String, String> {
    let tags = tags.unwrap_or_default().into_iter();
    tags.filter_map(|(name, value)| Some((name, value?))).collect()
}

/// A property that must be there is not.
pub(super) fn missing(property: &str) -> ArmError {
    ArmError::bad_request(format!("The property '{property}' is missing."))
}
