//! Where tokens come from.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use kit::client::{self, Ca, Identity, Options};
use kit::clock::Clock;
use kit::rest::{Call, query_value};
use kit::{ObjectKey, Resource};
use kube::Client;
use serde::Deserialize;
use serde_json::Value;

use super::Token;

const SECRETS: Resource = Resource::namespaced("", "v1", "Secret", "secrets");

/// Key of the token in the Secret.
const KEY: &str = "token";

/// How long a token from a Secret is used: a Secret does not say when it expires.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How soon a rotated Secret is noticed.
const ROTATION: Duration = Duration::from_secs(60);

/// The address at which a machine of the cloud gets tokens of its identity.
const METADATA_SERVICE: &str = "http://169.254.169.254";

/// For one request, so that a fetch has time for several.
const DEADLINE: Duration = Duration::from_secs(7);

/// Gives tokens.
pub(super) trait Source {
    /// A token that is good now, or why there is none.
    async fn token(&self) -> Result<Token, String>;

    /// How long a token is used at most before the next one is requested.
    fn look_again(&self) -> Duration;
}

/// A Secret on the member.
pub(super) struct InSecret {
    client: Client,
    key: ObjectKey,
    clock: Clock,
}

impl InSecret {
    pub(super) fn new(client: Client, namespace: &str, name: &str, clock: Clock) -> Self {
        let key = ObjectKey::namespaced(namespace, name);
        Self { client, key, clock }
    }
}

impl Source for InSecret {
    async fn token(&self) -> Result<Token, String> {
        let call = Call::new(
            Method::GET,
            SECRETS.object(&self.key, None),
            format!("get Secret {}", self.key),
        );
        let secret: Value = call
            .deadline(DEADLINE)
            .json(&self.client)
            .await
            .map_err(|err| err.to_string())?;
        let data = secret.get("data").and_then(|data| data.get(KEY)?.as_str());
        let data = data.ok_or_else(|| format!("the Secret {} has no key {KEY:?}", self.key))?;
        let bytes = STANDARD
            .decode(data)
            .map_err(|err| format!("the key {KEY:?} of the Secret {} is not base64: {err}", self.key))?;
        let text = String::from_utf8(bytes).map_err(|_| format!("the token in the Secret {} is not text", self.key))?;
        if text.trim().is_empty() {
            return Err(format!("the token in the Secret {} is empty", self.key));
        }
        let expires = self.clock.now() + LIFETIME;
        Ok(Token { text, expires })
    }

    fn look_again(&self) -> Duration {
        ROTATION
    }
}

/// The managed identity of the machine.
pub(super) struct Azure {
    path: String,
    endpoint: String,
}

impl Azure {
    pub(super) fn new(client_id: &str, scope: &str) -> Self {
        let resource = scope.strip_suffix("/.default").unwrap_or(scope);
        let path = format!(
            "/metadata/identity/oauth2/token?api-version=2018-02-01&resource={}&client_id={}",
            query_value(resource),
            query_value(client_id)
        );
        Self {
            path,
            endpoint: METADATA_SERVICE.to_owned(),
        }
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds since 1970, as text or number.
    expires_on: Value,
}

impl Granted {
    fn read(self) -> Result<Token, String> {
        let seconds = match &self.expires_on {
            Value::String(text) => text.parse().ok(),
            other => other.as_i64(),
        };
        let expires = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
        match expires {
            Some(expires) if !self.access_token.is_empty() => Ok(Token {
                text: self.access_token,
                expires,
            }),
            _ => Err("the identity's answer holds no token, or not its end".to_owned()),
        }
    }
}

impl Source for Azure {
    async fn token(&self) -> Result<Token, String> {
        // A client of its own each time: a connection that stands would bypass a redirection that was set up meanwhile.
        let mut options = Options::new(client::Source::Explicit {
            url: self.endpoint.clone(),
            ca: Ca::System,
            identity: Identity::Anonymous,
        });
        options.headers = vec![(HeaderName::from_static("metadata"), HeaderValue::from_static("true"))];
        let client = client::build(options).await.map_err(|err| err.to_string())?;
        let call = Call::new(Method::GET, self.path.clone(), "get a token of the managed identity");
        let granted: Granted = call
            .deadline(DEADLINE)
            .json(&client)
            .await
            .map_err(|err| err.to_string())?;
        granted.read()
    }

    fn look_again(&self) -> Duration {
        Duration::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apiserver::ApiServer;
    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn a_secret_gives_its_token_or_says_what_is_wrong() {
        let server = ApiServer::builder().build().unwrap();
        let source = InSecret::new(server.client(), "default", "hub", Clock::System);
        assert!(source.token().await.unwrap_err().contains("not found"));
        let write = async |method: Method, path: &str, data: Value| {
            let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub"}, "data": data});
            let call = Call::new(method, format!("/api/v1/namespaces/default/secrets{path}"), "write");
            let call = call.body("application/json", secret.to_string().into_bytes());
            call.send(&server.client()).await.unwrap();
        };
        write(Method::POST, "", json!({"other": "eA=="})).await;
        assert!(source.token().await.unwrap_err().contains("has no key \"token\""));
        write(Method::PUT, "/hub", json!({"token": ""})).await;
        assert!(source.token().await.unwrap_err().contains("is empty"));
        write(Method::PUT, "/hub", json!({"token": "c2VzYW1l"})).await;
        let token = source.token().await.unwrap();
        assert_eq!(token.text, "sesame");
        let left = Duration::try_from(token.expires.duration_since(Timestamp::now())).unwrap();
        assert!(
            left <= LIFETIME && left > LIFETIME - Duration::from_secs(60),
            "{left:?}"
        );
        assert_eq!(source.look_again(), Duration::from_secs(60));
    }

    #[tokio::test]
    async fn a_managed_identity_is_asked_as_the_metadata_service_wants_it() {
        kit::install_crypto();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let size = stream.read(&mut request).await.unwrap();
            let body = r#"{"access_token":"sesame","expires_on":"1735689600","token_type":"Bearer"}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..size]).into_owned()
        });
        let source = Azure {
            endpoint,
            ..Azure::new("me", "6dae42f8/.default")
        };
        let wanted = Token {
            text: "sesame".to_owned(),
            expires: "2025-01-01T00:00:00Z".parse().unwrap(),
        };
        assert_eq!(source.token().await, Ok(wanted));
        let request = served.await.unwrap();
        let path = "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=6dae42f8&client_id=me ";
        assert!(
            request.starts_with(path) && request.contains("\r\nmetadata: true\r\n"),
            "{request}"
        );
        assert!(source.token().await.is_err(), "nobody answers any more");
    }
}
