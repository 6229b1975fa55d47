//! Group commit: one task writes what many wait for.
//!
//! It takes what is queued, writes it in one transaction (on SQLite mostly as one row of the journal,
//! else with one statement per kind of entry), commits, answers everybody, and looks again. There is no timer: what queues up during one sync
//! of the disk is the next batch. The queue is bounded; when it is full, callers are told so.

mod batch;
mod in_flight;
mod jotted;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use self::batch::Batch;
use self::in_flight::InFlight;
use crate::db::Shared;
use crate::error::StoreError;
use crate::journal::FILED_IN_PASSING;
use crate::ledger::{IntentRecorded, NewCommand, OutcomeRecorded, Refusal, Settlement};
use crate::telemetry::{Arrivals, EventFate};

/// The most entries of one commit: a bound for memory and for the time that one answer waits.
const BATCH_MAX: usize = 1024;

/// A batch so small says that there is little to do, and time to file.
const FEW: usize = 4;

/// After so long without news, what waits in the journal goes to its tables.
const FILE_AFTER: Duration = Duration::from_secs(1);

/// What can be handed to the writer. A closed list: each kind has its statement in `batch`.
pub(crate) enum Entry {
    Intent(Asked<NewCommand, IntentRecorded>),
    Outcome(Asked<Settlement, OutcomeRecorded>),
    /// Nobody waits for these: the caller has been answered already.
    Refusal(Box<Refusal>),
    Arrivals(Asked<Arrivals, Vec<EventFate>>),
}

/// An entry with somebody who waits for what became of it.
pub(crate) struct Asked<T, A> {
    pub entry: Box<T>,
    pub answer: oneshot::Sender<Result<A, StoreError>>,
}

pub(crate) struct Writer {
    queue: mpsc::Sender<Entry>,
    stop: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub fn start(shared: Arc<Shared>, queue: usize) -> Self {
        let (sender, receiver) = mpsc::channel(queue);
        let stop = Arc::new(Notify::new());
        let task = tokio::spawn(run(shared, receiver, Arc::clone(&stop)));
        Self {
            queue: sender,
            stop,
            task: Mutex::new(Some(task)),
        }
    }

    /// Hands in what may be refused when too much is waiting, and waits until it is durable.
    pub async fn ask<T, A>(&self, entry: T, kind: fn(Asked<T, A>) -> Entry) -> Result<A, StoreError> {
        let (asked, answered) = Asked::new(entry);
        self.queue.try_send(kind(asked)).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Hands in what must not be lost (an outcome), waiting for a place in the queue if need be.
    pub async fn insist<T, A>(&self, entry: T, kind: fn(Asked<T, A>) -> Entry) -> Result<A, StoreError> {
        let (asked, answered) = Asked::new(entry);
        self.queue.send(kind(asked)).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Hands in what nobody waits for; `false` if it had to be dropped.
    pub fn mention(&self, entry: Entry) -> bool {
        self.queue.try_send(entry).is_ok()
    }

    /// Writes what is queued and ends; what comes after is told that the store is closed.
    pub async fn stop(&self) {
        self.stop.notify_one();
        if let Some(task) = self.task.lock().await.take()
            && let Err(error) = task.await
        {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the writer did not end cleanly"
            );
        }
    }
}

impl<T, A> Asked<T, A> {
    fn new(entry: T) -> (Self, oneshot::Receiver<Result<A, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        (
            Self {
                entry: Box::new(entry),
                answer,
            },
            answered,
        )
    }

    /// Who went away meanwhile is not told.
    pub fn tell(self, answer: Result<A, StoreError>) {
        drop(self.answer.send(answer));
    }
}

async fn run(shared: Arc<Shared>, mut queue: mpsc::Receiver<Entry>, stop: Arc<Notify>) {
    let mut taken = Vec::with_capacity(BATCH_MAX);
    let mut in_flight = InFlight::default();
    loop {
        tokio::select! {
            count = queue.recv_many(&mut taken, BATCH_MAX) => match count {
                0 => return file(&shared).await,
                count => {
                    metrics::histogram!("ostler_commit_entries").record(count as f64);
                    metrics::gauge!("ostler_writer_queue").set(queue.len() as f64);
                    let began = tokio::time::Instant::now();
                    Batch::of(taken.drain(..)).write(&shared, &mut in_flight).await;
                    metrics::histogram!("ostler_commit_seconds").record(began.elapsed());
                    if count <= FEW && queue.is_empty() && shared.waiting_rows() >= FILED_IN_PASSING {
                        file(&shared).await;
                    }
                }
            },
            () = tokio::time::sleep(FILE_AFTER), if shared.waits() => file(&shared).await,
            () = stop.notified() => queue.close(),
        }
    }
}

/// If it cannot be done now, the next to read or write has it done.
async fn file(shared: &Arc<Shared>) {
    if let Err(error) = shared.file_tail().await {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "what waits in the journal could not be filed");
    }
}
