//! `kubectl` over HTTPS. Skipped, with a printed reason, where kubectl is not installed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests and their helpers may fail loudly"
)]

use apiserver::{ApiServer, Serving, User};
use std::path::PathBuf;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

struct Cluster {
    server: ApiServer,
    serving: Serving,
    home: PathBuf,
}

struct Output {
    ok: bool,
    out: String,
    err: String,
}

impl Cluster {
    /// A served cluster, or `None` (with the reason printed) without kubectl.
    async fn up(name: &str) -> Option<Cluster> {
        let found = Command::new("kubectl")
            .args(["version", "--client"])
            .stdout(Stdio::null())
            .status()
            .await;
        if !found.is_ok_and(|s| s.success()) {
            println!("Skipped: kubectl is not installed.");
            return None;
        }
        let server = ApiServer::builder().build().unwrap();
        let serving = server.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let home = std::env::temp_dir().join(format!("fairway-kubectl-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&home).unwrap();
        std::fs::write(home.join("config"), serving.admin_kubeconfig().unwrap()).unwrap();
        Some(Cluster { server, serving, home })
    }

    async fn try_run(&self, args: &str, input: &str) -> Output {
        let mut child = Command::new("kubectl")
            .args(args.split_whitespace())
            .env("HOME", &self.home)
            .env("KUBECONFIG", self.home.join("config"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Output {
            ok: output.status.success(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    async fn run(&self, args: &str, input: &str) -> String {
        let output = self.try_run(args, input).await;
        assert!(output.ok, "kubectl {args}: {}{}", output.out, output.err);
        output.out
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Left-overs in the temporary folder harm nobody.
        let _removed = std::fs::remove_dir_all(&self.home);
    }
}

const APP: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: app}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: app}
data: {a: "1"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: app}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: "nginx:1", env: [{name: A, value: b}], ports: [{containerPort: 80}]}
      - {name: side, image: "side:1"}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: app}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn built_in_kinds_from_apply_to_delete() {
    let Some(c) = Cluster::up("builtin").await else { return };
    assert!(c.run("apply -f -", APP).await.contains("deployment.apps/web created"));
    assert!(c.run("apply -f -", APP).await.contains("deployment.apps/web unchanged"));
    // The container that the manifest no longer names goes, by strategic merge.
    let smaller = APP
        .replace("      - {name: side, image: \"side:1\"}\n", "")
        .replace("nginx:1", "nginx:2");
    assert!(
        c.run("apply -f -", &smaller)
            .await
            .contains("deployment.apps/web configured")
    );
    let images = c
        .run(
            "-n app get deploy web -o jsonpath={.spec.template.spec.containers[*].image}",
            "",
        )
        .await;
    assert_eq!(images, "nginx:2");
    assert!(
        c.run("apply --server-side -f -", &smaller)
            .await
            .contains("deployment.apps/web serverside-applied")
    );
    let table = c.run("-n app get deploy,svc,cm -o wide", "").await;
    for part in [
        "0/1",
        "nginx:2",
        "app=web",
        "LoadBalancer",
        "<pending>",
        "80:30000/TCP",
        "configmap/settings",
    ] {
        assert!(table.contains(part), "{part} in {table}");
    }
    let described = c.run("-n app describe deploy web", "").await;
    assert!(described.contains("Replicas:               1 desired"), "{described}");
    c.run("-n app scale deploy web --replicas=5", "").await;
    c.run(
        "-n app wait --for=jsonpath={.spec.replicas}=5 deploy/web --timeout=5s",
        "",
    )
    .await;
    c.run(
        "-n app patch cm settings --type=json -p [{\"op\":\"add\",\"path\":\"/data/b\",\"value\":\"2\"}]",
        "",
    )
    .await;
    c.run("-n app label cm settings x=y", "").await;
    assert_eq!(
        c.run("-n app get cm -l x=y -o jsonpath={.items[0].data.b}", "").await,
        "2"
    );
    assert!(
        c.run("explain deployment.spec.strategy", "")
            .await
            .contains("rollingUpdate")
    );
    assert!(c.run("-n app delete cm settings", "").await.contains("deleted"));
    let missing = c.try_run("-n app get cm settings", "").await;
    assert_eq!(
        missing.err.trim(),
        "Error from server (NotFound): configmaps \"settings\" not found"
    );
    let strict = c
        .try_run(
            "apply -f -",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndat: {}",
        )
        .await;
    assert!(strict.err.contains("unknown field \"dat\""), "{}", strict.err);
    assert!(
        c.run("apply -f -", &smaller)
            .await
            .contains("configmap/settings created")
    );
    let deleted = c.run("delete -f - --timeout=20s", &smaller).await;
    assert!(deleted.contains("service \"web\" deleted"), "{deleted}");
    assert!(!c.run("get ns", "").await.contains("app "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_send_protobuf_and_tokens() {
    let Some(c) = Cluster::up("protobuf").await else { return };
    c.run("create ns team", "").await;
    c.run("-n team create deployment d --image=nginx --replicas=0", "")
        .await;
    assert_eq!(
        c.run("-n team get deploy d -o jsonpath={.spec.replicas}", "").await,
        "0"
    );
    c.run("-n team create secret generic s --from-literal=k=v", "").await;
    assert_eq!(c.run("-n team get secret s -o jsonpath={.data.k}", "").await, "dg==");
    c.run("-n team create sa worker", "").await;
    c.run("-n team create role reader --verb=get,list --resource=configmaps", "")
        .await;
    c.run(
        "-n team create rolebinding worker --role=reader --serviceaccount=team:worker",
        "",
    )
    .await;
    let token = c.run("-n team create token worker --duration=1h", "").await;
    std::fs::write(
        c.home.join("config"),
        c.serving.kubeconfig_with_token("worker", token.trim()).unwrap(),
    )
    .unwrap();
    assert!(
        c.run("auth whoami", "")
            .await
            .contains("system:serviceaccount:team:worker")
    );
    assert_eq!(c.run("-n team auth can-i list configmaps", "").await.trim(), "yes");
    assert_eq!(
        c.try_run("-n default auth can-i list configmaps", "").await.out.trim(),
        "no"
    );
    c.run("-n team get cm", "").await;
    let refused = c.try_run("-n default get cm", "").await;
    assert_eq!(
        refused.err.trim(),
        "Error from server (Forbidden): configmaps is forbidden: User \"system:serviceaccount:team:worker\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\""
    );
    let user = c.serving.kubeconfig(&User::new("dev", &["devs"])).unwrap();
    std::fs::write(c.home.join("config"), user).unwrap();
    let refused = c.try_run("get nodes", "").await;
    assert!(
        refused
            .err
            .contains("User \"dev\" cannot list resource \"nodes\" in API group \"\" at the cluster scope"),
        "{}",
        refused.err
    );
    assert!(
        c.server
            .metrics()
            .total(|l, agent| agent == "kubectl" && l.verb == "LIST")
            > 0
    );
}

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.harbour.example.com}
spec:
  group: harbour.example.com
  scope: Namespaced
  names: {plural: boats, kind: Boat, shortNames: [bt], categories: [fleet]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.crew, statusReplicasPath: .status.crew}}
    additionalPrinterColumns:
    - {name: Colour, type: string, jsonPath: .spec.colour}
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    selectableFields: [{jsonPath: .spec.colour}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [colour]
            properties:
              colour: {type: string, enum: [red, blue]}
              crew: {type: integer, default: 2, minimum: 0}
              name: {type: string, x-kubernetes-validations: [{rule: "self == oldSelf", message: "a boat keeps its name"}]}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn custom_kinds_are_served_validated_and_removed() {
    let Some(c) = Cluster::up("custom").await else { return };
    c.run("apply -f -", DEFINITION).await;
    c.run(
        "wait --for=condition=Established crd/boats.harbour.example.com --timeout=5s",
        "",
    )
    .await;
    let boat = "apiVersion: harbour.example.com/v1\nkind: Boat\nmetadata: {name: b}\nspec: {colour: red, name: Anna}";
    assert!(
        c.run("apply -f -", boat)
            .await
            .contains("boat.harbour.example.com/b created")
    );
    assert!(c.run("apply -f -", boat).await.contains("unchanged"));
    assert!(
        c.run("apply --server-side -f -", boat)
            .await
            .contains("serverside-applied")
    );
    let table = c.run("get fleet", "").await;
    assert!(table.contains("COLOUR") && table.contains("red"), "{table}");
    assert_eq!(
        c.run("get bt b -o jsonpath={.spec.crew}/{.metadata.generation}", "")
            .await,
        "2/1"
    );
    c.run("patch bt b --subresource=status --type=merge -p {\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}", "").await;
    c.run("wait --for=condition=Ready bt/b --timeout=5s", "").await;
    assert_eq!(c.run("get bt b -o jsonpath={.metadata.generation}", "").await, "1");
    c.run("scale bt b --replicas=7", "").await;
    assert_eq!(
        c.run(
            "get bt --field-selector spec.colour=red -o jsonpath={.items[0].spec.crew}",
            ""
        )
        .await,
        "7"
    );
    for (patch, message) in [
        (
            "{\"spec\":{\"colour\":\"green\"}}",
            "spec.colour: Unsupported value: \"green\": supported values: \"red\", \"blue\"",
        ),
        (
            "{\"spec\":{\"crew\":-1}}",
            "spec.crew: Invalid value: -1: spec.crew in body should be greater than or equal to 0",
        ),
        (
            "{\"spec\":{\"name\":\"Berta\"}}",
            "spec.name: Invalid value: \"string\": a boat keeps its name",
        ),
    ] {
        let refused = c.try_run(&format!("patch bt b --type=merge -p {patch}"), "").await;
        assert!(
            refused.err.contains(message) || refused.err.contains(&message.replace("\"string\"", "\"Berta\"")),
            "{}",
            refused.err
        );
    }
    let strict = c
        .try_run("apply -f -", &boat.replace("colour: red", "colour: red, sails: 2"))
        .await;
    assert!(strict.err.contains("unknown field \"spec.sails\""), "{}", strict.err);
    let described = c.run("describe bt b", "").await;
    assert!(described.contains("Colour:  red"), "{described}");
    assert!(c.run("explain boat.spec", "").await.contains("colour"));
    c.run("delete crd boats.harbour.example.com --timeout=10s", "").await;
    let gone = c.try_run("get --raw /apis/harbour.example.com/v1/boats", "").await;
    assert!(
        gone.err.contains("the server could not find the requested resource"),
        "{}",
        gone.err
    );
}
