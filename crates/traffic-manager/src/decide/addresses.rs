//! Public IP addresses.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Decision, Settings, is_in};
use crate::arm::address_body::AddressBody;
use crate::arm::path::Scope;
use crate::arm::{ADDRESSES, body, render};
use crate::error::ArmError;
use crate::model::{PublicAddress, ResourceId};
use crate::state::{Change, State};

/// One page of a list in the order of keys. The position of the next page is the key of the last one on this page, so that
/// no write in between makes a list skip or repeat what was there all the time.
pub(super) fn list(state: &State, settings: &Settings, scope: &Scope, after: Option<&str>, link: &str) -> Decision {
    let all = state.addresses().filter(|(key, _)| is_in(scope, key));
    let mut rest = all
        .skip_while(|(key, _)| after.is_some_and(|after| position(key).as_str() <= after))
        .peekable();
    let mut value = Vec::new();
    let mut last = None;
    while let Some((key, address)) = rest.next_if(|_| value.len() < settings.page.max(1)) {
        value.push(render::address(address, &settings.origin));
        last = Some(position(key));
    }
    let mut page = json!({ "value": value });
    if let (Some(_), Some(last)) = (rest.peek(), last) {
        let token: String = form_urlencoded::byte_serialize(last.as_bytes()).collect();
        page["nextLink"] = json!(format!("{link}&%24skiptoken={token}"));
    }
    Decision::only(200, page)
}

fn position(key: &crate::model::ResourceKey) -> String {
    // Sorts as keys do: the separator is below every character that names may have.
    format!("{}\u{1}{}\u{1}{}", key.subscription, key.group, key.name)
}

pub(super) fn get(state: &State, settings: &Settings, id: &ResourceId) -> Result<Decision, ArmError> {
    let address = find(state, id)?;
    Ok(Decision::only(200, render::address(address, &settings.origin)))
}

pub(super) fn put(
    state: &State,
    settings: &Settings,
    id: ResourceId,
    body: Map<String, Value>,
) -> Result<Decision, ArmError> {
    let before = state.address(&id.key());
    let id = before.map_or(id, |before| before.id.clone());
    let address = body::shape::<AddressBody>(body)?.read(id, &settings.origin)?;
    check_label(state, settings, &address)?;
    let status = if before.is_some() { 200 } else { 201 };
    let body = render::address(&address, &settings.origin);
    if before.is_some_and(|before| **before == address) {
        return Ok(Decision::only(status, body));
    }
    Ok(Decision::with(
        vec![Change::PutAddress(Arc::new(address))],
        status,
        body,
    ))
}

pub(super) fn patch(
    state: &State,
    settings: &Settings,
    id: ResourceId,
    change: Map<String, Value>,
) -> Result<Decision, ArmError> {
    let Value::Object(mut whole) = render::address(find(state, &id)?, &settings.origin) else {
        return Err(ArmError::content("the public IP address is not an object"));
    };
    body::patch(&mut whole, change);
    put(state, settings, id, whole)
}

pub(super) fn delete(state: &State, id: &ResourceId) -> Decision {
    match state.address(&id.key()) {
        Some(_) => Decision {
            changes: vec![Change::DeleteAddress(id.key())],
            answer: super::Answer {
                status: 200,
                body: None,
            },
        },
        None => Decision::no_content(),
    }
}

fn find<'s>(state: &'s State, id: &ResourceId) -> Result<&'s Arc<PublicAddress>, ArmError> {
    let found = state.address(&id.key());
    found.ok_or_else(|| ArmError::not_found(ADDRESSES, &id.group, &id.name))
}

fn check_label(state: &State, settings: &Settings, address: &PublicAddress) -> Result<(), ArmError> {
    let Some(name) = address.relative_name() else {
        return Ok(());
    };
    let key = address.id.key();
    let taken = state
        .addresses()
        .any(|(other, known)| *other != key && known.relative_name().as_ref() == Some(&name));
    if !taken {
        return Ok(());
    }
    let message = format!(
        "DNS record {name}.{} is already used by another public IP.",
        settings.origin
    );
    Err(ArmError::new(400, "DnsRecordInUse", message))
}
