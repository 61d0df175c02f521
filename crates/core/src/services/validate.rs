//! What the hub checks of a report before it writes anything (networking 16.7).

use super::{ExportKey, ExportReport, PublicIpState, TargetPort};

/// Checks a report. The error is a full sentence that names the field.
pub fn validate(key: &ExportKey, report: &ExportReport) -> Result<(), String> {
    label("key.namespace", &key.namespace)?;
    label("key.name", &key.name)?;
    if report.service.uid.is_empty() {
        return Err("The field service.uid is empty; send the uid of the exported Service.".into());
    }
    if report.ports.is_empty() || report.ports.len() > 100 {
        return Err(format!(
            "The field ports has {} entries; 1 to 100 are allowed.",
            report.ports.len()
        ));
    }
    for (at, port) in report.ports.iter().enumerate() {
        if !(1..=65535).contains(&port.port) {
            return Err(format!(
                "The field ports[{at}].port is {}; 1 to 65535 are allowed.",
                port.port
            ));
        }
        if !matches!(port.protocol.as_str(), "TCP" | "UDP" | "SCTP") {
            return Err(format!(
                "The field ports[{at}].protocol is \"{}\"; TCP, UDP and SCTP are allowed.",
                port.protocol
            ));
        }
        if let Some(TargetPort::Number(number)) = port.target_port
            && !(0..=65535).contains(&number)
        {
            return Err(format!(
                "The field ports[{at}].target_port is {number}; at most 65535 is allowed."
            ));
        }
    }
    match report.weight {
        Some(weight) if !(1..=1000).contains(&weight) => Err(format!(
            "The field weight is {weight}; 1 to 1000 are allowed, and an export of weight 0 must be withdrawn."
        )),
        _ => report.endpoint.check().and_then(|()| public_ip(report)),
    }
}

fn public_ip(report: &ExportReport) -> Result<(), String> {
    let ip = &report.public_ip;
    if ip.state != PublicIpState::Found || is_public_ip_id(&ip.resource_id) {
        return Ok(());
    }
    Err(
        "The field public_ip.resource_id is not the id of a public IP address of the form \
         /subscriptions/{id}/resourceGroups/{rg}/providers/Microsoft.Network/publicIPAddresses/{name}."
            .into(),
    )
}

fn is_public_ip_id(id: &str) -> bool {
    let parts: Vec<&str> = id.split('/').collect();
    let fixed = [
        (1, "subscriptions"),
        (3, "resourcegroups"),
        (5, "providers"),
        (6, "microsoft.network"),
        (7, "publicipaddresses"),
    ];
    parts.len() == 9
        && parts[0].is_empty()
        && fixed.iter().all(|(at, word)| parts[*at].eq_ignore_ascii_case(word))
        && [2, 4, 8].iter().all(|at| !parts[*at].is_empty())
}

/// A DNS label of at most 63 characters.
fn label(field: &str, text: &str) -> Result<(), String> {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let edge = |c: Option<&u8>| c.is_some_and(|c| *c != b'-');
    let bytes = text.as_bytes();
    if bytes.len() <= 63 && bytes.iter().all(|c| inner(*c)) && edge(bytes.first()) && edge(bytes.last()) {
        return Ok(());
    }
    Err(format!(
        "The field {field} is \"{text}\"; a DNS label of 1 to 63 characters is required."
    ))
}

#[cfg(test)]
mod tests {
    use super::super::{PublicIp, ServicePort, ServiceRef};
    use super::*;

    fn good() -> (ExportKey, ExportReport) {
        let key = ExportKey {
            namespace: "app".into(),
            name: "web".into(),
        };
        let report = ExportReport {
            service: ServiceRef {
                uid: "u".into(),
                resource_version: "1".into(),
                api_version: "v1".into(),
                kind: "Service".into(),
            },
            exported_since: None,
            ports: vec![ServicePort {
                name: String::new(),
                protocol: "TCP".into(),
                app_protocol: None,
                port: 80,
                target_port: None,
            }],
            service_type: "LoadBalancer".into(),
            weight: None,
            internal_load_balancer: false,
            public_ip: PublicIp::default(),
            is_ready: None,
            endpoint: crate::services::EndpointSettings::default(),
        };
        (key, report)
    }

    #[test]
    fn each_rule_names_its_field() {
        type Spoil = fn(&mut ExportKey, &mut ExportReport);
        let cases: [(&str, Spoil); 8] = [
            ("key.namespace", |k, _| k.namespace = "A".into()),
            ("key.name", |k, _| k.name = "x".repeat(64)),
            ("service.uid", |_, r| r.service.uid.clear()),
            ("ports has 0", |_, r| r.ports.clear()),
            ("ports[0].port", |_, r| r.ports[0].port = 65536),
            ("ports[0].protocol", |_, r| r.ports[0].protocol = "ICMP".into()),
            ("weight", |_, r| r.weight = Some(0)),
            ("public_ip.resource_id", |_, r| {
                r.public_ip = PublicIp {
                    state: PublicIpState::Found,
                    resource_id: "/subscriptions/x".into(),
                    ..PublicIp::default()
                };
            }),
        ];
        let (key, ok) = good();
        assert_eq!(validate(&key, &ok), Ok(()));
        for (field, spoil) in cases {
            let (mut key, mut bad) = good();
            spoil(&mut key, &mut bad);
            let error = validate(&key, &bad).unwrap_err();
            assert!(error.contains(field), "{field}: {error}");
        }
    }

    #[test]
    fn resource_ids_are_compared_without_case() {
        let (key, mut r) = good();
        r.public_ip = PublicIp {
            state: PublicIpState::Found,
            resource_id: "/SUBSCRIPTIONS/s/resourcegroups/g/providers/microsoft.network/PublicIPAddresses/n".into(),
            ..PublicIp::default()
        };
        assert_eq!(validate(&key, &r), Ok(()));
    }
}
