//! The zone of the benchmark: 200 names, each a CNAME to a host elsewhere, chosen among three by weight.

use super::Failure;
use dns::{Catalog, Endpoint, Name, NameEntry, NameServer, Routing, Soa, Target, Zone};

/// Name of the zone.
pub const ORIGIN: &str = "tm.example.";
const NAMES: usize = 200;
const TTL: u32 = 10;

pub fn names() -> impl Iterator<Item = String> {
    (0..NAMES).map(|number| format!("profile-{number:03}.{ORIGIN}"))
}

/// Targets of equal length, so that answers have one length whichever is chosen.
fn target(name: usize, endpoint: usize) -> String {
    format!("app-{name:03}-{endpoint}.region.cloudapp.example.net.")
}

/// The zone as other servers read it; they have the first target of each name only.
pub fn master_file() -> String {
    let mut file =
        format!("$ORIGIN {ORIGIN}\n$TTL 300\n@ SOA ns1 hostmaster 1 3600 600 86400 30\n@ NS ns1\nns1 A 127.0.0.1\n");
    for (number, name) in names().enumerate() {
        file += &format!("{name} {TTL} CNAME {}\n", target(number, 0));
    }
    file
}

pub fn catalog() -> Result<Catalog, Failure> {
    let origin = Name::from_ascii(ORIGIN)?;
    let mut zone = Zone {
        soa: Soa {
            primary: Name::from_ascii("ns1.tm.example.")?,
            mailbox: Name::from_ascii("hostmaster.tm.example.")?,
            serial: 1,
            refresh: 3600,
            retry: 600,
            expire: 86400,
            negative_ttl: 30,
        },
        name_servers: vec![NameServer {
            name: Name::from_ascii("ns1.tm.example.")?,
            addresses: vec![[127, 0, 0, 1].into()],
        }],
        default_ttl: 300,
        names: Default::default(),
        origin,
    };
    for (number, name) in names().enumerate() {
        let below = name.strip_suffix(&format!(".{ORIGIN}")).unwrap_or_default();
        let endpoint = |index: usize| -> Result<Endpoint, Failure> {
            Ok(Endpoint {
                id: index.to_string(),
                target: Target::Name(Name::from_ascii(target(number, index))?),
                weight: index as u32 + 1,
                priority: 1,
                location: None,
            })
        };
        let entry = NameEntry {
            ttl: TTL,
            routing: Routing::Weighted,
            endpoints: (0..3).map(endpoint).collect::<Result<_, _>>()?,
        };
        zone.names.insert(Name::from_ascii(below)?, entry);
    }
    Ok(Catalog::new(&[zone])?)
}
