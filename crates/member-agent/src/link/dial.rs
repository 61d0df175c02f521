//! Connects to the hub agent: the address, the encryption, and what proves who the member is.

use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{self, Certificate, Channel, ClientTlsConfig, Endpoint};

use super::config::{Config, Identity};
use super::ended::Ended;
use super::first_byte::FirstByte;

/// Time for somebody to answer at the address. A hub that is away may swallow what is sent to it, and once it is back it
/// should be found soon; one lost packet is made up for.
const REACH_WITHIN: Duration = Duration::from_millis(1500);
/// Time for the encryption to be agreed on.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A ping is sent to the hub after this much silence, and the connection is closed when no answer comes.
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_WITHIN: Duration = Duration::from_secs(10);

/// A way to the hub.
pub(super) trait Dial: Send + Sync {
    /// Opens a connection, to another address than the usual one where the hub's Drain names one.
    fn connect(&self, target: Option<String>) -> impl Future<Output = Result<Channel, Ended>> + Send;

    /// What goes into the `authorization` metadata, if anything.
    fn authorization(&self) -> impl Future<Output = Result<Option<MetadataValue<Ascii>>, Ended>> + Send;
}

/// The way over TLS, by files that are read for each connection.
pub(super) struct Dialer {
    config: Config,
}

impl Dialer {
    pub(super) fn new(config: &Config) -> Self {
        Self { config: config.clone() }
    }

    fn unusable(&self, cause: &dyn std::fmt::Display) -> Ended {
        let address = &self.config.address;
        Ended::refused("connect", format!("The address {address} cannot be used: {cause}."))
    }

    async fn tls(&self) -> Result<ClientTlsConfig, Ended> {
        let config = &self.config;
        let mut tls =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("connect", &config.ca_file).await?));
        // Whatever address is used, the certificate is checked for the same name.
        if let Some(name) = config.server_name.clone().or_else(|| host(&config.address)) {
            tls = tls.domain_name(name);
        }
        if let Identity::Certificate { cert, key } = &config.identity {
            let (cert, key) = (read("connect", cert).await?, read("connect", key).await?);
            tls = tls.identity(transport::Identity::from_pem(cert, key));
        }
        Ok(tls)
    }
}

impl Dial for Dialer {
    async fn connect(&self, target: Option<String>) -> Result<Channel, Ended> {
        // Any other scheme would be spoken in plain text, with the token in it.
        if !is_https(&self.config.address) {
            return Err(self.unusable(&"sessions are always encrypted, so it must begin with https://"));
        }
        let address = target
            .and_then(|target| encrypted(&target))
            .unwrap_or_else(|| self.config.address.clone());
        let socket = reach(&address).await?;
        let tls = self.tls().await?;
        let endpoint = Endpoint::from_shared(address.clone()).and_then(|endpoint| endpoint.tls_config(tls));
        let endpoint = endpoint.map_err(|err| self.unusable(&kit::error::chain(&err)))?;
        // The connection is used once: what comes after its end is a new one with files read anew.
        let socket = FirstByte::of(socket);
        let is_answered = socket.received();
        let mut socket = Some(TokioIo::new(socket));
        let once = tower::service_fn(move |_: http::Uri| {
            let socket = socket.take().ok_or(io::ErrorKind::NotConnected);
            async move { socket.map_err(io::Error::from) }
        });
        let endpoint = endpoint
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_WITHIN)
            .keep_alive_while_idle(true);
        let connected = endpoint.connect_with_connector(once);
        match tokio::time::timeout(CONNECT_WITHIN, connected).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(error)) => {
                let text = format!("The hub at {address} cannot be reached: {}.", kit::error::chain(&error));
                Err(if is_refusal(&error) {
                    // A certificate that does not fit stays so; a connection that breaks may not.
                    Ended::refused("connect", text)
                } else if is_answered.load(Ordering::Relaxed) {
                    Ended::busy("connect", text)
                } else {
                    // Whatever accepts the connection and closes it without an answer is no hub: a load balancer does so for as long
                    // as it has none.
                    Ended::away("connect", text)
                })
            }
            Err(_) => Err(Ended::busy(
                "connect",
                format!("The hub at {address} does not answer in time."),
            )),
        }
    }

    async fn authorization(&self) -> Result<Option<MetadataValue<Ascii>>, Ended> {
        let Identity::TokenFile(file) = &self.config.identity else {
            return Ok(None);
        };
        let token = read("token", file).await?;
        let token = String::from_utf8_lossy(&token);
        let bearer = MetadataValue::try_from(format!("Bearer {}", token.trim()));
        bearer
            .map(Some)
            .map_err(|_| Ended::refused("token", "The token file holds characters that no token has."))
    }
}

/// Opens a connection to the host and port of a URL.
async fn reach(address: &str) -> Result<TcpStream, Ended> {
    let away = |cause: &dyn std::fmt::Display| {
        Ended::away("connect", format!("The hub at {address} cannot be reached: {cause}."))
    };
    let uri: http::Uri = address.parse().map_err(|err: http::uri::InvalidUri| away(&err))?;
    let host = host(address).unwrap_or_default();
    let socket = TcpStream::connect((host.as_str(), uri.port_u16().unwrap_or(443)));
    let socket = match tokio::time::timeout(REACH_WITHIN, socket).await {
        Ok(socket) => socket.map_err(|err| away(&err))?,
        Err(_) => return Err(away(&"nobody answers in time")),
    };
    // Messages are small and each is waited for.
    socket.set_nodelay(true).map_err(|err| away(&err))?;
    Ok(socket)
}

/// Whether somebody answered whose certificate this member does not accept, or who does not accept ours.
fn is_refusal(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        // The kind that TLS libraries give their own errors.
        if error.downcast_ref::<io::Error>().map(io::Error::kind) == Some(io::ErrorKind::InvalidData) {
            return true;
        }
        next = error.source();
    }
    false
}

async fn read(reason: &'static str, file: &Path) -> Result<Vec<u8>, Ended> {
    let read = tokio::fs::read(file).await;
    read.map_err(|err| Ended::refused(reason, format!("The file {} cannot be read: {err}.", file.display())))
}

/// The host of a URL.
fn host(address: &str) -> Option<String> {
    let uri: http::Uri = address.parse().ok()?;
    uri.host().map(|host| host.trim_matches(['[', ']']).to_owned())
}

/// An address that the hub names, as a URL; none when it would not be encrypted.
fn encrypted(target: &str) -> Option<String> {
    let url = if target.contains("://") {
        target.to_owned()
    } else {
        format!("https://{target}")
    };
    (!target.is_empty() && is_https(&url)).then_some(url)
}

/// Whether an address is a URL whose scheme is encrypted.
pub(crate) fn is_https(address: &str) -> bool {
    let scheme = address.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

#[cfg(test)]
mod tests {
    use super::super::ended::Cause;
    use super::*;

    #[test]
    fn a_target_is_used_only_when_it_is_encrypted() {
        assert_eq!(encrypted("hub-2:9444").as_deref(), Some("https://hub-2:9444"));
        assert_eq!(encrypted("https://hub-2:9444").as_deref(), Some("https://hub-2:9444"));
        assert_eq!(encrypted("http://hub-2:9444"), None);
        assert_eq!(encrypted(""), None);
        assert_eq!(host("https://hub:9444").as_deref(), Some("hub"));
        assert_eq!(host("https://[::1]:9444").as_deref(), Some("::1"));
    }

    #[test]
    fn only_encrypted_addresses_are_used() {
        assert!(is_https("https://hub:9444") && is_https("HTTPS://hub"));
        assert!(!is_https("http://hub:9444") && !is_https("hub:9444") && !is_https(""));
    }

    #[tokio::test]
    async fn a_hub_at_whose_address_nobody_listens_is_away_and_a_mistake_is_not() {
        kit::install_crypto();
        let free = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let connect = async |address: String, ca: &str| {
            let config = Config::new(address, ca.into(), Identity::TokenFile("absent".into()), "m".into());
            let dialer = Dialer::new(&config);
            (
                dialer.connect(None).await.unwrap_err(),
                dialer.authorization().await.unwrap_err(),
            )
        };
        let (away, token) = connect(format!("https://{free}"), "absent").await;
        assert_eq!((away.reason, away.cause), ("connect", Cause::Away), "{}", away.text);
        assert_eq!((token.reason, token.cause), ("token", Cause::Refused), "{}", token.text);
        let (plain, _) = connect(format!("http://{free}"), "absent").await;
        assert_eq!(plain.cause, Cause::Refused, "{}", plain.text);
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (file, _) = connect(format!("https://{}", silent.local_addr().unwrap()), "absent").await;
        assert_eq!(file.cause, Cause::Refused, "{}", file.text);
        assert!(file.text.contains("absent"), "{}", file.text);
    }

    /// A load balancer without a hub behind it takes connections all the same, and closes them before or after it has
    /// read what is sent.
    #[tokio::test]
    async fn a_server_that_accepts_and_closes_the_connection_is_no_hub() {
        use tokio::io::AsyncReadExt as _;
        kit::install_crypto();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            for reads in [false, true].into_iter().cycle() {
                let (mut socket, _) = listener.accept().await.unwrap();
                if reads {
                    let _ = socket.read(&mut [0; 4096]).await;
                }
            }
        });
        let folder = std::env::temp_dir().join(format!("fairway-dial-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (ca, token) = (folder.join("ca.crt"), folder.join("token"));
        std::fs::write(&ca, "").unwrap();
        let config = Config::new(address, ca, Identity::TokenFile(token), "m".into());
        let dialer = Dialer::new(&config);
        for _ in 0..4 {
            let ended = dialer.connect(None).await.unwrap_err();
            assert_eq!((ended.reason, ended.cause), ("connect", Cause::Away), "{}", ended.text);
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
