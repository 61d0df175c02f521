//! The cases of `crates/api/tests/data/schema-cases.yaml`: what our own definitions accept and refuse.

use crate::cx::{Answer, Cx, cases};
use anyhow::{Context, Result, bail, ensure};
use futures::StreamExt;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

cases!("kinds": every_schema_case_ends_as_written);

const TEXT: &str = include_str!("../../../../crates/api/tests/data/schema-cases.yaml");
/// Requests under way at once: enough to overlap waiting, few enough for two cores.
const PARALLEL: usize = 8;

/// What the kind that ran first answered, so that the other one can be held against it.
static ANSWERS: Mutex<BTreeMap<String, Value>> = Mutex::new(BTreeMap::new());

/// One object in one of its versions.
struct Trial {
    name: String,
    /// Path of the collection.
    collection: String,
    object: Value,
    update: Option<Value>,
    error: Option<String>,
}

async fn every_schema_case_ends_as_written(cx: Cx) -> Result<()> {
    let cases = api::yaml::parse(TEXT).context("the cases are no YAML")?;
    let plurals: BTreeMap<(&str, &str), String> = api::crd::all()
        .into_iter()
        .map(|definition| ((definition.group, definition.kind), definition.plural.to_owned()))
        .collect();
    let mut trials = Vec::new();
    for case in cases.as_array().context("the cases are no list")? {
        for version in case["versions"].as_array().context("a case has no versions")? {
            let version = version.as_str().context("a version is no text")?;
            trials.push(trial(&cx, case, version, trials.len(), &plurals)?);
        }
    }
    ensure!(trials.len() >= 392, "only {} cases were read", trials.len());
    let all = trials.len();
    let results = futures::stream::iter(trials).map(|trial| {
        let cx = cx.clone();
        async move {
            let ended = play(&cx, &trial).await;
            ended.err().map(|error| format!("{}: {error:#}", trial.name))
        }
    });
    let failures: Vec<String> = results
        .buffer_unordered(PARALLEL)
        .filter_map(|failure| async { failure })
        .collect()
        .await;
    ensure!(
        failures.is_empty(),
        "{} of {all} ended otherwise than written:\n{}",
        failures.len(),
        failures.join("\n")
    );
    Ok(())
}

fn trial(
    cx: &Cx,
    case: &Value,
    version: &str,
    number: usize,
    plurals: &BTreeMap<(&str, &str), String>,
) -> Result<Trial> {
    let name = format!("{} ({version})", case["name"].as_str().context("a case has no name")?);
    let mut object = case["create"].clone();
    let group = case["create"]["apiVersion"].as_str().context("there is no group")?;
    let kind = case["create"]["kind"].as_str().context("there is no kind")?;
    let plural = plurals
        .get(&(group, kind))
        .with_context(|| format!("{name}: there is no kind {kind} in {group}"))?;
    object["apiVersion"] = format!("{group}/{version}").into();
    let metadata = &mut object["metadata"];
    // Objects that are stored must not meet; a name that is itself the matter of a case stays.
    if metadata["name"] == "case" {
        metadata["name"] = format!("case-{number}").into();
    }
    let mut collection = format!("/apis/{group}/{version}/");
    if metadata.get("namespace").is_some() {
        metadata["namespace"] = cx.namespace.clone().into();
        collection += &format!("namespaces/{}/", cx.namespace);
    }
    Ok(Trial {
        name,
        collection: collection + plural,
        object,
        update: case.get("update").cloned(),
        error: case["error"].as_str().map(str::to_owned),
    })
}

/// Nothing is stored but what an update needs.
async fn play(cx: &Cx, trial: &Trial) -> Result<()> {
    let last = match &trial.update {
        None => {
            let path = format!("{}?dryRun=All", trial.collection);
            cx.post(&path, trial.object.clone()).await?
        }
        Some(update) => {
            let stored = cx.post(&trial.collection, trial.object.clone()).await?.ok()?;
            let name = stored["metadata"]["name"].as_str().context("it has no name")?;
            let path = format!("{}/{name}?dryRun=All", trial.collection);
            cx.merge(&path, update.clone()).await?
        }
    };
    same_for_both_kinds(trial, &last)?;
    match &trial.error {
        None => last.ok().map(drop),
        Some(_) if (200..300).contains(&last.code) => bail!("accepted"),
        Some(error) => last.refused(422, "Invalid")?.mentioning(error).map(drop),
    }
}

/// Beyond the metadata that every server makes up, both kinds give the same answer, to the letter.
fn same_for_both_kinds(trial: &Trial, answer: &Answer) -> Result<()> {
    let mut body = answer.body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.remove("metadata");
    }
    let mut answers = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(other) = answers.insert(trial.name.clone(), body.clone()) {
        ensure!(other == body, "one kind answered\n  {other}\nand the other\n  {body}");
    }
    Ok(())
}
