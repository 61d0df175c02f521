//! `status`: prints which background fleets run and whether their API servers are ready.

use std::time::Duration;

use anyhow::Result;
use control_plane::daemon::{Cluster, Run};
use control_plane::{kubeconfig, ready};
use tokio::time::timeout;

use super::RunArgs;

/// For one API server's answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Show which fleets run and whether they are ready.
#[derive(Debug, clap::Args)]
pub struct Status {
    #[command(flatten)]
    which: RunArgs,
}

impl Status {
    /// Prints every fleet of the folder.
    pub async fn run(self) -> Result<()> {
        let mut count = 0;
        for run in Run::all(&self.which.folder)? {
            if run.runs()? {
                count += 1;
                print(&run).await?;
            }
        }
        if count == 0 {
            println!("No control planes are running below {}.", self.which.folder.display());
        }
        Ok(())
    }
}

async fn print(run: &Run) -> Result<()> {
    let Some(state) = run.state()? else {
        println!("{}: starting; see {}", run.name(), run.log().display());
        return Ok(());
    };
    println!(
        "{}: {}, process {}, files in {}",
        run.name(),
        state.kind,
        run.pid()?,
        run.folder().display()
    );
    for cluster in &state.clusters {
        let answer = match timeout(ANSWER, check_ready(cluster)).await {
            Ok(Ok(())) => "ready".to_owned(),
            Ok(Err(error)) => format!("not ready: {error:#}"),
            Err(_) => format!("no answer in {} s", ANSWER.as_secs()),
        };
        println!("  {:<12} {}  {answer}", cluster.name, cluster.url);
    }
    for line in &state.export_lines {
        println!("  {line}");
    }
    Ok(())
}

async fn check_ready(cluster: &Cluster) -> Result<()> {
    ready(&kubeconfig::client(&cluster.kubeconfig).await?)
        .await
        .map_err(anyhow::Error::msg)
}
