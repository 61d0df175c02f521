//! How selected content is hashed and cut into parts (hub-behaviour 0.6, 3.5).

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::objects::Manifest;

/// Most bytes of manifests in one snapshot object: 800 KiB.
pub const SPLIT_LIMIT: usize = 800 * 1024;

/// Cuts the manifests into parts of at most `limit` bytes, greedily and in order; a larger manifest is a part of its own.
/// There is always at least one part, possibly empty.
pub fn split(manifests: &[Arc<Manifest>], limit: usize) -> Vec<Vec<Arc<Manifest>>> {
    let mut parts = Vec::new();
    let (mut part, mut size) = (Vec::new(), 0);
    for manifest in manifests {
        let bytes = manifest.text().len();
        if !part.is_empty() && size + bytes > limit {
            parts.push(std::mem::take(&mut part));
            size = 0;
        }
        size += bytes;
        part.push(Arc::clone(manifest));
    }
    parts.push(part);
    parts
}

/// Hash of the whole content, over `{"selectedResources":[...]}` in selection order.
pub fn content_hash(manifests: &[Arc<Manifest>]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(r#"{"selectedResources":["#);
    for (position, manifest) in manifests.iter().enumerate() {
        if position > 0 {
            hasher.update(",");
        }
        hasher.update(manifest.text().as_bytes());
    }
    hasher.update("]}");
    api::hash::hex(&hasher.finalize())
}
