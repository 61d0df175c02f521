//! Servers side by side: short rounds of the same load in turns, so that other work on the machine meets all alike.

use std::path::PathBuf;
use std::time::Duration;

use super::Failure;
use super::load::{Load, Report, Stop};
use super::process::processor_time;
use super::servers::{Kind, Server};

#[derive(clap::Args)]
pub struct Compare {
    /// Rounds of each server and load.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Length of a round in milliseconds.
    #[arg(long, default_value_t = 1000)]
    round_ms: u64,
    /// Afterwards, so many queries to the server of this crate alone, none of which may fail. 0 leaves this out.
    #[arg(long, default_value_t = 10_000_000)]
    queries: u64,
}

/// Loads: title, clients, queries on their way for each.
const LOADS: [(&str, usize, usize); 3] = [
    ("busy: 20 clients with 10 queries on their way each", 20, 10),
    ("steady: 20 clients with 1 query each", 20, 1),
    ("quiet: 1 client with 1 query", 1, 1),
];

/// What one server did in one round.
struct Round {
    report: Report,
    /// Processor time of the server for all queries of the round.
    processor: Duration,
}

/// Medians of a server's rounds.
struct Row {
    title: String,
    rate: f64,
    p99: f64,
    processor: f64,
    failed: u64,
    answered: u64,
}

impl Compare {
    pub fn run(&self) -> Result<(), Failure> {
        let folder = std::env::temp_dir().join(format!("fairway-bench-dns-{}", std::process::id()));
        let _guard = Folder(folder.clone());
        let mut servers = Vec::new();
        let mut missing = Vec::new();
        for kind in Kind::ALL {
            match kind.start(&folder) {
                Ok(server) => servers.push(server),
                Err(cause) if kind == Kind::Dns => return Err(cause),
                Err(cause) => missing.push(format!("{}: not run, because {cause}.", kind.name())),
            }
        }
        println!(
            "One thread for queries each, {} rounds of {} ms in turns, medians. {}.",
            self.rounds,
            self.round_ms,
            machine()
        );
        for load in LOADS {
            self.compare(load, &servers)?;
        }
        for line in missing {
            println!("{line}");
        }
        match servers.first() {
            Some(ours) if self.queries > 0 => self.prove(ours),
            _ => Ok(()),
        }
    }

    fn compare(&self, (title, clients, window): (&str, usize, usize), servers: &[Server]) -> Result<(), Failure> {
        let mut rounds: Vec<Vec<Round>> = servers.iter().map(|_| Vec::new()).collect();
        for number in 0..=self.rounds {
            for step in 0..servers.len() {
                // Each server follows each other one equally often.
                let index = (number + step) % servers.len();
                let server = &servers[index];
                let before = processor_time(server.pid())?;
                let stop = Stop::After(Duration::from_millis(self.round_ms));
                let report = Load::new(server.address, clients, window, stop).run()?;
                let processor = processor_time(server.pid())?.saturating_sub(before);
                // The first round warms up.
                if number > 0 {
                    rounds[index].push(Round { report, processor });
                }
            }
        }
        let rows: Vec<Row> = servers
            .iter()
            .zip(rounds)
            .map(|(server, rounds)| row(server, &rounds))
            .collect();
        print(title, &rows);
        Ok(())
    }

    /// Shows that none of a large number of queries fails.
    fn prove(&self, server: &Server) -> Result<(), Failure> {
        let report = Load::new(server.address, 20, 10, Stop::Queries(self.queries)).run()?;
        println!("{}: {report}", server.title);
        match report.failed() {
            0 => Ok(()),
            failed => Err(format!("{failed} of {} queries failed", report.sent()).into()),
        }
    }
}

fn row(server: &Server, rounds: &[Round]) -> Row {
    let of = |value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value).collect());
    Row {
        title: server.title.clone(),
        rate: of(&|round| round.report.rate()),
        p99: of(&|round| round.report.percentile(0.99).as_secs_f64() * 1e6),
        processor: of(&|round| round.processor.as_secs_f64() * 1e6 / (round.report.answered().max(1)) as f64),
        failed: rounds.iter().map(|round| round.report.failed()).sum(),
        answered: rounds.iter().map(|round| round.report.answered()).sum(),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Ours is the first row; a ratio above 1 is in its favour.
fn print(title: &str, rows: &[Row]) {
    println!("\n{title}");
    println!(
        "{:<18} {:>10} {:>10} {:>16} {:>16} {:>18}",
        "server", "queries/s", "p99 us", "CPU us a query", "failed", "queries/s: ours x"
    );
    let ours = rows.first().map_or(0.0, |row| row.rate);
    for row in rows {
        println!(
            "{:<18} {:>10.0} {:>10.0} {:>16.2} {:>16} {:>18.2}",
            row.title,
            row.rate,
            row.p99,
            row.processor,
            format!("{} of {}", row.failed, row.answered + row.failed),
            ours / row.rate,
        );
    }
    let others = || rows.iter().skip(1);
    let fastest = others().map(|row| row.rate).fold(f64::NAN, f64::max);
    let cheapest = others().map(|row| row.processor).fold(f64::NAN, f64::min);
    if let (Some(ours), false) = (rows.first(), fastest.is_nan()) {
        println!(
            "ours to the best of the others: {:.2} of the fastest's queries per second, {:.2} of the cheapest's \
             processor time",
            ours.rate / fastest,
            ours.processor / cheapest
        );
    }
}

/// Which machine this is, and how busy.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown").to_owned();
    format!("{cores} cores; load average at the beginning {load}")
}

/// A folder that goes with this.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
