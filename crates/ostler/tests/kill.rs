//! kill -9 of the real process, again and again, in the middle of ingest and of calls: nothing that
//! was acknowledged is lost, nothing is called twice, and no command stays without an outcome.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ostler_sim::{CallTiming, NewDevice, SimConfig};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{Answer, Caller, Fleet, Installation, On};

const KILLS: usize = 50;
const CALLERS: usize = 4;
const DELIVERERS: usize = 3;
/// How long the load may run before a kill, at most.
const LIFE_MS: u64 = 250;

/// What the clients know.
#[derive(Default)]
struct Known {
    /// Numbers of calls whose outcome was told, with the command's id.
    answered: Mutex<BTreeMap<u64, String>>,
    /// Numbers of events that were taken (204).
    taken: Mutex<BTreeSet<u64>>,
    /// Begun, and nobody knows: the connection broke.
    calls_in_doubt: Mutex<Vec<(usize, u64)>>,
    events_in_doubt: Mutex<Vec<(usize, u64)>>,
    next: AtomicU64,
    /// Set with the kill: who is served by the next process has not noticed it.
    over: AtomicBool,
}

struct Load {
    known: Arc<Known>,
    customer: Caller,
    hook: Caller,
    fleet: Arc<Fleet>,
    /// When the first client began, so that each event has an instant of its own.
    epoch: i64,
}

impl Load {
    async fn call(&self, device: usize, number: u64) -> Option<Answer> {
        let path = format!("/v1/devices/{}/functions/set", self.fleet.devices[device].0);
        let key = format!("key-{number}");
        let request = self
            .customer
            .request(Method::POST, &path)
            .header("Idempotency-Key", key);
        whole(request.json(&json!({"argument": number.to_string()}))).await
    }

    async fn deliver(&self, device: usize, number: u64) -> Option<Answer> {
        let published_at = ostler_core::time::Timestamp::from_millis(self.epoch + i64::try_from(number).unwrap());
        let cloud_id = self.fleet.devices[device].1.to_string();
        let event = json!({"event": "counted", "coreid": cloud_id, "published_at": published_at.to_string(),
            "data": json!({"n": number}).to_string()});
        whole(
            self.hook
                .request(Method::POST, &format!("/ingest/particle/{}", self.fleet.slug))
                .json(&event),
        )
        .await
    }

    /// `false` once the server is gone.
    async fn call_something_new(&self, device: usize) -> bool {
        let number = self.known.next.fetch_add(1, Ordering::SeqCst);
        match self.call(device, number).await {
            Some(answer) => self.keep_answer(number, &answer.expect(200)),
            None => {
                self.known.calls_in_doubt.lock().unwrap().push((device, number));
                return false;
            }
        }
        true
    }

    async fn deliver_something_new(&self, device: usize) -> bool {
        let number = self.known.next.fetch_add(1, Ordering::SeqCst);
        match self.deliver(device, number).await {
            Some(answer) => {
                answer.expect(204);
                self.known.taken.lock().unwrap().insert(number)
            }
            None => {
                self.known.events_in_doubt.lock().unwrap().push((device, number));
                false
            }
        }
    }

    fn goes_on(&self) -> bool {
        !self.known.over.load(Ordering::SeqCst)
    }

    fn keep_answer(&self, number: u64, answer: &Answer) {
        let command_id = answer.at("/command_id").as_str().unwrap().to_owned();
        self.known.answered.lock().unwrap().insert(number, command_id);
    }

    /// Everybody works until the server is gone.
    fn begin(self: &Arc<Self>) -> Vec<tokio::task::JoinHandle<()>> {
        self.known.over.store(false, Ordering::SeqCst);
        let devices = self.fleet.devices.len();
        let callers = (0..CALLERS).map(|who| {
            let load = Arc::clone(self);
            tokio::spawn(async move { while load.call_something_new(who % devices).await && load.goes_on() {} })
        });
        let callers: Vec<_> = callers.collect();
        let deliverers = (0..DELIVERERS).map(|who| {
            let load = Arc::clone(self);
            tokio::spawn(async move { while load.deliver_something_new(who % devices).await && load.goes_on() {} })
        });
        callers.into_iter().chain(deliverers).collect()
    }

    /// Who was left in doubt asks again: a call is told by its key, an event is delivered once more.
    async fn resolve_doubts(&self) {
        let calls = std::mem::take(&mut *self.known.calls_in_doubt.lock().unwrap());
        for (device, number) in calls {
            let answer = self.call(device, number).await.expect("the server runs");
            match answer.status {
                StatusCode::OK => self.keep_answer(number, &answer),
                // It may have left when the process died: nobody can say.
                _ => drop(answer.expect_problem(504, "outcome-unknown")),
            }
        }
        let events = std::mem::take(&mut *self.known.events_in_doubt.lock().unwrap());
        for (device, number) in events {
            self.deliver(device, number).await.expect("the server runs").expect(204);
            self.known.taken.lock().unwrap().insert(number);
        }
    }
}

/// `None` if the answer did not come whole.
async fn whole(request: reqwest::RequestBuilder) -> Option<Answer> {
    let response = request.send().await.ok()?;
    let (status, headers) = (response.status(), response.headers().clone());
    Some(Answer {
        status,
        headers,
        text: response.text().await.ok()?,
    })
}

fn product() -> Value {
    json!({"slug": "counter", "name": "Counter", "time_zone": "Europe/Berlin", "access_mode": "fleet",
        "functions": [{"name": "set", "argument": {"type": "integer", "min": 0, "max": 100_000_000}}],
        "telemetry": [{"event": "counted", "keys": [{"key": "n", "pointer": "/n", "type": "number"}]}]})
}

async fn installed() -> (Installation, Arc<Load>) {
    let config = SimConfig {
        thermostats: 0,
        vehicles: 0,
        unregistered: 0,
        // Time to be killed in, between the call's departure and its answer.
        calls: CallTiming {
            delay_ms: 4,
            ..CallTiming::default()
        },
        ..SimConfig::default()
    };
    let installation = Installation::start_with(On::Sqlite, config).await;
    let product_id = installation.sim().add_product(4711, "counter");
    for _ in 0..2 {
        let firmware = ostler_sim::Custom {
            functions: [("set".to_owned(), 7)].into(),
            ..ostler_sim::Custom::default()
        };
        let device = NewDevice {
            id: None,
            name: None,
            product_id: Some(product_id),
            firmware,
            quarantined: false,
        };
        installation.sim().add_device(device);
    }
    installation.sim().add_client(product_id, "ostler");
    let fleet = Arc::new(installation.fleet(&product()).await);
    let (ada, customer) = installation.customer_with("ada", &fleet.devices[0].0).await;
    installation.grant(&ada, &fleet.devices[1].0, json!({})).await;
    let hook = Caller::new(installation.base(), Some(fleet.ingest_secret.clone()));
    let epoch = installation.sim().now_ms() - 3_600_000;
    let known = Arc::new(Known::default());
    (
        installation,
        Arc::new(Load {
            known,
            customer,
            hook,
            fleet,
            epoch,
        }),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p3_p5_p6_kill_9_loses_nothing_acknowledged_and_calls_nothing_twice() {
    let (mut installation, load) = installed().await;
    let mut chance = 1_u64;
    for kill in 0..KILLS {
        let working = load.begin();
        // Knuth's MMIX; the rest of the chance is the machine's.
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let life = Duration::from_millis(20 + (chance >> 33) % LIFE_MS);
        tokio::time::sleep(life).await;
        load.known.over.store(true, Ordering::SeqCst);
        // Each second life on one core: its runtime is another.
        installation.keep_to_one_core(kill % 2 == 0);
        installation.crash_and_restart();
        for worker in working {
            worker.await.unwrap();
        }
        load.resolve_doubts().await;
        let unfinished = unfinished(&installation).await;
        assert!(
            unfinished.is_empty(),
            "P5: after kill {kill} without an outcome: {unfinished:?}"
        );
    }
    check(&installation, &load).await;
}

/// Commands that are neither settled nor given up.
async fn unfinished(installation: &Installation) -> Vec<Value> {
    let maker = installation.maker().await;
    let mut found = Vec::new();
    for status in ["accepted", "sent"] {
        let listed = maker
            .get(&format!("/admin/v1/commands?status={status}"))
            .await
            .expect(200);
        found.extend(listed.at("/items").as_array().unwrap().clone());
    }
    found
}

async fn check(installation: &Installation, load: &Load) {
    let mut acts: BTreeMap<u64, usize> = BTreeMap::new();
    for act in installation.sim().acts(0) {
        *acts.entry(act.argument.parse().unwrap()).or_default() += 1;
    }
    let twice: Vec<_> = acts.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "P6: acted more than once: {twice:?}");

    let commands = all(&installation.maker().await, "/admin/v1/commands?limit=200").await;
    let mut ledger: BTreeMap<u64, &Value> = BTreeMap::new();
    for command in &commands {
        let number = command["argument"].as_str().unwrap().parse().unwrap();
        assert!(
            ledger.insert(number, command).is_none(),
            "P6: two commands for one key: {command}"
        );
    }
    for number in acts.keys() {
        assert!(
            ledger.contains_key(number),
            "P5: acted, and the ledger knows nothing of {number}"
        );
    }
    let answered = load.known.answered.lock().unwrap().clone();
    for (number, command_id) in &answered {
        let command = ledger
            .get(number)
            .unwrap_or_else(|| panic!("P3: acknowledged and lost: {number} {command_id}"));
        assert_eq!(command["command_id"].as_str(), Some(command_id.as_str()));
        assert_eq!(
            (command["status"].as_str(), command["return_value"].as_i64()),
            (Some("answered"), Some(7))
        );
        assert_eq!(
            acts.get(number),
            Some(&1),
            "P10: answered, and no device acted: {command}"
        );
    }

    let mut stored: BTreeMap<u64, usize> = BTreeMap::new();
    for (device, _) in &load.fleet.devices {
        for event in all(&load.customer, &format!("/v1/devices/{device}/events?limit=200")).await {
            let Some(data) = event["data"].as_str().filter(|_| event["name"] == "counted") else {
                continue;
            };
            let data: Value = serde_json::from_str(data).unwrap();
            *stored.entry(data["n"].as_u64().unwrap()).or_default() += 1;
        }
    }
    let taken = load.known.taken.lock().unwrap().clone();
    for number in &taken {
        assert_eq!(stored.get(number), Some(&1), "P3: event {number} was acknowledged");
    }
    // The load was one: kills met calls and deliveries under way.
    let unknown = commands.iter().filter(|command| command["status"] == "unknown").count();
    println!(
        "{} calls answered, {unknown} unknown, {} events taken, {KILLS} kills",
        answered.len(),
        taken.len()
    );
    assert!(
        answered.len() > KILLS && taken.len() > KILLS && unknown > 0,
        "too little happened"
    );
}

/// A list from its first page to its last.
async fn all(caller: &Caller, path: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut page = path.to_owned();
    loop {
        let listed = caller.get(&page).await.expect(200);
        items.extend(listed.at("/items").as_array().unwrap().clone());
        match listed.at("/next_cursor") {
            Value::String(cursor) => page = format!("{path}&cursor={cursor}"),
            _ => return items,
        }
    }
}
