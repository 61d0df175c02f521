//! The Works that a binding should have.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::text::{annotations, labels};
use api::{hash, names};

use super::group::{Group, Part};
use crate::content;
use crate::envelope::Envelope;
use crate::objects::{Binding, Digest, Manifest, Work};
use crate::overrides::{Applicable, Cluster};
use crate::problem::Problem;

/// Manifests of one Work beyond this are split over several. Snapshots are cut at 800 KiB, so only overrides get here.
const SPLIT: usize = 1024 * 1024;
/// What the API server can still store, with some room for metadata and status.
const LIMIT: usize = 1_400_000;
/// Comes between the name of a Work that is split and the number of the part.
const PART: &str = "-part-";

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

/// The Works of a group for one cluster.
#[derive(Debug, Default)]
pub(super) struct Rendering {
    /// Those that can be made.
    pub works: Vec<Wanted>,
    /// Those that cannot. What exists of them stays as it is, and the others are not concerned.
    pub stopped: Vec<Stopped>,
}

/// A Work that cannot be made.
#[derive(Debug, Clone)]
pub(super) struct Stopped {
    /// Its name and its envelope, without content.
    identity: Wanted,
    /// Why.
    pub why: Why,
}

/// Why a Work cannot be made.
#[derive(Debug, Clone)]
pub(super) enum Why {
    /// An override cannot be applied to one of its objects.
    Override(Problem),
    /// Its content is at fault.
    Content(Problem),
}

impl Stopped {
    /// Whether an existing Work of the binding is this one, or a part that it was split into.
    pub fn is_of(&self, work: &Work) -> bool {
        let is_part = || {
            let rest = work.meta.name.strip_prefix(&self.identity.name);
            self.identity.envelope.is_empty() && rest.is_some_and(|rest| rest.starts_with(PART))
        };
        self.identity.is_of(work) || is_part()
    }
}

/// Renders all Works of a group for a cluster. Each is made as a whole or not at all.
pub(super) fn works(group: &Group, overrides: &Applicable<'_>, cluster: Cluster<'_>) -> Rendering {
    let mut rendering = Rendering::default();
    for part in &group.parts {
        let identity = identity(part.work.clone(), BTreeMap::new());
        let content = overridden(&part.plain, part.digest, overrides, cluster);
        let split = !overrides.is_empty();
        rendering.add(identity, content, split);
        for (envelope, digest) in &part.envelopes {
            let identity = identity_of(part, envelope);
            let content = match &envelope.fault {
                Some(fault) => Err(Why::Content(fault.clone())),
                None => overridden(&envelope.content, *digest, overrides, cluster),
            };
            rendering.add(identity, content, false);
        }
    }
    rendering
}

impl Rendering {
    /// The Work of the ordinary objects exists even when there are none.
    fn add(&mut self, identity: Wanted, content: Result<(Vec<Arc<Manifest>>, Digest), Why>, may_split: bool) {
        let (manifests, digest) = match content {
            Ok(content) => content,
            Err(why) => return self.stopped.push(Stopped { identity, why }),
        };
        let parts = if may_split && size(&manifests) > SPLIT {
            split(manifests)
                .into_iter()
                .map(|part| (content::digest(&part), part))
                .collect()
        } else {
            vec![(digest, manifests)]
        };
        // A part that cannot be stored stops them all, so that no object is in two Works.
        if let Some(bytes) = parts.iter().map(|(_, part)| size(part)).find(|bytes| *bytes > LIMIT) {
            let why = Why::Content(Problem::user(format!(
                "The Work {:?} would hold {bytes} bytes of manifests, more than the API server can store ({LIMIT}).",
                identity.name
            )));
            return self.stopped.push(Stopped { identity, why });
        }
        for (number, (digest, manifests)) in parts.into_iter().enumerate() {
            let name = if number == 0 {
                identity.name.clone()
            } else {
                format!("{}{PART}{number}", identity.name)
            };
            self.works.push(Wanted {
                name,
                envelope: identity.envelope.clone(),
                digest,
                manifests,
            });
        }
    }
}

/// The envelopes of a group that no Work can be made of, whatever overrides do.
pub(super) fn faulty(group: &Group) -> Vec<Stopped> {
    let of_part = |part: &Part| {
        let faults = part.envelopes.iter().filter_map(|(envelope, _)| {
            Some(Stopped {
                identity: identity_of(part, envelope),
                why: Why::Content(envelope.fault.clone()?),
            })
        });
        faults.collect::<Vec<_>>()
    };
    group.parts.iter().flat_map(of_part).collect()
}

/// The names of Works that exist whatever overrides do, with the labels of their envelope.
pub(super) fn certain(group: &Group) -> impl Iterator<Item = Wanted> {
    group.parts.iter().flat_map(move |part| {
        let sound = part.envelopes.iter().filter(|(envelope, _)| envelope.fault.is_none());
        let envelopes = sound.map(move |(envelope, _)| identity_of(part, envelope));
        [identity(part.work.clone(), BTreeMap::new())]
            .into_iter()
            .chain(envelopes)
    })
}

fn identity_of(part: &Part, envelope: &Envelope) -> Wanted {
    identity(envelope_work(part, envelope), envelope_labels(envelope))
}

fn identity(name: String, envelope: BTreeMap<&'static str, String>) -> Wanted {
    Wanted {
        name,
        envelope,
        manifests: Vec::new(),
        digest: Digest::default(),
    }
}

fn overridden(
    manifests: &[Arc<Manifest>],
    digest: Digest,
    overrides: &Applicable<'_>,
    cluster: Cluster<'_>,
) -> Result<(Vec<Arc<Manifest>>, Digest), Why> {
    if overrides.is_empty() {
        return Ok((manifests.to_vec(), digest));
    }
    let mut changed = Vec::with_capacity(manifests.len());
    for manifest in manifests {
        changed.extend(overrides.apply(manifest, cluster).map_err(Why::Override)?);
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
