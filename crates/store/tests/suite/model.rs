//! Whatever is done, in whatever order, with whatever faults: the read model says what the database
//! says, and the audit chain verifies.

use std::sync::Arc;
use std::time::Duration;

use ostler_core::grant::{Grant, GrantSource};
use ostler_core::id::{CustomerId, DeviceId, GrantId};
use ostler_core::policy::Presence;
use ostler_store::{Actor, FaultPlan, FaultPoint, Heard, NewCommand, StoreError, StoreOptions};
use proptest::prelude::*;

use super::world::{Armed, Place, World, later, product_file, said};

#[derive(Debug, Clone)]
enum Step {
    Grant {
        customer: usize,
        device: usize,
        source: GrantSource,
        lasts: Option<u64>,
    },
    Change {
        grant: usize,
        lasts: u64,
    },
    End {
        grant: usize,
    },
    Quarantine {
        device: usize,
        quarantined: bool,
    },
    Hear {
        device: usize,
        presence: Presence,
        at: u64,
    },
    Call {
        device: usize,
    },
    Apply {
        version: u8,
    },
    Fault(FaultPoint),
}

fn step() -> impl Strategy<Value = Step> {
    let source = prop::sample::select(GrantSource::ALL.to_vec());
    let presence = prop::sample::select(vec![Presence::Unknown, Presence::Online, Presence::Offline]);
    let fault = prop::sample::select(vec![
        FaultPoint::Read,
        FaultPoint::Begin,
        FaultPoint::BeforeCommit,
        FaultPoint::CommitLost,
    ]);
    prop_oneof![
        4 => (0..2usize, 0..2usize, source, prop::option::of(1..40u64))
            .prop_map(|(customer, device, source, lasts)| Step::Grant { customer, device, source, lasts }),
        2 => (0..8usize, 1..40u64).prop_map(|(grant, lasts)| Step::Change { grant, lasts }),
        3 => (0..8usize).prop_map(|grant| Step::End { grant }),
        1 => (0..2usize, any::<bool>()).prop_map(|(device, quarantined)| Step::Quarantine { device, quarantined }),
        1 => (0..2usize, presence, 0..40u64).prop_map(|(device, presence, at)| Step::Hear { device, presence, at }),
        2 => (0..2usize).prop_map(|device| Step::Call { device }),
        1 => (0..3u8).prop_map(|version| Step::Apply { version }),
        3 => fault.prop_map(Step::Fault),
    ]
}

struct Play {
    world: World,
    armed: Arc<Armed>,
    customers: [CustomerId; 2],
    devices: [DeviceId; 2],
    grants: Vec<GrantId>,
}

impl Play {
    async fn set_up() -> Self {
        let armed = Arc::new(Armed::default());
        let faults = Arc::clone(&armed) as Arc<dyn FaultPlan>;
        let world = World::with(Place::sqlite(), |options| StoreOptions { faults, ..options }).await;
        let product_id = world.product("thermostat").await;
        let devices = [world.device(product_id, 1).await, world.device(product_id, 2).await];
        let customers = [world.customer("ada").await, world.customer("bob").await];
        Self {
            world,
            armed,
            customers,
            devices,
            grants: Vec::new(),
        }
    }

    /// `at` is the number of the step: time goes on.
    async fn step(&mut self, step: &Step, at: u64) -> Result<(), StoreError> {
        let now = later(at);
        let store = &self.world.store;
        match *step {
            Step::Grant {
                customer,
                device,
                source,
                lasts,
            } => {
                let ends_at = lasts.map(|lasts| later(at + lasts));
                let grant = Grant {
                    ends_at,
                    ..self.world.grant(self.customers[customer], self.devices[device], source)
                };
                self.grants.push(grant.id);
                store.create_grant(grant, said(), now).await?;
            }
            Step::Change { grant, lasts } => {
                let Some(grant_id) = self.grants.get(grant) else {
                    return Ok(());
                };
                let Some(record) = store.grant(*grant_id).await? else {
                    return Ok(());
                };
                let changed = Grant {
                    ends_at: Some(later(at + lasts)),
                    ..record.grant
                };
                store.change_grant(changed, said(), now).await?;
            }
            Step::End { grant } => {
                let Some(grant_id) = self.grants.get(grant) else {
                    return Ok(());
                };
                store.end_grant(*grant_id, said(), now).await?;
            }
            Step::Quarantine { device, quarantined } => {
                store
                    .quarantine_device(self.devices[device], quarantined, &said(), now)
                    .await?;
            }
            Step::Hear { device, presence, at } => {
                let heard = Heard {
                    device_id: self.devices[device],
                    presence,
                    at: later(at),
                    last_heard_at: None,
                };
                store.record_presence(&[heard], now).await?;
            }
            Step::Call { device } => {
                let command = self.world.command(self.devices[device]);
                let cool_down = Duration::from_millis(3);
                store
                    .record_intent(NewCommand {
                        cool_down,
                        created_at: now,
                        ..command
                    })
                    .await?;
            }
            Step::Apply { version } => {
                let mut file = product_file("thermostat");
                file.name = format!("Version {version}");
                // A fault is a fault here, too; the file is never wrong.
                drop(store.apply_product(&file, Actor::System, now).await);
            }
            Step::Fault(point) => self.armed.arm(&[point]),
        }
        Ok(())
    }

    async fn check(&self) {
        self.armed.disarm();
        assert!(self.world.store.model_agrees().await.unwrap());
        for customer in self.customers {
            for device in self.devices {
                self.world.facts(customer, device).await;
            }
        }
        self.world.store.verify_audit().await.unwrap().unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_read_model_says_what_the_database_says(steps in prop::collection::vec(step(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut play = Play::set_up().await;
            for (at, step) in (0..).zip(&steps) {
                // What a fault makes of a step is not asked; that memory and disk agree is.
                let injected = play.step(step, at).await;
                assert!(matches!(
                    injected,
                    Ok(()) | Err(StoreError::Injected(_) | StoreError::CommitUnknown(_))
                ), "{injected:?}");
            }
            play.check().await;
        });
    }
}
