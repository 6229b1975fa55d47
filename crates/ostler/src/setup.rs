//! Commands that bring an installation into being and say whether it is in order: `init`, `check`,
//! `connect`. They act once and end; nothing here serves requests.

mod check;
mod connect;
mod init;
mod secret_input;

use std::sync::Arc;

use ostler_core::port::{Clock, Entropy};
use ostler_particle::{Particle, ParticleOptions};
use ostler_server::edge::{OsEntropy, SystemClock};

pub use check::run as check;
pub use connect::{ConnectArgs, run as connect};
pub use init::run as init;

/// The machine's own clock and chance; a command at a terminal has no others.
fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn entropy() -> Arc<dyn Entropy> {
    Arc::new(OsEntropy)
}

fn particle() -> Particle {
    Particle::new(ParticleOptions::default(), clock(), entropy())
}
