//! What every request meets, whatever it asks for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use futures_util::FutureExt as _;
use http::{Method, Request};
use ostler_server::health::Readiness;
use ostler_server::layers::address::Peer;

use crate::world::{Answer, World, ask, get_path, limits, world};

fn post(path: &str, content_type: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path)
        .header("content-type", content_type)
        .body(body.into())
        .unwrap()
}

async fn refusal(router: &Router, request: Request<Body>) -> String {
    ask(router, request).await.problem()
}

#[tokio::test]
async fn routing_refuses_with_problem_documents() {
    let router = world().router();
    assert_eq!(get_path(&router, "/nowhere").await.problem(), "404 not-found");

    let answer = ask(&router, Request::delete("/v1/echo").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.problem(), "405 method-not-allowed");
    assert_eq!(answer.headers["allow"], "POST");
}

#[tokio::test]
async fn an_id_that_does_not_parse_looks_like_one_that_nobody_has() {
    let router = world().router();
    let unknown = get_path(&router, "/v1/things/dev_01h455vb4pex5vsknk084sn02q").await;
    for id in [
        "dev_nonsense",
        "cus_01h455vb4pex5vsknk084sn02q",
        "%ff",
        "e00fce68a1b2c3d4e5f60718",
    ] {
        let answer = get_path(&router, &format!("/v1/things/{id}")).await;
        let without_id = |answer: &Answer| {
            let mut document = answer.json();
            document.as_object_mut().unwrap().remove("request_id");
            document
        };
        assert_eq!(answer.problem(), "404 not-found");
        assert_eq!(without_id(&answer), without_id(&unknown));
        assert_eq!(answer.text.len(), unknown.text.len());
    }
}

#[tokio::test]
async fn a_body_that_breaks_a_rule_is_refused_by_name() {
    let router = world().router();
    let json = "application/json";
    for (content_type, body, expected) in [
        (
            json,
            r#"{"argument": 7}"#,
            "400 invalid-request [/argument: must be a string]",
        ),
        (json, "{}", "400 invalid-request [/argument: is required]"),
        (json, r#"["x"]"#, "400 invalid-request [: must be an object]"),
        (
            json,
            r#"{"argument": "#,
            "400 invalid-request [: must be JSON (line 1, column 13)]",
        ),
        (
            json,
            r#"{"argument": "x", "more": 1}"#,
            "400 invalid-request [/more: is not a member here]",
        ),
        (
            json,
            r#"{"argument": "x", "count": 256}"#,
            "400 invalid-request [/count: must be an integer from 0 to 255]",
        ),
        ("text/plain", r#"{"argument": "x"}"#, "415 unsupported-media-type"),
    ] {
        assert_eq!(
            refusal(&router, post("/v1/echo", content_type, body)).await,
            expected,
            "{body}"
        );
    }
    let bad_utf8 = post("/v1/echo", json, b"{\"argument\": \"\xff\"}".to_vec());
    assert_eq!(
        refusal(&router, bad_utf8).await,
        "400 invalid-request [: must be UTF-8]"
    );
    let answer = ask(
        &router,
        post("/v1/echo", "application/json; charset=utf-8", r#"{"argument": "x"}"#),
    )
    .await;
    assert_eq!(answer.text, r#"{"argument":"x","count":null}"#);
}

#[tokio::test]
async fn a_form_and_a_query_that_break_a_rule_are_refused_by_name() {
    let router = world().router();
    let form = "application/x-www-form-urlencoded";
    for (content_type, body, expected) in [
        (
            form,
            "argument=a&argument=b",
            "400 invalid-request [argument: must not be repeated]",
        ),
        (form, "argument=%ff", "400 invalid-request [argument: must be UTF-8]"),
        ("application/json", "{}", "415 unsupported-media-type"),
    ] {
        assert_eq!(
            refusal(&router, post("/v1/form", content_type, body)).await,
            expected,
            "{body}"
        );
    }
    let answer = get_path(&router, "/v1/query?argument=a&cuont=1").await;
    let rule = "is not a parameter here; there are: argument, count";
    assert_eq!(answer.problem(), format!("400 invalid-request [cuont: {rule}]"));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_and_without_a_length() {
    let mut limits = limits();
    (limits.body_bytes, limits.ingest_body_bytes) = (1_024, 1_024);
    let router = World { limits, ..world() }.router();
    let long = format!("{{\"argument\": \"{}\"}}", "x".repeat(2_000));

    let mut declared = post("/v1/echo", "application/json", long.clone());
    declared.headers_mut().insert("content-length", long.len().into());
    assert_eq!(refusal(&router, declared).await, "413 too-large");

    // Read to its end: a connection closed on what its client still sends loses the answer.
    let (undeclared, taken) = in_pieces(100, 20);
    assert_eq!(refusal(&router, undeclared).await, "413 too-large");
    assert_eq!(taken.load(Ordering::Relaxed), 20);

    // But not for ever.
    let (endless, taken) = in_pieces(1_048_576, usize::MAX);
    assert_eq!(refusal(&router, endless).await, "413 too-large");
    assert!(taken.load(Ordering::Relaxed) < 20);
}

/// A body without a length, and how many of its pieces were taken.
fn in_pieces(bytes: usize, count: usize) -> (Request<Body>, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&taken);
    let pieces = (0..count).map(move |_| {
        counting.fetch_add(1, Ordering::Relaxed);
        Ok::<_, std::io::Error>(vec![b' '; bytes])
    });
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    (post("/v1/echo", "application/json", body), taken)
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_cut_off() {
    let router = world().router();
    let trickle = futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        Some((Ok::<_, std::io::Error>(" "), ()))
    });
    let request = post("/v1/echo", "application/json", Body::from_stream(trickle));
    assert_eq!(refusal(&router, request).await, "408 request-timeout");
}

#[tokio::test]
async fn a_panic_or_a_fault_ends_one_request_and_tells_nothing() {
    let router = world().router();
    for path in ["/v1/panic", "/v1/fault"] {
        let answer = get_path(&router, path).await;
        assert_eq!(answer.problem(), "500 internal");
        assert!(!answer.text.contains("secret"), "{}", answer.text);
    }
    assert_eq!(get_path(&router, "/healthz").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_finds_no_answer_in_time_is_ended() {
    let never: ostler_server::health::Check = Arc::new(|| std::future::pending().boxed());
    let mut limits = limits();
    // Shorter than the deadline of a health check, so that this deadline is the one that is met.
    limits.request_deadline = std::time::Duration::from_secs(1);
    let router = World {
        limits,
        readiness: Readiness::default().with("never", never),
        ..world()
    }
    .router();
    let answer = get_path(&router, "/readyz").await;
    assert_eq!(answer.problem(), "503 overloaded");
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn readiness_follows_its_checks_and_the_stop() {
    let broken: ostler_server::health::Check = Arc::new(|| async { Err("no disk".to_owned()) }.boxed());
    let router = World {
        readiness: Readiness::default().with("store", broken),
        ..world()
    }
    .router();
    let answer = get_path(&router, "/readyz").await;
    assert_eq!(
        (answer.status.as_u16(), answer.text.as_str()),
        (503, r#"{"status":"not_ready","parts":[{"part":"store","ok":false}]}"#)
    );

    let stopped = world();
    let stopping = stopped.stopping.clone();
    let router = stopped.router();
    assert_eq!(get_path(&router, "/readyz").await.text, r#"{"status":"ok"}"#);
    stopping.cancel();
    assert_eq!(get_path(&router, "/readyz").await.status, 503);
    assert_eq!(get_path(&router, "/healthz").await.status, 200);
}

#[tokio::test]
async fn the_client_address_comes_from_trusted_proxies_only_and_v6_counts_by_64() {
    let router = World {
        trusted_proxies: &["10.0.0.0/8"],
        ..world()
    }
    .router();
    let from = |peer: &str, forwarded: &str| {
        let mut request = Request::get("/v1/address")
            .header("x-forwarded-for", forwarded)
            .body(Body::empty())
            .unwrap();
        request
            .extensions_mut()
            .insert(Peer(SocketAddr::new(peer.parse().unwrap(), 4711)));
        request
    };
    for (peer, forwarded, expected) in [
        (
            "10.0.0.1",
            "2001:db8:1:2:3::4",
            r#"["2001:db8:1:2:3::4","2001:db8:1:2::"]"#,
        ),
        ("203.0.113.5", "2001:db8:1:2:3::4", r#"["203.0.113.5","203.0.113.5"]"#),
    ] {
        assert_eq!(ask(&router, from(peer, forwarded)).await.text, expected);
    }
}

#[tokio::test]
async fn an_address_without_a_token_is_limited_and_told_so() {
    let mut limits = limits();
    limits.requests_per_minute_per_address = 2;
    let router = World { limits, ..world() }.router();
    let first = get_path(&router, "/").await;
    assert_eq!(first.headers["ratelimit-policy"], "\"address\";q=2;w=60");
    assert_eq!(first.headers["ratelimit"], "\"address\";r=1;t=30");
    get_path(&router, "/").await;
    let refused = get_path(&router, "/").await;
    assert_eq!(refused.problem(), "429 rate-limited");
    assert_eq!(refused.headers["ratelimit"], "\"address\";r=0;t=60");
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert_eq!(
        get_path(&router, "/healthz").await.status,
        200,
        "probes are not counted"
    );
}

#[tokio::test]
async fn browsers_may_ask_from_registered_origins() {
    let router = world().router();
    let preflight = |origin: &str, path: &str| {
        Request::builder()
            .method(Method::OPTIONS)
            .uri(path)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .body(Body::empty())
            .unwrap()
    };
    let allowed = ask(&router, preflight("https://app.example.com", "/v1/echo")).await;
    assert_eq!(allowed.status, 204);
    assert_eq!(
        allowed.headers["access-control-allow-origin"],
        "https://app.example.com"
    );
    assert!(
        allowed.headers["access-control-allow-headers"]
            .to_str()
            .unwrap()
            .contains("idempotency-key")
    );
    assert_eq!(allowed.headers["vary"], "origin");

    let stranger = ask(&router, preflight("https://evil.example", "/v1/echo")).await;
    assert!(!stranger.headers.contains_key("access-control-allow-origin"));
    let page = ask(&router, preflight("https://app.example.com", "/docs")).await;
    assert_eq!(page.status, 405);

    // A refusal must be readable too, or an app cannot tell its user why.
    let refused = Request::get("/v1/panic")
        .header("origin", "https://app.example.com")
        .body(Body::empty())
        .unwrap();
    let refused = ask(&router, refused).await;
    assert_eq!(
        refused.headers["access-control-allow-origin"],
        "https://app.example.com"
    );
}

#[tokio::test]
async fn every_answer_carries_an_id_and_careful_header_fields() {
    let router = world().router();
    for path in ["/", "/healthz", "/nowhere"] {
        let headers = get_path(&router, path).await.headers;
        assert!(headers["x-request-id"].to_str().unwrap().starts_with("req_"));
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
        assert!(
            headers["content-security-policy"]
                .to_str()
                .unwrap()
                .contains("default-src 'none'")
        );
        assert!(headers.contains_key("strict-transport-security"));
    }
}

#[tokio::test]
async fn metrics_count_by_route_and_exist_only_for_those_who_may_look() {
    let router = world().router();
    get_path(&router, "/v1/things/dev_secret?token=abc").await;
    let text = get_path(&router, "/metrics").await.text;
    assert!(
        text.contains(r#"ostler_http_requests_total{method="GET",route="/v1/things/{id}",status="404"}"#),
        "{text}"
    );
    assert!(!text.contains("dev_secret") && !text.contains("token=abc"));

    let mut stranger = Request::get("/metrics").body(Body::empty()).unwrap();
    stranger.extensions_mut().insert(Peer("203.0.113.5:1".parse().unwrap()));
    assert_eq!(ask(&router, stranger).await.problem(), "404 not-found");
}

#[tokio::test]
async fn the_operators_own_address_serves_metrics_to_whoever_reaches_it_and_no_api() {
    let router = ostler_server::openapi::operator_router(world().state());
    let mut stranger = Request::get("/metrics").body(Body::empty()).unwrap();
    stranger.extensions_mut().insert(Peer("10.0.0.9:1".parse().unwrap()));
    assert_eq!(ask(&router, stranger).await.status, 200);
    assert_eq!(get_path(&router, "/healthz").await.status, 200);
    assert_eq!(get_path(&router, "/docs").await.problem(), "404 not-found");
}
