//! What `dig` and `kdig` make of the answers.

use std::collections::BTreeMap;

use super::answer::Tool;
use super::manager::{Endpoint, Manager, NAME_SERVERS, ZONE, full, name_server, to};
use super::programs::{find, output};

/// Both programs have these options in common.
#[tokio::test]
async fn dig_reads_every_kind_of_answer() {
    if let Some(program) = find("dig") {
        let manager = zone("dig").await;
        every_kind_of_answer(&Tool {
            program,
            port: manager.dns,
        })
        .await;
        manager.stop().await;
    }
}

#[tokio::test]
async fn kdig_reads_every_kind_of_answer() {
    if let Some(program) = find("kdig") {
        let manager = zone("kdig").await;
        every_kind_of_answer(&Tool {
            program,
            port: manager.dns,
        })
        .await;
        manager.stop().await;
    }
}

async fn zone(name: &str) -> Manager {
    let manager = Manager::start(name).await;
    let both = [to("192.0.2.1"), to("2001:db8::1")];
    manager.put("both", "Weighted", 20, &both).await;
    manager.put("four", "Weighted", 5, &[to("192.0.2.4")]).await;
    manager.put("alias", "Weighted", 7, &[to("lb.example.net")]).await;
    manager
        .put("chain", "Weighted", 9, &[to(&format!("four.{ZONE}"))])
        .await;
    manager.put("empty", "Weighted", 60, &[]).await;
    let near = |target, location| Endpoint {
        target,
        weight: 1,
        location: Some(location),
    };
    let regions = [near("192.0.2.10", "westeurope"), near("192.0.2.20", "eastus")];
    manager.put("near", "Performance", 30, &regions).await;
    manager
}

async fn every_kind_of_answer(tool: &Tool) {
    positive(tool).await;
    negative(tool).await;
    origin(tool).await;
    lengths(tool).await;
    edns(tool).await;
}

async fn positive(tool: &Tool) {
    for (name, kind, ttl, wanted) in [
        ("both", "A", 20, vec![("A", "192.0.2.1")]),
        ("both", "AAAA", 20, vec![("AAAA", "2001:db8::1")]),
        ("BoTh", "A", 20, vec![("A", "192.0.2.1")]),
        ("alias", "A", 7, vec![("CNAME", "lb.example.net.")]),
        ("alias", "CNAME", 7, vec![("CNAME", "lb.example.net.")]),
        ("four", "A", 5, vec![("A", "192.0.2.4")]),
    ] {
        let answer = tool.query(&full(name), kind, &[]).await;
        assert_eq!(
            (answer.status.as_str(), answer.data()),
            ("NOERROR", wanted),
            "{}",
            answer.text
        );
        assert!(
            answer.has("qr") && answer.has("aa") && !answer.has("tc") && !answer.has("ra"),
            "{answer:?}"
        );
        let [record] = answer.answers.as_slice() else {
            panic!("{answer:?}");
        };
        // kdig prints names in lower case.
        assert!(record.name.eq_ignore_ascii_case(&full(name)), "{record:?}");
        assert_eq!(record.ttl, ttl, "{record:?}");
        assert!(answer.authority.is_empty() && !answer.tcp, "{answer:?}");
        let again = tool.query(&full(name), kind, &["+tcp"]).await;
        assert_eq!((again.data(), again.tcp), (answer.data(), true), "{}", again.text);
    }
    let chain = tool.query(&full("chain"), "A", &[]).await;
    let target = full("four");
    assert_eq!(
        chain.data(),
        [("CNAME", target.as_str()), ("A", "192.0.2.4")],
        "{}",
        chain.text
    );
    assert_eq!((chain.answers[0].ttl, chain.answers[1].ttl), (9, 5));
}

/// The SOA record says how long a resolver may keep that there is nothing.
async fn negative(tool: &Tool) {
    for (name, kind, status) in [
        (full("four"), "AAAA", "NOERROR"),
        (full("four"), "TXT", "NOERROR"),
        (full("empty"), "A", "NOERROR"),
        (full("missing"), "A", "NXDOMAIN"),
        (full("below.four"), "A", "NXDOMAIN"),
    ] {
        let answer = tool.query(&name, kind, &[]).await;
        assert_eq!(
            (answer.status.as_str(), answer.data()),
            (status, vec![]),
            "{}",
            answer.text
        );
        assert!(answer.has("aa"), "{answer:?}");
        let [soa] = answer.authority.as_slice() else {
            panic!("no SOA record alone: {}", answer.text);
        };
        assert_eq!(
            (soa.name.as_str(), soa.kind.as_str(), soa.ttl),
            (full_zone().as_str(), "SOA", 1),
            "{soa:?}"
        );
    }
    for outside in ["example.com.", "www.example.org.", ".", "xtm.example.com."] {
        let answer = tool.query(outside, "A", &[]).await;
        assert_eq!(
            (answer.status.as_str(), answer.data()),
            ("REFUSED", vec![]),
            "{}",
            answer.text
        );
        assert!(!answer.has("aa") && answer.authority.is_empty(), "{answer:?}");
    }
    let any = tool.query(&full_zone(), "ANY", &["+tcp"]).await;
    assert_eq!(any.answers.len(), 1, "ANY is answered with little: {}", any.text);
}

fn full_zone() -> String {
    format!("{ZONE}.")
}

async fn origin(tool: &Tool) {
    let soa = tool.query(&full_zone(), "SOA", &[]).await;
    let data = format!("{}. hostmaster.{ZONE}. 1 3600 600 86400 1", name_server(0));
    assert_eq!(soa.data(), [("SOA", data.as_str())], "{}", soa.text);
    assert_eq!(soa.answers[0].ttl, 3600);
    let servers = tool.query(&full_zone(), "NS", &["+tcp"]).await;
    let mut wanted: Vec<String> = (0..NAME_SERVERS)
        .map(|number| format!("{}.", name_server(number)))
        .collect();
    let mut named: Vec<String> = servers.answers.iter().map(|record| record.data.clone()).collect();
    wanted.sort();
    named.sort();
    assert_eq!(named, wanted, "{}", servers.text);
    assert!(servers.answers.iter().all(|record| record.kind == "NS"));
    // The addresses of the first 16 come with them.
    let mut glue: Vec<String> = servers.additional.iter().map(|record| record.name.clone()).collect();
    glue.sort();
    assert_eq!(glue, wanted[..16], "{}", servers.text);
    assert!(
        servers
            .additional
            .iter()
            .all(|record| (record.kind.as_str(), record.data.as_str()) == ("A", "127.0.0.1"))
    );
    let address = tool.query(&format!("{}.", name_server(3)), "A", &[]).await;
    assert_eq!(address.data(), [("A", "127.0.0.1")], "{}", address.text);
}

/// What does not fit into a datagram comes over TCP.
async fn lengths(tool: &Tool) {
    for options in [
        &["+noedns"][..],
        &["+edns=0", "+bufsize=512"],
        &["+edns=0", "+bufsize=4096"],
    ] {
        let cut = [options, &["+ignore", "+notcp"]].concat();
        let cut = tool.query(&full_zone(), "NS", &cut).await;
        assert!(
            cut.has("tc") && cut.answers.is_empty() && !cut.tcp,
            "{options:?}: {}",
            cut.text
        );
        let whole = tool.query(&full_zone(), "NS", options).await;
        assert!(whole.tcp && !whole.has("tc"), "{options:?}: {}", whole.text);
        assert_eq!(whole.answers.len(), NAME_SERVERS, "{}", whole.text);
    }
}

async fn edns(tool: &Tool) {
    let plain = tool.query(&full("four"), "A", &["+noedns"]).await;
    assert_eq!(
        (plain.udp_size, plain.data()),
        (None, vec![("A", "192.0.2.4")]),
        "{}",
        plain.text
    );
    let with = tool.query(&full("four"), "A", &["+edns=0", "+bufsize=4096"]).await;
    assert_eq!(with.udp_size, Some(1232), "{}", with.text);
    let refused = tool.query("example.org.", "A", &["+edns=0", "+bufsize=4096"]).await;
    assert_eq!(
        (refused.status.as_str(), refused.udp_size),
        ("REFUSED", Some(1232)),
        "{}",
        refused.text
    );
    for (subnet, wanted, scope) in [
        ("10.1.2.0/24", "192.0.2.10", "10.1.2.0/24/16"),
        ("198.51.100.0/24", "192.0.2.20", "198.51.100.0/24/"),
    ] {
        let option = format!("+subnet={subnet}");
        let answer = tool.query(&full("near"), "A", &[&option]).await;
        assert_eq!(answer.data(), [("A", wanted)], "{}", answer.text);
        let shown = answer.subnet.clone().unwrap_or_default();
        assert!(shown.starts_with(scope), "{shown:?}: {}", answer.text);
    }
    let other = tool.query(&full("near"), "A", &["+noedns"]).await;
    assert_eq!(
        other.data(),
        [("A", "192.0.2.20")],
        "by the sender's address: {}",
        other.text
    );
}

#[tokio::test]
async fn dig_sees_shares_as_the_weights_say() {
    let Some(program) = find("dig") else {
        return;
    };
    const QUERIES: usize = 1000;
    let manager = Manager::start("shares").await;
    let weighted = |target, weight| Endpoint {
        target,
        weight,
        location: None,
    };
    let endpoints = [weighted("192.0.2.1", 100), weighted("192.0.2.2", 300)];
    manager.put("app", "Weighted", 1, &endpoints).await;
    let list = manager.folder().join("questions");
    std::fs::write(&list, format!("{} A\n", full("app")).repeat(QUERIES)).unwrap();
    let arguments = [
        "@127.0.0.1",
        "-p",
        &manager.dns.to_string(),
        "+norecurse",
        "+short",
        "-f",
    ];
    let mut arguments = arguments.map(str::to_owned).to_vec();
    arguments.push(list.display().to_string());
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for line in output(&program, &arguments).await.lines() {
        *counts.entry(line.to_owned()).or_default() += 1;
    }
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["192.0.2.1", "192.0.2.2"]);
    assert_eq!(counts.values().sum::<usize>(), QUERIES);
    // Expected: 250. Six standard deviations of 13.7: a right server fails one in a billion runs.
    let first = counts["192.0.2.1"];
    assert!((168..=332).contains(&first), "{counts:?}");
    manager.stop().await;
}

/// The second version of EDNS does not exist yet (RFC 6891 6.1.3).
#[tokio::test]
async fn dig_is_answered_badvers_to_another_version() {
    let Some(program) = find("dig") else {
        return;
    };
    let manager = Manager::start("badvers").await;
    let tool = Tool {
        program,
        port: manager.dns,
    };
    let answer = tool.query(&full_zone(), "SOA", &["+edns=1", "+noednsneg"]).await;
    assert_eq!(
        (answer.status.as_str(), answer.udp_size),
        ("BADVERS", Some(1232)),
        "{}",
        answer.text
    );
    let negotiated = tool.query(&full_zone(), "SOA", &["+edns=1"]).await;
    assert_eq!(negotiated.status, "NOERROR", "{}", negotiated.text);
    manager.stop().await;
}
