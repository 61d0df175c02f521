//! Writes the CRD files, or with `--check` compares them and fails when they are out of date.
//!
//! `codegen [--check] [DIRECTORY]`; the directory is `deploy/crds` of the workspace unless given.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

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
    let result = if check {
        api::crd::differences(&directory)
    } else {
        api::crd::write(&directory)
    };
    match result {
        Ok(files) if files.is_empty() => println!("The CRD files are up to date."),
        Ok(files) => {
            for file in &files {
                println!("{} {}", if check { "out of date:" } else { "wrote" }, file.display());
            }
            if check {
                eprintln!(
                    "{} CRD file(s) are out of date: run `cargo xtask codegen`.",
                    files.len()
                );
                return ExitCode::FAILURE;
            }
        }
        Err(error) => {
            eprintln!("Cannot use {}: {error}", directory.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
