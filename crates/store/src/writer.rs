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
use tokio::time::Instant;

use self::batch::Batch;
use self::in_flight::InFlight;
use crate::db::Shared;
use crate::error::StoreError;
use crate::journal::{Counts, Filing};
use crate::ledger::{IntentRecorded, NewCommand, OutcomeRecorded, Refusal, Settlement};
use crate::telemetry::{ArrivedRows, EventFate};

/// The most entries of one commit: a bound for memory and for the time that one answer waits.
const BATCH_MAX: usize = 1024;

/// So often at most do the first of a batch let others go before them.
const GATHERINGS_AT_MOST: usize = 16;

/// So often in a row without anybody coming.
const VAIN_GATHERINGS_AT_MOST: usize = 3;

/// A batch so small says that there is little to do: time to file, and nobody to wait for.
const FEW: usize = 4;

/// What can be handed to the writer. A closed list: each kind has its statement in `batch`.
pub(crate) enum Entry {
    Intent(Asked<NewCommand, IntentRecorded>),
    Outcome(Asked<Settlement, OutcomeRecorded>),
    /// Nobody waits for these: the caller has been answered already.
    Refusal(Box<Refusal>),
    Arrivals(Asked<ArrivedRows, Vec<EventFate>>),
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
    /// `file_after`: after so long without news, what waits in the journal goes to its tables; and if
    /// there is news all the time, some of it.
    pub fn start(shared: Arc<Shared>, queue: usize, file_after: Duration) -> Self {
        let (sender, receiver) = mpsc::channel(queue);
        let stop = Arc::new(Notify::new());
        let task = tokio::spawn(run(shared, receiver, Arc::clone(&stop), file_after));
        Self {
            queue: sender,
            stop,
            task: Mutex::new(Some(task)),
        }
    }

    /// Hands in what may be refused when too much is waiting, and waits until it is durable.
    pub async fn ask<T, A>(&self, entry: Box<T>, kind: fn(Asked<T, A>) -> Entry) -> Result<A, StoreError> {
        let (asked, answered) = Asked::new(entry);
        self.queue.try_send(kind(asked)).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Hands in what must not be lost (an outcome), waiting for a place in the queue if need be.
    pub async fn insist<T, A>(&self, entry: Box<T>, kind: fn(Asked<T, A>) -> Entry) -> Result<A, StoreError> {
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
    fn new(entry: Box<T>) -> (Self, oneshot::Receiver<Result<A, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        (Self { entry, answer }, answered)
    }

    /// Who went away meanwhile is not told.
    pub fn tell(self, answer: Result<A, StoreError>) {
        drop(self.answer.send(answer));
    }
}

async fn run(shared: Arc<Shared>, mut queue: mpsc::Receiver<Entry>, stop: Arc<Notify>, file_after: Duration) {
    let mut taken = Vec::with_capacity(BATCH_MAX);
    let mut scribe = Scribe {
        shared,
        in_flight: InFlight::default(),
        was_busy: false,
        file_after,
        filed_at: Instant::now(),
    };
    loop {
        tokio::select! {
            count = queue.recv_many(&mut taken, BATCH_MAX) => match count {
                0 => return scribe.file(Filing::Everything).await,
                _ => scribe.write(&mut taken, &mut queue).await,
            },
            () = tokio::time::sleep(file_after), if scribe.has_to_file() => scribe.file_in_peace(&queue).await,
            () = stop.notified() => queue.close(),
        }
    }
}

/// What the writer's task remembers from batch to batch.
struct Scribe {
    shared: Arc<Shared>,
    in_flight: InFlight,
    /// Whether the last batch was more than a few.
    was_busy: bool,
    file_after: Duration,
    filed_at: Instant,
}

impl Scribe {
    async fn write(&mut self, taken: &mut Vec<Entry>, queue: &mut mpsc::Receiver<Entry>) {
        if self.was_busy || taken.len() > FEW {
            gather(queue, taken).await;
        }
        let count = taken.len();
        self.was_busy = count > FEW;
        metrics::histogram!("ostler_commit_entries").record(count as f64);
        metrics::gauge!("ostler_writer_queue").set(queue.len() as f64);
        let began = Instant::now();
        let batch = Batch::of(taken.drain(..));
        batch.write(&self.shared, &mut self.in_flight).await;
        metrics::histogram!("ostler_commit_seconds").record(began.elapsed());
        if !self.was_busy && queue.is_empty() {
            self.file_in_passing().await;
        }
    }

    fn has_to_file(&self) -> bool {
        self.shared.waiting() != Counts::default()
    }

    /// Nobody is waiting at this moment.
    async fn file_in_passing(&mut self) {
        let is_overdue = self.has_to_file() && self.filed_at.elapsed() >= self.file_after;
        let overdue = is_overdue.then_some(Filing::Oldest(0));
        if let Some(filing) = self.shared.waiting().worth_filing().or(overdue) {
            self.file(filing).await;
        }
    }

    /// Nothing has come for a while. Slice by slice, so that who comes now need not wait for all.
    async fn file_in_peace(&mut self, queue: &mpsc::Receiver<Entry>) {
        let mut before = Counts::default();
        while queue.is_empty() && self.shared.waiting() != before {
            before = self.shared.waiting();
            self.file(Filing::Oldest(0)).await;
        }
    }

    /// If it cannot be done now, the next to read or write has it done.
    async fn file(&mut self, filing: Filing<'_>) {
        self.filed_at = Instant::now();
        if let Err(error) = self.shared.have_filed(filing).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "what waits in the journal could not be filed");
        }
    }
}

/// Lets everybody go first who could hand something in at once, as long as somebody does. The first of
/// a batch wakes this task before the others have run, so on a busy machine twice as many share the
/// commit. Who was answered just now may come back at once, so one round in vain does not say that
/// nobody will.
async fn gather(queue: &mut mpsc::Receiver<Entry>, taken: &mut Vec<Entry>) {
    let mut in_vain = 0;
    for _ in 0..GATHERINGS_AT_MOST {
        tokio::task::yield_now().await;
        let before = taken.len();
        while taken.len() < BATCH_MAX
            && let Ok(entry) = queue.try_recv()
        {
            taken.push(entry);
        }
        in_vain = if taken.len() == before { in_vain + 1 } else { 0 };
        if in_vain == VAIN_GATHERINGS_AT_MOST {
            break;
        }
    }
}
