//! Paths of requests: whatever arrives, it names something or nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use traffic_manager::arm::path::Route;

fuzz_target!(|path: &str| {
    let _ = Route::parse(path);
});
