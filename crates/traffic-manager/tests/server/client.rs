//! A client of the HTTP surface and of the DNS server, for tests.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use bytes::Bytes;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use traffic_manager::faults::{CLIENT, SECRET, TENANT};

pub const BASE: &str = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.Network";
pub const TM: &str = "api-version=2022-04-01";
pub const PIP: &str = "api-version=2023-05-01";

/// A directory of its own, gone afterwards.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fairway-tm-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Reply {
    pub fn code(&self) -> &str {
        self.body
            .pointer("/error/code")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// One request over a connection of its own. An error when no answer comes.
pub async fn send(
    at: SocketAddr,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Vec<u8>,
) -> Result<Reply, String> {
    let exchange = async {
        let stream = TcpStream::connect(at).await.map_err(|err| err.to_string())?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|err| err.to_string())?;
        let connection = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", at.to_string());
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|err| err.to_string())?;
        let response = sender.send_request(request).await.map_err(|err| err.to_string())?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.map_err(|err| err.to_string())?.to_bytes();
        connection.abort();
        Ok(Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        })
    };
    tokio::time::timeout(Duration::from_secs(30), exchange)
        .await
        .map_err(|err| err.to_string())?
}

/// A token of a client.
pub async fn token(at: SocketAddr, client: &str, secret: &str) -> String {
    let form = format!("grant_type=client_credentials&client_id={client}&client_secret={secret}&scope=x");
    let path = format!("/{TENANT}/oauth2/v2.0/token");
    let reply = send(at, Method::POST, &path, None, form.into_bytes()).await.unwrap();
    reply.body["access_token"].as_str().unwrap().to_owned()
}

/// A client that may do everything.
pub struct Hub {
    pub at: SocketAddr,
    pub token: String,
}

impl Hub {
    pub async fn new(at: SocketAddr) -> Self {
        let token = token(at, CLIENT, SECRET).await;
        Self { at, token }
    }

    pub async fn call(&self, method: Method, path: &str, body: Value) -> Reply {
        self.attempt(method, path, body).await.unwrap()
    }

    pub async fn attempt(&self, method: Method, path: &str, body: Value) -> Result<Reply, String> {
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        send(self.at, method, path, Some(&self.token), body).await
    }

    pub async fn put_profile(&self, name: &str, body: Value) -> Reply {
        self.call(Method::PUT, &profile_path(name), body).await
    }

    pub async fn put_endpoint(&self, profile: &str, name: &str, body: Value) -> Reply {
        self.call(Method::PUT, &endpoint_path(profile, name), body).await
    }

    pub async fn hint(&self, profile: &str, endpoint: &str, state: &str, seconds: u32) -> Reply {
        let id = format!("{BASE}/trafficManagerProfiles/{profile}/azureEndpoints/{endpoint}");
        let body = json!({"hints": [{"endpoint": id, "state": state, "expiresInSeconds": seconds}]});
        self.call(Method::POST, "/fairway/v1/hints", body).await
    }
}

pub fn profile_path(name: &str) -> String {
    format!("{BASE}/trafficManagerProfiles/{name}?{TM}")
}

pub fn endpoint_path(profile: &str, name: &str) -> String {
    format!(
        "{BASE}/trafficManagerProfiles/{profile}/AzureEndpoints/{}?{TM}",
        name.replace('#', "%23")
    )
}

pub fn profile_body(relative_name: &str, monitor: Value) -> Value {
    json!({"location": "global", "properties": {
        "trafficRoutingMethod": "Weighted",
        "dnsConfig": {"relativeName": relative_name, "ttl": 1},
        "monitorConfig": monitor,
    }})
}

pub fn endpoint_body(address: &str, weight: u32) -> Value {
    json!({"properties": {"targetResourceId": synthetic(address), "endpointStatus": "Enabled", "weight": weight}})
}

pub fn synthetic(address: &str) -> String {
    format!(
        "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/member-1/providers/Microsoft.Network/\
         publicIPAddresses/ip-{}",
        address.replace('.', "-")
    )
}

/// Asks a DNS server for the addresses of a name; the result and the addresses, sorted.
pub fn lookup(at: SocketAddr, name: &str) -> (ResponseCode, Vec<IpAddr>) {
    let message = ask(at, name, RecordType::A);
    let mut addresses: Vec<IpAddr> = message
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(a) => Some(IpAddr::V6(a.0)),
            _ => None,
        })
        .collect();
    addresses.sort();
    (message.metadata.response_code, addresses)
}

/// Asks a DNS server one question.
pub fn ask(at: SocketAddr, name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_str(name).unwrap(), kind));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.send_to(&message.to_vec().unwrap(), at).unwrap();
    let mut buffer = [0; 4096];
    let (length, _) = socket.recv_from(&mut buffer).unwrap();
    Message::from_vec(&buffer[..length]).unwrap()
}
