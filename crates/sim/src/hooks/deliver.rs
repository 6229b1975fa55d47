//! Sends webhooks: a deadline for the answer, two retries, then silence; and tells the product what
//! came of it by `hook-sent`, `hook-response` and `hook-error` events (reference §9.3, §9.4).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::HookJob;
use super::rating::Ratings;
use super::request::{HookRequest, build};
use super::template::Variables;
use crate::cloud::Cloud;
use crate::config::HookTiming;
use crate::event::Origin;
use crate::faults::FaultKind;
use crate::world::{ClientHome, NewEvent};

/// Deliveries under way or waiting for a retry; more are dropped, as the vendor drops in the end.
const UNDER_WAY_MAX: usize = 10_000;
const ANSWER_MAX: usize = 100 * 1024;
const CHUNK: usize = 512;
const REORDER_HOLD_MS: u64 = 2_000;
const SLEEPING: &str = "Sleeping, too many errors, please wait and try again";

/// The clients and the memory that all deliveries share.
#[derive(Debug)]
pub(crate) struct Deliverer {
    verifying: reqwest::Client,
    trusting: reqwest::Client,
    ratings: Mutex<Ratings>,
}

impl Deliverer {
    pub(crate) fn new(timing: &HookTiming) -> Result<Self, reqwest::Error> {
        let client = || {
            reqwest::Client::builder()
                .no_proxy()
                .timeout(timing.answer_within())
                .redirect(reqwest::redirect::Policy::none())
        };
        Ok(Self {
            verifying: client().build()?,
            trusting: client().tls_danger_accept_invalid_certs(true).build()?,
            ratings: Mutex::new(Ratings::default()),
        })
    }

    fn ratings(&self) -> std::sync::MutexGuard<'_, Ratings> {
        self.ratings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes events from the queue until the cloud stops. Each delivery is a task of its own: one slow
/// host does not hold up the others, and order is not promised.
pub(crate) async fn dispatch(cloud: Arc<Cloud>, deliverer: Deliverer, mut queue: mpsc::Receiver<HookJob>) {
    let deliverer = Arc::new(deliverer);
    loop {
        let job = tokio::select! {
            () = cloud.stopping.cancelled() => return,
            job = queue.recv() => job,
        };
        let Some(job) = job else { return };
        if cloud.tasks.len() >= UNDER_WAY_MAX {
            tracing::warn!(hook.id = %job.hook.id, "too many deliveries under way, event dropped");
            continue;
        }
        let (twice, hold) = {
            let mut world = cloud.world();
            let device = job.event.device().cloned();
            let twice = world
                .faults
                .strike(FaultKind::DuplicateHooks, device.as_ref())
                .is_some();
            let held = world.faults.strike(FaultKind::ReorderHooks, device.as_ref());
            (twice, held.map(|fault| fault.ms.unwrap_or(REORDER_HOLD_MS)))
        };
        for _ in 0..=usize::from(twice) {
            let (cloud, deliverer, job) = (Arc::clone(&cloud), Arc::clone(&deliverer), job.clone());
            cloud.clone().tasks.spawn(async move {
                let stopping = cloud.stopping.clone();
                tokio::select! {
                    () = stopping.cancelled() => {}
                    () = deliver(&cloud, &deliverer, &job, hold) => {}
                }
            });
        }
    }
}

async fn deliver(cloud: &Cloud, deliverer: &Deliverer, job: &HookJob, hold_ms: Option<u64>) {
    if let Some(hold_ms) = hold_ms {
        tokio::time::sleep(Duration::from_millis(hold_ms)).await;
    }
    let Some(request) = build(job) else {
        report_error(cloud, job, "the webhook's declaration cannot be made into a request");
        return;
    };
    let mut retries = cloud.config.hooks.retry_after_ms.iter();
    loop {
        match attempt(cloud, deliverer, &request).await {
            Ok(answer) => return report_success(cloud, job, &answer),
            Err(text) => report_error(cloud, job, &text),
        }
        let Some(wait_ms) = retries.next() else { return };
        tokio::time::sleep(Duration::from_millis(*wait_ms)).await;
    }
}

/// One request, unless the host is being left alone. The answer's body, or the text of the error.
async fn attempt(cloud: &Cloud, deliverer: &Deliverer, request: &HookRequest) -> Result<String, String> {
    let host = request.url.host_str().unwrap_or_default();
    // In real time, like all timers: a host does not recover because the clock was moved.
    let sleep = Duration::from_millis(cloud.config.hooks.host_sleep_ms);
    if deliverer.ratings().sleeps(host, sleep, Instant::now()) {
        return Err(SLEEPING.to_owned());
    }
    let answer = send(deliverer, request).await;
    deliverer.ratings().note(host, answer.is_ok(), Instant::now());
    answer.map_err(|failure| match failure {
        Failure::Status(status) => format!("error status {status} from {host}"),
        Failure::Connection(error) => format!("{error} from {host}"),
    })
}

enum Failure {
    Status(u16),
    Connection(reqwest::Error),
}

async fn send(deliverer: &Deliverer, request: &HookRequest) -> Result<String, Failure> {
    let client = if request.verify_certificate {
        &deliverer.verifying
    } else {
        &deliverer.trusting
    };
    let mut builder = client.request(request.method.clone(), request.url.clone());
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    if let Some((username, password)) = &request.basic {
        builder = builder.basic_auth(username, Some(password));
    }
    if !request.body.is_empty() {
        builder = builder.body(request.body.clone());
    }
    let response = builder.send().await.map_err(Failure::Connection)?;
    if response.status().as_u16() >= 400 {
        return Err(Failure::Status(response.status().as_u16()));
    }
    Ok(bounded_text(response).await)
}

/// The first 100 KB; more never reaches a device.
async fn bounded_text(response: reqwest::Response) -> String {
    let mut pieces = response.bytes_stream();
    let mut body = Vec::new();
    while let Some(Ok(piece)) = pieces.next().await {
        body.extend_from_slice(&piece);
        if body.len() >= ANSWER_MAX {
            body.truncate(ANSWER_MAX);
            break;
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}

fn report_success(cloud: &Cloud, job: &HookJob, answer: &str) {
    count(cloud, job, true);
    emit(
        cloud,
        job,
        format!("hook-sent/{}", job.event.name),
        "undefined".to_owned(),
    );
    let template = job.hook.text("responseTemplate");
    let rendered = template.and_then(|template| Some(Variables::of_answer(answer)?.render(template)));
    let topic = topic(job, "responseTopic", "hook-response");
    emit_chunks(cloud, job, &topic, rendered.as_deref().unwrap_or(answer));
}

fn report_error(cloud: &Cloud, job: &HookJob, text: &str) {
    count(cloud, job, false);
    let topic = topic(job, "errorResponseTopic", "hook-error");
    emit_chunks(cloud, job, &topic, text);
}

fn count(cloud: &Cloud, job: &HookJob, succeeded: bool) {
    if let Some(hook) = cloud.world().registry.hooks.get_mut(&job.hook.id) {
        if succeeded { hook.sent += 1 } else { hook.failed += 1 }
    }
}

/// Product hooks speak to one device, sandbox hooks to all of the account.
fn topic(job: &HookJob, field: &str, default: &str) -> String {
    let is_product_hook = matches!(job.hook.home, ClientHome::Product(_));
    match job.hook.text(field) {
        Some(template) => Variables::of(&job.event, is_product_hook).render(template),
        None if is_product_hook => format!("{}/{default}/{}", job.event.coreid, job.event.name),
        None => format!("{default}/{}", job.event.name),
    }
}

fn emit_chunks(cloud: &Cloud, job: &HookJob, topic: &str, text: &str) {
    let mut rest = text;
    let mut n = 0;
    while !rest.is_empty() {
        let cut = rest.floor_char_boundary(CHUNK);
        let (chunk, after) = rest.split_at(cut);
        emit(cloud, job, format!("{topic}/{n}"), chunk.to_owned());
        rest = after;
        n += 1;
    }
}

fn emit(cloud: &Cloud, job: &HookJob, name: String, data: String) {
    let mut world = cloud.world();
    let published_at = world.now();
    world.emit(NewEvent {
        name,
        data: Some(data),
        ttl: 60,
        published_at,
        coreid: "particle-internal".to_owned(),
        origin: Origin::Hook(job.event.device().cloned()),
        product_id: job.event.product_id,
        firmware_version: job.event.firmware_version,
        private: true,
        owner: job.event.owner.clone(),
    });
}
