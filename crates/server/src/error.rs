//! From a use case's error to an answer: the one place where a handler's `?` becomes a status.
//!
//! A use case's error says its class; this module chooses the code. What is logged, and once, is
//! decided by the frame from the problem that leaves here.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use ostler_store::StoreError;

use crate::problem::{Code, Problem};

/// An error that knows how it is told to a caller.
pub trait Refusal: std::error::Error + Send + Sync + 'static {
    fn problem(self) -> Problem;
}

/// What handlers return. Made from any [`Refusal`] or [`Problem`] by `?`.
#[derive(Debug)]
pub struct ApiError(Problem);

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl<E: Refusal> From<E> for ApiError {
    fn from(error: E) -> Self {
        error.problem().into()
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        error.0
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

/// What a fault of the database means for a caller: come back later, or it is ours to mend.
pub fn from_store(error: StoreError) -> Problem {
    match error {
        // Nothing was done, so trying again is safe.
        StoreError::Overloaded | StoreError::Closed => Problem::new(Code::Overloaded)
            .retry_after(Duration::from_secs(1))
            .caused_by(error),
        StoreError::Database(_)
        | StoreError::CommitUnknown(_)
        | StoreError::Unreadable { .. }
        | StoreError::Sealed(_)
        | StoreError::Injected(_) => Problem::internal(error),
    }
}
