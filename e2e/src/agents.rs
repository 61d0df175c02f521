//! The real agent binaries as child processes, started as a deployment would start them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use control_plane::free_ports;
use control_plane::process::Supervised;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Time for an agent to answer one request.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    /// `hub-agent`, `traffic-manager` or `member-agent-<cluster>`.
    pub name: String,
    /// What the kernel calls its processes.
    command: String,
    process: Supervised,
    /// Port of the metrics and, one above, of the probes.
    metrics_port: u16,
    health_port: u16,
}

/// Memory and processor time of a process, as the operating system counts them.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Usage {
    /// Resident memory in bytes.
    pub resident: u64,
    /// Processor time since the start, in seconds.
    pub cpu_seconds: f64,
}

/// What a hub agent needs to start.
#[derive(Clone, Debug)]
pub struct HubOptions {
    /// Kubeconfig of the hub, as the agent's own service account.
    pub kubeconfig: PathBuf,
    /// Folder for logs.
    pub folder: PathBuf,
    /// Address of the members' gRPC sessions.
    pub link: Link,
    /// Further flags, which win over the defaults.
    pub extra: Vec<String>,
}

/// Where the members' sessions are served, and under which certificate.
#[derive(Clone, Debug)]
pub struct Link {
    /// Address and port on loopback.
    pub address: String,
    /// Files of the serving certificate, its key and the authority that signed it.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// Certificate of the authority, for the members.
    pub authority: PathBuf,
}

/// What a member agent needs to start.
#[derive(Clone, Debug)]
pub struct MemberOptions {
    /// Name of the MemberCluster.
    pub cluster: String,
    /// Kubeconfig of the member, as the agent's service account there.
    pub kubeconfig: PathBuf,
    /// Address of the hub's API server.
    pub hub_url: String,
    /// The hub's authority, PEM file.
    pub hub_ca: PathBuf,
    /// File with the token of the member's identity on the hub.
    pub hub_token: PathBuf,
    /// Where the hub agent serves sessions.
    pub link: Link,
    /// Folder for logs.
    pub folder: PathBuf,
    /// Further flags, which win over the defaults.
    pub extra: Vec<String>,
}

/// Starts the hub agent.
pub fn hub(options: &HubOptions) -> Result<Agent> {
    let [metrics, health] = free_ports()?;
    let mut args = vec![
        format!("--kubeconfig={}", options.kubeconfig.display()),
        format!("--metrics-bind-address=127.0.0.1:{metrics}"),
        format!("--health-probe-bind-address=127.0.0.1:{health}"),
        "--leader-elect=true".to_owned(),
        "--leader-lease-duration=15s".to_owned(),
        "--leader-renew-deadline=10s".to_owned(),
        "--leader-retry-period=2s".to_owned(),
        "--resource-snapshot-creation-minimum-interval=0s".to_owned(),
        "--resource-changes-collection-duration=0s".to_owned(),
        format!("--member-link-bind-address={}", options.link.address),
        format!("--member-link-cert-file={}", options.link.certificate.display()),
        format!("--member-link-key-file={}", options.link.key.display()),
    ];
    args.extend(options.extra.iter().cloned());
    start("hub-agent", "hub-agent", &[], args, &options.folder, metrics, health)
}

/// Starts the member agent of a cluster.
pub fn member(options: &MemberOptions) -> Result<Agent> {
    let [metrics, health] = free_ports()?;
    let env = [
        format!("HUB_SERVER_URL={}", options.hub_url),
        format!("MEMBER_CLUSTER_NAME={}", options.cluster),
        format!("CONFIG_PATH={}", options.hub_token.display()),
        format!("CA_BUNDLE={}", options.hub_ca.display()),
    ];
    let mut args = vec![
        format!("--kubeconfig={}", options.kubeconfig.display()),
        format!("--metrics-bind-address=127.0.0.1:{metrics}"),
        format!("--health-probe-bind-address=127.0.0.1:{health}"),
        "--hub-metrics-bind-address=0".to_owned(),
        "--hub-health-probe-bind-address=0".to_owned(),
        format!("--hub-link-address=https://{}", options.link.address),
        format!("--hub-link-ca-file={}", options.link.authority.display()),
    ];
    args.extend(options.extra.iter().cloned());
    let name = format!("member-agent-{}", options.cluster);
    start(&name, "member-agent", &env, args, &options.folder, metrics, health)
}

/// Starts the traffic manager.
pub fn traffic_manager(args: &[String], folder: &Path) -> Result<Agent> {
    let [metrics, health] = free_ports()?;
    let mut all = vec![
        format!("--metrics-bind-address=127.0.0.1:{metrics}"),
        format!("--health-probe-bind-address=127.0.0.1:{health}"),
    ];
    all.extend(args.iter().cloned());
    let name = "traffic-manager";
    start(name, name, &[], all, folder, metrics, health)
}

#[allow(clippy::too_many_arguments, reason = "private, and each is used once")]
fn start(
    name: &str,
    program: &str,
    env: &[String],
    args: Vec<String>,
    folder: &Path,
    metrics_port: u16,
    health_port: u16,
) -> Result<Agent> {
    let path = binary(program)?;
    let mut all: Vec<String> = env.to_vec();
    all.push(path.display().to_string());
    all.extend(args);
    let process = Supervised::start(name, Path::new("env"), &all, log_file(folder, name))?;
    Ok(Agent {
        name: name.to_owned(),
        // As much of a program's name as the kernel keeps.
        command: program.chars().take(15).collect(),
        process,
        metrics_port,
        health_port,
    })
}

/// A fresh log per start, so that what came before a restart stays readable.
fn log_file(folder: &Path, name: &str) -> PathBuf {
    let numbered = |number: usize| folder.join(format!("{name}.{number}.log"));
    (1..)
        .map(numbered)
        .find(|path| !path.exists())
        .unwrap_or_else(|| folder.join(name))
}

/// A binary of this project: in the folder that `FAIRWAY_AGENTS` names, or beside our own program.
pub fn binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("the path of this program is unknown")?;
    let named = std::env::var_os("FAIRWAY_AGENTS").map(PathBuf::from);
    let beside = own.ancestors().skip(1).take(2).map(Path::to_path_buf);
    for folder in named.into_iter().chain(beside) {
        let candidate = folder.join(name);
        if candidate.is_file() {
            return Ok(candidate);
        }
    }
    bail!("the binary {name} is not built; run `cargo build --release -p hub-agent -p member-agent -p traffic-manager`")
}

impl Agent {
    /// Ends the agent without any chance to tidy up, as a crash would.
    pub async fn crash(mut self) -> Result<()> {
        let pid = self.pid()?;
        kill(Pid::from_raw(pid), Signal::SIGKILL).with_context(|| format!("{} cannot be killed", self.name))?;
        self.process.exited().await;
        Ok(())
    }

    /// Sends the agent a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.pid()?);
        kill(pid, signal).with_context(|| format!("{} cannot be sent {signal}", self.name))
    }

    /// Ends the agent as a rollout would: it may finish what it does.
    pub async fn stop(self) {
        self.process.stop().await;
    }

    /// Memory and processor time.
    pub fn usage(&self) -> Result<Usage> {
        let pid = self.pid()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: u64 = line
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|kib| kib.parse().ok())
            .unwrap_or(0);
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the process is gone")?;
        // Fields after the command's name, which may hold blanks itself: utime and stime are the 12th and 13th.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        // Linux reports these in hundredths of a second on every platform that we build for.
        Ok(Usage {
            resident: kib * 1024,
            cpu_seconds: (ticks(11) + ticks(12)) / 100.0,
        })
    }

    /// The agent's metrics as it prints them.
    pub async fn metrics(&self) -> Result<String> {
        let answer = get(self.metrics_port, "/metrics").await?;
        let (_, text) = answer.split_once("\r\n\r\n").context("the agent's answer is cut off")?;
        Ok(text.to_owned())
    }

    /// Whether the agent says that it is ready.
    pub async fn is_ready(&self) -> bool {
        let answer = get(self.health_port, "/readyz").await.unwrap_or_default();
        answer.split(' ').nth(1) == Some("200")
    }

    /// Whether the process has not ended.
    pub fn runs(&mut self) -> bool {
        self.process.runs()
    }

    /// Where the agent's metrics are.
    pub fn metrics_url(&self) -> String {
        format!("http://127.0.0.1:{}/metrics", self.metrics_port)
    }

    /// Where the agent says that it is ready.
    pub fn ready_url(&self) -> String {
        format!("http://127.0.0.1:{}/readyz", self.health_port)
    }

    /// The end of the agent's log.
    pub fn last_lines(&self, count: usize) -> String {
        self.process.last_lines(count)
    }

    /// The agent itself is a child of the guard that ends it with us.
    fn pid(&self) -> Result<i32> {
        let guard = self
            .process
            .id()
            .with_context(|| format!("{} has ended: {}", self.name, self.last_lines(10)))?;
        let children = std::fs::read_to_string(format!("/proc/{guard}/task/{guard}/children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let name = std::fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
            if name.trim_end() == self.command {
                return child.parse().context("the process has no number");
            }
        }
        bail!("{} does not run: {}", self.name, self.last_lines(10))
    }
}

/// The answer of an agent to one request, with its head.
async fn get(port: u16, path: &str) -> Result<String> {
    let read = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream
            .write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(ANSWER_WITHIN, read).await;
    answer
        .context("no answer in time")?
        .with_context(|| format!("the agent does not answer {path}"))
}

/// How long an agent may take to say that it is ready.
pub const READY_WITHIN: Duration = Duration::from_secs(30);
