//! What every request passes before it is routed: the tolerated trailing slash, rate limit, injected
//! faults, CORS, the simulated `Date`, the journal, and the promise that an answered change is kept.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, Uri, header};

use super::Refusal;
use super::call::{BODY_MAX, source_of};
use crate::clock::http_date;
use crate::cloud::Cloud;
use crate::faults::FaultKind;
use crate::id::DeviceId;
use crate::limits::Counted;

/// When the request reached the cloud, before any injected delay.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArrivedAt(pub i64);

pub(crate) async fn front(State(cloud): State<Arc<Cloud>>, mut request: Request, next: Next) -> Response {
    trim_slash(request.uri_mut());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let response = if path.starts_with("/_sim") {
        next.run(request).await
    } else if method == Method::OPTIONS {
        preflight()
    } else {
        let response = journalled(&cloud, &method, &path, request, next).await;
        as_the_vendor_answers(&cloud, response)
    };
    if method != Method::GET {
        cloud.kept().await;
    }
    response
}

async fn journalled(cloud: &Arc<Cloud>, method: &Method, path: &str, mut request: Request, next: Next) -> Response {
    let arrived_at = cloud.clock.now_ms();
    request.extensions_mut().insert(ArrivedAt(arrived_at));
    let seq = cloud.world().journal.requested(arrived_at, method.as_str(), path);
    let response = tokio::select! {
        () = cloud.stopping.cancelled() => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        response = answer(cloud, path, request, next) => response,
    };
    cloud.world().journal.answered(seq, response.status().as_u16());
    response
}

fn as_the_vendor_answers(cloud: &Cloud, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if let Ok(date) = HeaderValue::from_str(&http_date(cloud.clock.now_ms())) {
        headers.insert(header::DATE, date);
    }
    response
}

async fn answer(cloud: &Arc<Cloud>, path: &str, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let source = source_of(&parts);
    let (latency, struck) = {
        let mut world = cloud.world();
        (strike_latency(&mut world, path), refuse_early(&mut world, source, path))
    };
    match (latency, struck) {
        (None, None) => next.run(Request::from_parts(parts, body)).await,
        (None, Some(refusal)) => refusal,
        (Some(latency), struck) => {
            let Ok(bytes) = axum::body::to_bytes(body, BODY_MAX).await else {
                return Refusal::Unreadable.into_response();
            };
            let request = Request::from_parts(parts, Body::from(bytes));
            late(cloud, latency, struck, request, next).await
        }
    }
}

/// A task of its own: what has reached the cloud is carried out although its sender hangs up.
async fn late(
    cloud: &Arc<Cloud>,
    latency: Duration,
    struck: Option<Response>,
    request: Request,
    next: Next,
) -> Response {
    let stopping = cloud.stopping.clone();
    let answered = cloud.tasks.spawn(async move {
        tokio::select! {
            () = stopping.cancelled() => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
            () = tokio::time::sleep(latency) => {}
        }
        match struck {
            Some(refusal) => refusal,
            None => next.run(request).await,
        }
    });
    answered
        .await
        .unwrap_or_else(|_| StatusCode::SERVICE_UNAVAILABLE.into_response())
}

fn strike_latency(world: &mut crate::world::World, path: &str) -> Option<Duration> {
    let fault = world.faults.strike(FaultKind::Latency, device_in(path).as_ref())?;
    Some(Duration::from_millis(fault.ms.unwrap_or(1_000)))
}

fn refuse_early(world: &mut crate::world::World, source: std::net::IpAddr, path: &str) -> Option<Response> {
    let device = device_in(path);
    let device = device.as_ref();
    let now = world.now();
    let config = world.config.limits;
    if !world.limits.admit(Counted::Request(source), &config, now)
        || world.faults.strike(FaultKind::RateLimit, device).is_some()
    {
        return Some(Refusal::RateLimited { status: 429 }.into_response());
    }
    if let Some(fault) = world.faults.strike(FaultKind::Status, device) {
        return Some(
            Refusal::Injected {
                status: fault.status.unwrap_or(500),
            }
            .into_response(),
        );
    }
    world.faults.strike(FaultKind::EdgeError, device)?;
    Some(edge_error())
}

/// What a proxy says for its upstream: no JSON (reference §14, row 17).
fn edge_error() -> Response {
    let html = "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>\n<center><h1>502 Bad Gateway</h1>\
                </center>\n</body>\n</html>\n";
    (StatusCode::BAD_GATEWAY, [(header::CONTENT_TYPE, "text/html")], html).into_response()
}

fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "GET, POST, PUT, PATCH, DELETE, OPTIONS",
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, X-Particle-Tool, X-Particle-Project",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// The device that a path speaks of, by its id.
fn device_in(path: &str) -> Option<DeviceId> {
    let is_id = |segment: &&str| segment.len() == 24 && segment.bytes().all(|b| b.is_ascii_hexdigit());
    path.split('/').find(is_id).map(DeviceId::new)
}

fn trim_slash(uri: &mut Uri) {
    let path = uri.path();
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() || trimmed.len() == path.len() {
        return;
    }
    let target = match uri.query() {
        Some(query) => format!("{trimmed}?{query}"),
        None => trimmed.to_owned(),
    };
    if let Ok(target) = target.parse() {
        *uri = target;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_slash_is_tolerated() {
        for (given, routed) in [
            ("/v1/devices/", "/v1/devices"),
            ("/v1/devices/?page=2", "/v1/devices?page=2"),
        ] {
            let mut uri: Uri = given.parse().unwrap();
            trim_slash(&mut uri);
            assert_eq!(uri.to_string(), routed);
        }
        let mut root: Uri = "/".parse().unwrap();
        trim_slash(&mut root);
        assert_eq!(root.path(), "/");
    }

    #[test]
    fn a_fault_finds_its_device_in_the_path() {
        let id = "e00fce68a1b2c3d4e5f60718";
        assert_eq!(
            device_in(&format!("/v1/products/p/devices/{id}/ping")),
            Some(DeviceId::new(id))
        );
        assert_eq!(device_in("/v1/devices"), None);
    }
}
