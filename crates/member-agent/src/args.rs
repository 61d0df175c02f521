//! Command line and environment of the member agent (member-behaviour 2.1, 8.2).

mod environment;
mod flags;

use std::path::PathBuf;
use std::time::Duration;

use fairway_core::apply;
use kit::client::{Options, RateLimit};
use kit::flags::{ParseError, Values};

use crate::link::{self, CloudConfigFile};
pub use environment::Environment;
use flags::flags;

/// The agent's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of the MemberCluster on the hub.
    pub member_name: String,
    /// How to reach the hub.
    pub hub: Options,
    /// What the flags say.
    pub settings: Settings,
}

/// Everything that flags set.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Whether the agent proves its identity to the hub with a certificate instead of a token.
    pub use_ca_auth: bool,
    /// Whether the hub's certificate is not checked.
    pub tls_insecure: bool,
    /// Addresses of the probes.
    pub probe_addresses: [String; 2],
    /// Addresses of the metrics.
    pub metrics_addresses: [String; 2],
    /// Limit of requests to the hub; `None` means unlimited.
    pub hub_rate: Option<RateLimit>,
    /// Limit of requests to the member; `None` means unlimited.
    pub member_rate: Option<RateLimit>,
    /// Leader election, when it is on.
    pub election: Option<Election>,
    /// How long the garbage collector gets before objects with other owners are unblocked.
    pub deletion_wait: Duration,
    /// Whether changed Works wait by importance, and how that shrinks with their age; `None` means first in, first out.
    pub priority: Option<Aging>,
    /// Back-off of periodic passes.
    pub requeue: apply::Settings,
    /// The property provider `azure`, when it is configured.
    pub azure: Option<AzureSettings>,
    /// Whether namespaces are reported.
    pub collect_namespaces: bool,
    /// How exports are reported, when they are.
    pub exports: Option<Exports>,
    /// Whether type, weight, readiness and public address of exports are reported.
    pub traffic_manager: bool,
    /// How public addresses are looked up.
    pub cloud_config: CloudConfigFile,
    /// Whether exports are followed at all.
    pub networking: bool,
    /// Path of the member's kubeconfig, empty for the usual places.
    pub kubeconfig: String,
    /// Verbosity of the log.
    pub verbosity: u8,
    /// Flags that request something and have no effect.
    pub without_effect: Vec<&'static str>,
}

/// What the property provider `azure` reports beside the built-in facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureSettings {
    /// Region of the cluster; empty for that of its nodes.
    pub region: String,
    /// Whether costs are reported.
    pub costs: bool,
    /// Whether it is reported what is available.
    pub available: bool,
}

/// How important a change of a Work is that was fine before: less with its age (member-behaviour 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aging {
    /// What each whole minute of age adds; negative.
    pub per_minute: i32,
    /// Importance at the age of zero; results above 100 count as 100.
    pub fresh: i32,
}

/// How exports are reported to the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exports {
    /// Over a session with the hub agent.
    Session(Link),
    /// As objects that the agent writes itself.
    Objects,
}

/// Where the hub agent accepts sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// URL.
    pub address: String,
    /// PEM file of the authority.
    pub ca_file: PathBuf,
    /// Name in the certificate, where it is not the host of the URL.
    pub server_name: Option<String>,
}

/// Times of the leader election, and where its leases are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Election {
    /// Namespace of the leases on the member.
    pub namespace: String,
    /// How long others wait after our last sign of life.
    pub lease_duration: Duration,
    /// How long we try to renew.
    pub renew_deadline: Duration,
    /// Time between tries.
    pub retry_period: Duration,
}

impl Election {
    /// Whether a holder has the time to renew before it must give up, and gives up before others take over.
    fn is_sound(&self) -> bool {
        self.lease_duration >= Duration::from_secs(1)
            && self.lease_duration > self.renew_deadline
            && self.renew_deadline > self.retry_period.saturating_mul(6) / 5
            && !self.retry_period.is_zero()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            use_ca_auth: false,
            tls_insecure: false,
            probe_addresses: [":8081".to_owned(), ":8091".to_owned()],
            metrics_addresses: [":8080".to_owned(), ":8090".to_owned()],
            hub_rate: RateLimit::from_flags(50.0, 500),
            member_rate: RateLimit::from_flags(250.0, 1000),
            election: None,
            deletion_wait: Duration::from_secs(300),
            priority: None,
            requeue: apply::Settings::default(),
            azure: None,
            collect_namespaces: false,
            exports: None,
            traffic_manager: true,
            cloud_config: CloudConfigFile::default(),
            networking: true,
            kubeconfig: String::new(),
            verbosity: 0,
            without_effect: Vec::new(),
        }
    }
}

/// Reads a command line (without the program's name).
///
/// # Errors
/// When help is requested, a flag is unknown, or a value is out of its range: one sentence per mistake.
pub fn parse<I: IntoIterator<Item = String>>(arguments: I) -> Result<Settings, ParseError> {
    let mut values = flags().parse(arguments)?;
    let requeue = requeue(&mut values);
    let is_old = values.switch("enable-v1alpha1-apis");
    values.require(
        !is_old,
        "The flag --enable-v1alpha1-apis must stay false: memberships of that version are not served.",
    );
    let aging = Aging {
        per_minute: values.number("work-applier-priority-linear-equation-coeff-a", -100..=-1),
        fresh: values.number("work-applier-priority-linear-equation-coeff-b", 1..=1000),
    };
    let by_priority = values.switch("enable-work-applier-priority-queue");
    for name in ["enable-pprof", "enable-v1beta1-apis"] {
        values.switch(name);
    }
    let settings = Settings {
        use_ca_auth: values.switch("use-ca-auth"),
        tls_insecure: values.switch("tls-insecure"),
        probe_addresses: [
            values.text("hub-health-probe-bind-address"),
            values.text("health-probe-bind-address"),
        ],
        metrics_addresses: [
            values.text("hub-metrics-bind-address"),
            values.text("metrics-bind-address"),
        ],
        hub_rate: rate(&mut values, "hub-api-qps", 1000.0, "hub-api-burst", 2000),
        member_rate: rate(&mut values, "member-api-qps", 10_000.0, "member-api-burst", 20_000),
        election: election(&mut values),
        deletion_wait: Duration::from_secs(60 * values.number::<u64>("deletion-wait-time", 1..=60)),
        priority: by_priority.then_some(aging),
        requeue,
        azure: azure(&mut values),
        collect_namespaces: values.switch("enable-namespace-collection-in-property-provider"),
        exports: exports(&mut values),
        traffic_manager: values.switch("enable-traffic-manager-feature"),
        cloud_config: CloudConfigFile {
            path: values.text("cloud-config").into(),
            is_given: values.is_given("cloud-config"),
        },
        networking: values.switch("enable-networking-features"),
        kubeconfig: values.text("kubeconfig"),
        verbosity: values.verbosity(),
        without_effect: values.without_effect(),
    };
    values.finish(settings).map_err(ParseError::Invalid)
}

/// Puts settings and environment together.
///
/// # Errors
/// What is missing or contradicts itself, one sentence each.
pub fn configure(settings: Settings, environment: &Environment) -> Result<Config, Vec<String>> {
    let mut problems = Vec::new();
    let requeue = &settings.requeue;
    for (rate, name) in [(settings.hub_rate, "hub"), (settings.member_rate, "member")] {
        if rate.is_some_and(|rate| f64::from(rate.burst) < rate.qps) {
            problems.push(format!(
                "The burst of requests to the {name} must not be below its rate."
            ));
        }
    }
    if requeue.initial_slow_delay > requeue.max_slow_delay || requeue.max_slow_delay > requeue.max_fast_delay {
        problems.push("The delays of the back-off must grow: initial slow, maximum slow, maximum fast.".to_owned());
    }
    if requeue.fast_base < requeue.slow_base {
        problems.push("The base of the fast back-off must not be below that of the slow one.".to_owned());
    }
    if settings.election.as_ref().is_some_and(|election| !election.is_sound()) {
        problems.push(
            "The leader's lease must last a second at least and longer than its renew deadline, and that longer than \
             1.2 times the retry period, which must not be zero."
                .to_owned(),
        );
    }
    let hub = environment
        .hub(&settings)
        .map_err(|mut more| problems.append(&mut more))
        .ok();
    match hub {
        Some((member_name, hub)) if problems.is_empty() => Ok(Config {
            member_name,
            hub,
            settings,
        }),
        _ => Err(problems),
    }
}

fn rate(
    values: &mut Values,
    qps_flag: &'static str,
    max_qps: f64,
    burst_flag: &'static str,
    max_burst: u32,
) -> Option<RateLimit> {
    let qps = values.number_or(qps_flag, 10.0..=max_qps, |qps| qps < 0.0);
    let burst = values.number(burst_flag, 10..=max_burst);
    RateLimit::from_flags(qps, burst)
}

/// Any other provider than this one means the built-in facts.
fn azure(values: &mut Values) -> Option<AzureSettings> {
    let settings = AzureSettings {
        region: values.text("region"),
        costs: values.switch("use-cost-properties-in-azure-provider"),
        available: values.switch("use-available-res-properties-in-azure-provider"),
    };
    (values.text("property-provider") == "azure").then_some(settings)
}

fn exports(values: &mut Values) -> Option<Exports> {
    let text = |values: &Values, name| Some(values.text(name)).filter(|text| !text.is_empty());
    let objects = values.choice("export-report", &["grpc", "objects"]) == "objects";
    if !values.switch("enable-networking-features") {
        return None;
    }
    if objects {
        return Some(Exports::Objects);
    }
    let address = text(values, "hub-link-address")?;
    values.require(
        link::is_https(&address),
        "The value of the flag --hub-link-address must begin with https://: sessions are always encrypted.",
    );
    let ca_file = text(values, "hub-link-ca-file");
    values.require(
        ca_file.is_some(),
        "The flag --hub-link-address needs the flag --hub-link-ca-file.",
    );
    let server_name = text(values, "hub-link-server-name");
    Some(Exports::Session(Link {
        address,
        ca_file: ca_file?.into(),
        server_name,
    }))
}

fn election(values: &mut Values) -> Option<Election> {
    let any = Duration::ZERO..=Duration::MAX;
    let election = Election {
        namespace: values.text("leader-election-namespace"),
        lease_duration: values.duration("leader-lease-duration", any.clone()),
        renew_deadline: values.duration("leader-renew-deadline", any.clone()),
        retry_period: values.duration("leader-retry-period", any),
    };
    values.switch("leader-elect").then_some(election)
}

/// Bound of seconds that have none of their own: the contradiction with the longest delay is found later.
const NO_LIMIT: f64 = 1e9;

fn requeue(values: &mut Values) -> apply::Settings {
    // KubeFleet reads seconds as floats.
    let mut seconds = |name, min: f64, max: f64| Duration::from_secs_f64(values.number(name, min..=max));
    let fixed_delay = seconds("work-applier-requeue-rate-limiter-fixed-delay-seconds", 2.0, 300.0);
    let initial_slow_delay = seconds(
        "work-applier-requeue-rate-limiter-initial-slow-backoff-delay-seconds",
        2.0,
        NO_LIMIT,
    );
    let max_slow_delay = seconds(
        "work-applier-requeue-rate-limiter-max-slow-backoff-delay-seconds",
        2.0,
        NO_LIMIT,
    );
    let max_fast_delay = seconds(
        "work-applier-requeue-rate-limiter-max-fast-backoff-delay-seconds",
        1.0,
        3600.0,
    );
    apply::Settings {
        attempts_with_fixed_delay: values.number("work-applier-requeue-rate-limiter-attempts-with-fixed-delay", 1..=40),
        fixed_delay,
        slow_base: values.number(
            "work-applier-requeue-rate-limiter-exponential-base-for-slow-backoff",
            1.05..=2.0,
        ),
        initial_slow_delay,
        max_slow_delay,
        // The lower bound itself is excluded.
        fast_base: values.number(
            "work-applier-requeue-rate-limiter-exponential-base-for-fast-backoff",
            1.0 + f64::EPSILON..=2.0,
        ),
        max_fast_delay,
        skip_to_fast_when_fine: values
            .switch("work-applier-requeue-rate-limiter-skip-to-fast-backoff-for-available-or-diff-reported-work-objs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Result<Settings, ParseError> {
        parse(arguments.iter().map(|a| (*a).to_owned()))
    }

    #[test]
    fn defaults_and_what_the_chart_passes() {
        assert_eq!(of(&[]).unwrap(), Settings::default());
        let chart = of(&[
            "--leader-elect=true",
            "--v=5",
            "-add_dir_header",
            "--enable-pprof=true",
            "--pprof-port=6065",
            "--hub-pprof-port=6066",
            "--enable-v1beta1-apis",
            "--enable-v1alpha1-apis=false",
            "--fleet-system-namespace=fleet-system",
            "--member-metrics-bind-address=:8090",
            "--member-health-probe-bind-address=:8091",
            "--property-provider=azure",
        ])
        .unwrap();
        assert_eq!(chart.election.unwrap().namespace, "kube-system");
        let azure = AzureSettings {
            region: String::new(),
            costs: true,
            available: true,
        };
        assert_eq!((chart.verbosity, chart.azure), (5, Some(azure)));
        assert_eq!(
            chart.without_effect,
            ["add_dir_header", "enable-pprof"],
            "what is given with its default requests nothing"
        );
        assert_eq!(of(&["--property-provider=other", "--region=x"]).unwrap().azure, None);
    }

    #[test]
    fn values_out_of_range_and_unknown_flags_are_named() {
        for argument in [
            "--hub-api-qps=5",
            "--member-api-burst=20001",
            "--deletion-wait-time=0",
            "--work-applier-priority-linear-equation-coeff-a=0",
            "--work-applier-requeue-rate-limiter-exponential-base-for-fast-backoff=1",
            "--work-applier-requeue-rate-limiter-attempts-with-fixed-delay=41",
            "--leader-lease-duration=soon",
            "--enable-v1alpha1-apis=true",
            "--no-such-flag",
        ] {
            let name = argument.split('=').next().unwrap();
            let err = of(&[argument]).unwrap_err().to_string();
            assert!(err.contains(name), "{argument}: {err}");
        }
        assert_eq!(of(&["--hub-api-qps=-1"]).unwrap().hub_rate, None);
        let link = ["--hub-link-address=https://hub:9444", "--hub-link-ca-file=ca.crt"];
        assert!(matches!(of(&link).unwrap().exports, Some(Exports::Session(_))));
        let objects = of(&[
            "--export-report=objects",
            link[0],
            "--enable-traffic-manager-feature=false",
        ])
        .unwrap();
        assert_eq!(
            (objects.exports, objects.traffic_manager),
            (Some(Exports::Objects), false)
        );
        assert!(
            of(&["--export-report=mail"])
                .unwrap_err()
                .to_string()
                .contains("export-report")
        );
        let plain = of(&["--hub-link-address=http://hub:9444", link[1]])
            .unwrap_err()
            .to_string();
        assert!(
            plain.contains("https://"),
            "the token would travel in plain text: {plain}"
        );
        let off = of(&[link[0], link[1], "--enable-networking-features=false"]).unwrap();
        assert_eq!((off.exports, off.networking), (None, false));
    }

    #[test]
    fn a_cloud_config_that_is_named_must_be_there() {
        let file = |arguments: &[&str]| of(arguments).unwrap().cloud_config;
        let usual = "/etc/kubernetes/provider/azure.json";
        for (arguments, path, is_given) in [
            (&[][..], usual, false),
            (&["--cloud-config=/etc/kubernetes/provider/azure.json"], usual, true),
            (&["--cloud-config", "/other"], "/other", true),
            (&["--cloud-config="], "", true),
        ] {
            let expected = CloudConfigFile {
                path: path.into(),
                is_given,
            };
            assert_eq!(file(arguments), expected, "{arguments:?}");
        }
    }

    #[test]
    fn seconds_may_have_fractions() {
        let given = of(&[
            "--work-applier-requeue-rate-limiter-fixed-delay-seconds=2.5",
            "--work-applier-requeue-rate-limiter-max-fast-backoff-delay-seconds",
            "5.0",
        ]);
        let requeue = given.unwrap().requeue;
        assert_eq!(requeue.fixed_delay, Duration::from_millis(2500));
        assert_eq!(requeue.max_fast_delay, Duration::from_secs(5));
        assert!(of(&["--work-applier-requeue-rate-limiter-fixed-delay-seconds=1.9"]).is_err());
    }

    #[test]
    fn priorities_count_only_where_they_are_asked_for() {
        assert_eq!(
            of(&["--work-applier-priority-linear-equation-coeff-b=50"])
                .unwrap()
                .priority,
            None
        );
        let requested = of(&[
            "--enable-work-applier-priority-queue",
            "--work-applier-priority-linear-equation-coeff-b=50",
        ]);
        let wanted = Aging {
            per_minute: -3,
            fresh: 50,
        };
        assert_eq!(requested.unwrap().priority, Some(wanted));
    }

    #[test]
    fn an_election_that_nobody_can_win_is_refused() {
        let refused = |more: &[&str]| {
            let arguments = [&["--leader-elect"], more].concat();
            let problems = configure(of(&arguments).unwrap(), &Environment::default()).unwrap_err();
            problems.iter().any(|problem| problem.contains("leader's lease"))
        };
        assert!(!refused(&[]));
        for bad in [
            "--leader-lease-duration=10s",
            "--leader-renew-deadline=2400ms",
            "--leader-retry-period=0s",
        ] {
            assert!(refused(&[bad]), "{bad}");
        }
        assert!(refused(&[
            "--leader-lease-duration=900ms",
            "--leader-renew-deadline=500ms",
            "--leader-retry-period=100ms"
        ]));
    }

    #[test]
    fn contradictions_are_reported_together() {
        let settings = of(&[
            "--hub-api-qps=600",
            "--work-applier-requeue-rate-limiter-max-slow-backoff-delay-seconds=1000",
            "--work-applier-requeue-rate-limiter-exponential-base-for-slow-backoff=1.8",
        ])
        .unwrap();
        let problems = configure(settings, &Environment::default()).unwrap_err();
        for part in [
            "burst of requests to the hub",
            "delays",
            "base of the fast",
            "HUB_SERVER_URL",
            "MEMBER_CLUSTER_NAME",
        ] {
            assert!(problems.iter().any(|p| p.contains(part)), "{part}: {problems:?}");
        }
    }
}
