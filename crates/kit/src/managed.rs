//! Objects of one API that an agent applies under a field manager of its own, with the index that follows them.
//!
//! The answer to each write goes into the index at once. Answers come without managed fields, so what is applied here is
//! marked as this manager's before it is read.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::ObjectKey;
use crate::error::Error;
use crate::index::Index;
use crate::writer::{Answer, Deletion, Patch, Writer};

/// Writes such objects.
pub struct Managed<T> {
    writer: Writer,
    index: Arc<Index<T>>,
    manager: &'static str,
}

impl<T: Send + Sync + 'static> Managed<T> {
    /// Writes the objects of an index.
    pub fn new(writer: Writer, index: Arc<Index<T>>, manager: &'static str) -> Self {
        Self { writer, index, manager }
    }

    /// The objects as they are known.
    pub fn index(&self) -> &Arc<Index<T>> {
        &self.index
    }

    /// Applies an object, taking over fields of others. `surplus` makes of the object and the answer the merge patch that
    /// removes what an earlier writer left in it, which applying leaves alone. Returns the object as it is stored.
    ///
    /// # Errors
    /// When a request fails.
    pub async fn apply(
        &self,
        key: &ObjectKey,
        object: &Value,
        surplus: impl Fn(&Value, &Value) -> Option<Value>,
    ) -> Result<Value, Error> {
        let resource = self.index.resource();
        let patch = Patch::Apply {
            manager: self.manager,
            force: true,
        };
        let mut answer = self.writer.patch(resource, key, None, patch, object).await?;
        if let Some(removal) = surplus(object, &answer) {
            answer = self.writer.patch(resource, key, None, Patch::Merge, &removal).await?;
        }
        self.take_in(answer.clone(), true);
        Ok(answer)
    }

    /// Deletes one incarnation of an object. Returns whether it is gone already: finalizers may still hold it. That
    /// another incarnation has taken its place is success.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn delete(&self, key: &ObjectKey, uid: &str, ours: bool) -> Result<bool, Error> {
        let how = Deletion {
            uid: Some(uid),
            ..Deletion::default()
        };
        match self.writer.delete(self.index.resource(), key, how).await {
            Ok(Answer::Gone(_)) => self.index.fold_deleted(key, Some(uid)),
            Ok(Answer::Object(object)) => {
                self.take_in(object, ours);
                return Ok(false);
            }
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Takes the answer to a write into the index. `ours` says whether this manager applied the object, which a write to
    /// its status does not change.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub fn fold(&self, mut answer: Value, ours: bool) -> Result<(), String> {
        if ours {
            answer["metadata"]["managedFields"] = json!([{"manager": self.manager, "operation": "Apply"}]);
        }
        self.index.fold(answer)
    }

    fn take_in(&self, answer: Value, ours: bool) {
        if let Err(reason) = self.fold(answer, ours) {
            let kind = &self.index.resource().kind;
            tracing::warn!(%kind, reason, "The answer to a write cannot be read; the watch brings the object again.");
        }
    }
}
