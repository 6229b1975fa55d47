//! Connections: slow ones, too many of them, and the end.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{Served, World, limits, soon, world};

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

async fn connect(served: &Served) -> TcpStream {
    TcpStream::connect(served.address).await.unwrap()
}

/// Reads one answer with a length; `None` if the connection ended instead.
async fn answer(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let mut buffer = [0; 4_096];
        let len = soon(stream.read(&mut buffer)).await.ok().filter(|len| *len > 0)?;
        text.extend_from_slice(&buffer[..len]);
        let shown = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = shown.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap();
        if body.len() >= length.parse().unwrap() {
            return Some(shown);
        }
    }
}

fn impatient() -> World {
    let mut limits = limits();
    limits.header_deadline = Duration::from_millis(300);
    limits.body_deadline = Duration::from_millis(300);
    World { limits, ..world() }
}

#[tokio::test]
async fn who_does_not_send_a_head_in_time_is_cut_off() {
    let served = impatient().listening().await;
    // Nothing; what could still be HTTP/2's preface; half a head.
    for beginning in [&b""[..], b"P", b"GET /healthz HTTP/1.1\r\nhost: lo"] {
        let mut stream = connect(&served).await;
        stream.write_all(beginning).await.unwrap();
        let mut rest = Vec::new();
        // A reset counts as an end too.
        drop(soon(stream.read_to_end(&mut rest)).await);
        assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
    }
}

#[tokio::test]
async fn a_connection_may_rest_between_requests_for_longer_than_a_head_may_take() {
    let served = impatient().listening().await;
    let mut stream = connect(&served).await;
    stream.write_all(HEALTH).await.unwrap();
    assert!(answer(&mut stream).await.unwrap().starts_with("HTTP/1.1 200"));
    // The wait is what is tested: past the head's deadline, within the idle one.
    tokio::time::sleep(Duration::from_millis(600)).await;
    stream.write_all(HEALTH).await.unwrap();
    assert!(answer(&mut stream).await.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn who_does_not_send_the_body_in_time_is_told_so() {
    let served = impatient().listening().await;
    let mut stream = connect(&served).await;
    let half = b"POST /v1/echo HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{\"arg";
    stream.write_all(half).await.unwrap();
    let text = answer(&mut stream).await.unwrap();
    assert!(
        text.starts_with("HTTP/1.1 408") && text.contains("request-timeout"),
        "{text}"
    );
}

#[tokio::test]
async fn who_does_not_read_the_answer_is_cut_off() {
    let mut limits = limits();
    limits.write_deadline = Duration::from_millis(300);
    limits.connections = 1;
    let served = World { limits, ..world() }.listening().await;
    let mut deaf = connect(&served).await;
    deaf.write_all(b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    // There is room for one connection only: another is answered once the first has been cut off.
    let mut next = connect(&served).await;
    next.write_all(HEALTH).await.unwrap();
    assert!(answer(&mut next).await.unwrap().starts_with("HTTP/1.1 200"));
    drop(deaf);
}

#[tokio::test]
async fn connections_over_the_limit_wait_until_there_is_room() {
    let mut limits = limits();
    limits.connections = 1;
    let served = World { limits, ..world() }.listening().await;
    let mut first = connect(&served).await;
    first.write_all(HEALTH).await.unwrap();
    answer(&mut first).await.unwrap();

    let mut second = connect(&served).await;
    second.write_all(HEALTH).await.unwrap();
    let unanswered = tokio::time::timeout(Duration::from_millis(300), answer(&mut second)).await;
    assert!(unanswered.is_err(), "there was no room for it");

    drop(first);
    assert!(answer(&mut second).await.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_stop_finishes_the_request_in_flight_and_takes_no_other() {
    let served = world().listening().await;
    let mut idle = connect(&served).await;
    idle.write_all(HEALTH).await.unwrap();
    answer(&mut idle).await.unwrap();
    let mut busy = connect(&served).await;
    busy.write_all(b"GET /hold HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    soon(served.arrived.notified()).await;

    served.stopping.cancel();
    assert!(
        answer(&mut idle).await.is_none(),
        "a resting connection is closed at once"
    );
    assert!(!served.task.is_finished());
    served.release.notify_one();
    let text = answer(&mut busy).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("held"), "{text}");
    soon(served.task).await.unwrap();
    TcpStream::connect(served.address).await.unwrap_err();
}

#[tokio::test]
async fn a_stop_waits_no_longer_than_its_deadline() {
    let mut limits = limits();
    limits.stop_deadline = Duration::from_millis(200);
    let served = World { limits, ..world() }.listening().await;
    let mut busy = connect(&served).await;
    busy.write_all(b"GET /hold HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    soon(served.arrived.notified()).await;
    served.stopping.cancel();
    soon(served.task).await.unwrap();
    assert!(answer(&mut busy).await.is_none());
}

#[tokio::test]
async fn http_2_without_tls_is_spoken_to_those_who_know_and_ends_with_the_server() {
    let served = world().listening().await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let response = client
        .get(format!("http://{}/healthz", served.address))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (response.version(), response.status()),
        (http::Version::HTTP_2, http::StatusCode::OK)
    );

    served.stopping.cancel();
    soon(served.task).await.unwrap();
}
