//! Load on DNS servers: `docs/performance.md` tells how it is used.
//!
//! `serve` runs the server of this crate on one thread with the zone of the benchmark, `zone` prints that zone for
//! other servers, `load` asks any server as fast as it answers, and `codec` measures the wire format alone.

mod codec;
mod load;
mod zone;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use dns::{Config, Metrics, Server, Zones};
use tokio_util::sync::CancellationToken;

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
    /// Ask a server as fast as it answers.
    Load(load::Load),
    /// Compare decoding and encoding with hickory to what this crate does.
    Codec,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match Command::parse() {
        Command::Serve { listen } => serve(listen)?,
        Command::Zone => print!("{}", zone::master_file()),
        Command::Questions => zone::names().for_each(|name| println!("{name} A")),
        Command::Load(load) => println!("{}", load.run(Duration::from_secs(1))?),
        Command::Codec => codec::compare()?,
    }
    Ok(())
}

fn serve(listen: SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
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
