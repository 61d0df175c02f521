//! Arbitrary packets against a catalog with every kind of entry.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static CATALOG: LazyLock<dns::Catalog> = LazyLock::new(common::catalog);

fuzz_target!(|packet: &[u8]| common::entry::check_respond(&CATALOG, packet));
