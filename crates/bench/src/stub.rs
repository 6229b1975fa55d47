//! The upstream of all contestants: Particle's wire as far as a function call needs it
//! (particle-cloud-api.md §2.2, §5.1 to §5.3, §8.1), with a delay that can be set. It keeps no state and checks no
//! token, for whatever it did would be measured as somebody's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};

use crate::contestants::{DEVICES, cloud_id};
use crate::service::{Body, Service, body, serve};

/// §8.1: the cloud sends an empty line about this often.
const HEARTBEAT: Duration = Duration::from_secs(9);
const TOKEN: &str =
    r#"{"access_token":"0123456789abcdef0123456789abcdef01234567","token_type":"bearer","expires_in":7776000}"#;

pub struct Stub {
    pub address: SocketAddr,
    delay_ms: Arc<AtomicU64>,
}

impl Stub {
    /// On a thread of this program, so on the load generator's core.
    pub fn start() -> anyhow::Result<Self> {
        let delay_ms = Arc::new(AtomicU64::new(0));
        let wire = Arc::new(Wire {
            delay_ms: Arc::clone(&delay_ms),
        });
        let (told, listening) = mpsc::sync_channel(1);
        std::thread::Builder::new().name("stub".to_owned()).spawn(move || {
            let tell = |address| {
                told.send(address)
                    .expect("whoever started the stub waits for its address");
            };
            serve(&wire, tell).expect("loopback can be served");
        })?;
        Ok(Self {
            address: listening.recv().context("the stub did not start")?,
            delay_ms,
        })
    }

    /// From now on every function call takes this long.
    pub fn set_delay(&self, delay: Duration) {
        self.delay_ms.store(delay.as_millis() as u64, Ordering::Relaxed);
    }
}

struct Wire {
    delay_ms: Arc<AtomicU64>,
}

impl Service for Wire {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> BoxFuture<'static, Response<Body>> {
        Box::pin(async move {
            let (parts, incoming) = request.into_parts();
            // The connection is good for another request only once this one is read to its end.
            if incoming.collect().await.is_err() {
                return plain(StatusCode::BAD_REQUEST);
            }
            let path = parts.uri.path();
            let segments: Vec<_> = path.split('/').skip(1).collect();
            match (&parts.method, segments.as_slice()) {
                (&Method::POST, ["v1", "products", _, "devices", device, _function]) => {
                    self.pause().await;
                    json(format!(
                        r#"{{"id":"{device}","name":"bench","connected":true,"return_value":1}}"#
                    ))
                }
                (&Method::POST, ["oauth", "token"]) => json(TOKEN),
                (&Method::GET, ["v1", "products", _, "devices"]) => json(fleet()),
                (&Method::GET, ["v1", "products", _, "devices", device]) => json(description(device)),
                (&Method::GET, ["v1", .., "events"] | ["v1", .., "events", _]) => events(),
                _ => plain(StatusCode::NOT_FOUND),
            }
        })
    }
}

impl Wire {
    async fn pause(&self) {
        let delay = Duration::from_millis(self.delay_ms.load(Ordering::Relaxed));
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }
}

/// §5.1
fn description(device: &str) -> String {
    format!(
        r#"{{"id":"{device}","name":"bench","online":true,"connected":true,"functions":["setTarget"],"variables":{{}}}}"#
    )
}

/// §5.2: all on one page.
fn fleet() -> String {
    let devices: Vec<_> = (0..DEVICES).map(|number| description(&cloud_id(number))).collect();
    format!(r#"{{"devices":[{}],"meta":{{"total_pages":1}}}}"#, devices.join(","))
}

fn json(content: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(body(content));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    response
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(body(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// A stream on which nothing ever happens.
fn events() -> Response<Body> {
    let heartbeats = stream::unfold(Bytes::from_static(b":ok\n\n"), |line| async move {
        if line.len() == 1 {
            tokio::time::sleep(HEARTBEAT).await;
        }
        Some((Ok(Frame::data(line)), Bytes::from_static(b"\n")))
    });
    let mut response = Response::new(StreamBody::new(heartbeats).boxed());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Connection;
    use crate::edge;

    const CALL: &[u8] = b"POST /v1/products/1/devices/e00fce68a1b2c3d4e5f60718/setTarget HTTP/1.1\r\nhost: x\r\ncontent-length: 12\r\n\r\n{\"arg\":\"20\"}";

    #[test]
    fn a_call_is_answered_after_the_delay_and_the_connection_stays() {
        let stub = Stub::start().unwrap();
        let mut connection = Connection::open(stub.address).unwrap();
        assert_eq!(connection.exchange(CALL).unwrap(), 200);
        assert!(connection.last_answer().contains(r#""return_value":1"#));
        stub.set_delay(Duration::from_millis(50));
        let start = edge::now();
        assert_eq!(connection.exchange(CALL).unwrap(), 200);
        assert!(edge::now().duration_since(start) >= Duration::from_millis(50));
    }

    #[test]
    fn the_fleet_is_one_page_of_json() {
        let page: serde_json::Value = serde_json::from_str(&fleet()).unwrap();
        assert_eq!(page["devices"].as_array().unwrap().len() as u64, DEVICES);
        assert_eq!(page["devices"][1]["id"], cloud_id(1));
    }

    #[test]
    fn what_is_not_particles_is_not_found() {
        let mut connection = Connection::open(Stub::start().unwrap().address).unwrap();
        assert_eq!(
            connection
                .exchange(b"GET /v1/nothing HTTP/1.1\r\nhost: x\r\n\r\n")
                .unwrap(),
            404
        );
    }
}
