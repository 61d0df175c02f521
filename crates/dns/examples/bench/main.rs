//! Load on DNS servers: `docs/performance.md` says how it is used.
//!
//! `serve` runs the server of this crate on one thread with the zone of the benchmark, `zone` prints that zone for
//! other servers, `load` queries any server as fast as it answers, `compare` does so with several servers in turns, and
//! `codec` measures the wire format alone.

mod codec;
mod compare;
mod load;
mod process;
mod servers;
mod zone;

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Parser;
use dns::{Config, Metrics, Server, Zones};
use load::{Load, Stop};
use tokio_util::sync::CancellationToken;

/// What may go wrong.
pub type Failure = Box<dyn std::error::Error>;

/// Load on DNS servers.
#[derive(Parser)]
enum Command {
    /// Run the server of this crate until the process is ended.
    Serve {
        /// Address for UDP and TCP.
        #[arg(long, default_value = "127.0.0.1:5300")]
        listen: SocketAddr,
    },
    /// Print the zone as a master file.
    Zone,
    /// Print the questions, one a line, as dnsperf reads them.
    Questions,
    /// Query a server as fast as it answers.
    Load {
        /// Address of the server.
        #[arg(long, default_value = "127.0.0.1:5300")]
        server: SocketAddr,
        /// Clients, each with a socket of its own.
        #[arg(long, default_value_t = 20)]
        clients: usize,
        /// Queries on their way per client.
        #[arg(long, default_value_t = 10)]
        window: usize,
        /// Queries in all.
        #[arg(long, default_value_t = 2_000_000)]
        queries: u64,
    },
    /// Compare the server of this crate with those of others that are installed.
    Compare(compare::Compare),
    /// Compare decoding and encoding with hickory to what this crate does.
    Codec,
}

fn main() -> Result<(), Failure> {
    match Command::parse() {
        Command::Serve { listen } => serve(listen)?,
        Command::Zone => print!("{}", zone::master_file()),
        Command::Questions => zone::names().for_each(|name| println!("{name} A")),
        Command::Load {
            server,
            clients,
            window,
            queries,
        } => {
            let load = Load::new(server, clients, window, Stop::Queries(queries));
            println!("{}", load.run()?);
        }
        Command::Compare(compare) => compare.run()?,
        Command::Codec => codec::compare()?,
    }
    Ok(())
}

fn serve(listen: SocketAddr) -> Result<(), Failure> {
    let config = Config {
        listen: vec![listen],
        ..Config::default()
    };
    let server = Server::bind(
        &config,
        Arc::new(Zones::new(zone::catalog()?)),
        Arc::new(Metrics::default()),
    )?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(server.run(CancellationToken::new()))?)
}
