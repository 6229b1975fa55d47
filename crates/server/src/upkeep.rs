//! What the frame does by itself once in a while, until the server stops.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::state::ServerState;

const METRICS_EVERY: Duration = Duration::from_secs(5);
/// In units of `METRICS_EVERY`: once a minute.
const LIMITS_EVERY: u32 = 12;

pub async fn upkeep(state: ServerState, stopping: CancellationToken) {
    let mut ticks = tokio::time::interval(METRICS_EVERY);
    let mut round: u32 = 0;
    while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
        state.frame().metrics.upkeep();
        round = round.wrapping_add(1);
        if round.is_multiple_of(LIMITS_EVERY) {
            state.frame().rates.forget_idle();
        }
    }
}
