//! `cargo xtask codegen`: files that are written by our own generators.

use anyhow::{Result, bail};

use crate::steps::Steps;
use crate::workspace::{Package, cargo, packages};

/// Write what is generated from other files: the CRDs and the protobuf code.
#[derive(Debug, clap::Args)]
pub struct Codegen {
    /// Change nothing; fail when a generated file is not what its source says.
    #[arg(long)]
    check: bool,
}

impl Codegen {
    /// Runs every generator.
    pub fn run(self) -> Result<()> {
        let mut steps = Steps::new("codegen");
        steps.run("generated files", || generate(self.check))?;
        steps.finish();
        Ok(())
    }
}

/// Runs every generator of the workspace: each binary whose name ends in `codegen` is one, and knows `--check`.
pub fn generate(check: bool) -> Result<()> {
    let packages = packages()?;
    let runs: Vec<Vec<String>> = packages
        .iter()
        .flat_map(|(name, package)| runs_of(name, package, check))
        .collect();
    if runs.is_empty() {
        bail!("no generator was found: the api and wire packages have one each");
    }
    runs.iter().try_for_each(cargo)
}

fn runs_of(name: &str, package: &Package, check: bool) -> Vec<Vec<String>> {
    let generators = package
        .binaries
        .iter()
        .filter(|(binary, _)| binary.ends_with("codegen"));
    let run = |(binary, features): (&String, &Vec<String>)| {
        let mut args = vec!["run", "--quiet", "--package", name, "--bin", binary];
        let features = features.join(",");
        if !features.is_empty() {
            args.extend(["--features", &features]);
        }
        if check {
            args.extend(["--", "--check"]);
        }
        args.into_iter().map(str::to_owned).collect()
    };
    generators.map(run).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn a_generator_runs_with_the_features_that_it_requires() {
        let binaries = BTreeMap::from([
            ("wire-codegen".to_owned(), vec!["codegen".to_owned()]),
            ("wire".to_owned(), Vec::new()),
        ]);
        let package = Package {
            ours: BTreeSet::new(),
            binaries,
        };
        assert_eq!(
            runs_of("wire", &package, true),
            [[
                "run",
                "--quiet",
                "--package",
                "wire",
                "--bin",
                "wire-codegen",
                "--features",
                "codegen",
                "--",
                "--check"
            ]]
        );
    }
}
