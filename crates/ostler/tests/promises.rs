//! The promises of Ostler (README, P1 to P12) that can be seen from outside, on the real binary in
//! front of a simulated cloud that can be made sick, each on both databases.

mod p10_honest_answers;
mod p10_late_knowledge;
mod p11_sick_cloud;
mod p1_no_residual_access;
mod p4_secrets_stay_inside;
mod p6_at_most_one_call;
mod p8_strangers_learn_nothing;

use std::time::Duration;

use ostler_sim::{DeviceId as CloudDeviceId, RequestRecord};
use ostler_testkit::eventually_async;

use crate::world::Installation;

/// Long enough for a machine that is busy with other things.
const SOON: Duration = Duration::from_secs(15);

/// The function calls that have reached the cloud for one device, answered or not.
fn calls_at_cloud(installation: &Installation, cloud_id: &CloudDeviceId) -> Vec<RequestRecord> {
    let of_device = format!("/devices/{cloud_id}/");
    let requests = installation.sim().requests(0).into_iter();
    requests
        .filter(|request| request.method == "POST" && request.path.contains(&of_device))
        .collect()
}

/// Waits until so many calls have reached the cloud.
async fn await_calls_at_cloud(installation: &Installation, cloud_id: &CloudDeviceId, count: usize) {
    let what = format!("{count} calls at the cloud");
    eventually_async(&what, SOON, || async {
        (calls_at_cloud(installation, cloud_id).len() >= count).then_some(())
    })
    .await;
}
