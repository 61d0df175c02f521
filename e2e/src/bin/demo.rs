//! Runs the demos; `cargo xtask demo` builds and starts it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use control_plane::Kind;
use control_plane::progress::Lines;
use e2e::demo;
use e2e::demo::migration;
use e2e::world::World;
use serde::Serialize;

/// Brings up a fleet and runs a tutorial on it.
#[derive(Debug, Parser)]
struct Args {
    /// Which tutorial.
    #[arg(value_enum, default_value = "application")]
    tutorial: Tutorial,
    /// Kind of the control planes.
    #[arg(long, value_enum, default_value = "embedded")]
    control_plane: Plane,
    /// Leave the fleet running until Ctrl-C and print kubectl lines for it.
    #[arg(long)]
    keep: bool,
    /// File for the facts as JSON; the plot goes beside it, as SVG. In the build folder unless it is named.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Folder for kubeconfigs and logs.
    #[arg(long)]
    folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Tutorial {
    /// An application on two clusters behind one DNS name, with weights and failover.
    Application,
    /// Moving an application to another cluster while a client makes requests.
    Migration,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Plane {
    /// In memory.
    Embedded,
    /// etcd, kube-apiserver and kube-controller-manager.
    Real,
}

/// What is the same in the end of both.
struct Outcome {
    world: World,
    wrong: Vec<String>,
    good: &'static str,
    namespace: &'static str,
    placement: &'static str,
}

#[tokio::main]
async fn main() -> ExitCode {
    kit::install_crypto();
    let args = Args::parse();
    let played = tokio::select! {
        played = play(&args) => played,
        _ = tokio::signal::ctrl_c() => {
            eprintln!("\nInterrupted; everything that was started has been stopped.");
            return ExitCode::from(130);
        }
    };
    match finish(&args, played).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nThe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn play(args: &Args) -> Result<Outcome> {
    let kind = match args.control_plane {
        Plane::Embedded => Kind::Embedded,
        Plane::Real => Kind::Real,
    };
    let options = demo::Options {
        kind,
        folder: args.folder.clone(),
        progress: Arc::new(Lines::new()),
    };
    match args.tutorial {
        Tutorial::Application => {
            let (world, report) = demo::run(&options).await?;
            demo::show(&world, &report).await?;
            write(args, "application", &report, &report.svg())?;
            Ok(Outcome {
                world,
                wrong: report.wrong,
                good: "Every condition of the tutorial's status was seen True, and traffic went as its weights say.",
                namespace: demo::NAMESPACE,
                placement: demo::PLACEMENT,
            })
        }
        Tutorial::Migration => {
            let (world, report) = migration::run(&options).await?;
            migration::show(&report);
            write(args, "migration", &report, &report.svg())?;
            Ok(Outcome {
                world,
                wrong: report.wrong,
                good: "The application moved to member-2, and no request failed.",
                namespace: migration::NAMESPACE,
                placement: migration::PLACEMENT,
            })
        }
    }
}

/// Writes the report, and its plot beside it.
fn write(args: &Args, name: &str, report: &impl Serialize, svg: &str) -> Result<()> {
    let path = match &args.report {
        Some(path) => path.clone(),
        None => reports()?.join(name).with_extension("json"),
    };
    let plot = path.with_extension("svg");
    for (path, text) in [(&path, serde_json::to_string_pretty(report)?.as_str()), (&plot, svg)] {
        std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    println!("\nThe report is in {}, its plot in {}.", path.display(), plot.display());
    Ok(())
}

/// A folder beside that of the built programs.
fn reports() -> Result<PathBuf> {
    let own = std::env::current_exe().context("the path of this program is unknown")?;
    let folder = own.ancestors().nth(2).unwrap_or(Path::new(".")).join("demo");
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    Ok(folder)
}

async fn finish(args: &Args, played: Result<Outcome>) -> Result<ExitCode> {
    let outcome = played?;
    let is_good = outcome.wrong.is_empty();
    if is_good {
        println!("\n{}", outcome.good);
    } else {
        eprintln!("\nNot as it should be:");
        outcome.wrong.iter().for_each(|line| eprintln!("- {line}"));
    }
    if args.keep {
        keep(&outcome).await?;
    }
    outcome.world.stop().await;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints lines to paste and waits for Ctrl-C.
async fn keep(outcome: &Outcome) -> Result<()> {
    let Outcome { world, namespace, .. } = outcome;
    let dns = world.traffic_manager()?.dns();
    println!("\nThe fleet runs until Ctrl-C. In another terminal:");
    println!("  export KUBECONFIG={}", world.hub().kubeconfig_path().display());
    println!("  kubectl get crp,memberclusters,works,tmp,tmb -A");
    println!("  kubectl describe crp {}", outcome.placement);
    println!(
        "  dig @{} -p {} {namespace}-nginx-profile.{}",
        dns.ip(),
        dns.port(),
        e2e::traffic_manager::ZONE
    );
    for name in world.member_names() {
        let path = world.member_plane(name)?.kubeconfig_path().display().to_string();
        println!("  kubectl --kubeconfig {path} -n {namespace} get services,deployments");
    }
    tokio::signal::ctrl_c().await.context("Ctrl-C cannot be waited for")
}
