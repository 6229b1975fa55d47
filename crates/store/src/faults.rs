//! Where tests may make the database fail: at its two choke points, reads and commits.
//!
//! Production runs without a plan. What a plan injects is what really happens to databases: a read
//! or a commit that fails, and a commit that happened although its answer was lost.

use crate::error::StoreError;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultPoint {
    /// Before a read, from the database or from the read model.
    Read,
    /// Before a write transaction begins.
    Begin,
    /// All statements have run, the commit has not been sent: nothing is durable.
    BeforeCommit,
    /// The commit has happened; the caller gets [`StoreError::CommitUnknown`].
    CommitLost,
}

pub trait FaultPlan: Send + Sync {
    /// Asked at each passage; `true` makes the database fail there.
    fn strikes(&self, point: FaultPoint) -> bool;
}

/// The plan of every real installation.
pub struct NoFaults;

impl FaultPlan for NoFaults {
    fn strikes(&self, _point: FaultPoint) -> bool {
        false
    }
}

pub(crate) fn pass(plan: &dyn FaultPlan, point: FaultPoint) -> Result<(), StoreError> {
    if plan.strikes(point) {
        Err(StoreError::Injected(point))
    } else {
        Ok(())
    }
}
