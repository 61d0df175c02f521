//! How agents are linked: the build script of each binary.
//!
//! Addresses in an executable are adjusted when it is loaded. The table that says where takes a megabyte, all of which is
//! read, and stays resident, at start; the packed form of the same table takes 10 KiB. It needs a C library of 2022 or
//! later, so it is used where the building machine has one: an agent must at least start where it was built.

use std::process::Command;

/// The first glibc that loads packed tables.
const FIRST: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-changed=../kit/link.rs");
    if std::env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("gnu") && glibc().is_some_and(|known| known >= FIRST) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's C library: `glibc 2.36`.
fn glibc() -> Option<(u32, u32)> {
    let printed = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?.stdout;
    let text = String::from_utf8(printed).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
