//! One installation through several lives of its process, and what its clients do to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ostler_app::admin::{EndedGrant, GrantRequest, Maker};
use ostler_app::call_function::{CallFunctionError, CallRequest, Wait};
use ostler_app::device_cloud::{DeviceCloud, StreamItem};
use ostler_app::ingest::{Delivery, Registered};
use ostler_app::{App, Parts, Settings};
use ostler_core::event::CloudEvent;
use ostler_core::grant::GrantSource;
use ostler_core::id::GrantId;
use ostler_core::policy::FunctionCall;
use ostler_core::port::{Clock, Entropy};
use ostler_core::time::Timestamp;
use ostler_store::{FaultPlan, Store};
use ostler_testkit::{Database, Postgres, Scratch};
use tokio_util::sync::CancellationToken;

use super::chance::SeededEntropy;
use super::cloud::UnkindCloud;
use super::fast_time::{FastClock, in_fast_time};
use super::faults::Faults;
use super::site::{self, NEWCOMER, Site};
use super::witness::{Call, CallTold, End, Said, Witness};
use crate::world::cloud_id;

enum Place {
    Sqlite(Scratch),
    Postgres(Database),
}

pub struct World {
    pub faults: Arc<Faults>,
    pub cloud: Arc<UnkindCloud>,
    pub witness: Arc<Witness>,
    site: Arc<Site>,
    entropy: Arc<SeededEntropy>,
    elapsed: Duration,
    place: Place,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let scratch = Scratch::new();
        let site = site::copied_to(scratch.path());
        Self::at(Place::Sqlite(scratch), site, seed)
    }

    pub fn on_postgres(seed: u64) -> Self {
        let database = Postgres::shared().fresh_database(None);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let site = runtime.block_on(site::made_at(database.url()));
        Self::at(Place::Postgres(database), site, seed)
    }

    fn at(place: Place, site: Site, seed: u64) -> Self {
        let (faults, witness) = (Arc::new(Faults::default()), Arc::new(Witness::default()));
        Self {
            cloud: Arc::new(UnkindCloud::new(Arc::clone(&faults), Arc::clone(&witness))),
            faults,
            witness,
            site: Arc::new(site),
            entropy: Arc::new(SeededEntropy::new(seed)),
            elapsed: Duration::ZERO,
            place,
        }
    }

    fn url(&self) -> String {
        match &self.place {
            Place::Sqlite(scratch) => site::url(Path::new(scratch.path())),
            Place::Postgres(database) => database.url().to_owned(),
        }
    }

    /// Starts the process, lets the script run, and ends the process: politely when the script is
    /// done, or where it stands when it crashed. `None` if it crashed.
    pub fn live<T>(&mut self, script: impl AsyncFnOnce(&Life) -> T) -> Option<T> {
        let (result, elapsed) = in_fast_time(async {
            let life = self.born().await;
            let result = tokio::select! {
                biased;
                () = life.faults.death() => None,
                result = script(&life) => Some(result),
            };
            match result {
                // Nothing can be committed any more; what was being committed then is done first,
                // as a database finishes what reached it.
                None => drop(life.store.write(life.clock.now()).await),
                Some(_) => life.ends().await,
            }
            (result, life.clock.elapsed())
        });
        self.elapsed = elapsed;
        result
    }

    async fn born(&self) -> Life {
        self.faults.revive();
        let clock = Arc::new(FastClock::going_on_from(self.elapsed));
        self.cloud.goes_by(&clock);
        let options = site::options(&self.entropy, Arc::clone(&self.faults) as Arc<dyn FaultPlan>);
        let store = Arc::new(Store::open(&self.url(), options, clock.now()).await.unwrap());
        let app = App::new(Parts {
            store: Arc::clone(&store),
            cloud: Arc::clone(&self.cloud) as Arc<dyn DeviceCloud>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            entropy: Arc::clone(&self.entropy) as Arc<dyn Entropy>,
            settings: Settings::default(),
        });
        app.settle_orphaned_commands().await.unwrap();
        Life {
            app,
            store,
            clock,
            site: Arc::clone(&self.site),
            faults: Arc::clone(&self.faults),
            cloud: Arc::clone(&self.cloud),
            witness: Arc::clone(&self.witness),
            stopping: CancellationToken::new(),
        }
    }
}

/// One life of the process.
pub struct Life {
    pub app: Arc<App>,
    pub store: Arc<Store>,
    pub clock: Arc<FastClock>,
    pub site: Arc<Site>,
    pub faults: Arc<Faults>,
    pub cloud: Arc<UnkindCloud>,
    pub witness: Arc<Witness>,
    stopping: CancellationToken,
}

impl Life {
    async fn ends(&self) {
        self.faults.disarm();
        self.stopping.cancel();
        self.app.finish().await;
        self.store.close().await;
    }

    /// A call as an app makes it: token first, then the call.
    pub async fn call(&self, who: usize, device: usize, number: u64, key: Option<&str>, wait: Wait) -> CallTold {
        let told = match self.try_call(who, device, number, key, wait).await {
            Ok(told) | Err(told) => told,
        };
        let (argument, key) = (number.to_string(), key.map(str::to_owned));
        self.witness.told(Call {
            who,
            device,
            argument,
            key,
            told: told.clone(),
        });
        told
    }

    async fn try_call(
        &self,
        who: usize,
        device: usize,
        number: u64,
        key: Option<&str>,
        wait: Wait,
    ) -> Result<CallTold, CallTold> {
        let caller = self.app.authenticate(self.site.customers[who].token.reveal()).await;
        let caller = caller.map_err(|error| CallTold::Failed(error.to_string()))?;
        let call = FunctionCall {
            device_id: self.site.devices[device],
            function: "set".parse().unwrap(),
            argument: number.to_string().into(),
        };
        let idempotency_key = key.map(|key| key.parse().unwrap());
        let request = CallRequest {
            call,
            on_behalf_of: None,
            reason: None,
            idempotency_key,
            wait,
        };
        match self.app.call_function(&caller, request).await {
            Ok(answer) => Ok(CallTold::Command {
                id: answer.command.id,
                state: answer.command.state,
            }),
            Err(CallFunctionError::Denied { .. }) => Err(CallTold::Denied),
            Err(CallFunctionError::KeyInFlight { .. }) => Err(CallTold::InFlight),
            Err(error @ CallFunctionError::KeyReused) => panic!("{error}"),
            Err(CallFunctionError::Store(error)) => Err(CallTold::Failed(error.to_string())),
        }
    }

    /// As a careful client calls: with a key, again and again until it knows.
    pub async fn call_until_known(&self, who: usize, device: usize, number: u64, times: u32) -> CallTold {
        let key = format!("key-{number}");
        let mut told = self.call(who, device, number, Some(&key), Wait::ForOutcome).await;
        for _ in 1..times {
            match told {
                CallTold::Command { .. } | CallTold::Denied => return told,
                CallTold::InFlight | CallTold::Failed(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            told = self.call(who, device, number, Some(&key), Wait::ForOutcome).await;
        }
        told
    }

    /// Asks for the end of a grant until it is acknowledged.
    pub async fn end(&self, grant_id: GrantId, times: u32) -> bool {
        for _ in 0..times {
            let ended = self.app.desk(&Maker::at_the_terminal()).end_grant(grant_id, None).await;
            if let Ok(EndedGrant { in_flight, .. }) = ended {
                let acknowledged = self.witness.next();
                self.witness.ends.lock().unwrap().push(End {
                    grant_id,
                    acknowledged,
                    in_flight,
                });
                return true;
            }
            self.witness.failed();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    pub async fn grant(
        &self,
        who: usize,
        device: usize,
        source: GrantSource,
        ends_at: Option<Timestamp>,
    ) -> Option<GrantId> {
        let request = GrantRequest {
            customer_id: self.site.customers[who].id,
            device_id: self.site.devices[device],
            source,
            functions: None,
            variables: None,
            keys: None,
            history_from: None,
            starts_at: None,
            ends_at,
            reason: None,
        };
        let created = self.app.desk(&Maker::at_the_terminal()).create_grant(request).await;
        created.ok().map(|record| record.grant.id)
    }

    /// A device says something that nobody has said before.
    pub fn says(&self, device: usize) -> Said {
        Said {
            number: self.witness.number(),
            device,
            published_at: self.clock.now(),
        }
    }

    pub fn event(said: &Said) -> CloudEvent {
        CloudEvent {
            source: Some(cloud_id(said.device as u64)),
            name: "t/state".to_owned(),
            data: Some(format!(r#"{{"n":{}}}"#, said.number)),
            published_at: said.published_at,
            vendor_event_id: None,
        }
    }

    /// What the cloud's hook brings, as often as it takes until it is acknowledged.
    pub async fn deliver(&self, batch: Vec<Said>, times: u32) -> bool {
        for _ in 0..times {
            match self.try_deliver(&batch).await {
                Ok(()) => {
                    self.witness.delivered.lock().unwrap().extend(batch);
                    return true;
                }
                Err(()) => self.witness.failed(),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.witness.undelivered.lock().unwrap().extend(batch);
        false
    }

    async fn try_deliver(&self, batch: &[Said]) -> Result<(), ()> {
        let door = self
            .app
            .open_ingest_door("thermostat", &self.site.ingest_secret)
            .await
            .map_err(drop)?;
        let events = batch.iter().map(Self::event).collect();
        self.app
            .take_delivery(&door, Delivery::Events(events))
            .await
            .map_err(drop)
    }

    /// Follows the product's stream from here on, for the rest of this life.
    pub async fn follow(&self) -> tokio::sync::mpsc::Sender<StreamItem> {
        tokio::spawn(Arc::clone(&self.app).follow_events(self.site.product_id, self.stopping.clone()));
        // The task opens the stream before it first waits.
        tokio::task::yield_now().await;
        let stream = self.cloud.stream().unwrap();
        stream.send(StreamItem::Connected).await.unwrap();
        stream
    }

    pub async fn stream(&self, stream: &tokio::sync::mpsc::Sender<StreamItem>, said: Said) {
        self.witness.streamed.lock().unwrap().push(said.clone());
        stream.send(StreamItem::Event(Self::event(&said))).await.unwrap();
    }

    pub async fn register(&self, times: u32) {
        for _ in 0..times {
            let registered = self
                .app
                .register_device("thermostat", &cloud_id(NEWCOMER), &self.site.credential)
                .await;
            match registered {
                Ok(Registered::First(id)) => return self.witness.registered.lock().unwrap().push((true, id)),
                Ok(Registered::Again(id)) => return self.witness.registered.lock().unwrap().push((false, id)),
                Err(_) => self.witness.failed(),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
