//! The service that nginx's `auth_request` asks: it verifies the bearer token by ES256, each time. A program of its
//! own on the measured core, for its work is part of that contestant's.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::edge;
use crate::service::{Body, Service, body, serve};
use crate::token::Verifier;

/// How the checker's first line of output begins; the address follows.
pub const ANNOUNCEMENT: &str = "checking on ";

struct Checker {
    verifier: Verifier,
}

impl Service for Checker {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> BoxFuture<'static, Response<Body>> {
        let field = request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let token = field
            .and_then(|field| field.strip_prefix("Bearer "))
            .unwrap_or_default();
        let good = self.verifier.accepts(token, edge::seconds_since_1970());
        let mut response = Response::new(body(Bytes::new()));
        *response.status_mut() = if good { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        Box::pin(std::future::ready(response))
    }
}

pub fn run(public_key: &str) -> anyhow::Result<()> {
    let verifier = Verifier::new(public_key)?;
    serve(&Arc::new(Checker { verifier }), |address: SocketAddr| {
        println!("{ANNOUNCEMENT}{address}");
    })
}
