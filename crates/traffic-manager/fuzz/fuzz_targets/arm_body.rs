//! Bodies of requests: whatever arrives, it is read or refused, and what is read can be stored and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use traffic_manager::arm::address_body::AddressBody;
use traffic_manager::arm::body;
use traffic_manager::arm::endpoint_body::EndpointBody;
use traffic_manager::arm::profile_body::ProfileBody;
use traffic_manager::model::{EndpointKind, Profile, ResourceId};

fuzz_target!(|bytes: &[u8]| {
    let id = || ResourceId { subscription: "s".into(), group: "g".into(), name: "n".into() };
    let Ok(object) = body::object(bytes) else { return };
    if let Ok(profile) = body::shape::<ProfileBody>(object.clone()).and_then(|body| body.read(id())) {
        let stored = serde_json::to_vec(&profile).unwrap();
        assert_eq!(serde_json::from_slice::<Profile>(&stored).unwrap(), profile);
    }
    for kind in [EndpointKind::Azure, EndpointKind::External] {
        let _ = body::shape::<EndpointBody>(object.clone()).and_then(|body| body.read(kind, "e"));
    }
    let _ = body::shape::<AddressBody>(object).and_then(|body| body.read(id(), "tm.example"));
});
