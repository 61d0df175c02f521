//! From a TCP connection to one whose other end is known: TLS, then a greeting in each direction.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use failover::configuration::Version;
use failover::member::{FleetId, MemberId};
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, TlsStream};

use crate::certificates::{Credentials, Peer};
use crate::failure::{DialFailure, Rejection};
use crate::frame::{self, Decoder};
use crate::names::ServerName;
use crate::tls;
use crate::wire::{Hello, PROTOCOL};

/// What this end says of itself in one handshake.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub credentials: Arc<Credentials>,
    pub fleet: Option<FleetId>,
    pub version: Version,
}

impl Local {
    fn hello(&self, target: Option<&MemberId>) -> Hello {
        Hello {
            protocol: (*PROTOCOL.start(), *PROTOCOL.end()),
            fleet: self.fleet.clone(),
            member: self.credentials.member().clone(),
            target: target.cloned(),
            version: self.version,
            features: Vec::new(),
        }
    }
}

/// A connection whose other end is known.
#[derive(Debug)]
pub(crate) struct Established {
    pub stream: TlsStream<TcpStream>,
    /// What has arrived behind the greeting.
    pub decoder: Decoder,
    pub peer: Peer,
    pub hello: Hello,
}

/// Dials `address` and finds out who is there: `target`, or any member of the callsign. Ends when the caller's time does.
pub(crate) async fn dial(address: &str, local: &Local, target: Option<&MemberId>) -> Result<Established, DialFailure> {
    let unreachable = |error: io::Error| DialFailure::Unreachable(error.to_string());
    let misused = |error: &dyn ToString| DialFailure::Local(error.to_string());
    let (config, verifier) = tls::client(&local.credentials).map_err(|error| misused(&error))?;
    let name = ServerName::of(local.credentials.callsign(), target).to_string();
    let name = rustls::pki_types::ServerName::try_from(name).map_err(|error| misused(&error))?;
    let tcp = TcpStream::connect(address).await.map_err(unreachable)?;
    tcp.set_nodelay(true).map_err(unreachable)?;
    let mut stream = match TlsConnector::from(config).connect(name, tcp).await {
        Ok(stream) => stream,
        Err(error) => {
            return Err(match verifier.outcome() {
                Some(Err(refusal)) => DialFailure::Refused(refusal.clone()),
                _ => DialFailure::of(&error),
            });
        }
    };
    if stream.get_ref().1.alpn_protocol() != Some(tls::ALPN) {
        return Err(DialFailure::OtherProtocol(
            "it names no application protocol".to_owned(),
        ));
    }
    let Some(Ok(peer)) = verifier.outcome().cloned() else {
        return Err(DialFailure::OtherProtocol("it has shown no certificate".to_owned()));
    };
    if peer.member == *local.credentials.member() {
        return Err(DialFailure::Own);
    }
    if target.is_some_and(|target| *target != peer.member) {
        return Err(DialFailure::OtherMember(peer.member));
    }
    write_hello(&mut stream, &local.hello(target))
        .await
        .map_err(|error| DialFailure::of(&error))?;
    let mut decoder = Decoder::default();
    let hello = read_hello(&mut stream, &mut decoder)
        .await
        .map_err(|error| match error {
            HelloError::Io(error) => DialFailure::of(&error),
            HelloError::Wrong(why) => DialFailure::OtherProtocol(why),
        })?;
    if hello.member != peer.member {
        return Err(DialFailure::OtherProtocol(
            "its greeting names another member than its certificate".to_owned(),
        ));
    }
    if !hello.is_compatible() {
        return Err(DialFailure::OtherProtocol(spoken(&hello)));
    }
    Ok(Established {
        stream: TlsStream::from(stream),
        decoder,
        peer,
        hello,
    })
}

/// Finds out who has dialled. `listening` gives the member that a server name calls, and what it says of itself now.
/// Ends when the caller's time does.
pub(crate) async fn accept<T>(
    tcp: TcpStream,
    listening: impl FnOnce(&ServerName) -> Option<(T, Local)>,
) -> Result<(T, Established), (Option<T>, Rejection)> {
    let failed = |error: &dyn ToString| Rejection::Handshake(error.to_string());
    tcp.set_nodelay(true).map_err(|error| (None, failed(&error)))?;
    let acceptor = LazyConfigAcceptor::new(Acceptor::default(), tcp);
    let mut started = acceptor.await.map_err(|error| (None, failed(&error)))?;
    let name = started.client_hello().server_name().and_then(ServerName::parse);
    let Some((called, local)) = name.as_ref().and_then(listening) else {
        // Whether the alert arrives makes no difference to this side.
        if started.io.write_all(&tls::UNRECOGNIZED_NAME).await.is_ok() {
            linger(&mut started.io).await;
        }
        return Err((None, Rejection::UnknownCallsign));
    };
    match greet(started, &local).await {
        Ok(established) => Ok((called, established)),
        Err(rejection) => Err((Some(called), rejection)),
    }
}

async fn greet(started: tokio_rustls::StartHandshake<TcpStream>, local: &Local) -> Result<Established, Rejection> {
    let failed = |error: &dyn ToString| Rejection::Handshake(error.to_string());
    let (config, verifier) = tls::server(&local.credentials).map_err(|error| failed(&error))?;
    let mut stream = match started.into_stream(config).into_fallible().await {
        Ok(stream) => stream,
        Err((error, mut tcp)) => {
            linger(&mut tcp).await;
            return Err(match verifier.outcome() {
                Some(Err(refusal)) => Rejection::Certificate(refusal.clone()),
                _ => failed(&error),
            });
        }
    };
    if stream.get_ref().1.alpn_protocol() != Some(tls::ALPN) {
        return Err(failed(&"the application protocol is not named"));
    }
    let Some(Ok(peer)) = verifier.outcome().cloned() else {
        return Err(failed(&"no certificate was shown"));
    };
    let mut decoder = Decoder::default();
    let hello = read_hello(&mut stream, &mut decoder)
        .await
        .map_err(|error| match error {
            HelloError::Io(error) => failed(&error),
            HelloError::Wrong(why) => Rejection::Greeting(why),
        })?;
    let own = local.credentials.member();
    if hello.member != peer.member {
        return Err(Rejection::Greeting(
            "it names another member than the certificate".to_owned(),
        ));
    }
    if peer.member == *own {
        return Err(Rejection::Greeting("the member has dialled itself".to_owned()));
    }
    // Also when it cannot be: the dialler then knows who is here, and which versions are spoken.
    write_hello(&mut stream, &local.hello(None))
        .await
        .map_err(|error| failed(&error))?;
    if hello.target.as_ref().is_some_and(|target| target != own) {
        return Err(Rejection::Greeting("it is meant for another member".to_owned()));
    }
    if !hello.is_compatible() {
        return Err(Rejection::Greeting(spoken(&hello)));
    }
    Ok(Established {
        stream: TlsStream::from(stream),
        decoder,
        peer,
        hello,
    })
}

fn spoken(hello: &Hello) -> String {
    let (first, last) = hello.protocol;
    format!("it speaks the versions {first} to {last}, but not {PROTOCOL:?}")
}

/// How long an alert may take to arrive.
const LINGER: Duration = Duration::from_secs(1);
/// What is read after an alert; more comes from nobody who waits for one.
const LINGER_BYTES: u64 = 64 << 10;

/// Closes a connection so that an alert arrives: a connection with unread bytes is reset, and the other side may then
/// never see what was sent to it.
async fn linger(tcp: &mut TcpStream) {
    let drain = async {
        tcp.shutdown().await?;
        tokio::io::copy(&mut tcp.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // The connection is given up in any case.
    let _ = tokio::time::timeout(LINGER, drain).await;
}

enum HelloError {
    Io(io::Error),
    Wrong(String),
}

async fn write_hello(stream: &mut (impl AsyncWrite + Unpin), hello: &Hello) -> io::Result<()> {
    let frame = frame::encode(&hello.encode()).map_err(|error| io::Error::other(error.to_string()))?;
    stream.write_all(&frame).await?;
    stream.flush().await
}

async fn read_hello(stream: &mut (impl AsyncRead + Unpin), decoder: &mut Decoder) -> Result<Hello, HelloError> {
    loop {
        match decoder.next(frame::LONGEST_HELLO) {
            Ok(Some(bytes)) => return Hello::decode(&bytes).map_err(|error| HelloError::Wrong(error.to_string())),
            Ok(None) => {}
            Err(error) => return Err(HelloError::Wrong(error.to_string())),
        }
        if stream.read_buf(decoder.buffer()).await.map_err(HelloError::Io)? == 0 {
            return Err(HelloError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}
