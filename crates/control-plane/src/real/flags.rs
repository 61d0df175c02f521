//! Command lines of the three programs, with the reason for every flag that is not a default.

use std::path::Path;

use super::Layout;

fn file(path: &Path) -> String {
    path.display().to_string()
}

/// etcd: one member, reachable with a certificate of the cluster's authority only.
pub fn etcd(layout: &Layout) -> Vec<String> {
    let (client, peer) = (&layout.etcd_url, format!("https://127.0.0.1:{}", layout.etcd_peer_port));
    let (ca, pair) = (file(&layout.ca), &layout.etcd_pair);
    let (cert, key) = (file(&pair.cert), file(&pair.key));
    vec![
        "--name=default".to_owned(),
        format!("--data-dir={}", file(&layout.etcd_data())),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        format!("--cert-file={cert}"),
        format!("--key-file={key}"),
        format!("--trusted-ca-file={ca}"),
        "--client-cert-auth=true".to_owned(),
        format!("--peer-cert-file={cert}"),
        format!("--peer-key-file={key}"),
        format!("--peer-trusted-ca-file={ca}"),
        "--peer-client-cert-auth=true".to_owned(),
        // The data lives as long as the run: waiting for the disk would only slow tests and demo down.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

/// kube-apiserver on loopback, with RBAC and the default admission plugins.
pub fn api_server(layout: &Layout, extra: &[String]) -> Vec<String> {
    let mut flags = vec![
        format!("--etcd-servers={}", layout.etcd_url),
        format!("--etcd-cafile={}", file(&layout.ca)),
        format!("--etcd-certfile={}", file(&layout.etcd_pair.cert)),
        format!("--etcd-keyfile={}", file(&layout.etcd_pair.key)),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        // The reconciler of the `kubernetes` Service refuses a loopback address.
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--secure-port={}", layout.api_port),
        format!("--tls-cert-file={}", file(&layout.serving_pair.cert)),
        format!("--tls-private-key-file={}", file(&layout.serving_pair.key)),
        format!("--client-ca-file={}", file(&layout.ca)),
        "--authorization-mode=RBAC".to_owned(),
        format!("--service-account-issuer={}", super::TOKEN_ISSUER),
        format!("--service-account-key-file={}", file(&layout.token_public_key)),
        format!("--service-account-signing-key-file={}", file(&layout.token_private_key)),
        format!("--service-cluster-ip-range={}", super::SERVICE_RANGE),
        "--allow-privileged=true".to_owned(),
        // Room for benchmarks: the limit shall be the machine, not the queue.
        "--max-requests-inflight=3000".to_owned(),
        "--max-mutating-requests-inflight=1500".to_owned(),
        "--profiling=false".to_owned(),
    ];
    flags.extend(extra.iter().cloned());
    flags
}

/// kube-controller-manager without the controllers that need machines.
pub fn controller_manager(layout: &Layout) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", file(&layout.manager_kubeconfig)),
        format!("--service-account-private-key-file={}", file(&layout.token_private_key)),
        format!("--root-ca-file={}", file(&layout.ca)),
        "--use-service-account-credentials=true".to_owned(),
        // One instance, whose own endpoints are not used.
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        // No kubelet renews leases or evicts pods.
        "--controllers=*,-node-lifecycle-controller,-taint-eviction-controller,-cloud-node-lifecycle-controller,\
         -node-route-controller,-service-lb-controller,-persistentvolume-attach-detach-controller"
            .to_owned(),
        // The default of 20 a second makes the deletion of a namespace take 10 s and more.
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
        "--profiling=false".to_owned(),
    ]
}
