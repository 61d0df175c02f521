//! Deletions that wait.

use anyhow::{Context, Result};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::{Case, MEMBER, NAMESPACE, WORK};
use crate::follow::{Seen, conditions, gone, until};
use crate::scenarios::WITHIN;
use crate::world::World;

const FINALIZER: &str = "example.com/hold";

/// A placed namespace is held by a finalizer: the Work's condition and the placement's status name both.
pub(super) async fn held(world: &World) -> Result<()> {
    let case = Case::begin(world, "r-j4").await?;
    case.place(Value::Null).await?;
    let namespaces = NAMESPACE.on(&world.member_client(MEMBER)?, None);
    until(namespaces.clone(), "r-j4", WITHIN, |object| match object {
        Some(_) => Seen::Done(()),
        None => Seen::Waiting("it is not there".to_owned()),
    })
    .await?;
    case.has(&[("Available", "True")]).await?;
    finalizers(&namespaces, &json!([FINALIZER])).await?;
    case.placements().delete("r-j4", &DeleteParams::default()).await?;
    let works = WORK.on(&world.hub_client(), Some(&format!("fleet-member-{MEMBER}")));
    let names_both = |object: Option<&DynamicObject>| {
        let data = object.map(|object| object.data.clone()).unwrap_or_default();
        let all = conditions(&data);
        match all
            .iter()
            .find(|(.., message)| message.contains("r-j4") && message.contains(FINALIZER))
        {
            Some(found) => Seen::Done(found.clone()),
            None => Seen::Waiting(format!("{all:?}")),
        }
    };
    until(works, "r-j4-work", WITHIN, names_both)
        .await
        .context("the Work")?;
    // A placement of the same name waits for the Work, and says for what.
    gone(case.placements(), "r-j4", WITHIN).await?;
    case.place(Value::Null).await?;
    case.status(|status| {
        let text = status.to_string();
        match text.contains(FINALIZER) {
            true => Ok(()),
            false => Err(text),
        }
    })
    .await?;
    finalizers(&namespaces, &Value::Null).await?;
    case.has(&[("Available", "True")]).await?;
    case.end().await
}

async fn finalizers(namespaces: &kube::Api<DynamicObject>, wanted: &Value) -> Result<()> {
    let patch = Patch::Merge(json!({"metadata": {"finalizers": wanted}}));
    namespaces.patch("r-j4", &PatchParams::default(), &patch).await?;
    Ok(())
}
