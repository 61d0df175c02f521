//! A child process that cannot outlive its owner.
//!
//! Every child runs below a small shell that holds the read end of a pipe. The write end belongs to us and closes when
//! we drop it or when our process ends in whatever way, `SIGKILL` included; the shell then ends the child. The child
//! has a process group of its own, so that Ctrl-C in a terminal reaches the owner first and the order of stopping
//! stays ours.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// The guard: waits for the pipe to close, then sends the child SIGTERM, then SIGKILL.
const GUARD: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- &
child=$!
{
  read -r _ <&3
  kill -TERM "$child"
  tries=0
  while kill -0 "$child" && [ "$tries" -lt 20 ]; do sleep 0.1; tries=$((tries + 1)); done
  kill -KILL "$child"
} 2>/dev/null &
guard=$!
exec 3<&-
wait "$child"
status=$?
kill -KILL "$guard" 2>/dev/null
exit "$status"
"#;

/// The guard gives the child 2 s to end by itself; past this the whole group is killed from here.
const STOP_DEADLINE: Duration = Duration::from_secs(4);

/// A running child, its log and the pipe that keeps it alive.
#[derive(Debug)]
pub struct Supervised {
    name: String,
    log: PathBuf,
    child: Child,
    /// Open as long as the child shall run.
    owner: Option<ChildStdin>,
}

impl Supervised {
    /// Starts a program whose output goes to `log`.
    pub fn start(name: &str, program: &Path, args: &[String], log: PathBuf) -> Result<Self> {
        let output = File::create(&log).with_context(|| format!("the log {} cannot be created", log.display()))?;
        let errors = output.try_clone().context("the log cannot be shared")?;
        let mut child = Command::new("sh")
            .args(["-c", GUARD, name])
            .arg(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        let owner = child.stdin.take();
        Ok(Self {
            name: name.to_owned(),
            log,
            child,
            owner,
        })
    }

    /// Number of the guard above the process; `None` once it has ended.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether the process has not ended.
    pub fn runs(&mut self) -> bool {
        // What cannot be waited for is gone.
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Resolves when the process has ended.
    pub async fn exited(&mut self) -> ExitStatus {
        // A child that cannot be waited for is gone: somebody else reaped it.
        self.child.wait().await.unwrap_or_else(|_| ExitStatus::from_raw(0))
    }

    /// The end of the log, for error messages.
    pub fn last_lines(&self, count: usize) -> String {
        let text = tail(&self.log, 64 * 1024).unwrap_or_else(|error| format!("(the log cannot be read: {error})"));
        let lines: Vec<&str> = text.lines().collect();
        let shown = lines
            .get(lines.len().saturating_sub(count)..)
            .unwrap_or_default()
            .join("\n  ");
        format!("last lines of {}:\n  {shown}", self.log.display())
    }

    /// The error that says why the process ended when it should not have.
    pub fn ended_early(&self, status: ExitStatus) -> anyhow::Error {
        anyhow::anyhow!("{} ended early with {status}; {}", self.name, self.last_lines(15))
    }

    /// Ends the process and waits until it is gone.
    pub async fn stop(mut self) {
        self.end().await;
    }

    /// As [`Supervised::stop`], for an owner that starts another process in its place.
    pub async fn end(&mut self) {
        self.owner.take();
        if timeout(STOP_DEADLINE, self.child.wait()).await.is_err() {
            self.kill();
            // A killed group ends at once; nothing more can be done if it does not.
            let _ = timeout(STOP_DEADLINE, self.child.wait()).await;
        }
    }

    fn kill(&self) {
        if let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            // An error says that the group is gone, which is what we want.
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

fn tail(path: &Path, bytes: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    Ok(String::from_utf8_lossy(&content).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn log(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("fairway-process-{name}-{}", std::process::id()))
    }

    fn sleeper(name: &str, script: &str) -> (Supervised, PathBuf) {
        let log = log(name);
        let args = ["-c".to_owned(), script.to_owned()];
        (
            Supervised::start(name, Path::new("sh"), &args, log.clone()).expect("starts"),
            log,
        )
    }

    async fn first_line(log: &Path) -> String {
        timeout(Duration::from_secs(10), async {
            loop {
                let text = std::fs::read_to_string(log).unwrap_or_default();
                if let Some(line) = text.lines().next() {
                    return line.to_owned();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("the child writes its line")
    }

    fn runs(pid: &str) -> bool {
        Path::new("/proc").join(pid).exists()
    }

    #[tokio::test]
    async fn a_dropped_owner_takes_the_child_along() {
        let (process, log) = sleeper("dropped", "echo $$; exec sleep 60");
        let pid = first_line(&log).await;
        assert!(runs(&pid));
        drop(process);
        let begun = Instant::now();
        while runs(&pid) {
            assert!(
                begun.elapsed() < Duration::from_secs(5),
                "process {pid} outlives its owner"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        std::fs::remove_file(log).expect("the log goes");
    }

    #[tokio::test]
    async fn stop_ends_a_child_that_ignores_requests() {
        let (process, log) = sleeper("ignores-term", "trap '' TERM; echo $$; while :; do sleep 0.2; done");
        let pid = first_line(&log).await;
        process.stop().await;
        assert!(!runs(&pid));
        std::fs::remove_file(log).expect("the log goes");
    }

    #[tokio::test]
    async fn an_early_end_shows_status_and_log() {
        let (mut process, log) = sleeper("broken", "echo one; echo two; exit 7");
        let status = process.exited().await;
        assert_eq!(status.code(), Some(7));
        let text = process.ended_early(status).to_string();
        assert!(
            text.contains("broken ended early") && text.contains("one\n  two"),
            "{text}"
        );
        std::fs::remove_file(log).expect("the log goes");
    }
}
