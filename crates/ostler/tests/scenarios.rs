//! The situations that product makers described (README, S1 to S19), end to end on the real binary
//! over HTTP, each on both databases.

mod s11_nobodys_devices;
mod s1_history;
mod s2_server_side_control;
mod s5_first_start;
mod s7_one_api;
mod s8_limits;

/// Runs one scenario on SQLite and on PostgreSQL, as two tests.
macro_rules! on_both {
    ($(#[$doc:meta])* async fn $name:ident($installation:ident) $body:block) => {
        mod $name {
            use super::*;

            async fn scenario(mut $installation: Installation) {
                // Most scenarios only look.
                let _ = &mut $installation;
                $body
            }

            $(#[$doc])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                scenario(Installation::start(On::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                scenario(Installation::start(On::Postgres).await).await;
            }
        }
    };
}
use on_both;
