//! The rule about imports of `docs/architecture.md`: modules that lie side by side do not use each other in a circle.
//!
//! A parent and the modules below it may use each other. Code that is compiled for tests only does not count.

mod cycles;
mod source;
mod tree;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use tree::Tree;

/// The embedded API server alone may have cycles.
const EXEMPT: &[&str] = &["apiserver"];

/// Where crates lie, below the workspace's root.
const FOLDERS: &[&str] = &["crates", "."];

/// Finds cycles in every crate below the workspace's root; the error lists each with its places.
pub fn verify(workspace: &Path) -> Result<()> {
    let mut found = Vec::new();
    for root in roots(workspace)? {
        let read = |file: &str| fs::read_to_string(workspace.join(file)).ok();
        let tree = Tree::read(&root, &read)?;
        let cycles = cycles::find(tree.uses()).into_iter();
        found.extend(cycles.map(|cycle| format!("{root}: {cycle}")));
    }
    if !found.is_empty() {
        bail!(
            "there are import cycles; move what both sides need into a module below both:\n  {}",
            found.join("\n  ")
        );
    }
    Ok(())
}

/// Root files of all libraries and binaries, relative to the workspace's root.
fn roots(workspace: &Path) -> Result<Vec<String>> {
    let mut roots = Vec::new();
    for folder in FOLDERS {
        for name in names(&workspace.join(folder))? {
            let crate_folder = if *folder == "." {
                name.clone()
            } else {
                format!("{folder}/{name}")
            };
            let source = workspace.join(&crate_folder).join("src");
            if EXEMPT.contains(&name.as_str()) || !workspace.join(&crate_folder).join("Cargo.toml").is_file() {
                continue;
            }
            let mut candidates = vec!["lib.rs".to_owned(), "main.rs".to_owned()];
            if source.join("bin").is_dir() {
                candidates.extend(
                    names(&source.join("bin"))?
                        .into_iter()
                        .map(|file| format!("bin/{file}")),
                );
            }
            let existing = candidates
                .into_iter()
                .filter(|file| file.ends_with(".rs") && source.join(file).is_file());
            roots.extend(existing.map(|file| format!("{crate_folder}/src/{file}")));
        }
    }
    Ok(roots)
}

/// Sorted names of what lies in a folder.
fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
