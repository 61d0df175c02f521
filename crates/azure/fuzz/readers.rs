// Every reader of what others send, and what must hold for each. Shared by the bounded test and the cargo-fuzz target.

use azure::{CloudConfig, Endpoint, Environment, Profile, PublicIp, Url, readers};

/// Whether one of the readers took it.
pub fn read(data: &[u8]) -> bool {
    let profile = Profile::read(data);
    if let Ok(profile) = &profile {
        let _ = (profile.id(), profile.name(), profile.fqdn(), profile.endpoints());
        let again = serde_json::to_vec(profile.json()).expect("JSON can be written");
        assert_eq!(
            Profile::read(&again).as_ref(),
            Ok(profile),
            "nothing is lost on the way back"
        );
    }
    let endpoint = Endpoint::read(data);
    if let Ok(endpoint) = &endpoint {
        let _ = (
            endpoint.id(),
            endpoint.name(),
            endpoint.target(),
            endpoint.weight(),
            endpoint.monitor_status(),
        );
    }
    let page = PublicIp::read_page(data);
    if let Ok((addresses, next)) = &page {
        assert!(addresses.iter().all(|address| !address.id.is_empty()));
        let current = Url::parse("https://arm.example/list").expect("a URL");
        if let Some(Ok(next)) = next.as_deref().map(|link| azure::next_page(&current, link)) {
            assert_eq!((next.scheme(), next.host_str()), ("https", Some("arm.example")));
        }
    }
    let (code, message) = readers::read_refusal(data);
    for text in [&code, &message] {
        assert!(text.chars().count() <= 601 && !text.contains(['\n', '\r']), "{text:?}");
    }
    let asked = Url::parse("https://arm.example").expect("a URL");
    let metadata = readers::metadata(data, &asked, "AzureCloud");
    let mut endpoints = azure::Cloud::Public.endpoints().expect("known addresses");
    let file = readers::environment_file(data, &mut endpoints);
    for found in metadata.iter().chain([&endpoints]) {
        assert!(matches!(found.login.scheme(), "http" | "https"));
        assert!(matches!(found.resource_manager.scheme(), "http" | "https"));
    }
    let token = readers::reads_managed_token(data);
    let config = std::str::from_utf8(data).map(|text| CloudConfig::parse(text, &Environment::default()));
    profile.is_ok()
        || page.is_ok()
        || metadata.is_ok()
        || file.is_ok()
        || token
        || !code.is_empty()
        || config.is_ok_and(|config| config.is_ok())
}
