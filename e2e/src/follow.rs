//! Waits for what is seen on a watch, never by polling.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Result, bail};
use futures::{StreamExt, pin_mut};
use kube::Api;
use kube::api::DynamicObject;
use kube::runtime::watcher::watch_object;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

/// What a look at an object finds.
#[derive(Debug)]
pub enum Seen<T> {
    /// What was waited for.
    Done(T),
    /// Not yet; the text is the error when time runs out.
    Waiting(String),
}

/// Follows one object until `look` finds what it waits for. `None` stands for an absent object.
pub async fn until<T: Debug>(
    api: Api<DynamicObject>,
    name: &str,
    within: Duration,
    mut look: impl FnMut(Option<&DynamicObject>) -> Seen<T>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    let stream = watch_object(api, name);
    pin_mut!(stream);
    let mut missing = format!("{name} was not seen");
    loop {
        match timeout_at(deadline, stream.next()).await {
            Err(_) => bail!("after {within:?}: {missing}"),
            Ok(None) => bail!("the watch of {name} ended: {missing}"),
            // The watch repairs itself; the deadline bounds for how long.
            Ok(Some(Err(error))) => missing = format!("{missing} (the watch says: {error})"),
            Ok(Some(Ok(object))) => match look(object.as_ref()) {
                Seen::Done(value) => return Ok(value),
                Seen::Waiting(why) => missing = why,
            },
        }
    }
}

/// Waits until an object is gone.
pub async fn gone(api: Api<DynamicObject>, name: &str, within: Duration) -> Result<()> {
    until(api, name, within, |object| match object {
        None => Seen::Done(()),
        Some(object) => Seen::Waiting(format!(
            "{name} is still there, deletion asked for at {:?}, finalizers {:?}, owners {:?}, {}",
            object.metadata.deletion_timestamp,
            object.metadata.finalizers,
            object.metadata.owner_references,
            object.data
        )),
    })
    .await
}

/// The status conditions of an object: type, status, reason, message.
pub fn conditions(object: &Value) -> Vec<(String, String, String, String)> {
    let text = |condition: &Value, key: &str| {
        condition
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let list = object
        .pointer("/conditions")
        .or_else(|| object.pointer("/status/conditions"))
        .and_then(Value::as_array);
    list.map(|all| {
        all.iter()
            .map(|c| {
                (
                    text(c, "type"),
                    text(c, "status"),
                    text(c, "reason"),
                    text(c, "message"),
                )
            })
            .collect()
    })
    .unwrap_or_default()
}
