//! The file with the token.

use std::io;
use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt as _;

/// Only the owner may read it; the agent runs as the same user.
const MODE: u32 = 0o600;

/// Replaces the file at once, so that no reader ever sees a part of a token.
///
/// # Errors
/// When the folder cannot be written to; the file is as it was then.
pub(super) async fn replace(path: &Path, token: &str) -> io::Result<()> {
    let new = beside(path);
    let written = write(&new, token).await;
    let ended = match written {
        Ok(()) => tokio::fs::rename(&new, path).await,
        Err(err) => Err(err),
    };
    if ended.is_err() {
        // What is left of it is overwritten by the next try anyway.
        let _ = tokio::fs::remove_file(&new).await;
    }
    ended
}

async fn write(path: &Path, token: &str) -> io::Result<()> {
    // One that an earlier process left may have other rights.
    match tokio::fs::remove_file(path).await {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
        _ => {}
    }
    let mut file = tokio::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(path)
        .await?;
    file.write_all(token.as_bytes()).await?;
    file.sync_all().await
}

/// A name in the same folder, because only there a rename replaces.
fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn the_file_is_replaced_whole_and_private() {
        let folder = std::env::temp_dir().join(format!("fairway-token-file-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("token");
        std::fs::write(&path, "a much longer token that was there before").unwrap();
        std::fs::write(beside(&path), "left over").unwrap();
        replace(&path, "new").await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left");
        assert!(replace(&folder.join("absent/token"), "x").await.is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
