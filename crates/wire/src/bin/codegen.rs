//! Generates the code of every protocol in `proto/`, each into the crate that speaks it; with `--check` only compares
//! and fails on a difference.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Protocol definitions, and the crate whose `src/generated` holds their code.
const PROTOCOLS: [(&str, &str); 2] = [
    ("fleet/member/v1/member.proto", "wire"),
    ("kvmc/v1/kvmc.proto", "failover-transport"),
];

fn main() -> Result<()> {
    let check = std::env::args().any(|a| a == "--check");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let scratch = std::env::temp_dir().join(format!("fairway-wire-{}", std::process::id()));
    PROTOCOLS.iter().try_for_each(|(proto, package)| {
        let target = root.join("crates").join(package).join("src/generated");
        std::fs::create_dir_all(&scratch).context("cannot create the scratch folder for generated code")?;
        let outcome = generate(&root, proto, &scratch).and_then(|()| settle(&scratch, &target, check));
        std::fs::remove_dir_all(&scratch).context("cannot remove the scratch folder")?;
        outcome
    })
}

fn generate(root: &Path, proto: &str, out: &Path) -> Result<()> {
    let descriptors =
        protox::compile([proto], [root.join("proto")]).context("the protocol definition does not compile")?;
    tonic_prost_build::configure()
        .out_dir(out)
        .compile_fds(descriptors)
        .context("no code could be generated from the protocol definition")
}

/// Moves the fresh files to their place, or compares them with what is there.
fn settle(fresh: &Path, target: &Path, check: bool) -> Result<()> {
    let mut stale: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(fresh)? {
        let entry = entry?;
        let place = target.join(entry.file_name());
        let new = std::fs::read_to_string(entry.path())?;
        if std::fs::read_to_string(&place).is_ok_and(|old| old == new) {
            continue;
        }
        if check {
            stale.push(place);
        } else {
            std::fs::create_dir_all(target)?;
            std::fs::write(&place, new)?;
            println!("wrote {}", place.display());
        }
    }
    if !stale.is_empty() {
        bail!("generated code is out of date: {stale:?}. Run `cargo xtask codegen` and commit the result.");
    }
    Ok(())
}
