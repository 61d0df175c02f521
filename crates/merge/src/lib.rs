//! Patches and merges of Kubernetes objects: JSON patch, merge patch, strategic merge, three-way apply, server-side apply, diffs. No IO.
