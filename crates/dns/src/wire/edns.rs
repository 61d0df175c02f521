//! EDNS(0): the OPT record of a query (RFC 6891) and the client's network in it (RFC 7871).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::malformed::Malformed;

/// Option code of the client's network.
pub(super) const CLIENT_SUBNET: u16 = 8;
const FAMILY_NONE: u16 = 0;
const FAMILY_IPV4: u16 = 1;
const FAMILY_IPV6: u16 = 2;

/// What a query's OPT record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// Largest UDP message that the client takes.
    pub udp_size: u16,
    /// Version of EDNS; options are read for version 0 alone.
    pub version: u8,
    /// Whether the client understands DNSSEC records; it goes back as it came.
    pub dnssec_ok: bool,
    /// The network of the client for whom a resolver asks.
    pub client_subnet: Option<ClientSubnet>,
}

/// The network of the client for whom a resolver asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientSubnet {
    /// Number of the address family as it came: 1, 2, or 0 without a prefix.
    family: u16,
    /// Length of the prefix that is known.
    prefix: u8,
    /// The address, zero beyond the prefix.
    address: IpAddr,
}

impl Edns {
    /// What the class and the time to live of an OPT record say.
    pub(super) fn new(class: u16, ttl: u32) -> Self {
        Self {
            udp_size: class,
            version: (ttl >> 16) as u8,
            dnssec_ok: ttl & 0x8000 != 0,
            client_subnet: None,
        }
    }

    /// Reads the record's data.
    pub(super) fn read_options(&mut self, data: &[u8]) -> Result<(), Malformed> {
        if self.version != 0 {
            return Ok(());
        }
        let mut rest = data;
        while !rest.is_empty() {
            let (head, after) = rest.split_first_chunk::<4>().ok_or(Malformed::Edns)?;
            let [code_high, code_low, length_high, length_low] = *head;
            let length = usize::from(u16::from_be_bytes([length_high, length_low]));
            let (value, after) = after.split_at_checked(length).ok_or(Malformed::Edns)?;
            if u16::from_be_bytes([code_high, code_low]) == CLIENT_SUBNET
                && self.client_subnet.replace(ClientSubnet::read(value)?).is_some()
            {
                return Err(Malformed::ClientSubnet);
            }
            rest = after;
        }
        Ok(())
    }
}

impl ClientSubnet {
    /// The known network, for the choice of an endpoint; `None` when the client does not want to be known.
    pub fn network(&self) -> Option<(IpAddr, u8)> {
        (self.prefix > 0).then_some((self.address, self.prefix))
    }

    fn read(option: &[u8]) -> Result<Self, Malformed> {
        let (head, octets) = option.split_first_chunk::<4>().ok_or(Malformed::ClientSubnet)?;
        let [family_high, family_low, prefix, scope] = *head;
        let family = u16::from_be_bytes([family_high, family_low]);
        let width = match family {
            FAMILY_NONE => 0,
            FAMILY_IPV4 => 32,
            FAMILY_IPV6 => 128,
            _ => return Err(Malformed::ClientSubnet),
        };
        // RFC 7871 6: as many octets as the prefix needs, zero beyond it; no scope in a query.
        if prefix > width || scope != 0 || octets.len() != octets_of(prefix) {
            return Err(Malformed::ClientSubnet);
        }
        let unused = (8 - prefix % 8) % 8;
        if octets.last().is_some_and(|last| last & !(0xFF_u8 << unused) != 0) {
            return Err(Malformed::ClientSubnet);
        }
        let mut full = [0; 16];
        full.iter_mut().zip(octets).for_each(|(to, from)| *to = *from);
        let address = match family {
            FAMILY_IPV6 => IpAddr::V6(Ipv6Addr::from(full)),
            _ => IpAddr::V4(Ipv4Addr::new(full[0], full[1], full[2], full[3])),
        };
        Ok(Self {
            family,
            prefix,
            address,
        })
    }

    /// Length of the option's value.
    pub(super) fn value_len(&self) -> usize {
        4 + octets_of(self.prefix)
    }

    /// Appends the option's value as it goes back to the client.
    pub(super) fn write(&self, scope: u8, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.family.to_be_bytes());
        out.extend_from_slice(&[self.prefix, scope]);
        let octets = octets_of(self.prefix);
        match self.address {
            IpAddr::V4(address) => out.extend(address.octets().iter().take(octets)),
            IpAddr::V6(address) => out.extend(address.octets().iter().take(octets)),
        }
    }
}

fn octets_of(prefix: u8) -> usize {
    usize::from(prefix).div_ceil(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(class: u16, ttl: u32, data: &[u8]) -> Result<Edns, Malformed> {
        let mut edns = Edns::new(class, ttl);
        edns.read_options(data).map(|()| edns)
    }

    fn option(code: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = code.to_be_bytes().to_vec();
        bytes.extend((value.len() as u16).to_be_bytes());
        bytes.extend(value);
        bytes
    }

    #[test]
    fn unknown_options_are_passed_over() {
        let mut data = option(10, &[1; 8]);
        data.extend(option(65001, &[]));
        data.extend(option(CLIENT_SUBNET, &[0, 1, 24, 0, 192, 0, 2]));
        let edns = read(1232, 0x8000, &data).unwrap();
        assert!(edns.dnssec_ok);
        assert_eq!(
            edns.client_subnet.unwrap().network(),
            Some(("192.0.2.0".parse().unwrap(), 24))
        );
    }

    #[test]
    fn options_that_end_too_early_are_malformed() {
        let whole = option(10, &[1; 8]);
        for end in 1..whole.len() {
            assert_eq!(read(1232, 0, &whole[..end]), Err(Malformed::Edns), "{end}");
        }
    }

    #[test]
    fn options_of_another_version_are_not_read() {
        assert_eq!(read(1232, 1 << 16, &[1]).unwrap().version, 1);
    }

    #[test]
    fn client_subnets_by_the_letter() {
        let none: &[u8] = &[0, 0, 0, 0];
        for good in [
            none,
            &[0, 1, 0, 0],
            &[0, 1, 24, 0, 192, 0, 2],
            &[0, 1, 23, 0, 192, 0, 2],
            &[0, 1, 32, 0, 192, 0, 2, 1],
            &[0, 2, 33, 0, 0x20, 1, 0xd, 0xb8, 0x80],
        ] {
            let subnet = ClientSubnet::read(good).unwrap();
            let mut back = Vec::new();
            subnet.write(0, &mut back);
            assert_eq!((back.as_slice(), back.len()), (good, subnet.value_len()));
            assert_eq!(subnet.network().is_none(), good[2] == 0);
        }
        for (why, bad) in [
            ("too short", &[0, 1, 24][..]),
            ("too few octets", &[0, 1, 24, 0, 192, 0]),
            ("too many octets", &[0, 1, 24, 0, 192, 0, 2, 0]),
            ("bits beyond the prefix", &[0, 1, 23, 0, 192, 0, 3]),
            ("prefix longer than the address", &[0, 1, 33, 0, 192, 0, 2, 1, 0]),
            ("a scope in a query", &[0, 1, 24, 24, 192, 0, 2]),
            ("an unknown family", &[0, 3, 8, 0, 1]),
            ("a prefix without a family", &[0, 0, 8, 0, 1]),
        ] {
            assert_eq!(ClientSubnet::read(bad), Err(Malformed::ClientSubnet), "{why}");
        }
        let twice = [option(CLIENT_SUBNET, none), option(CLIENT_SUBNET, none)].concat();
        assert_eq!(read(1232, 0, &twice), Err(Malformed::ClientSubnet));
    }
}
