//! P2: two who would both own a device, under a fault at every step.

use std::time::Duration;

use ostler_core::grant::GrantSource;

use super::cloud::Behaviour;
use super::site::FREE;
use super::under_every_fault;
use super::world::Life;

async fn both_want_it(life: &Life) {
    let wants = async |who: usize| {
        for _ in 0..3 {
            if life.grant(who, FREE, GrantSource::Owner, None).await.is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::join!(wants(0), wants(1));
}

#[test]
fn p2_one_owner_survives_a_fault_at_every_step() {
    under_every_fault(Behaviour::Unreachable, both_want_it, both_want_it);
}
