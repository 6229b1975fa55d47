//! Events through both doors and a device's first start, under a fault at every step.

use std::time::Duration;

use super::cloud::Behaviour;
use super::promises::numbers_of;
use super::under_every_fault;
use super::witness::Said;
use super::world::Life;

/// One batch at the hook's door, repeated until it is taken.
async fn hook(life: &Life) {
    life.deliver(vec![life.says(0), life.says(1), life.says(0)], 4).await;
}

/// The cloud repeats what was not acknowledged, and also what was.
async fn deliver_again(life: &Life) {
    let unacknowledged = std::mem::take(&mut *life.witness.undelivered.lock().unwrap());
    let acknowledged = life.witness.delivered.lock().unwrap().clone();
    for batch in [unacknowledged, acknowledged] {
        assert!(life.deliver(batch, 1).await);
    }
}

#[test]
fn p3_a_delivery_survives_a_fault_at_every_step() {
    under_every_fault(Behaviour::Unreachable, hook, deliver_again);
}

/// The same events at both doors, and some that only the stream brings.
async fn both_doors(life: &Life) {
    let stream = life.follow().await;
    let batch: Vec<Said> = (0..3).map(|device| life.says(device)).collect();
    let streaming = async {
        for said in &batch {
            life.stream(&stream, said.clone()).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        for device in 0..3 {
            life.stream(&stream, life.says(device)).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    tokio::join!(streaming, life.deliver(batch.clone(), 4));
    // While the database is well again, everything that the stream brought gets there.
    life.faults.disarm();
    let awaited = life.witness.streamed.lock().unwrap().len();
    for _ in 0..600 {
        let mut stored = 0;
        for device_id in &life.site.devices {
            stored += numbers_of(life, *device_id).await.len();
        }
        if stored == awaited {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("P11: the stream's events are not stored though the database is well");
}

#[test]
fn p3_both_doors_survive_a_fault_at_every_step() {
    under_every_fault(Behaviour::Unreachable, both_doors, deliver_again);
}

#[test]
fn s5_a_registration_survives_a_fault_at_every_step() {
    let register = async |life: &Life| {
        tokio::join!(life.register(4), life.register(4));
    };
    under_every_fault(Behaviour::Unreachable, register, async |life: &Life| {
        life.register(1).await;
    });
}
