//! The model as the store holds it: behind one lock, and with a mark that says when it must not be
//! believed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use super::{Change, ReadModel};

pub(crate) struct Model {
    state: RwLock<ReadModel>,
    distrusted: AtomicBool,
}

impl Model {
    /// Nothing is answered from it before it has been read from the database.
    pub fn untrusted() -> Self {
        Self {
            state: RwLock::default(),
            distrusted: AtomicBool::new(true),
        }
    }

    pub fn is_distrusted(&self) -> bool {
        self.distrusted.load(Ordering::Acquire)
    }

    pub fn distrust(&self) {
        self.distrusted.store(true, Ordering::Release);
    }

    pub fn replace(&self, model: ReadModel) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = model;
        self.distrusted.store(false, Ordering::Release);
    }

    pub fn apply(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut model = self.state.write().unwrap_or_else(PoisonError::into_inner);
        changes.into_iter().for_each(|change| model.apply(change));
    }

    pub fn ask<T>(&self, question: impl FnOnce(&ReadModel) -> T) -> T {
        question(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}
