//! Lists that come in pages.

use azure_core::Url;

/// The address of the next page, which must lead to the same server: with it goes a token.
///
/// # Errors
/// A text that says what is wrong with the link.
pub fn next_page(current: &Url, link: &str) -> Result<Url, String> {
    let next = current
        .join(link.trim())
        .map_err(|err| format!("the link to the next page is not valid: {err}"))?;
    let is_same = next.scheme() == current.scheme()
        && next.host_str() == current.host_str()
        && next.port_or_known_default() == current.port_or_known_default()
        && next.username().is_empty()
        && next.password().is_none();
    if !is_same {
        return Err("the link to the next page leads elsewhere".to_owned());
    }
    if next == *current {
        return Err("the link to the next page leads to the page itself".to_owned());
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_on_their_server() {
        let current = Url::parse("https://arm.example/subscriptions/s?api-version=1").unwrap();
        for (link, wanted) in [
            (
                "https://ARM.example:443/next?$skip=1",
                Ok("https://arm.example/next?$skip=1"),
            ),
            (" /next?$skip=2 ", Ok("https://arm.example/next?$skip=2")),
            ("http://arm.example/next", Err("leads elsewhere")),
            ("https://arm.example:444/next", Err("leads elsewhere")),
            ("https://u:p@arm.example/next", Err("leads elsewhere")),
            ("https://elsewhere.example/next", Err("leads elsewhere")),
            ("//elsewhere.example/next", Err("leads elsewhere")),
            (
                "https://arm.example/subscriptions/s?api-version=1",
                Err("the page itself"),
            ),
            ("https://", Err("not valid")),
        ] {
            match (next_page(&current, link), wanted) {
                (Ok(url), Ok(wanted)) => assert_eq!(url.as_str(), wanted),
                (Err(cause), Err(part)) => assert!(cause.contains(part), "{link}: {cause}"),
                (got, wanted) => panic!("{link}: {got:?}, not {wanted:?}"),
            }
        }
    }
}
