//! The command line. All mistakes are reported together.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use dns::{Name, NameServer, NetworkTable};
use kit::flags::{FlagSet, ParseError, Values};
use kit::telemetry::Format;
use kit::tls::Files;
use serde::Deserialize;

use crate::app::Config;
use crate::http::Listen;
use crate::probe::Limits;
use crate::zone::{ZoneSettings, canonical};

/// The command line, read.
#[derive(Debug, Clone)]
pub struct Arguments {
    /// How the traffic manager runs.
    pub config: Config,
    /// How log lines look.
    pub log_format: Format,
    /// How much is logged.
    pub verbosity: u8,
}

fn flags() -> FlagSet {
    let about =
        "The traffic manager of Fairway: a DNS-based global load balancer with the API of Azure Traffic Manager.";
    let set = FlagSet::new("traffic-manager", about);
    log_flags(dns_flags(arm_flags(set)))
}

fn arm_flags(set: FlagSet) -> FlagSet {
    set.value("store", "/var/lib/fairway-traffic-manager", "Directory of the store.")
        .value("clients-file", "/etc/fairway-traffic-manager/clients/clients.json", "JSON file of the clients and their secrets.")
        .value("token-key-file", "", "File with the key that signs tokens, shared by instances; empty means an own one in the store.")
        .value("token-lifetime", "1h", "How long tokens last.")
        .value("arm-bind-address", "0.0.0.0:9445", "Address of the ARM surface.")
        .value("arm-cert-file", "/etc/fairway-traffic-manager/tls/tls.crt", "PEM file of its certificate.")
        .value("arm-key-file", "/etc/fairway-traffic-manager/tls/tls.key", "PEM file of the certificate's key.")
        .switch("arm-plain-http", false, "Serve plain HTTP instead of TLS; on loopback alone, for tests.")
        .value("public-url", "", "Address of the ARM surface as clients see it, such as https://tm.example.com; empty means the one that they ask.")
        .value("throttle-factor", "20", "Azure's limits of requests per subscription are multiplied by this; 0 means none.")
        .value("max-profiles", "200", "Profiles of a subscription.")
        .switch("new-store-waits", false, "With a new store, answer no names before a hub agent has written its profiles. For instances that join others.")
}

fn dns_flags(set: FlagSet) -> FlagSet {
    set.value("zone", "", "The zone that is served, such as tm.example.com.")
        .value("name-servers", "", "Name servers of the zone, comma-separated, each with its addresses where it lies in the zone: ns1.tm.example.com=192.0.2.1+2001:db8::1")
        .value("zone-mailbox", "", "Mailbox of who is responsible, as a name; empty means hostmaster in the zone.")
        .value("zone-ttl", "3600", "Time to live of the zone's own records, in seconds.")
        .value("negative-ttl", "10", "How long resolvers may keep negative answers, in seconds.")
        .value("network-table-file", "", "JSON file with the locations that are best for networks of clients.")
        .value("dns-bind-addresses", "0.0.0.0:5353", "Addresses of the DNS server, for UDP and TCP, comma-separated.")
        .value("dns-udp-sockets", "1", "Sockets for UDP at each address, each with a thread.")
        .value("dns-responses-per-second", "1000", "Limit of answers over UDP to each network of clients; 0 means none.")
        .value("concurrent-probes", "512", "Probes of endpoints at a time.")
}

fn log_flags(set: FlagSet) -> FlagSet {
    set.value(
        "health-probe-bind-address",
        ":8081",
        "Address of the probes of this process; 0 switches them off.",
    )
    .value(
        "metrics-bind-address",
        ":8080",
        "Address of the metrics; 0 switches them off.",
    )
    .value(
        "log-format",
        "auto",
        "text, json, or auto: text on a terminal, else json.",
    )
}

impl Arguments {
    /// Reads the command line, without the program's name.
    ///
    /// # Errors
    /// When help is asked for or something is wrong.
    pub fn parse<I: IntoIterator<Item = String>>(arguments: I) -> Result<Self, ParseError> {
        let mut values = flags().parse(arguments)?;
        let log_format = match values.choice("log-format", &["auto", "text", "json"]).as_str() {
            "text" => Format::Text,
            "json" => Format::Json,
            _ => Format::Auto,
        };
        let verbosity = values.verbosity();
        let config = config(&mut values);
        let arguments = config.map(|config| Self {
            config,
            log_format,
            verbosity,
        });
        match values.finish(arguments) {
            Ok(Some(arguments)) => Ok(arguments),
            Ok(None) => Err(ParseError::Invalid(vec!["The flags are incomplete.".to_owned()])),
            Err(problems) => Err(ParseError::Invalid(problems)),
        }
    }
}

/// The configuration; none when a part without a default is wrong, which is reported then.
fn config(values: &mut Values) -> Option<Config> {
    let zone = zone(values);
    let listen = addresses(values, "dns-bind-addresses");
    let arm = arm(values);
    let file = |values: &Values, name| Some(values.text(name)).filter(|text| !text.is_empty());
    let public_url = file(values, "public-url").map(|url| url.trim_end_matches('/').to_owned());
    if let Some(url) = &public_url {
        let valid = url
            .parse::<http::Uri>()
            .is_ok_and(|uri| uri.scheme().is_some() && uri.authority().is_some());
        values.require(
            valid,
            "The flag --public-url must be an address such as https://tm.example.com.",
        );
    }
    let mut dns = dns::Config {
        listen: listen?,
        udp_sockets: values.number("dns-udp-sockets", 1..=64),
        ..dns::Config::default()
    };
    dns.rate_limit.responses_per_second = values.number("dns-responses-per-second", 0..=10_000_000);
    let probes = Limits {
        at_once: values.number("concurrent-probes", 1..=100_000),
        ..Limits::default()
    };
    let second = Duration::from_secs(1);
    Some(Config {
        store: values.text("store").into(),
        clients: values.text("clients-file").into(),
        token_key: file(values, "token-key-file").map(PathBuf::from),
        token_lifetime: values.duration("token-lifetime", second * 60..=second * 86400),
        arm: arm?,
        public_url,
        throttle_factor: values.number("throttle-factor", 0..=100_000),
        dns,
        zone: zone?,
        max_profiles: values.number("max-profiles", 1..=100_000),
        page: 100,
        probes,
        new_store_waits: values.switch("new-store-waits"),
        recovery_pause: second * 30,
        health_address: values.text("health-probe-bind-address"),
        metrics_address: values.text("metrics-bind-address"),
    })
}

fn arm(values: &mut Values) -> Option<Listen> {
    let address = addresses(values, "arm-bind-address")?;
    let [address] = address.as_slice() else {
        values.problem("The flag --arm-bind-address must be one address.".to_owned());
        return None;
    };
    if values.switch("arm-plain-http") {
        let sentence = "With --arm-plain-http the flag --arm-bind-address must be an address on loopback.";
        values.require(address.ip().is_loopback(), sentence);
        return Some(Listen::Plain(*address));
    }
    let files = Files {
        cert: values.text("arm-cert-file").into(),
        key: values.text("arm-key-file").into(),
        client_ca: None,
    };
    Some(Listen::Tls(*address, files))
}

fn addresses(values: &mut Values, name: &'static str) -> Option<Vec<SocketAddr>> {
    let text = values.text(name);
    let parsed: Result<Vec<SocketAddr>, _> = text.split(',').map(|address| address.trim().parse()).collect();
    if parsed.is_err() {
        values.problem(format!(
            "The flag --{name} must be addresses such as 0.0.0.0:53, not {text:?}."
        ));
    }
    parsed.ok()
}

fn zone(values: &mut Values) -> Option<ZoneSettings> {
    let origin = full_name(values, "zone", &values.text("zone"))?;
    let mailbox = match values.text("zone-mailbox").as_str() {
        "" => full_name(values, "zone-mailbox", &format!("hostmaster.{origin}"))?,
        text => full_name(values, "zone-mailbox", text)?,
    };
    let name_servers = name_servers(values)?;
    let networks = networks(values)?;
    Some(ZoneSettings {
        origin,
        name_servers,
        mailbox,
        own_ttl: values.number("zone-ttl", 0..=i32::MAX as u32),
        negative_ttl: values.number("negative-ttl", 0..=86400),
        networks: Arc::new(networks),
    })
}

fn full_name(values: &mut Values, flag: &'static str, text: &str) -> Option<Name> {
    let name = Name::from_str(text.trim()).ok().filter(|name| name.num_labels() > 0);
    let Some(mut name) = name else {
        values.problem(format!("The flag --{flag} needs a domain name, not {text:?}."));
        return None;
    };
    name.set_fqdn(true);
    Some(name)
}

fn name_servers(values: &mut Values) -> Option<Vec<NameServer>> {
    let text = values.text("name-servers");
    let mut servers = Vec::new();
    for entry in text.split(',') {
        let (name, addresses) = entry.split_once('=').unwrap_or((entry, ""));
        let name = full_name(values, "name-servers", name)?;
        let addresses: Result<Vec<IpAddr>, _> = addresses
            .split('+')
            .filter(|address| !address.is_empty())
            .map(|address| address.trim().parse())
            .collect();
        let Ok(addresses) = addresses else {
            values.problem(format!(
                "The flag --name-servers has an address that is none in {entry:?}."
            ));
            return None;
        };
        servers.push(NameServer { name, addresses });
    }
    Some(servers)
}

/// An entry of the file of networks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    network: String,
    /// Best first.
    locations: Vec<String>,
}

fn networks(values: &mut Values) -> Option<NetworkTable> {
    let file = values.text("network-table-file");
    if file.is_empty() {
        return Some(NetworkTable::default());
    }
    match read_networks(Path::new(&file)) {
        Ok(table) => Some(table),
        Err(cause) => {
            values.problem(format!(
                "The file {file:?} of --network-table-file cannot be used: {cause}."
            ));
            None
        }
    }
}

fn read_networks(path: &Path) -> Result<NetworkTable, String> {
    let bytes = std::fs::read(path).map_err(|err| err.to_string())?;
    let entries: Vec<Entry> = serde_json::from_slice(&bytes).map_err(|err| err.to_string())?;
    let mut networks = Vec::new();
    for entry in entries {
        let network = entry
            .network
            .parse()
            .map_err(|_| format!("{:?} is no network", entry.network))?;
        networks.push((
            network,
            entry.locations.iter().map(|location| canonical(location)).collect(),
        ));
    }
    NetworkTable::new(networks).map_err(|err| err.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Arguments, ParseError> {
        Arguments::parse(arguments.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn a_zone_and_its_name_servers_are_enough() {
        let arguments = parse(&[
            "--zone=tm.example.com",
            "--name-servers=ns1.tm.example.com=192.0.2.1+2001:db8::1,ns.example.net",
        ]);
        let config = arguments.unwrap().config;
        assert_eq!(config.zone.origin.to_ascii(), "tm.example.com.");
        assert_eq!(config.zone.mailbox.to_ascii(), "hostmaster.tm.example.com.");
        let servers: Vec<_> = config
            .zone
            .name_servers
            .iter()
            .map(|s| (s.name.to_ascii(), s.addresses.len()))
            .collect();
        assert_eq!(
            servers,
            [("ns1.tm.example.com.".to_owned(), 2), ("ns.example.net.".to_owned(), 0)]
        );
        assert_eq!(config.zone.reserved().collect::<Vec<_>>(), ["ns1"]);
        assert!(matches!(config.arm, Listen::Tls(..)));
    }

    #[test]
    fn mistakes_are_reported_together() {
        let Err(ParseError::Invalid(problems)) = parse(&[
            "--name-servers=ns.example.net",
            "--arm-plain-http",
            "--dns-bind-addresses=x",
            "--public-url=x",
        ]) else {
            panic!("accepted");
        };
        let text = problems.join("\n");
        for part in ["--zone", "--arm-bind-address", "--dns-bind-addresses", "--public-url"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn networks_are_read_from_a_file() {
        let path = std::env::temp_dir().join(format!("fairway-networks-{}.json", std::process::id()));
        std::fs::write(&path, r#"[{"network": "10.0.0.0/8", "locations": ["West Europe"]}]"#).unwrap();
        assert!(read_networks(&path).is_ok());
        std::fs::write(&path, r#"[{"network": "10.0.0.0/33", "locations": []}]"#).unwrap();
        assert!(read_networks(&path).unwrap_err().contains("10.0.0.0/33"));
        std::fs::remove_file(&path).unwrap();
    }
}
