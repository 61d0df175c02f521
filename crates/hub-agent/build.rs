//! How the agent is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Relative relocations take 30 KiB instead of a megabyte, all of which is read, and stays in memory, at start. They need a C library
    // of 2022 or later (glibc 2.36), as every image of ours has.
    println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
}
