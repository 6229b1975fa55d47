//! For power loss: no 2xx is written to a client, and no call leaves for the cloud, before the sync
//! of the disk that covers it. Seen from outside, in the order of the process's system calls.
//!
//! That every writing connection asks for such syncs (`synchronous=FULL` and `wal`,
//! `synchronous_commit=on`) the store's own suite reads back; what PostgreSQL's server then does
//! is the server's.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ostler_sim::{Custom, NewDevice, Sim, SimConfig};
use ostler_testkit::Process;
use reqwest::Method;
use serde_json::{Value, json};

use crate::installation::{Installation, PROGRAM};

/// Under the tracer everything takes its time.
const SOON: Duration = Duration::from_secs(60);
const DELIVERIES: usize = 25;
const CALLS: usize = 15;

/// What the process did, as far as it matters here, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Bytes for the write-ahead log were handed to the system.
    WroteLog,
    BeganSync,
    /// The system has said that what was written before the sync began is on the disk.
    Synced,
    CalledCloud,
    /// A 2xx was handed to the system.
    Acknowledged,
}

/// One line of the trace. Calls that block appear twice: begun (`<unfinished ...>`) and ended (`resumed>`).
fn step(line: &str) -> Vec<Step> {
    let log = line.contains("ostler.db-wal>");
    let is = |names: &[&str]| names.iter().any(|name| line.contains(name));
    if is(&["fdatasync(", "fsync("]) && log {
        return if line.contains("unfinished") {
            vec![Step::BeganSync]
        } else {
            vec![Step::BeganSync, Step::Synced]
        };
    }
    // Only the log is synced between two checkpoints; a checkpoint's own sync resumes with no name.
    if is(&["fdatasync resumed", "fsync resumed"]) {
        return vec![Step::Synced];
    }
    if is(&["pwrite64(", "write(", "pwritev("]) && log {
        return vec![Step::WroteLog];
    }
    if is(&["write(", "writev(", "sendto(", "sendmsg("]) && line.contains("\"HTTP/1.1 2") {
        return vec![Step::Acknowledged];
    }
    if is(&["write(", "writev(", "sendto(", "sendmsg("]) && line.contains("\"POST /v1/products/") {
        return vec![Step::CalledCloud];
    }
    Vec::new()
}

/// Requests come one after the other, so whatever was written belongs to the one at hand: it must be
/// on the disk, and there must have been something. Returns how often each was seen.
fn assert_synced_first(trace: &str, from: usize) -> (usize, usize) {
    let (mut unsynced, mut syncing, mut synced_since) = (false, false, 0);
    let (mut called, mut acknowledged) = (0, 0);
    let lines: Vec<&str> = trace.lines().collect();
    for (number, line) in lines.iter().enumerate().skip(from) {
        for step in step(line) {
            match step {
                Step::WroteLog => (unsynced, syncing) = (true, false),
                Step::BeganSync => syncing = true,
                Step::Synced => {
                    // What was written while the disk was syncing waits for the next one.
                    unsynced &= !syncing;
                    synced_since += 1;
                }
                Step::CalledCloud | Step::Acknowledged => {
                    let around = lines[number.saturating_sub(30)..=number].join("\n");
                    assert!(
                        !unsynced && synced_since > 0,
                        "{step:?} before the sync that covers it:\n{around}"
                    );
                    synced_since = 0;
                    called += usize::from(step == Step::CalledCloud);
                    acknowledged += usize::from(step == Step::Acknowledged);
                }
            }
        }
    }
    (called, acknowledged)
}

fn serve_traced(installation: &Installation, trace: &Path) -> Process {
    let mut strace = Command::new("strace");
    strace
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/local/bin")
        .args([
            "-f",
            "-qq",
            "-y",
            "-s",
            "24",
            "-e",
            "trace=fdatasync,fsync,pwrite64,pwritev,write,writev,sendto,sendmsg",
            "-o",
        ])
        .arg(trace)
        .args([PROGRAM, "serve", "--config"])
        .arg(installation.config());
    let mut process = Process::spawn("traced", &mut strace, &installation.scratch);
    process.wait_for_line("listening on", SOON);
    process
}

/// The tracer ends with what it traces, not the other way round.
fn end_traced(strace: &mut Process) {
    let id = strace.id();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    let ended = Command::new("kill").args(children.split_whitespace()).status().unwrap();
    assert!(ended.success(), "the server could not be ended: {children}");
    strace.wait(SOON);
}

async fn created(installation: &Installation, method: Method, path: &str, body: Value) -> Value {
    let (status, answer) = installation.staff(method, path, &body).await;
    assert!((200..300).contains(&status), "{path}: {status} {answer}");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p3_no_acknowledgement_and_no_call_before_the_sync_that_covers_it() {
    let installation = Installation::new().await;
    let sim = Sim::start(SimConfig {
        thermostats: 0,
        vehicles: 0,
        unregistered: 0,
        ..SimConfig::default()
    })
    .await
    .unwrap();
    let product = sim.handle().add_product(4711, "counter");
    let firmware = Custom {
        functions: [("set".to_owned(), 7)].into(),
        ..Custom::default()
    };
    let device = NewDevice {
        id: None,
        name: None,
        product_id: Some(product),
        firmware,
        quarantined: false,
    };
    let cloud_id = sim.handle().add_device(device).to_string();
    let (client_id, client_secret) = sim.handle().add_client(product, "ostler");

    let trace = installation.scratch.join("trace");
    let mut server = serve_traced(&installation, &trace);
    let file = json!({"slug": "counter", "name": "Counter", "time_zone": "UTC", "access_mode": "fleet",
        "functions": [{"name": "set", "argument": {"type": "integer", "min": 0, "max": 1000}}], "telemetry": []});
    let made = created(&installation, Method::POST, "products", file).await;
    let product_id = made["id"].as_str().unwrap();
    let connection = json!({"kind": "particle", "base_url": sim.base_url(), "product": "4711",
        "client_id": client_id, "client_secret": client_secret});
    created(
        &installation,
        Method::PUT,
        &format!("products/{product_id}/cloud"),
        connection,
    )
    .await;
    let wanted = json!({"product_id": product_id, "devices": [{"cloud_id": cloud_id}]});
    created(&installation, Method::POST, "devices", wanted).await;
    let listed = created(
        &installation,
        Method::GET,
        &format!("devices?product={product_id}"),
        Value::Null,
    )
    .await;
    let device_id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    let secret = created(
        &installation,
        Method::POST,
        &format!("products/{product_id}/ingest-secret"),
        json!({}),
    )
    .await;
    let (secret, token) = (secret["ingest_secret"].as_str().unwrap(), installation.token().await);

    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let call = async |number: usize| {
        let url = format!("{}/admin/v1/devices/{device_id}/functions/set", installation.base_url);
        let answer = http
            .post(url)
            .bearer_auth(&token)
            .json(&json!({"argument": number.to_string()}))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
    };
    // The first brings the token from the cloud.
    call(0).await;
    let from = std::fs::read_to_string(&trace).unwrap().lines().count();
    for number in 0..DELIVERIES {
        let event = json!({"event": "counted", "coreid": cloud_id, "data": number.to_string(),
            "published_at": "2026-01-01T00:00:00.000Z"});
        let url = format!("{}/ingest/particle/counter", installation.base_url);
        let answer = http.post(url).bearer_auth(secret).json(&event).send().await.unwrap();
        assert_eq!(answer.status(), 204);
    }
    for number in 1..=CALLS {
        call(number).await;
    }
    end_traced(&mut server);
    let trace = std::fs::read_to_string(&trace).unwrap();
    assert_eq!(
        assert_synced_first(&trace, from),
        (CALLS, DELIVERIES + CALLS),
        "the trace does not show what happened"
    );
}

#[test]
fn an_answer_before_its_sync_is_noticed() {
    let wrote = "7 pwrite64(9</x/ostler.db-wal>, \"7\", 24, 32) = 24\n";
    let synced = "7 fdatasync(9</x/ostler.db-wal>) = 0\n";
    let answered = "8 sendto(12<socket:[1]>, \"HTTP/1.1 204 No Conte\"..., 90, 0, NULL, 0) = 90\n";
    assert_eq!(assert_synced_first(&[wrote, synced, answered].concat(), 0), (0, 1));
    let began = "7 fdatasync(9</x/ostler.db-wal> <unfinished ...>\n";
    let ended = "7 <... fdatasync resumed>) = 0\n";
    assert_eq!(
        assert_synced_first(&[wrote, began, ended, answered].concat(), 0),
        (0, 1)
    );
    for wrong in [
        [wrote, answered].concat(),
        [wrote, began, answered].concat(),
        [synced, wrote, answered].concat(),
        answered.into(),
    ] {
        assert!(
            std::panic::catch_unwind(|| assert_synced_first(&wrong, 0)).is_err(),
            "{wrong}"
        );
    }
}
