//! The state file: the registry, written whole and atomically, so that kill -9 leaves either the old
//! or the new one. Changes that arrive while one write runs share the next. It survives a crash of
//! the process, not of the machine: nothing is synced.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::cloud::Cloud;
use crate::config::TimeSource;
use crate::journal::Journal;
use crate::world::{Registry, World};

/// What the file holds.
#[derive(Deserialize)]
struct Kept {
    skipped_ms: i64,
    last_request: u64,
    registry: Registry,
}

#[derive(Serialize)]
struct Snapshot<'a> {
    skipped_ms: i64,
    last_request: u64,
    registry: &'a Registry,
}

/// What an earlier process has left; the default is a first start.
#[derive(Default)]
pub(crate) struct Found {
    pub skipped_ms: i64,
    pub registry: Option<Registry>,
    pub journal: Journal,
}

/// The acts stand in a file of their own, beside: they grow by lines.
pub(crate) fn find(state_file: Option<&Path>) -> io::Result<Found> {
    let Some(state_file) = state_file else {
        return Ok(Found::default());
    };
    let kept = read(state_file)?;
    let journal = Journal::resume(
        &state_file.with_extension("acts"),
        kept.as_ref().map(|kept| kept.last_request),
    )?;
    Ok(match kept {
        Some(kept) => Found {
            skipped_ms: kept.skipped_ms,
            registry: Some(kept.registry),
            journal,
        },
        None => Found {
            journal,
            ..Found::default()
        },
    })
}

fn read(path: &Path) -> io::Result<Option<Kept>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn snapshot(world: &World) -> Vec<u8> {
    let start_ms = match world.config.time {
        TimeSource::Real => crate::edge::system_now_ms(),
        TimeSource::Simulated { start_ms } => start_ms,
    };
    let snapshot = Snapshot {
        skipped_ms: world.now() - start_ms,
        last_request: world.journal.last_request,
        registry: &world.registry,
    };
    serde_json::to_vec(&snapshot).expect("the registry has string keys and finite numbers")
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(bytes)?;
    drop(file);
    fs::rename(&beside, path)
}

/// Asks the keeping task for a write and waits for it.
#[derive(Debug)]
pub(crate) struct Keeper {
    wanted: watch::Sender<u64>,
    done: watch::Receiver<u64>,
}

/// The other end: the task that writes.
#[derive(Debug)]
pub(crate) struct Keeping {
    path: PathBuf,
    wanted: watch::Receiver<u64>,
    done: watch::Sender<u64>,
}

pub(crate) fn keeper(path: PathBuf) -> (Keeper, Keeping) {
    let (wanted_sender, wanted) = watch::channel(0);
    let (done, done_receiver) = watch::channel(0);
    (
        Keeper {
            wanted: wanted_sender,
            done: done_receiver,
        },
        Keeping { path, wanted, done },
    )
}

impl Keeper {
    /// Asks for a write without waiting; the number is the write's place in the queue.
    pub(crate) fn ask(&self) -> u64 {
        let mut ticket = 0;
        self.wanted.send_modify(|wanted| {
            *wanted += 1;
            ticket = *wanted;
        });
        ticket
    }

    pub(crate) async fn kept(&self) {
        let ticket = self.ask();
        // An error means that the keeping task has ended: the cloud is stopping.
        if self.done.clone().wait_for(|done| *done >= ticket).await.is_err() {
            tracing::debug!("stopping; the last change was not waited for");
        }
    }
}

impl Keeping {
    pub(crate) async fn run(mut self, cloud: Arc<Cloud>) {
        loop {
            tokio::select! {
                () = cloud.stopping.cancelled() => break,
                changed = self.wanted.changed() => if changed.is_err() { break },
            }
            self.write_once(&cloud).await;
        }
        self.write_once(&cloud).await;
    }

    async fn write_once(&mut self, cloud: &Cloud) {
        let ticket = *self.wanted.borrow_and_update();
        let bytes = snapshot(&cloud.world());
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || write(&path, &bytes)).await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the simulator's state file cannot be written"),
            Err(error) => tracing::error!(%error, "writing the simulator's state file was interrupted"),
        }
        self.done.send_replace(ticket);
    }
}
