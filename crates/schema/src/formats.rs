//! Formats of strings that the API server checks; others are no constraint.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether `text` has the format, or the format is none that is checked.
pub(crate) fn fits(format: &str, text: &str) -> bool {
    match format.replace('-', "").as_str() {
        "datetime" => text.parse::<jiff::Timestamp>().is_ok() && text.len() > 10 && is_rfc3339(text),
        "date" => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        "duration" => is_duration(text),
        "byte" => is_base64(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => is_cidr(text),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => is_uuid(text),
        "uri" => is_uri(text),
        "email" => text
            .split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@')),
        "hostname" => text.len() <= 253 && text.trim_end_matches('.').split('.').all(|label| is_label(label, true)),
        "k8sshortname" => is_label(text, false),
        "k8slongname" => text.len() <= 253 && text.split('.').all(|label| is_label(label, false)),
        _ => true,
    }
}

/// The timestamp parser takes more than RFC 3339 allows; a date, `T`, a time and an offset must be there.
fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes[4] == b'-' && bytes[7] == b'-' && matches!(bytes[10], b'T' | b't' | b' ') && !text.contains('[')
}

/// A Go duration, or one with a unit word such as `22 ns`.
fn is_duration(text: &str) -> bool {
    const UNITS: [&str; 14] = [
        "ns", "us", "µs", "ms", "s", "m", "h", "d", "w", "sec", "min", "hour", "day", "week",
    ];
    let mut rest = text.trim_start_matches(['-', '+']).trim();
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let unit_and_more = rest[digits..].trim_start();
        let end = unit_and_more
            .find(|c: char| c.is_ascii_digit() || c == ' ')
            .unwrap_or(unit_and_more.len());
        let unit = &unit_and_more[..end];
        let known = UNITS.contains(&unit) || UNITS.contains(&unit.trim_end_matches('s'));
        if digits == 0 || rest[..digits].parse::<f64>().is_err() || !known {
            return false;
        }
        rest = unit_and_more[end..].trim_start();
    }
    true
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let alphabet = body
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
    text.len().is_multiple_of(4) && text.len() - body.len() <= 2 && alphabet
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let Ok(bits) = bits.parse::<u8>() else { return false };
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => bits <= 32,
        Ok(IpAddr::V6(_)) => bits <= 128,
        Err(_) => false,
    }
}

fn is_uuid(text: &str) -> bool {
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_uri(text: &str) -> bool {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    let absolute = scheme.is_some_and(|s| {
        s.starts_with(|c: char| c.is_ascii_alphabetic())
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    });
    (absolute || text.starts_with('/')) && !text.contains(char::is_whitespace)
}

/// A DNS label; upper case only where `upper` allows it.
fn is_label(text: &str, upper: bool) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || upper && b.is_ascii_uppercase();
    let ends = text.bytes().next().is_some_and(inner) && text.bytes().last().is_some_and(inner);
    ends && text.len() <= 63 && text.bytes().all(|b| inner(b) || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn formats_accept_and_reject() {
        let good = [
            ("date-time", "2026-01-02T03:04:05Z"),
            ("date-time", "2026-01-02T03:04:05.123456+02:00"),
            ("date", "2026-01-02"),
            ("duration", "1h30m"),
            ("duration", "22 ns"),
            ("byte", "YWJj"),
            ("byte", ""),
            ("ipv4", "10.0.0.1"),
            ("cidr", "10.0.0.0/8"),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000"),
            ("uri", "https://example.org/x"),
            ("hostname", "Example.org"),
            ("k8s-short-name", "a-b"),
            ("int32", "whatever"),
            ("made-up", "whatever"),
        ];
        for (format, text) in good {
            assert!(fits(format, text), "{format} {text}");
        }
        let bad = [
            ("date-time", "2026-01-02"),
            ("date-time", "yesterday"),
            ("date", "2026-13-02"),
            ("duration", "1x"),
            ("duration", ""),
            ("byte", "a?=="),
            ("byte", "abc"),
            ("ipv4", "10.0.0"),
            ("cidr", "10.0.0.0/33"),
            ("uuid", "123"),
            ("uri", "no scheme"),
            ("hostname", "-a.b"),
            ("k8s-short-name", "A"),
        ];
        for (format, text) in bad {
            assert!(!fits(format, text), "{format} {text}");
        }
    }
}
