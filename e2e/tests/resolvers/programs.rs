//! Programs of others.

use std::path::PathBuf;
use std::time::Duration;

use tokio::process::Command;

/// Time for a query of a program, with its repetitions.
const WITHIN: Duration = Duration::from_secs(60);

/// Where a program is. None where it is not installed, which fails the test in CI.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Servers are often in folders that only root has in its path.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{name} is not installed; in CI it has to be. `cargo xtask test` says which package has it."
        );
        eprintln!("not run: {name} is not installed");
    }
    found
}

/// Runs a program to its end and returns what it printed.
pub async fn output(program: &PathBuf, arguments: &[String]) -> String {
    let mut command = Command::new(program);
    // The user's own settings of dig do not count.
    command.args(arguments).env("HOME", "/nonexistent").kill_on_drop(true);
    let output = tokio::time::timeout(WITHIN, command.output()).await;
    let output = output
        .unwrap_or_else(|_| panic!("{program:?} {arguments:?} does not end"))
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{program:?} {arguments:?} ended with {}: {text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}
