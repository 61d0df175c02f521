//! The dependency rules of `docs/architecture.md`, as data, and their verification.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use crate::workspace::{Package, cargo_output};

/// What one package of ours may use.
struct Rule {
    package: &'static str,
    /// Packages of this workspace that it may name in its manifest.
    ours: &'static [&'static str],
    /// Crates that may not appear anywhere below it.
    never: &'static [&'static str],
}

/// Nothing that does IO, reads a clock by itself or runs tasks.
const NO_IO: &[&str] = &[
    "tokio",
    "hyper",
    "kube-client",
    "kube-runtime",
    "tonic",
    "reqwest",
    "rand",
];
const NO_CLIENT: &[&str] = &["kube-client", "kube-runtime"];
const NO_OTHER_AGENT: &[&str] = &["apiserver", "workloads", "control-plane"];

const RULES: &[Rule] = &[
    Rule {
        package: "api",
        ours: &[],
        never: NO_IO,
    },
    Rule {
        package: "merge",
        ours: &[],
        never: NO_IO,
    },
    Rule {
        package: "schema",
        ours: &[],
        never: NO_IO,
    },
    Rule {
        package: "fairway-core",
        ours: &["api", "merge"],
        never: NO_IO,
    },
    Rule {
        package: "failover",
        ours: &["api", "fairway-core"],
        never: NO_IO,
    },
    Rule {
        package: "failover-transport",
        ours: &["failover"],
        never: &["kube-client", "kube-runtime", "hyper", "tonic", "reqwest"],
    },
    Rule {
        package: "wire",
        ours: &["api", "fairway-core"],
        never: NO_CLIENT,
    },
    Rule {
        package: "kit",
        ours: &["api", "fairway-core"],
        never: &["tonic"],
    },
    Rule {
        package: "azure",
        ours: &["kit"],
        never: &["tonic"],
    },
    Rule {
        package: "apiserver",
        ours: &["api", "merge", "schema"],
        never: &["tonic"],
    },
    Rule {
        package: "workloads",
        ours: &["api", "kit"],
        never: &["tonic"],
    },
    Rule {
        package: "control-plane",
        ours: &["apiserver", "workloads", "kit"],
        never: &["tonic"],
    },
    Rule {
        package: "dns",
        ours: &[],
        never: &["kube-client", "kube-runtime", "hyper", "tonic"],
    },
    Rule {
        package: "traffic-manager",
        ours: &["api", "dns", "kit"],
        never: &["tonic"],
    },
    Rule {
        package: "hub-agent",
        ours: &["api", "merge", "schema", "fairway-core", "wire", "kit", "azure"],
        never: NO_OTHER_AGENT,
    },
    Rule {
        package: "member-agent",
        ours: &["api", "merge", "schema", "fairway-core", "wire", "kit", "azure"],
        never: NO_OTHER_AGENT,
    },
    Rule {
        package: "e2e",
        ours: EVERYTHING,
        never: &[],
    },
    Rule {
        package: "xtask",
        ours: &[],
        never: NO_IO,
    },
];

const EVERYTHING: &[&str] = &[
    "api",
    "merge",
    "schema",
    "fairway-core",
    "failover",
    "failover-transport",
    "wire",
    "kit",
    "azure",
    "apiserver",
    "workloads",
    "control-plane",
    "dns",
    "hub-agent",
    "member-agent",
    "traffic-manager",
];

/// Crates that nobody may need: the one crypto provider is ring.
const BANNED: &[&str] = &["aws-lc-rs", "aws-lc-sys", "openssl-sys", "native-tls"];

/// Verifies every rule; the error lists every breach.
pub fn verify(packages: &BTreeMap<String, Package>) -> Result<()> {
    let mut breaches = Vec::new();
    for (name, package) in packages {
        match RULES.iter().find(|rule| rule.package == name) {
            Some(rule) => breaches.extend(breaches_of(rule, package, &below(name)?)),
            None => breaches.push(format!(
                "{name} has no rule: add it to xtask/src/rules.rs and docs/architecture.md"
            )),
        }
    }
    let all = tree(&["--workspace", "-e", "normal,build,dev"])?;
    breaches.extend(
        BANNED.iter().filter(|banned| all.contains(**banned)).map(|banned| {
            format!("{banned} is in the graph: find its way in with `cargo tree --workspace -i {banned}`")
        }),
    );
    if !breaches.is_empty() {
        bail!(
            "dependency rules are broken; remove the dependency, or change the table in docs/architecture.md together \
             with xtask/src/rules.rs:\n  {}",
            breaches.join("\n  ")
        );
    }
    Ok(())
}

fn breaches_of(rule: &Rule, package: &Package, below: &BTreeSet<String>) -> Vec<String> {
    let name = rule.package;
    let ours = package.ours.iter().filter(|used| !rule.ours.contains(&used.as_str()));
    let never = rule.never.iter().filter(|never| below.contains(**never));
    let may_use = match rule.ours {
        [] => "none of our crates".to_owned(),
        allowed => format!("{} alone", allowed.join(", ")),
    };
    let mut breaches: Vec<String> = ours
        .map(|used| format!("{name} may not use {used}, but {may_use}"))
        .collect();
    breaches
        .extend(never.map(|never| format!("{name} may not have {never} below it: `cargo tree -p {name} -i {never}`")));
    breaches
}

/// Every crate below a package, with that package's own features only.
fn below(package: &str) -> Result<BTreeSet<String>> {
    tree(&["-p", package, "-e", "normal"])
}

fn tree(selection: &[&str]) -> Result<BTreeSet<String>> {
    let mut args = vec!["tree", "--prefix", "none", "--format", "{p}"];
    args.extend(selection);
    let text = cargo_output(&args)?;
    Ok(text
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn breaches_name_both_sides() {
        let rule = Rule {
            package: "fairway-core",
            ours: &["api"],
            never: &["tokio"],
        };
        let package = Package {
            ours: set(&["api", "kit"]),
            binaries: BTreeMap::new(),
        };
        assert_eq!(
            breaches_of(&rule, &package, &set(&["api", "kit", "tokio"])),
            [
                "fairway-core may not use kit, but api alone",
                "fairway-core may not have tokio below it: `cargo tree -p fairway-core -i tokio`"
            ]
        );
        let fine = Package {
            ours: set(&["api"]),
            binaries: BTreeMap::new(),
        };
        assert!(breaches_of(&rule, &fine, &set(&["api", "serde"])).is_empty());
    }

    #[test]
    fn agents_never_know_each_other() {
        for (agent, other) in [("hub-agent", "member-agent"), ("member-agent", "hub-agent")] {
            let rule = RULES.iter().find(|rule| rule.package == agent).expect("a rule");
            assert!(!rule.ours.contains(&other));
        }
    }
}
