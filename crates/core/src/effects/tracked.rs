//! The virtual state: stored objects together with what the pass has decided about them so far.

use std::sync::Arc;

use crate::meta::Meta;

/// One object as stored and as it shall be. Stages read the latter, so each sees what earlier ones are about to write;
/// the difference becomes at most one write of the object (and one of its status).
#[derive(Debug, Clone)]
pub struct Tracked<T> {
    stored: Option<Arc<T>>,
    wanted: Option<Arc<T>>,
}

/// Objects whose generation the API server raises with every change of their spec.
pub trait Versioned: Clone {
    /// The metadata.
    fn meta(&self) -> &Meta;
    /// The metadata, to be changed.
    fn meta_mut(&mut self) -> &mut Meta;
    /// Whether the specs are equal.
    fn same_spec(&self, other: &Self) -> bool;
}

impl<T: Versioned> Tracked<T> {
    /// An object that exists.
    pub fn stored(object: Arc<T>) -> Self {
        Self {
            wanted: Some(Arc::clone(&object)),
            stored: Some(object),
        }
    }

    /// An object that is to be created; its generation will be 1.
    pub fn created(mut object: T) -> Self {
        object.meta_mut().generation = 1;
        Self {
            stored: None,
            wanted: Some(Arc::new(object)),
        }
    }

    /// The object as it shall be; `None` when it is to be deleted.
    pub fn get(&self) -> Option<&Arc<T>> {
        self.wanted.as_ref()
    }

    /// The object as it shall be, if the pass has touched it.
    pub fn changed(&self) -> Option<&Arc<T>> {
        let wanted = self.wanted.as_ref()?;
        let same = self.stored.as_ref().is_some_and(|stored| Arc::ptr_eq(stored, wanted));
        (!same).then_some(wanted)
    }

    /// The object as it is stored; `None` when it is to be created.
    pub fn before(&self) -> Option<&Arc<T>> {
        self.stored.as_ref()
    }

    /// Changes the object. The generation that the API server will give to it is predicted.
    pub fn edit(&mut self, change: impl FnOnce(&mut T)) {
        let Some(wanted) = &mut self.wanted else { return };
        let mut object = T::clone(wanted);
        change(&mut object);
        object.meta_mut().generation = match &self.stored {
            None => 1,
            Some(stored) if stored.same_spec(&object) => stored.meta().generation,
            Some(stored) => stored.meta().generation + 1,
        };
        *wanted = Arc::new(object);
    }

    /// Decides to delete the object.
    pub fn delete(&mut self) {
        self.wanted = None;
    }

    /// Whether the pass deletes an object that exists.
    pub fn is_leaving(&self) -> bool {
        self.wanted.is_none() && self.stored.is_some()
    }
}
