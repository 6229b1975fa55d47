//! What can go wrong between us and the database.
//!
//! Callers tell two classes apart: the change certainly did not happen, or nobody can say
//! ([`StoreError::CommitUnknown`]). Everything else is for the log.

use std::sync::Arc;

use crate::faults::FaultPoint;

#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("the database refused or did not answer")]
    Database(#[source] Arc<sqlx::Error>),
    /// The commit was sent and its answer is missing: the change may have happened.
    #[error("the answer to a commit was lost")]
    CommitUnknown(#[source] Option<Arc<sqlx::Error>>),
    /// The writer's queue is full: nothing was done, trying again later is safe.
    #[error("too many writes are waiting")]
    Overloaded,
    #[error("the store has been closed")]
    Closed,
    /// A row says something that this version does not understand.
    #[error("{what} cannot be read from the database")]
    Unreadable {
        what: &'static str,
        #[source]
        source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    },
    #[error("a stored secret cannot be opened")]
    Sealed(#[from] crate::sealed::UnsealError),
    #[error("a fault was injected at {0:?}")]
    Injected(FaultPoint),
}

impl StoreError {
    pub(crate) fn unreadable(what: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Unreadable {
            what,
            source: Some(Arc::new(source)),
        }
    }

    pub(crate) const fn inconsistent(what: &'static str) -> Self {
        Self::Unreadable { what, source: None }
    }

    /// Whether the statement failed because such a row is there already.
    pub fn is_unique_violation(&self) -> bool {
        self.database_error().is_some_and(|error| error.is_unique_violation())
    }

    /// Whether the statement failed because a row that it points at is not there.
    pub fn is_foreign_key_violation(&self) -> bool {
        self.database_error()
            .is_some_and(|error| error.is_foreign_key_violation())
    }

    fn database_error(&self) -> Option<&dyn sqlx::error::DatabaseError> {
        match self {
            Self::Database(error) => error.as_database_error(),
            Self::CommitUnknown(_)
            | Self::Overloaded
            | Self::Closed
            | Self::Unreadable { .. }
            | Self::Sealed(_)
            | Self::Injected(_) => None,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}
