//! Ends a handler that found no answer in time. For all routes but those that call devices, which
//! keep a deadline of their own. A stream is not cut: the deadline is for the head of the answer.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use tower::{Layer, Service};

use crate::problem::{Code, Problem};

#[derive(Debug, Clone, Copy)]
pub struct RequestDeadline(pub Duration);

impl<S> Layer<S> for RequestDeadline {
    type Service = Hurried<S>;

    fn layer(&self, inner: S) -> Hurried<S> {
        Hurried {
            deadline: self.0,
            inner,
        }
    }
}

#[derive(Clone)]
pub struct Hurried<S> {
    deadline: Duration,
    inner: S,
}

impl<S> Service<Request> for Hurried<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let answered = tokio::time::timeout(self.deadline, self.inner.call(request));
        Box::pin(async move { answered.await.unwrap_or_else(|_| Ok(too_late())) })
    }
}

fn too_late() -> Response {
    Problem::new(Code::Overloaded)
        .retry_after(Duration::from_secs(1))
        .into_response()
}
