//! One suite of API behaviours, run against both kinds of control plane. Where they differ, the real one is right.
//!
//! `cargo test -p e2e --test contract` runs everything; arguments after `--` select cases by parts of their names
//! (`embedded::`, `real::ssa`), `--list` prints the names. Cases run side by side on one control plane per kind, each in
//! a namespace of its own.

mod cases;
mod cx;
mod fixtures;
mod watch;

use anyhow::{Context, Result};
use control_plane::{ControlPlane, Kind, Options};
use cx::{Case, Cx};
use futures::StreamExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many cases run side by side: enough to overlap waiting, few enough for two cores.
const PARALLEL: usize = 12;
/// For one case; the slowest ones wait for controllers.
const DEADLINE: Duration = Duration::from_secs(90);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|filter| !filter.starts_with('-'))
        .collect();
    let selected = |kind: Kind| -> Vec<Case> {
        let wanted =
            |case: &Case| filters.is_empty() || filters.iter().any(|filter| case.full_name(kind).contains(filter));
        cases::all().into_iter().filter(wanted).collect()
    };
    let kinds = [Kind::Embedded, Kind::Real];
    if arguments.iter().any(|argument| argument == "--list") {
        for kind in kinds {
            selected(kind)
                .iter()
                .for_each(|case| println!("{}: test", case.full_name(kind)));
        }
        return ExitCode::SUCCESS;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("The runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut failures = Vec::new();
    for kind in kinds {
        let cases = selected(kind);
        if !cases.is_empty() {
            match runtime.block_on(run(kind, cases)) {
                Ok(failed) => failures.extend(failed),
                Err(error) => failures.push(format!("{kind}: the control plane does not run: {error:#}")),
            }
        }
    }
    if failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("\nfailures:\n\n{}\n", failures.join("\n\n"));
    ExitCode::FAILURE
}

/// Runs the cases on a fresh control plane; returns what failed.
async fn run(kind: Kind, cases: Vec<Case>) -> Result<Vec<String>> {
    let begun = Instant::now();
    let crds = fixtures::write().context("the definitions cannot be written")?;
    let options = Options {
        crds: vec![crds.path().to_owned(), control_plane::crds::own_folder()],
        ..Options::default()
    };
    let plane = Arc::new(ControlPlane::start(kind, "contract", options).await?);
    println!(
        "{kind}: control plane ready after {:.1} s, {} cases",
        begun.elapsed().as_secs_f64(),
        cases.len()
    );
    let results = futures::stream::iter(cases)
        .map(|case| one(kind, case, plane.clone()))
        .buffer_unordered(PARALLEL);
    let failures: Vec<String> = results.filter_map(|failure| async { failure }).collect().await;
    println!(
        "{kind}: {} failed, {:.1} s",
        failures.len(),
        begun.elapsed().as_secs_f64()
    );
    if let Ok(plane) = Arc::try_unwrap(plane) {
        plane.stop().await;
    }
    Ok(failures)
}

async fn one(kind: Kind, case: Case, plane: Arc<ControlPlane>) -> Option<String> {
    let (name, begun) = (case.full_name(kind), Instant::now());
    let work = async move {
        let cx = Cx::new(plane, &case).await?;
        (case.run)(cx).await
    };
    // A task of its own, so that a panic fails this case and no other.
    let result = match tokio::spawn(tokio::time::timeout(DEADLINE, work)).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(anyhow::anyhow!("not done within {} s", DEADLINE.as_secs())),
        Err(error) => Err(anyhow::anyhow!("{error}")),
    };
    let result_text = if result.is_ok() { "ok" } else { "FAILED" };
    println!("test {name} ... {result_text} ({:.2} s)", begun.elapsed().as_secs_f64());
    result.err().map(|error| format!("---- {name}\n{error:#}"))
}
