//! Writes the CRD files, or with `--check` compares them and fails when they are out of date.
//!
//! `codegen [--check] [DIRECTORY]`; the directory is `deploy/crds` of the workspace unless given.

// The library does no IO; this tool is there to do it.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use api::crd::{differences, files};

fn main() -> ExitCode {
    let mut check = false;
    let mut directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/crds");
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--check" => check = true,
            option if option.starts_with('-') => {
                eprintln!("Unknown option {option}. Usage: codegen [--check] [DIRECTORY]");
                return ExitCode::from(2);
            }
            path => directory = PathBuf::from(path),
        }
    }
    match run(&directory, check) {
        Ok(0) => println!("The CRD files are up to date."),
        Ok(count) if check => {
            eprintln!("{count} CRD file(s) are out of date: run `cargo xtask codegen`.");
            return ExitCode::FAILURE;
        }
        Ok(count) => println!("Changed {count} CRD file(s)."),
        Err(error) => {
            eprintln!("Cannot use {}: {error}.", directory.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Names the files that differ, and unless `check` brings them up to date. Returns how many there are.
fn run(directory: &Path, check: bool) -> io::Result<usize> {
    if !check {
        std::fs::create_dir_all(directory)?;
    }
    let wanted = files();
    let names = differences(&wanted, &read(directory)?);
    for name in &names {
        println!("{name}");
        let path = directory.join(name);
        match wanted.get(name) {
            _ if check => {}
            Some(text) => std::fs::write(path, text)?,
            None => std::fs::remove_file(path)?,
        }
    }
    Ok(names.len())
}

/// The YAML files of a directory, by name.
fn read(directory: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "yaml")
            && let Some(name) = path.file_name()
        {
            found.insert(name.to_string_lossy().into_owned(), std::fs::read_to_string(&path)?);
        }
    }
    Ok(found)
}
