//! The running cloud that all requests share: the world behind its lock, and what outlives a request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::SimClock;
use crate::config::SimConfig;
use crate::persist::Keeper;
use crate::world::World;

pub(crate) struct Cloud {
    pub config: Arc<SimConfig>,
    pub clock: SimClock,
    pub stopping: CancellationToken,
    /// Calls and deliveries that go on although nobody waits for them any more.
    pub tasks: TaskTracker,
    keeper: Option<Keeper>,
    world: Mutex<World>,
}

impl Cloud {
    pub(crate) fn new(world: World, keeper: Option<Keeper>) -> Self {
        Self {
            config: Arc::clone(&world.config),
            clock: world.clock.clone(),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            keeper,
            world: Mutex::new(world),
        }
    }

    /// Never held across an `await`: the guard is not `Send`.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        // A panic in one request must not end the emulator for all others.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has what has changed written soon, without waiting.
    pub(crate) fn keep_soon(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.ask();
        }
    }

    /// Returns once what has changed so far would survive a crash.
    pub(crate) async fn kept(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.kept().await;
        }
    }
}
