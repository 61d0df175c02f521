//! Queries one DNS server, each time anew, as a resolver does whose cache has nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr as _;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// For one datagram; a resolver sends another one then.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const DATAGRAMS: u32 = 3;
/// For a query over TCP, with its connection.
const TCP_WITHIN: Duration = Duration::from_secs(5);
/// Largest answer without EDNS is 512 octets.
const LARGEST: usize = 4096;

/// A way to one DNS server.
#[derive(Clone, Copy, Debug)]
pub struct Resolver {
    server: SocketAddr,
}

/// What the server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The addresses, in the server's order.
    pub addresses: Vec<Ipv4Addr>,
    /// For how long they may be kept, in seconds.
    pub ttl: u32,
    /// Whether the answer came over TCP.
    pub over_tcp: bool,
}

impl Resolver {
    /// A resolver that queries this server.
    pub fn new(server: SocketAddr) -> Self {
        Self { server }
    }

    /// Looks up the IPv4 addresses of a name over UDP, and over TCP when the answer does not fit. A datagram that is
    /// lost is sent again, three at most.
    ///
    /// # Errors
    /// When the server does not answer or answers with an error.
    pub async fn lookup(&self, name: &str) -> Result<Answer> {
        let query = query(name)?;
        for _ in 0..DATAGRAMS {
            match timeout(ANSWER_WITHIN, self.over_udp(&query)).await {
                Ok(answer) => match answer? {
                    message if message.metadata.truncation => return self.lookup_over_tcp(name).await,
                    message => return read(&message, false),
                },
                Err(_) => continue,
            }
        }
        bail!("the DNS server {} answers none of {DATAGRAMS} queries", self.server)
    }

    /// Looks up the IPv4 addresses of a name over TCP.
    ///
    /// # Errors
    /// When the server does not answer or answers with an error.
    pub async fn lookup_over_tcp(&self, name: &str) -> Result<Answer> {
        let query = query(name)?;
        let answer = timeout(TCP_WITHIN, self.over_tcp(&query)).await;
        read(&answer.context("the DNS server does not answer over TCP")??, true)
    }

    async fn over_udp(&self, query: &Message) -> Result<Message> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("no socket for a DNS query")?;
        socket.connect(self.server).await?;
        socket.send(&query.to_vec()?).await.context("a DNS query is not sent")?;
        let mut buffer = [0; LARGEST];
        loop {
            let length = socket.recv(&mut buffer).await.context("the DNS server is not there")?;
            // Whatever does not belong to the query is somebody else's.
            match Message::from_vec(buffer.get(..length).unwrap_or_default()) {
                Ok(message) if belongs(&message, query) => return Ok(message),
                _ => continue,
            }
        }
    }

    async fn over_tcp(&self, query: &Message) -> Result<Message> {
        let mut stream = TcpStream::connect(self.server)
            .await
            .context("the DNS server takes no connection")?;
        let bytes = query.to_vec()?;
        let mut framed = u16::try_from(bytes.len())
            .context("a DNS query is too long")?
            .to_be_bytes()
            .to_vec();
        framed.extend(bytes);
        stream.write_all(&framed).await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await?;
        let message = Message::from_vec(&answer).context("the DNS server's answer cannot be read")?;
        ensure!(belongs(&message, query), "the DNS server answers another query");
        Ok(message)
    }
}

fn query(name: &str) -> Result<Message> {
    let mut name = Name::from_str(name).with_context(|| format!("{name} is no domain name"))?;
    name.set_fqdn(true);
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    message.add_query(Query::query(name, RecordType::A));
    Ok(message)
}

fn belongs(answer: &Message, query: &Message) -> bool {
    let (found, wanted) = (&answer.metadata, &query.metadata);
    found.id == wanted.id && found.message_type == MessageType::Response && answer.queries == query.queries
}

fn read(message: &Message, over_tcp: bool) -> Result<Answer> {
    let code = message.metadata.response_code;
    ensure!(code == ResponseCode::NoError, "the DNS server answers {code}");
    let mut addresses = Vec::new();
    let mut ttl = u32::MAX;
    for record in &message.answers {
        if let RData::A(address) = &record.data {
            addresses.push(address.0);
            ttl = ttl.min(record.ttl);
        }
    }
    ensure!(!addresses.is_empty(), "the DNS server answers without an address");
    Ok(Answer {
        addresses,
        ttl,
        over_tcp,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::A;
    use tokio::net::TcpListener;

    use super::*;

    /// The answer to a query: with an address, or none and a flag that it does not fit.
    pub fn answer(query: &[u8], truncated: bool) -> Vec<u8> {
        let query = Message::from_vec(query).expect("a query");
        let mut message = Message::response(query.metadata.id, OpCode::Query);
        message.metadata.truncation = truncated;
        message.add_query(query.queries[0].clone());
        if !truncated {
            let data = RData::A(A(Ipv4Addr::new(127, 1, 2, 3)));
            message.add_answer(Record::from_rdata(query.queries[0].name().clone(), 7, data));
        }
        message.to_vec().expect("a message")
    }

    #[tokio::test]
    async fn an_answer_that_does_not_fit_is_looked_up_over_tcp_and_foreign_ones_are_ignored() {
        let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let at = udp.local_addr().expect("an address");
        let tcp = TcpListener::bind(at).await.expect("a listener");
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            let (length, client) = udp.recv_from(&mut buffer).await.expect("a query");
            let mut foreign = answer(&buffer[..length], false);
            foreign[0] ^= 0xFF;
            udp.send_to(&foreign, client).await.expect("is sent");
            udp.send_to(&answer(&buffer[..length], true), client)
                .await
                .expect("is sent");
            let (mut stream, _) = tcp.accept().await.expect("a connection");
            let length = usize::from(stream.read_u16().await.expect("a length"));
            stream.read_exact(&mut buffer[..length]).await.expect("a query");
            let answer = answer(&buffer[..length], false);
            stream.write_u16(answer.len() as u16).await.expect("is sent");
            stream.write_all(&answer).await.expect("is sent");
        });
        let found = Resolver::new(at).lookup("a.tm.example.com").await.expect("an answer");
        let addresses = vec![Ipv4Addr::new(127, 1, 2, 3)];
        let wanted = Answer {
            addresses,
            ttl: 7,
            over_tcp: true,
        };
        assert_eq!(found, wanted);
    }

    #[test]
    fn errors_and_empty_answers_are_failures() {
        let query = query("a.example").expect("a query");
        let mut message = Message::response(query.metadata.id, OpCode::Query);
        message.add_query(query.queries[0].clone());
        assert!(belongs(&message, &query));
        assert!(read(&message, false).is_err());
        message.metadata.response_code = ResponseCode::NXDomain;
        let error = read(&message, false).expect_err("an error").to_string();
        assert!(error.contains("answers"), "{error}");
        message.queries.clear();
        assert!(!belongs(&message, &query));
    }
}
