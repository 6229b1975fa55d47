//! The device cloud, as kind or unkind as a run asks for. It remembers everything that arrived.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use ostler_app::device_cloud::{
    CloudConnection, CloudError, DeviceCloud, HookRequest, HookStep, ListedDevice, ReadOutcome, StreamItem,
};
use ostler_core::command::{CallOutcome, CloudRefusal, NotSent};
use ostler_core::id::ProductId;
use ostler_core::policy::{CallPermit, ReadPermit, Right};
use ostler_core::port::Clock as _;
use ostler_core::time::Timestamp;
use tokio::sync::mpsc;

use super::fast_time::FastClock;
use super::faults::{Faults, Passage};
use super::witness::Witness;
use crate::world::plays_no_other_part;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Answers,
    /// The device is slow.
    AnswersAfter(Duration),
    /// The way to the cloud is slow: the permit may lapse meanwhile.
    DepartsAfter(Duration),
    /// The device acts; the answer is lost.
    LosesTheAnswer,
    /// The device acts; nobody says anything until the caller's patience ends.
    SaysNothing,
    Unreachable,
    Offline,
    Refuses,
    LimitsRate,
}

/// One request that arrived at the cloud.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Each call of a run has an argument of its own.
    pub argument: String,
    pub right: Right,
    /// Its place among everything that the witness saw.
    pub departed: u64,
    pub departed_at: Timestamp,
    pub acted: bool,
    /// When the answer was back, and what it was.
    pub returned: Option<(u64, CallOutcome)>,
}

pub struct UnkindCloud {
    pub arrivals: Mutex<Vec<Arrival>>,
    usual: Mutex<Box<dyn FnMut() -> Behaviour + Send>>,
    struck: Mutex<Behaviour>,
    streams: Mutex<Vec<mpsc::Sender<StreamItem>>>,
    clock: Mutex<Option<Arc<FastClock>>>,
    faults: Arc<Faults>,
    witness: Arc<Witness>,
}

impl UnkindCloud {
    pub fn new(faults: Arc<Faults>, witness: Arc<Witness>) -> Self {
        Self {
            arrivals: Mutex::default(),
            usual: Mutex::new(Box::new(|| Behaviour::Answers)),
            struck: Mutex::new(Behaviour::Unreachable),
            streams: Mutex::default(),
            clock: Mutex::default(),
            faults,
            witness,
        }
    }

    pub fn behaves(&self, usual: impl FnMut() -> Behaviour + Send + 'static) {
        *self.usual.lock().unwrap() = Box::new(usual);
    }

    pub fn behaves_when_struck(&self, struck: Behaviour) {
        *self.struck.lock().unwrap() = struck;
    }

    /// By whose time it goes in this life.
    pub fn goes_by(&self, clock: &Arc<FastClock>) {
        *self.clock.lock().unwrap() = Some(Arc::clone(clock));
    }

    /// The stream that was opened last.
    pub fn stream(&self) -> Option<mpsc::Sender<StreamItem>> {
        self.streams.lock().unwrap().last().cloned()
    }

    fn clock(&self) -> Arc<FastClock> {
        Arc::clone(self.clock.lock().unwrap().as_ref().unwrap())
    }

    fn next(&self) -> Behaviour {
        if self.faults.strikes_at(Passage::Cloud) {
            *self.struck.lock().unwrap()
        } else {
            (self.usual.lock().unwrap())()
        }
    }

    /// Once the process is dead, nothing of it gets anywhere.
    async fn alive(&self) {
        if self.faults.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    async fn carry(&self, permit: &CallPermit, patience: Duration) -> CallOutcome {
        let behaviour = self.next();
        self.alive().await;
        match behaviour {
            Behaviour::Unreachable => return CallOutcome::NotSent(NotSent::ConnectionFailed),
            Behaviour::DepartsAfter(pause) => tokio::time::sleep(pause).await,
            Behaviour::Answers
            | Behaviour::AnswersAfter(_)
            | Behaviour::LosesTheAnswer
            | Behaviour::SaysNothing
            | Behaviour::Offline
            | Behaviour::Refuses
            | Behaviour::LimitsRate => {}
        }
        self.alive().await;
        let clock = self.clock();
        if permit.depart(clock.instant()).is_err() {
            return CallOutcome::NotSent(NotSent::PermitLapsed);
        }
        let acts = !matches!(
            behaviour,
            Behaviour::Offline | Behaviour::Refuses | Behaviour::LimitsRate
        );
        let index = self.arrived(permit, clock.now(), acts);
        let value = CallOutcome::Returned(permit.call().argument.parse().unwrap());
        let outcome = match behaviour {
            Behaviour::Answers | Behaviour::DepartsAfter(_) | Behaviour::Unreachable => value,
            Behaviour::AnswersAfter(pause) => match tokio::time::timeout(patience, tokio::time::sleep(pause)).await {
                Ok(()) => value,
                Err(_) => CallOutcome::Unknown,
            },
            Behaviour::LosesTheAnswer => CallOutcome::Unknown,
            Behaviour::SaysNothing => {
                tokio::time::sleep(patience).await;
                CallOutcome::Unknown
            }
            Behaviour::Offline => CallOutcome::DeviceOffline,
            Behaviour::Refuses => CallOutcome::Refused(CloudRefusal::RequestRejected),
            Behaviour::LimitsRate => CallOutcome::RateLimited {
                retry_after: Some(Duration::from_secs(1)),
            },
        };
        self.alive().await;
        self.arrivals.lock().unwrap()[index].returned = Some((self.witness.next(), outcome));
        outcome
    }

    fn arrived(&self, permit: &CallPermit, departed_at: Timestamp, acted: bool) -> usize {
        let mut arrivals = self.arrivals.lock().unwrap();
        arrivals.push(Arrival {
            argument: permit.call().argument.to_string(),
            right: permit.right(),
            departed: self.witness.next(),
            departed_at,
            acted,
            returned: None,
        });
        arrivals.len() - 1
    }
}

impl DeviceCloud for UnkindCloud {
    plays_no_other_part!();

    fn call_function<'a>(&'a self, permit: &'a CallPermit, deadline: Duration) -> BoxFuture<'a, CallOutcome> {
        self.carry(permit, deadline).boxed()
    }

    fn events(&self, _product_id: ProductId) -> mpsc::Receiver<StreamItem> {
        let (sender, receiver) = mpsc::channel(16);
        self.streams.lock().unwrap().push(sender);
        receiver
    }

    fn list_devices(&self, _product_id: ProductId) -> BoxFuture<'_, Result<Vec<ListedDevice>, CloudError>> {
        async { Ok(Vec::new()) }.boxed()
    }
}
