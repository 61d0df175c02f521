use super::*;
use std::time::Duration;

fn parse(arguments: &[&str]) -> Result<Config, ParseError> {
    Config::parse(arguments.iter().map(|a| (*a).to_owned()))
}

fn problems(arguments: &[&str]) -> Vec<String> {
    match parse(arguments) {
        Err(ParseError::Invalid(problems)) => problems,
        other => panic!("expected mistakes, got {other:?}"),
    }
}

#[test]
fn defaults_are_those_of_the_specification() {
    let config = parse(&[]).unwrap();
    assert!(!config.election.enabled && config.webhooks.enabled && config.features.resource_placement);
    assert_eq!(config.election.lease_duration, Duration::from_secs(60));
    assert_eq!(config.process.probes, ":8081");
    assert_eq!(config.members.force_delete_wait, Duration::from_secs(900));
    assert_eq!(
        (config.queues.placement_workers(), config.queues.member_workers()),
        (40, 1)
    );
    assert_eq!(config.planner.snapshot_minimum_interval, Duration::from_secs(30));
    assert_eq!(config.planner.snapshot_collection, Duration::from_secs(15));
    assert!(config.controllers.any_stage() && config.controllers.members && config.controllers.overrides);
}

#[test]
fn switches_of_features_that_do_not_exist_are_named() {
    assert_eq!(
        parse(&[]).unwrap().without_effect,
        [
            "enable-cluster-inventory-apis",
            "enable-eviction-apis",
            "enable-staged-update-run-apis",
            "enable-webhook"
        ]
    );
    let off = [
        "--enable-cluster-inventory-apis=false",
        "--enable-eviction-apis=false",
        "--enable-staged-update-run-apis=false",
        "--enable-webhook=false",
    ];
    assert_eq!(parse(&off).unwrap().without_effect, Vec::<&str>::new());
    let more = [
        "--enable-guard-rail",
        "--enable-pdbs=false",
        "--resync-period=2h",
        "--leader-elect",
    ];
    assert_eq!(
        parse(&[&off[..], &more].concat()).unwrap().without_effect,
        ["enable-guard-rail", "enable-pdbs", "resync-period"]
    );
}

#[test]
fn the_command_line_of_the_reference_chart_is_accepted() {
    let config = parse(&[
        "-leader-elect=true",
        "-enable-webhook=true",
        "-webhook-service-name=fleetwebhook",
        "-enable-guard-rail=true",
        "-enable-workload=false",
        "-whitelisted-users=system:serviceaccount:fleet-system:hub-agent-sa",
        "-webhook-client-connection-type=service",
        "-v=5",
        "-add_dir_header",
        "-force-delete-wait-time=15m0s",
        "-cluster-unhealthy-threshold=3m0s",
        "-enable-v1beta1-apis=true",
        "-max-concurrent-cluster-placement=200",
        "-concurrent-resource-change-syncs=20",
        "--log_file_max_size=",
        "-hub-api-qps=250",
        "-hub-api-burst=1000",
        "-enable-pprof=true",
        "-pprof-port=6065",
        "-resource-snapshot-creation-minimum-interval=0s",
        "-resource-changes-collection-duration=0s",
    ])
    .unwrap();
    assert!(config.election.enabled && config.webhooks.by_service && config.admission.guard_rail);
    assert_eq!(config.process.verbosity, 5);
    assert_eq!(config.planner.snapshot_collection, Duration::ZERO);
    assert!(
        config
            .admission
            .whitelisted_users
            .contains("system:serviceaccount:fleet-system:hub-agent-sa")
    );
}

#[test]
fn all_mistakes_come_together() {
    let found = problems(&[
        "--hub-api-qps=500",
        "--hub-api-burst=100",
        "--enable-v1beta1-apis=false",
        "--rate-limiter-qps=200",
        "--allowed-propagating-apis=apps",
        "--skipped-propagating-apis=batch",
        "--use-cert-manager",
        "--controllers=placement,nothing",
        "--max-fleet-size=1000",
    ]);
    assert_eq!(
        found,
        [
            "The flag --hub-api-burst must not be below --hub-api-qps.",
            "The flag --enable-v1beta1-apis must stay true.",
            "Only one of --allowed-propagating-apis and --skipped-propagating-apis can be set.",
            "The flag --rate-limiter-qps must not be above --rate-limiter-bucket-size.",
            "The flag --max-fleet-size must be between 30 and 200, not 1000.",
            "The flag --controllers names \"nothing\"; known are placement, scheduler, rollout, work-generator, \
         membercluster, override and *.",
            "The flag --use-cert-manager needs --enable-workload.",
        ]
    );
}

#[test]
fn controllers_can_be_named_or_left_out() {
    let on = |text: &str| parse(&[&format!("--controllers={text}")]).unwrap().controllers;
    let all_but = on("*,-scheduler");
    assert!(!all_but.stages.schedule && all_but.stages.rollout && all_but.members);
    let only = on("membercluster");
    assert!(only.members && !only.any_stage() && !only.overrides);
}

#[test]
fn facts_for_traffic_are_recorded_with_or_without_sessions() {
    let recorded = |arguments: &[&str]| parse(arguments).unwrap().traffic_manager;
    assert!(recorded(&["--member-link-bind-address=0"]));
    assert!(!recorded(&["--enable-traffic-manager-feature=false"]));
}

#[test]
fn the_cloud_config_has_the_usual_place_and_is_needed_only_with_the_feature() {
    let path = |arguments: &[&str]| parse(arguments).unwrap().cloud_config;
    assert_eq!(path(&[]), std::path::Path::new("/etc/kubernetes/provider/azure.json"));
    assert_eq!(path(&["--cloud-config=/a.json"]), std::path::Path::new("/a.json"));
    assert!(problems(&["--cloud-config="])[0].contains("--cloud-config must not be empty"));
    parse(&["--cloud-config=", "--enable-traffic-manager-feature=false"]).unwrap();
}

#[test]
fn the_members_sessions_are_served_unless_they_are_switched_off() {
    let link = |arguments: &[&str]| parse(arguments).unwrap().link;
    let default = link(&[]).unwrap();
    assert_eq!(default.bind.to_string(), "0.0.0.0:9444");
    assert_eq!(default.cert_file.to_str(), Some("/tmp/fairway-member-link/tls.crt"));
    assert!(default.client_ca_file.is_none());
    assert_eq!(default.ping_interval, Duration::from_secs(10));
    let fast = link(&["--member-link-ping-interval=500ms"]).unwrap();
    assert_eq!(fast.ping_interval, Duration::from_millis(500));
    let named = link(&[
        "--member-link-bind-address=127.0.0.1:1234",
        "--member-link-client-ca-file=/ca.crt",
    ])
    .unwrap();
    assert_eq!(named.bind.port(), 1234);
    assert_eq!(named.client_ca_file, Some("/ca.crt".into()));
    for off in ["--member-link-bind-address=", "--member-link-bind-address=0"] {
        assert!(link(&[off]).is_none(), "{off}");
    }
    assert!(problems(&["--member-link-bind-address=nowhere"])[0].contains("--member-link-bind-address"));
}
