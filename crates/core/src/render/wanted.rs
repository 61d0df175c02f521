//! The Works that a binding should have.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::text::{annotations, labels};
use api::{hash, names};

use super::Outcome;
use super::content;
use super::envelope::Envelope;
use super::group::{Group, Part};
use crate::objects::{Binding, Digest, Manifest, Work};
use crate::overrides::{Applicable, Cluster};
use crate::problem::Problem;

/// Manifests of one Work beyond this are split over several. Snapshots are cut at 800 KiB, so only overrides get here.
const SPLIT: usize = 1024 * 1024;
/// What the API server can still store, with some room for metadata and status.
const LIMIT: usize = 1_400_000;

/// One Work as it should be.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Its name when it has to be created.
    pub name: String,
    /// The envelope that it is made from, as labels.
    pub envelope: BTreeMap<&'static str, String>,
    /// Its content.
    pub manifests: Vec<Arc<Manifest>>,
    /// Hash over the content.
    pub digest: Digest,
}

/// What Works record about their origin, equal on all Works of a binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recorded {
    pub index: String,
    pub snapshot: String,
    pub cluster_overrides: String,
    pub overrides: String,
    /// How many Works the binding has, so that its member knows when it has seen all of them.
    pub works: String,
}

impl Wanted {
    /// Whether an existing Work of the binding is this one: those of envelopes are known by labels, whatever their name.
    pub fn is_of(&self, work: &Work) -> bool {
        if self.envelope.is_empty() {
            return work.meta.name == self.name;
        }
        ENVELOPE_LABELS
            .iter()
            .all(|key| work.meta.label(key) == self.envelope.get(key).map(String::as_str))
    }
}

const ENVELOPE_LABELS: [&str; 3] = [labels::ENVELOPE_KIND, labels::ENVELOPE_NAME, labels::ENVELOPE_NAMESPACE];

impl Recorded {
    /// What the Works of a binding have to record.
    ///
    /// # Errors
    /// When the override lists cannot be hashed.
    pub fn of(binding: &Binding, index: &str) -> Result<Self, Problem> {
        let spec = &binding.spec;
        let unexpected = |err| Problem::unexpected(format!("The overrides of a binding cannot be hashed: {err}."));
        Ok(Self {
            index: index.to_owned(),
            snapshot: spec.resource_snapshot_name.clone(),
            cluster_overrides: hash::cluster_override_list(&spec.cluster_resource_override_snapshots)
                .map_err(unexpected)?,
            overrides: hash::resource_override_list(&spec.resource_override_snapshots).map_err(unexpected)?,
            works: String::new(),
        })
    }

    /// The same, with the number of Works that were rendered.
    pub fn with_works(self, works: usize) -> Self {
        Self {
            works: works.to_string(),
            ..self
        }
    }

    /// Whether the metadata of a Work says all this. Works of older releases do not say how many there are; they are not
    /// rewritten for that alone.
    pub fn is_written_on(&self, work: &Work) -> bool {
        let says = |key: &str| work.meta.annotation(key);
        self.is_on(work)
            && says(annotations::PARENT_SNAPSHOT_NAME) == Some(&self.snapshot)
            && says(annotations::NUMBER_OF_WORKS).is_none_or(|number| number == self.works)
    }

    /// Whether a Work was made from the same resources and overrides.
    pub fn is_on(&self, work: &Work) -> bool {
        work.meta.label(labels::PARENT_SNAPSHOT_INDEX) == Some(self.index.as_str())
            && work.meta.annotation(annotations::CLUSTER_OVERRIDE_HASH) == Some(self.cluster_overrides.as_str())
            && work.meta.annotation(annotations::OVERRIDE_HASH) == Some(self.overrides.as_str())
    }

    /// The annotations of a Work.
    pub fn annotations(&self) -> BTreeMap<&'static str, &str> {
        BTreeMap::from([
            (annotations::PARENT_SNAPSHOT_NAME, self.snapshot.as_str()),
            (annotations::CLUSTER_OVERRIDE_HASH, self.cluster_overrides.as_str()),
            (annotations::OVERRIDE_HASH, self.overrides.as_str()),
            (annotations::NUMBER_OF_WORKS, self.works.as_str()),
        ])
    }
}

/// Renders all Works of a group for a cluster.
///
/// # Errors
/// The first override that cannot be applied; failing that, the first fault of an envelope's content.
pub(super) fn works(group: &Group, overrides: &Applicable<'_>, cluster: Cluster<'_>) -> Result<Vec<Wanted>, Outcome> {
    let mut works = Vec::new();
    for part in &group.parts {
        plain(part, overrides, cluster, &mut works)?;
        for (envelope, digest) in &part.envelopes {
            let (manifests, digest) = overridden(&envelope.content, *digest, overrides, cluster)?;
            let name = envelope_work(part, envelope);
            works.push(Wanted {
                name,
                envelope: envelope_labels(envelope),
                manifests,
                digest,
            });
        }
    }
    for part in &group.parts {
        if let Some(fault) = part.envelopes.iter().find_map(|(envelope, _)| envelope.fault.clone()) {
            return Err(Outcome::NotSynchronized(fault));
        }
    }
    match works.iter().find(|work| size(&work.manifests) > LIMIT) {
        Some(work) => Err(Outcome::NotSynchronized(Problem::user(format!(
            "The Work {:?} would hold {} bytes of manifests, more than the API server can store.",
            work.name,
            size(&work.manifests)
        )))),
        None => Ok(works),
    }
}

/// The names of Works that exist whatever overrides do, with the labels of their envelope.
pub(super) fn certain(group: &Group) -> impl Iterator<Item = Wanted> {
    let empty = |name: String, envelope| Wanted {
        name,
        envelope,
        manifests: Vec::new(),
        digest: Digest::default(),
    };
    group.parts.iter().flat_map(move |part| {
        let envelopes = part.envelopes.iter();
        let envelopes = envelopes.map(move |(e, _)| empty(envelope_work(part, e), envelope_labels(e)));
        [empty(part.work.clone(), BTreeMap::new())].into_iter().chain(envelopes)
    })
}

/// The Work of the ordinary objects exists even when there are none.
fn plain(
    part: &Part,
    overrides: &Applicable<'_>,
    cluster: Cluster<'_>,
    works: &mut Vec<Wanted>,
) -> Result<(), Outcome> {
    let (manifests, digest) = overridden(&part.plain, part.digest, overrides, cluster)?;
    let name = part.work.clone();
    let none = BTreeMap::new();
    if overrides.is_empty() || size(&manifests) <= SPLIT {
        works.push(Wanted {
            name,
            envelope: none,
            manifests,
            digest,
        });
        return Ok(());
    }
    for (number, manifests) in split(manifests).into_iter().enumerate() {
        let name = if number == 0 {
            name.clone()
        } else {
            format!("{name}-part-{number}")
        };
        works.push(Wanted {
            name,
            envelope: none.clone(),
            digest: content::digest(&manifests),
            manifests,
        });
    }
    Ok(())
}

fn overridden(
    manifests: &[Arc<Manifest>],
    digest: Digest,
    overrides: &Applicable<'_>,
    cluster: Cluster<'_>,
) -> Result<(Vec<Arc<Manifest>>, Digest), Outcome> {
    if overrides.is_empty() {
        return Ok((manifests.to_vec(), digest));
    }
    let mut changed = Vec::with_capacity(manifests.len());
    for manifest in manifests {
        changed.extend(overrides.apply(manifest, cluster).map_err(Outcome::NotOverridden)?);
    }
    let digest = content::digest(&changed);
    Ok((changed, digest))
}

/// Fills Works in order; an object that is too large for any gets one of its own.
fn split(manifests: Vec<Arc<Manifest>>) -> Vec<Vec<Arc<Manifest>>> {
    let mut parts: Vec<Vec<Arc<Manifest>>> = vec![Vec::new()];
    let mut used = 0;
    for manifest in manifests {
        let bytes = manifest.text().len();
        if used > 0 && used + bytes > SPLIT {
            parts.push(Vec::new());
            used = 0;
        }
        used += bytes;
        if let Some(last) = parts.last_mut() {
            last.push(manifest);
        }
    }
    parts
}

fn size(manifests: &[Arc<Manifest>]) -> usize {
    manifests.iter().map(|manifest| manifest.text().len()).sum()
}

fn envelope_work(part: &Part, envelope: &Envelope) -> String {
    names::envelope_work(&part.work, envelope.kind.as_str(), &envelope.namespace, &envelope.name)
}

fn envelope_labels(envelope: &Envelope) -> BTreeMap<&'static str, String> {
    let mut labelled = BTreeMap::from([
        (labels::ENVELOPE_KIND, envelope.kind.as_str().to_owned()),
        (labels::ENVELOPE_NAME, envelope.name.clone()),
    ]);
    if !envelope.namespace.is_empty() {
        labelled.insert(labels::ENVELOPE_NAMESPACE, envelope.namespace.clone());
    }
    labelled
}
