//! What a case works with: a namespace of its own, requests, and checks of answers.

use anyhow::{Context, Result, anyhow, bail, ensure};
use control_plane::{ControlPlane, Kind};
use futures::future::BoxFuture;
use http::{HeaderMap, Method, Request};
use kube::client::Body;
use kube::config::{AuthInfo, KubeConfigOptions};
use kube::{Client, Config};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Group of the custom kinds of this suite.
pub const GROUP: &str = "contract.fairway.dev";
/// Between two looks at something that a controller does.
const POLL: Duration = Duration::from_millis(50);
/// For something that a controller does.
const TIMEOUT: Duration = Duration::from_secs(60);

/// One behaviour.
pub struct Case {
    pub group: &'static str,
    pub name: &'static str,
    pub run: fn(Cx) -> BoxFuture<'static, Result<()>>,
}

impl Case {
    pub fn full_name(&self, kind: Kind) -> String {
        format!("{kind}::{}::{}", self.group, self.name)
    }
}

/// The cases of a module, by the names of their functions.
macro_rules! cases {
    ($group:literal: $($name:ident),+ $(,)?) => {
        pub fn cases() -> Vec<$crate::cx::Case> {
            vec![$($crate::cx::Case { group: $group, name: stringify!($name), run: |cx| Box::pin($name(cx)) }),+]
        }
    };
}
pub(crate) use cases;

/// The surroundings of one case.
#[derive(Clone)]
pub struct Cx {
    pub plane: Arc<ControlPlane>,
    pub client: Client,
    /// A namespace that only this case uses.
    pub namespace: String,
    /// A name that only this case uses, for cluster-scoped objects.
    pub unique: String,
}

/// An answer of the API server.
#[derive(Debug, Clone)]
pub struct Answer {
    pub code: u16,
    pub body: Value,
    pub text: String,
    pub headers: HeaderMap,
    request: String,
}

impl Cx {
    pub async fn new(plane: Arc<ControlPlane>, case: &Case) -> Result<Self> {
        let unique: String = format!("{}-{}", case.group, case.name.replace('_', "-"))
            .chars()
            .take(60)
            .collect();
        let unique = unique.trim_end_matches('-').to_owned();
        let cx = Self {
            client: plane.client(),
            plane,
            namespace: unique.clone(),
            unique,
        };
        cx.post(
            "/api/v1/namespaces",
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cx.namespace}}),
        )
        .await?
        .ok()?;
        Ok(cx)
    }

    /// The same case as another user.
    pub async fn with_token(&self, token: &str) -> Result<Self> {
        let mut kubeconfig = self.plane.kubeconfig().clone();
        for user in &mut kubeconfig.auth_infos {
            user.auth_info = Some(serde_json::from_value::<AuthInfo>(json!({ "token": token }))?);
        }
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Self {
            client: Client::try_from(config)?,
            ..self.clone()
        })
    }

    /// The collection of a core kind in the case's namespace.
    pub fn core(&self, plural: &str) -> String {
        format!("/api/v1/namespaces/{}/{plural}", self.namespace)
    }

    pub fn apps(&self, plural: &str) -> String {
        format!("/apis/apps/v1/namespaces/{}/{plural}", self.namespace)
    }

    /// The collection of Widgets: with status and scale.
    pub fn widgets(&self) -> String {
        format!("/apis/{GROUP}/v1/namespaces/{}/widgets", self.namespace)
    }

    /// The collection of Plains: without subresources.
    pub fn plains(&self) -> String {
        format!("/apis/{GROUP}/v1/namespaces/{}/plains", self.namespace)
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.call(Method::GET, path, &[], None).await
    }

    /// A GET that says which representation it wants.
    pub async fn get_as(&self, path: &str, accept: &str) -> Result<Answer> {
        self.call(Method::GET, path, &[("accept", accept)], None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Result<Answer> {
        self.call(
            Method::POST,
            path,
            &[("content-type", "application/json")],
            Some(body.to_string()),
        )
        .await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.call(
            Method::PUT,
            path,
            &[("content-type", "application/json")],
            Some(body.to_string()),
        )
        .await
    }

    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.call(Method::DELETE, path, &[], None).await
    }

    pub async fn delete_with(&self, path: &str, options: Value) -> Result<Answer> {
        self.call(
            Method::DELETE,
            path,
            &[("content-type", "application/json")],
            Some(options.to_string()),
        )
        .await
    }

    pub async fn merge(&self, path: &str, patch: Value) -> Result<Answer> {
        self.patch(path, "application/merge-patch+json", patch).await
    }

    pub async fn json_patch(&self, path: &str, patch: Value) -> Result<Answer> {
        self.patch(path, "application/json-patch+json", patch).await
    }

    pub async fn strategic(&self, path: &str, patch: Value) -> Result<Answer> {
        self.patch(path, "application/strategic-merge-patch+json", patch).await
    }

    /// A server-side apply; the path may have a query of its own.
    pub async fn apply(&self, path: &str, manager: &str, force: bool, object: Value) -> Result<Answer> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{separator}fieldManager={manager}&force={force}");
        self.patch(&path, "application/apply-patch+yaml", object).await
    }

    pub async fn patch(&self, path: &str, kind: &str, patch: Value) -> Result<Answer> {
        self.call(Method::PATCH, path, &[("content-type", kind)], Some(patch.to_string()))
            .await
    }

    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Answer> {
        let request = format!("{method} {path}");
        let mut builder = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let body = body.map_or_else(Body::empty, |text| Body::from(text.into_bytes()));
        let response = self
            .client
            .send(builder.body(body)?)
            .await
            .with_context(|| request.clone())?;
        let (code, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response
            .into_body()
            .collect_bytes()
            .await
            .with_context(|| request.clone())?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer {
            code,
            body,
            text,
            headers,
            request,
        })
    }

    /// Looks until `path` answers in a way that `wanted` accepts; the last answer is part of the error.
    pub async fn until(&self, path: &str, what: &str, wanted: impl Fn(&Answer) -> bool) -> Result<Answer> {
        let begun = Instant::now();
        loop {
            let answer = self.get(path).await?;
            if wanted(&answer) {
                return Ok(answer);
            }
            if begun.elapsed() > TIMEOUT {
                bail!("{path} never {what}; it last was {} {}", answer.code, answer.text);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    pub async fn until_gone(&self, path: &str) -> Result<()> {
        self.until(path, "went away", |answer| answer.code == 404)
            .await
            .map(drop)
    }
}

impl Answer {
    /// The body of an answer that says that all went well.
    pub fn ok(self) -> Result<Value> {
        ensure!(
            (200..300).contains(&self.code),
            "{} answered {} {}",
            self.request,
            self.code,
            self.text
        );
        Ok(self.body)
    }

    /// Checks that the request was refused with this code and reason; returns the status.
    pub fn refused(self, code: u16, reason: &str) -> Result<Self> {
        let found = self.body["reason"].as_str().unwrap_or_default();
        let matches =
            self.code == code && found == reason && self.body["kind"] == "Status" && self.body["code"] == code;
        ensure!(
            matches,
            "{} was to be refused with {code} {reason} and answered {} {}",
            self.request,
            self.code,
            self.text
        );
        Ok(self)
    }

    /// Checks the whole message of a refusal.
    pub fn saying(self, message: &str) -> Result<Self> {
        let found = self.body["message"].as_str().unwrap_or_default();
        ensure!(
            found == message,
            "{} was to say\n  {message}\nand said\n  {found}",
            self.request
        );
        Ok(self)
    }

    /// Checks a part of the message of a refusal.
    pub fn mentioning(self, part: &str) -> Result<Self> {
        let found = self.body["message"].as_str().unwrap_or_default();
        ensure!(
            found.contains(part),
            "{} was to mention\n  {part}\nand said\n  {found}",
            self.request
        );
        Ok(self)
    }

    /// Checks the fields that the causes name, in any order.
    pub fn blaming(self, fields: &[&str]) -> Result<Self> {
        let causes = self
            .body
            .pointer("/details/causes")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let mut found: Vec<&str> = causes.iter().filter_map(|cause| cause["field"].as_str()).collect();
        found.sort_unstable();
        let mut wanted = fields.to_vec();
        wanted.sort_unstable();
        ensure!(
            found == wanted,
            "{} was to blame {wanted:?} and blamed {found:?}: {}",
            self.request,
            self.text
        );
        Ok(self)
    }

    /// The warnings that came with the answer.
    pub fn warnings(&self) -> Vec<String> {
        let all = self.headers.get_all("warning").into_iter();
        all.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
    }
}

/// Fails unless the value at `pointer` is `wanted`.
pub fn same(value: &Value, pointer: &str, wanted: Value) -> Result<()> {
    let found = value.pointer(pointer).cloned().unwrap_or(Value::Null);
    ensure!(found == wanted, "{pointer} was to be {wanted} and is {found}");
    Ok(())
}

/// The text at `pointer`.
pub fn text(value: &Value, pointer: &str) -> Result<String> {
    let found = value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| anyhow!("there is no text at {pointer} of {value}"))
}

/// The names of a list's items.
pub fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().into_iter().flatten();
    items
        .filter_map(|item| item["metadata"]["name"].as_str())
        .map(str::to_owned)
        .collect()
}

/// What a manager owns, by operation; null if nothing.
pub fn owned(object: &Value, manager: &str, operation: &str) -> Value {
    let entries = object
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let mut mine = entries.filter(|entry| entry["manager"] == manager && entry["operation"] == operation);
    mine.next().map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}
