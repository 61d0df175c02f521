//! Names of what belongs to a MultiCluster in its cluster (multicluster-failover B.3, B.9, B.11).
//!
//! What would be too long for Kubernetes ends in a hash instead, so that two names stay two.

use sha2::{Digest, Sha256};

use crate::hex::hex;
use crate::text::multicluster::FIELD_MANAGER_PREFIX;

/// Longest name of an object.
const LONGEST_NAME: usize = 253;
/// Longest value of a label.
const LONGEST_LABEL: usize = 63;
/// Longest name of a field manager.
const LONGEST_MANAGER: usize = 128;
/// Hex digits of a hash that stands for a text.
const HASH_DIGITS: usize = 32;

/// The Lease in which a member keeps what it has to remember.
pub fn lease(name: &str) -> String {
    object(name, "")
}

/// The ConfigMap with part `shard` (from 0) of the inventory of what a member applied.
pub fn inventory(name: &str, shard: usize) -> String {
    match shard {
        0 => object(name, "-inventory"),
        shard => object(name, &format!("-inventory-{shard}")),
    }
}

/// The ConfigMap that tells the workload who leads in which term.
pub fn term(name: &str) -> String {
    object(name, "-term")
}

/// The value of a label for a name that may be too long for one.
pub fn label_value(name: &str) -> String {
    match name.len() <= LONGEST_LABEL {
        true => name.to_owned(),
        false => hashed(name),
    }
}

/// The field manager that applies the payload of a MultiCluster.
pub fn field_manager(namespace: &str, name: &str) -> String {
    let object = format!("{namespace}/{name}");
    match FIELD_MANAGER_PREFIX.len() + object.len() <= LONGEST_MANAGER {
        true => format!("{FIELD_MANAGER_PREFIX}{object}"),
        false => format!("{FIELD_MANAGER_PREFIX}{}", hashed(&object)),
    }
}

fn object(name: &str, suffix: &str) -> String {
    let full = format!("multicluster-{name}{suffix}");
    match full.len() <= LONGEST_NAME {
        true => full,
        false => format!("multicluster-{}{suffix}", hashed(name)),
    }
}

fn hashed(text: &str) -> String {
    let digits = hex(&Sha256::digest(text));
    format!("h-{}", digits.get(..HASH_DIGITS).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{dns_subdomain_errors, label_value_errors};

    #[test]
    fn short_names_are_spelled_out() {
        assert_eq!(lease("newyork"), "multicluster-newyork");
        assert_eq!(inventory("newyork", 0), "multicluster-newyork-inventory");
        assert_eq!(inventory("newyork", 2), "multicluster-newyork-inventory-2");
        assert_eq!(term("newyork"), "multicluster-newyork-term");
        assert_eq!(label_value("newyork"), "newyork");
        assert_eq!(field_manager("bank", "newyork"), "kube-vip-multicluster/bank/newyork");
    }

    #[test]
    fn long_names_stay_legal_and_different() {
        let (one, other) = (format!("{}1", "a.".repeat(126)), format!("{}2", "a.".repeat(126)));
        for make in [lease, term, |name: &str| inventory(name, 11)] {
            assert!(dns_subdomain_errors(&make(&one)).is_empty(), "{}", make(&one));
            assert_ne!(make(&one), make(&other));
        }
        // printf '%s' aaa… | sha256sum
        let long = "a".repeat(64);
        assert_eq!(label_value(&long), "h-ffe054fe7ae0cb6dc65c3af9b61d5209");
        assert!(label_value_errors(&label_value(&one)).is_empty());
        assert_eq!(label_value(&"a".repeat(63)), "a".repeat(63));
        assert!(field_manager(&"n".repeat(63), &one).len() <= LONGEST_MANAGER);
        assert_ne!(field_manager("n", &one), field_manager("n", &other));
    }
}
