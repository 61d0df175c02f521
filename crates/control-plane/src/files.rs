//! Files and folders of a run.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

/// Writes a file that everybody may read; readers see the old or the new content, never a part.
pub fn write(path: &Path, content: &[u8]) -> Result<()> {
    replace(path, content, 0o644)
}

/// Writes a file that only its owner may read.
pub fn write_secret(path: &Path, content: &[u8]) -> Result<()> {
    replace(path, content, 0o600)
}

fn replace(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&part)?;
        file.write_all(content)?;
        fs::rename(&part, path)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

/// Creates a folder that only its owner may enter.
pub fn create_folder(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("the folder {} cannot be created", path.display()))
}

/// Copies a folder with all that is in it; the target is created where it is missing.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    create_folder(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("{} cannot be read", from.display()))? {
        let entry = entry.with_context(|| format!("{} cannot be read", from.display()))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &target)?;
        } else {
            fs::copy(&path, &target).with_context(|| format!("{} cannot be copied", path.display()))?;
        }
    }
    Ok(())
}

/// The folder of one run: given by the caller and kept, or temporary and removed with this value.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    temporary: bool,
}

impl RunFolder {
    /// Creates the given folder, or a fresh temporary one.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(wanted: Option<&Path>) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let fresh = || {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let tag: u32 = rand::random();
            std::env::temp_dir().join(format!("fairway-{}-{count}-{tag:08x}", std::process::id()))
        };
        let path = wanted.map_or_else(fresh, Path::to_owned);
        create_folder(&path)?;
        Ok(Self {
            path,
            temporary: wanted.is_none(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::debug!(folder = %self.path.display(), %error, "the temporary run folder stays behind");
        }
    }
}
