//! The parser against that of hickory.
#![no_main]

#[path = "../../tests/common/entry.rs"]
mod entry;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|packet: &[u8]| entry::check_parse(packet));
