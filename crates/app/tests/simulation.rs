//! Whole use cases on the real store under faults: at every port call and at every choke point of
//! the database, once, lasting, or as the end of the process.
//!
//! Exhaustive: the n-th passage fails, for each n, until a run meets no fault. Seeded: many people
//! at once, faults and crashes by chance; a failure prints its seed. After each run the process
//! starts anew, and the promises (design.md §2) are read off what the clients were told, what
//! arrived at the cloud, and what the database says.

#![expect(
    clippy::needless_pass_by_value,
    reason = "a scenario written as a closure at its only use reads better than one that is borrowed"
)]

mod calls;
mod chance;
mod cloud;
mod edge;
mod ends;
mod fast_time;
mod faults;
mod ingest;
mod owners;
mod promises;
mod seeded;
mod sick_cloud;
mod site;
mod strangers;
mod witness;
mod world;
mod wrongs;

use crate::simulation::cloud::Behaviour;
use crate::simulation::faults::Blow;
use crate::simulation::world::{Life, World};

/// More passages than any scenario makes.
const STEPS_MAX: u64 = 150;

/// Each way in which one passage may go wrong.
const BLOWS: [fn(u64) -> Blow; 3] = [Blow::Once, Blow::Lasting, Blow::Crash];

/// Runs a scenario with the n-th passage struck, for each n until none is met; then starts anew,
/// lets the clients finish, and checks every promise.
fn under_every_fault(struck_cloud: Behaviour, scenario: impl AsyncFn(&Life), afterwards: impl AsyncFn(&Life)) {
    for blow in BLOWS {
        let steps = (1..=STEPS_MAX).find(|step| {
            let mut world = World::new(*step);
            world.cloud.behaves_when_struck(struck_cloud);
            let described = format!("{:?}, the cloud {struck_cloud:?}", blow(*step));
            let _told = edge::Announce(&described);
            world.live(async |life| {
                life.faults.arm(blow(*step));
                scenario(life).await;
            });
            let met_a_fault = world.faults.met();
            world.live(async |life| {
                afterwards(life).await;
                promises::check(life).await;
            });
            if !met_a_fault {
                world.witness.assert_all_went_well();
            }
            !met_a_fault
        });
        assert!(
            steps.is_some_and(|steps| steps > 3),
            "{steps:?} steps: an endless retry, or a scenario that does nothing"
        );
    }
}
