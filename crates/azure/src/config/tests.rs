use serde_json::{Value, json};

use super::*;

fn base() -> Value {
    json!({
        "cloud": "AzurePublicCloud", "tenantId": "t", "subscriptionId": "s", "resourceGroup": "rg",
        "location": "westus", "aadClientId": "c", "aadClientSecret": "hush-hush"
    })
}

fn with(changes: &Value) -> String {
    let mut base = base();
    for (key, value) in changes.as_object().unwrap() {
        if value.is_null() {
            base.as_object_mut().unwrap().remove(key);
        } else {
            base[key] = value.clone();
        }
    }
    base.to_string()
}

fn parse(changes: &Value) -> Result<CloudConfig, ConfigError> {
    CloudConfig::parse(&with(changes), &Environment::default())
}

fn federated() -> Environment {
    Environment {
        tenant_id: Some("env-tenant".into()),
        client_id: Some("env-client".into()),
        federated_token_file: Some("/var/run/token".into()),
        ..Environment::default()
    }
}

#[test]
fn json_and_yaml_in_any_case_say_the_same() {
    let yaml = "CLOUD: azurecloud\ntenantID: ' t '\nSubscriptionID: s\nresourcegroup: rg\nLocation: westus\n\
                aadClientID: c\nAADClientSecret: ' hush '\nunknown: [1]\n";
    let of_yaml = CloudConfig::parse(yaml, &Environment::default()).unwrap();
    assert_eq!(of_yaml.tenant_id, "t", "values are trimmed");
    let Identity::ClientSecret { client_id, secret } = &of_yaml.identity else {
        panic!("{:?}", of_yaml.identity);
    };
    assert_eq!(
        (client_id.as_str(), secret.expose()),
        ("c", " hush "),
        "secrets are not"
    );
    let of_json = parse(&json!({"vnetResourceGroup": "net"})).unwrap();
    assert_eq!(of_json.vnet_resource_group, "net");
    assert_eq!(of_yaml.vnet_resource_group, "rg", "it defaults to the resource group");
    let tabs = with(&json!({})).replace(',', ",\n\t");
    assert!(
        CloudConfig::parse(&tabs, &Environment::default()).is_ok(),
        "JSON with tabs is no YAML"
    );
}

#[test]
fn checks_come_in_the_order_of_the_contract() {
    let mut changes = json!({"cloud": " ", "location": "", "subscriptionId": null, "resourceGroup": null,
        "aadClientId": null});
    for key in ["cloud", "location", "subscriptionId", "resourceGroup"] {
        assert_eq!(parse(&changes).unwrap_err(), ConfigError::Missing { key });
        changes[key] = base()[key].clone();
    }
    let nobody = parse(&changes).unwrap_err().to_string();
    assert!(nobody.contains("set aadClientId with aadClientSecret"), "{nobody}");
    changes["userAssignedIdentityID"] = json!("u");
    let nobody = parse(&changes).unwrap_err().to_string();
    assert!(nobody.contains("needs useManagedIdentityExtension"), "{nobody}");
    for (changes, part) in [
        (json!({"location": 5}), "location of the cloud config must be text"),
        (json!({"useManagedIdentityExtension": "yes"}), "must be true or false"),
        (json!({"cloudProviderRateLimitQPS": -1}), "must be a number"),
        (json!({"resourceGroup": "a/../b"}), "must be a name without"),
        (json!({"tenantId": "a/b"}), "tenantId holds a character"),
        (json!({"tenantId": null}), "tenantId is empty"),
        (
            json!({"resourceManagerEndpoint": "https://u:hush-hush@h"}),
            "holds a user name",
        ),
        (
            json!({"resourceManagerEndpoint": "https://h/prefix"}),
            "more than a scheme",
        ),
        (json!({"resourceManagerEndpoint": "ftp://h"}), "no http or https"),
    ] {
        let error = parse(&changes).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        assert!(error.ends_with('.') && !error.contains("hush"), "{error}");
    }
}

#[test]
fn clouds_are_known_by_name_or_refused() {
    for (name, host) in [
        ("azurepubliccloud", "management.azure.com"),
        ("AzureCloud", "management.azure.com"),
        ("AzureChinaCloud", "management.chinacloudapi.cn"),
        ("AzureUSGovernment", "management.usgovcloudapi.net"),
        ("AZUREUSGOVERNMENTCLOUD", "management.usgovcloudapi.net"),
        ("AzureGovernmentCloud", "management.usgovcloudapi.net"),
    ] {
        assert!(parse(&json!({"cloud": name})).is_ok(), "{name}");
        let endpoints = Cloud::by_name(name).unwrap().endpoints().unwrap();
        assert_eq!(endpoints.resource_manager.host_str(), Some(host));
        assert_eq!(endpoints.scope(), format!("https://{host}/.default"));
    }
    let unknown = json!({"cloud": "AzureMoonCloud"});
    let error = parse(&unknown).unwrap_err().to_string();
    assert!(error.contains("\"AzureMoonCloud\" is not known"), "{error}");
    let mut described = unknown;
    described["resourceManagerEndpoint"] = json!("https://arm.moon");
    assert!(parse(&described).is_ok());
    described["cloud"] = Value::Null;
    assert!(
        parse(&described).is_ok(),
        "a resource manager describes its cloud itself"
    );
}

#[test]
fn federated_wins_then_managed_then_secret_then_certificate() {
    let everything = json!({"useManagedIdentityExtension": true, "userAssignedIdentityID": "u",
        "aadClientCertPath": "/cert"});
    let config = CloudConfig::parse(&with(&everything), &federated()).unwrap();
    let wanted = Identity::Federated {
        client_id: "env-client".into(),
        token_file: "/var/run/token".into(),
    };
    assert_eq!((config.identity, config.tenant_id.as_str()), (wanted, "env-tenant"));
    let identity = |changes: &Value| parse(changes).unwrap().identity;
    assert_eq!(identity(&everything), Identity::UserAssignedClient("u".into()));
    let resource = "/Subscriptions/s/resourcegroups/rg/providers/x/userAssignedIdentities/i";
    assert_eq!(
        identity(&json!({"useManagedIdentityExtension": "true", "userAssignedIdentityID": resource})),
        Identity::UserAssignedResource(resource.into())
    );
    let nameless = json!({"useManagedIdentityExtension": true, "tenantId": null, "aadClientId": null});
    assert_eq!(identity(&nameless), Identity::SystemAssigned);
    assert!(matches!(
        identity(&json!({"aadClientCertPath": "/cert"})),
        Identity::ClientSecret { .. }
    ));
    // Neither needs a secret (networking 12.1).
    let certificate = json!({"aadClientCertPath": " /cert", "aadClientSecret": null});
    assert!(matches!(identity(&certificate), Identity::Certificate { file, .. } if file == Path::new(" /cert")));
    let bare = json!({"aadClientId": null, "aadClientSecret": null, "tenantId": null});
    assert!(CloudConfig::parse(&with(&bare), &federated()).is_ok());
    let file = json!({"aadClientSecret": null, "useFederatedWorkloadIdentityExtension": true,
        "aadFederatedTokenFile": "/token"});
    assert!(matches!(identity(&file), Identity::Federated { client_id, .. } if client_id == "c"));
    let no_file = json!({"useFederatedWorkloadIdentityExtension": true});
    assert!(
        parse(&no_file)
            .unwrap_err()
            .to_string()
            .contains("needs aadFederatedTokenFile")
    );
}

#[test]
fn the_example_of_the_readmes_works_with_a_warning() {
    let readme = json!({"useManagedIdentityExtension": false, "userAssignedIdentityID": "u"});
    let config = parse(&readme).unwrap();
    assert!(matches!(config.identity, Identity::ClientSecret { .. }));
    assert!(
        config.warnings[0].contains("userAssignedIdentityID"),
        "{:?}",
        config.warnings
    );
    let other = parse(&json!({"networkResourceTenantID": "x", "auxiliaryTokenProvider": {}})).unwrap();
    assert_eq!(other.warnings.len(), 2);
}

#[test]
fn the_environment_overrides_after_the_checks() {
    let environment = Environment {
        tenant_id: Some("t2".into()),
        client_id: Some("c2".into()),
        client_secret: Some(Secret::new("s2")),
        ..Environment::default()
    };
    let config = CloudConfig::parse(&with(&json!({})), &environment).unwrap();
    let wanted = Identity::ClientSecret {
        client_id: "c2".into(),
        secret: Secret::new("s2"),
    };
    assert_eq!((config.tenant_id.as_str(), config.identity), ("t2", wanted));
    let bare = with(&json!({"aadClientId": null, "aadClientSecret": null}));
    assert!(
        CloudConfig::parse(&bare, &environment).is_err(),
        "it does not mend the file"
    );
}

#[test]
fn nothing_shows_a_secret() {
    let config = parse(&json!({"aadClientCertPassword": "hush-too"})).unwrap();
    let environment = Environment {
        client_secret: Some(Secret::new("hush-env")),
        ..Environment::default()
    };
    let shown = format!("{config:?} {environment:?}");
    assert!(!shown.contains("hush"), "{shown}");
    for broken in [
        r#"{"aadClientSecret": hush-hush}"#,
        r#"{"aadClientSecret": ["hush-hush"], "cloud": "AzureCloud","location":"l","subscriptionId":"s","resourceGroup":"r"}"#,
        "aadClientSecret: 'hush-hush",
        "aadClientSecret: !!int hush-hush",
        "- hush-hush",
        "hush-hush",
        "\"hush-hush\"",
        "",
    ] {
        let error = CloudConfig::parse(broken, &Environment::default()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
}

#[test]
fn a_named_rate_switches_the_limiter_off_unless_it_is_on() {
    assert_eq!(parse(&json!({})).unwrap().limits, Some(Limits::default()));
    for off in [
        json!({"cloudProviderRateLimit": false}),
        json!({"cloudProviderRateLimitQPS": 5}),
        json!({"CLOUDPROVIDERRATELIMITBUCKETWRITE": 5}),
    ] {
        assert_eq!(parse(&off).unwrap().limits, None, "{off}");
    }
    let on = json!({"cloudProviderRateLimit": true, "cloudProviderRateLimitQPS": 2.5,
        "cloudProviderRateLimitBucket": 7, "cloudProviderRateLimitQPSWrite": "1"});
    let limits = parse(&on).unwrap().limits.unwrap();
    assert_eq!((limits.read.qps, limits.read.burst), (2.5, 7));
    assert_eq!((limits.write.qps, limits.write.burst), (1.0, 7));
}

#[test]
fn a_resource_manager_tells_where_its_cloud_is() {
    let asked = Url::parse("https://arm.moon").unwrap();
    let cloud = |name: &str, manager: &str| {
        json!({"name": name, "resourceManager": manager,
            "authentication": {"loginEndpoint": format!("https://login.{name}/"), "audiences": [format!("https://{name}"), "x"]}})
    };
    let read = |value: &Value, name: &str| metadata(value.to_string().as_bytes(), &asked, name);
    let several = json!([cloud("earth", "https://arm.earth"), cloud("moon", "https://arm.moon/")]);
    let earth = read(&several, "EARTH").unwrap();
    assert_eq!(earth.resource_manager.as_str(), "https://arm.earth/");
    assert_eq!(earth.scope(), "https://earth/.default");
    assert_eq!(read(&several, "").unwrap().login.as_str(), "https://login.moon/");
    let one = read(&cloud("mars", ""), "AzureStackCloud").unwrap();
    assert_eq!(one.resource_manager, asked, "one that does not name itself was asked");
    for (bad, part) in [
        (json!([]), "names no cloud"),
        (json!(5), "neither a list"),
        (json!({}), "no login endpoint"),
        (
            json!({"authentication": {"loginEndpoint": "https://l", "audiences": []}}),
            "no audience",
        ),
        (
            json!({"authentication": {"loginEndpoint": "nowhere", "audiences": ["x"]}}),
            "is no URL",
        ),
    ] {
        let error = read(&bad, "x").unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_file_overrides_addresses() {
    let mut endpoints = Cloud::Public.endpoints().unwrap();
    let before = endpoints.clone();
    environment_file(br#"{"resourceManagerEndpoint": "https://only.half"}"#, &mut endpoints).unwrap();
    assert_eq!(endpoints, before, "a resource manager without audience does not count");
    let whole = br#"{"name": "x", "activeDirectoryEndpoint": "https://login.x/",
        "resourceManagerEndpoint": "https://arm.x/", "tokenAudience": "https://audience.x"}"#;
    environment_file(whole, &mut endpoints).unwrap();
    assert_eq!(endpoints.login.as_str(), "https://login.x/");
    assert_eq!(endpoints.resource_manager.as_str(), "https://arm.x/");
    assert_eq!(endpoints.scope(), "https://audience.x/.default");
    assert!(environment_file(b"[", &mut endpoints).unwrap_err().contains("not JSON"));
    assert!(
        environment_file(b"[]", &mut endpoints)
            .unwrap_err()
            .contains("no object")
    );
}

#[tokio::test]
async fn a_file_that_is_missing_is_named() {
    let error = CloudConfig::load(Path::new("/nowhere/azure.json")).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("The file /nowhere/azure.json cannot be read: "),
        "{error}"
    );
}
