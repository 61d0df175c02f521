//! Runs the demo; `cargo xtask demo` builds and starts it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use control_plane::Kind;
use control_plane::progress::Lines;
use e2e::demo;
use e2e::world::World;

/// Brings up a fleet and places the tutorial's application on it.
#[derive(Debug, Parser)]
struct Args {
    /// Kind of the control planes.
    #[arg(long, value_enum, default_value = "embedded")]
    control_plane: Plane,
    /// Leave the fleet running until Ctrl-C and print kubectl lines for it.
    #[arg(long)]
    keep: bool,
    /// Also write the facts to this file, as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Folder for kubeconfigs and logs.
    #[arg(long)]
    folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Plane {
    /// In memory.
    Embedded,
    /// etcd, kube-apiserver and kube-controller-manager.
    Real,
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

async fn play(args: &Args) -> Result<(World, demo::Report)> {
    let kind = match args.control_plane {
        Plane::Embedded => Kind::Embedded,
        Plane::Real => Kind::Real,
    };
    let options = demo::Options {
        kind,
        folder: args.folder.clone(),
        progress: Arc::new(Lines::new()),
    };
    let (world, report) = demo::run(&options).await?;
    demo::show(&world, &report).await?;
    Ok((world, report))
}

async fn finish(args: &Args, played: Result<(World, demo::Report)>) -> Result<ExitCode> {
    let (world, report) = played?;
    if let Some(path) = &args.report {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text).with_context(|| format!("the report {} cannot be written", path.display()))?;
        println!("\nThe report is in {}.", path.display());
    }
    if report.ok {
        println!("\nEvery condition of the tutorial's status was seen True.");
    } else {
        eprintln!("\nNot as the tutorial shows it:");
        report.wrong.iter().for_each(|line| eprintln!("- {line}"));
    }
    if args.keep {
        keep(&world).await?;
    }
    world.stop().await;
    Ok(if report.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Prints lines to paste and waits for Ctrl-C.
async fn keep(world: &World) -> Result<()> {
    println!("\nThe fleet runs until Ctrl-C. In another terminal:");
    println!("  export KUBECONFIG={}", world.hub().kubeconfig_path().display());
    println!("  kubectl get crp,memberclusters,works -A");
    println!("  kubectl describe crp {}", demo::PLACEMENT);
    for name in world.member_names() {
        let path = world.member_plane(name)?.kubeconfig_path().display().to_string();
        println!(
            "  kubectl --kubeconfig {path} -n {} get services,deployments",
            demo::NAMESPACE
        );
    }
    tokio::signal::ctrl_c().await.context("Ctrl-C cannot be waited for")
}
