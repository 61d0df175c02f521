//! `unbound` as the resolver of clients, which gets the zone from the traffic manager.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use control_plane::process::Supervised;

use super::answer::Tool;
use super::manager::{Manager, WITHIN, ZONE, free_dns_port, full, profile, to};
use super::programs::find;

/// How unbound learns that the zone is there.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// As the zone's authority.
    Stub,
    /// As another resolver.
    Forward,
}

struct Unbound {
    port: u16,
    process: Supervised,
}

impl Unbound {
    async fn start(program: PathBuf, way: Way, manager: &Manager, tool: &PathBuf) -> Self {
        let port = free_dns_port();
        let folder = manager.folder().display();
        let zone = match way {
            Way::Stub => format!(
                "stub-zone:\n  name: {ZONE}\n  stub-addr: 127.0.0.1@{}\n  stub-prime: no\n",
                manager.dns
            ),
            Way::Forward => format!(
                "forward-zone:\n  name: {ZONE}\n  forward-addr: 127.0.0.1@{}\n",
                manager.dns
            ),
        };
        // Without a cache of its own for less than a second, without processes and rights beyond those of the test.
        // use-caps-for-id compares the spelling of names in answers.
        let text = format!(
            "server:\n  interface: 127.0.0.1\n  port: {port}\n  access-control: 127.0.0.0/8 allow\n  do-ip6: no\n  \
             do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n  directory: \"{folder}\"\n  pidfile: \"\"\n  \
             use-syslog: no\n  logfile: \"\"\n  verbosity: 1\n  module-config: \"iterator\"\n  \
             do-not-query-localhost: no\n  use-caps-for-id: yes\n  num-threads: 1\n\
             remote-control:\n  control-enable: no\n{zone}"
        );
        let file = manager.folder().join(format!("unbound-{way:?}.conf"));
        std::fs::write(&file, text).unwrap();
        let arguments = ["-d".to_owned(), "-c".to_owned(), file.display().to_string()];
        let log = manager.folder().join(format!("unbound-{way:?}.log"));
        let mut process = Supervised::start("unbound", &program, &arguments, log).unwrap();
        let answers = async {
            let question = format!("{ZONE}.");
            let arguments = [
                "@127.0.0.1",
                "-p",
                &port.to_string(),
                "+tries=1",
                "+time=1",
                &question,
                "SOA",
            ];
            let arguments = arguments.map(str::to_owned);
            loop {
                let output = tokio::process::Command::new(tool)
                    .args(&arguments)
                    .output()
                    .await
                    .unwrap();
                if output.status.success() && String::from_utf8_lossy(&output.stdout).contains("NOERROR") {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            ready = tokio::time::timeout(WITHIN, answers) => ready.expect("unbound does not answer"),
            status = process.exited() => panic!("{}", process.ended_early(status)),
        }
        Self { port, process }
    }
}

/// The programs, or nothing where one is missing.
fn programs() -> Option<(PathBuf, PathBuf)> {
    let (unbound, dig) = (find("unbound"), find("dig"));
    Some((unbound?, dig?))
}

#[tokio::test]
async fn unbound_resolves_as_a_stub_and_by_forwarding() {
    let Some((unbound, dig)) = programs() else {
        return;
    };
    for way in [Way::Stub, Way::Forward] {
        let manager = Manager::start(&format!("unbound-{way:?}")).await;
        manager
            .put("app", "Weighted", 300, &[to("192.0.2.1"), to("2001:db8::1")])
            .await;
        manager
            .put("chain", "Weighted", 300, &[to(&format!("app.{ZONE}"))])
            .await;
        let resolver = Unbound::start(unbound.clone(), way, &manager, &dig).await;
        let tool = Tool {
            program: dig.clone(),
            port: resolver.port,
        };
        for (name, kind, wanted) in [
            ("app", "A", vec![("A", "192.0.2.1")]),
            ("app", "AAAA", vec![("AAAA", "2001:db8::1")]),
            ("chain", "A", vec![("CNAME", "app.tm.example.com."), ("A", "192.0.2.1")]),
        ] {
            let answer = tool.query(&full(name), kind, &["+recurse"]).await;
            assert_eq!(
                (answer.status.as_str(), answer.data()),
                ("NOERROR", wanted),
                "{way:?}: {}",
                answer.text
            );
            assert!(answer.has("ra") && !answer.has("aa"), "{way:?}: {}", answer.text);
        }
        let missing = tool.query(&full("missing"), "A", &["+recurse"]).await;
        assert_eq!(missing.status, "NXDOMAIN", "{way:?}: {}", missing.text);
        // Longer than a datagram: unbound comes back over TCP.
        let servers = tool.query(&format!("{ZONE}."), "NS", &["+recurse", "+tcp"]).await;
        assert_eq!(
            servers.answers.len(),
            super::manager::NAME_SERVERS,
            "{way:?}: {}",
            servers.text
        );
        resolver.process.stop().await;
        manager.stop().await;
    }
}

#[tokio::test]
async fn unbound_keeps_answers_for_their_time_and_no_longer() {
    let Some((unbound, dig)) = programs() else {
        return;
    };
    let manager = Manager::start("unbound-cache").await;
    manager.put("long", "Weighted", 3600, &[to("192.0.2.1")]).await;
    manager.put("short", "Weighted", 1, &[to("192.0.2.1")]).await;
    let resolver = Unbound::start(unbound, Way::Stub, &manager, &dig).await;
    let front = Tool {
        program: dig.clone(),
        port: resolver.port,
    };
    let direct = Tool {
        program: dig,
        port: manager.dns,
    };
    let before = manager.queries().await;
    for _ in 0..20 {
        let answer = front.query(&full("long"), "A", &["+recurse"]).await;
        assert_eq!(answer.data(), [("A", "192.0.2.1")], "{}", answer.text);
        assert!(answer.answers[0].ttl <= 3600, "{}", answer.text);
    }
    // One, or a few where unbound repeats what a busy machine has answered late.
    let passed_on = manager.queries().await - before;
    assert!((1..10).contains(&passed_on), "{passed_on} of 20 queries were passed on");

    for name in ["long", "short"] {
        manager
            .put(
                name,
                "Weighted",
                if name == "long" { 3600 } else { 1 },
                &[to("192.0.2.2")],
            )
            .await;
        let answer = direct.query(&full(name), "A", &[]).await;
        assert_eq!(
            answer.data(),
            [("A", "192.0.2.2")],
            "a change is answered at once: {}",
            answer.text
        );
    }
    let kept = front.query(&full("long"), "A", &["+recurse"]).await;
    assert_eq!(kept.data(), [("A", "192.0.2.1")], "its time is not over: {}", kept.text);
    let ttls = until(&front, "short", "192.0.2.2").await;
    assert!(ttls.iter().all(|ttl| *ttl <= 1), "{ttls:?}");

    // That there is nothing is kept for a second as well.
    let missing = front.query(&full("late"), "A", &["+recurse"]).await;
    assert_eq!(missing.status, "NXDOMAIN", "{}", missing.text);
    manager.put("late", "Weighted", 1, &[to("192.0.2.3")]).await;
    until(&front, "late", "192.0.2.3").await;
    manager.arm.delete_profile(&profile("late")).await.unwrap();
    let gone = async {
        while front.query(&full("late"), "A", &["+recurse"]).await.status != "NXDOMAIN" {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(WITHIN, gone)
        .await
        .expect("a deleted name is answered for ever");
    resolver.process.stop().await;
    manager.stop().await;
}

/// Queries until an address is answered; all times to live that were answered.
async fn until(tool: &Tool, name: &str, address: &str) -> BTreeSet<u32> {
    let mut ttls = BTreeSet::new();
    let answered = async {
        loop {
            let answer = tool.query(&full(name), "A", &["+recurse"]).await;
            ttls.extend(answer.answers.iter().map(|record| record.ttl));
            if answer.data() == [("A", address)] {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let answered = tokio::time::timeout(WITHIN, answered).await;
    answered.unwrap_or_else(|_| panic!("{name} never had the address {address}"));
    ttls
}
