//! What is stored at once.

use crate::state::Change;

/// What is stored in one transaction.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// In order.
    pub changes: Vec<Change>,
    /// Everything that a damaged store had lost is there again.
    pub recovered: bool,
}
