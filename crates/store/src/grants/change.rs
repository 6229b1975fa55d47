//! Creating, changing and ending grants.

use std::sync::Arc;

use ostler_core::grant::{Grant, GrantSource};
use ostler_core::id::{CustomerId, DeviceId, GrantId};
use ostler_core::time::Timestamp;

use super::{GrantRow, grant_columns, names};
use crate::Store;
use crate::audit::{Act, Actor};
use crate::error::StoreError;
use crate::read_model::Change;
use crate::tx::{Link, Tx, execute, on};
use crate::value::{Millis, Text};

/// By whom something is said, and why.
#[derive(Debug, Clone)]
pub struct Said {
    pub by: Actor,
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantCreated {
    Created,
    /// P2: somebody owns the device.
    OwnedAlready,
    /// The customer or the device does not exist, or the account is closed.
    NobodyOrNothing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantChanged {
    Changed(Arc<Grant>),
    /// Somebody else changed or ended it meanwhile: judge again.
    Outdated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantEnded {
    Ended {
        customer_id: CustomerId,
        device_id: DeviceId,
        at: Timestamp,
    },
    /// It had ended before; that time stands.
    EndedBefore {
        at: Timestamp,
    },
    Unknown,
}

const INSERT_HEAD: &str = "
    INSERT INTO device_grant (grant_id, customer_id, device_id, source, version, created_at)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT DO NOTHING";
const INSERT_VERSION: &str = "
    INSERT INTO grant_version (grant_id, version, functions, variables, keys, history_from,
                               history_to, starts_at, ends_at, changed_at, changed_by, reason)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const MOVE_HEAD: &str = "
    UPDATE device_grant SET version = $2, closed_at = $3
     WHERE grant_id = $1 AND version = $2 - 1 AND closed_at IS NULL";
const CURRENT: &str = concat!(
    "SELECT ",
    grant_columns!(),
    "
       FROM device_grant g
       JOIN grant_version v ON v.grant_id = g.grant_id AND v.version = g.version
      WHERE g.grant_id = $1"
);
const OPEN_OF_CUSTOMER: &str = concat!(
    "SELECT ",
    grant_columns!(),
    "
       FROM device_grant g
       JOIN grant_version v ON v.grant_id = g.grant_id AND v.version = g.version
      WHERE g.customer_id = $1 AND g.closed_at IS NULL
      ORDER BY g.grant_id"
);
/// Changes nothing, and holds the account open until the transaction ends: whoever closes it
/// meanwhile waits, and then sees the grant that was made.
const HOLD_OPEN: &str = "UPDATE customer SET closed_at = NULL WHERE customer_id = $1 AND closed_at IS NULL";
const CLOSED_AT: &str = "SELECT closed_at FROM device_grant WHERE grant_id = $1";
/// An owner whose time has run out owns nothing, and must not stand in the next one's way.
const CLOSE_LAPSED_OWNER: &str = "
    UPDATE device_grant SET closed_at = $2
     WHERE device_id = $1 AND source = 'owner' AND closed_at IS NULL
       AND EXISTS (SELECT 1 FROM grant_version v
                    WHERE v.grant_id = device_grant.grant_id AND v.version = device_grant.version
                      AND v.ends_at <= $2)
 RETURNING grant_id, customer_id";

impl Store {
    /// Records a grant as its first version.
    pub async fn create_grant(&self, grant: Grant, said: Said, now: Timestamp) -> Result<GrantCreated, StoreError> {
        let mut tx = self.write(now).await?;
        let grant = Grant { version: 1, ..grant };
        let held = execute!(tx.link(), sqlx::query(HOLD_OPEN).bind(Text(grant.customer_id)));
        if held == 0 {
            return Ok(GrantCreated::NobodyOrNothing);
        }
        if grant.source == GrantSource::Owner {
            close_lapsed_owner(&mut tx, grant.device_id, now).await?;
        }
        match insert(&mut tx, &grant, &said, now).await {
            Ok(true) => {}
            Ok(false) => return Ok(GrantCreated::OwnedAlready),
            Err(error) if error.is_foreign_key_violation() => return Ok(GrantCreated::NobodyOrNothing),
            Err(error) => return Err(error),
        }
        tx.audit(act("grant.create", &grant, &said));
        tx.change(Change::Grant(Arc::new(grant)));
        tx.commit().await?;
        Ok(GrantCreated::Created)
    }

    /// Says the grant anew: `grant.version` is the version that the caller saw.
    pub async fn change_grant(&self, grant: Grant, said: Said, now: Timestamp) -> Result<GrantChanged, StoreError> {
        let mut tx = self.write(now).await?;
        let grant = Grant {
            version: grant.version + 1,
            ..grant
        };
        if !move_head(&mut tx, &grant, None).await? {
            return Ok(GrantChanged::Outdated);
        }
        insert_version(&mut tx, &grant, &said, now).await?;
        tx.audit(act("grant.change", &grant, &said));
        let grant = Arc::new(grant);
        tx.change(Change::Grant(Arc::clone(&grant)));
        tx.commit().await?;
        Ok(GrantChanged::Changed(grant))
    }

    /// Ends a grant now. Once this has answered, no facts read from then on contain it.
    pub async fn end_grant(&self, grant_id: GrantId, said: Said, now: Timestamp) -> Result<GrantEnded, StoreError> {
        let mut tx = self.write(now).await?;
        let Some(grant) = current(tx.link(), grant_id).await? else {
            return Ok(GrantEnded::Unknown);
        };
        let (ended, at) = ending(grant, now);
        if !end(&mut tx, &ended, &said, now).await? {
            let closed_at = closed_at(tx.link(), grant_id).await?.unwrap_or(now);
            let at = ended_at_before(&ended, closed_at);
            return Ok(GrantEnded::EndedBefore { at });
        }
        tx.commit().await?;
        Ok(GrantEnded::Ended {
            customer_id: ended.customer_id,
            device_id: ended.device_id,
            at,
        })
    }
}

/// Ends all that a customer holds, in the transaction that closes the account.
pub(crate) async fn end_grants_of(
    tx: &mut Tx,
    customer_id: CustomerId,
    said: &Said,
    now: Timestamp,
) -> Result<(), StoreError> {
    loop {
        let rows: Vec<GrantRow> = on!(tx.link(), |db| sqlx::query_as(OPEN_OF_CUSTOMER)
            .bind(Text(customer_id))
            .fetch_all(&mut *db)
            .await?);
        if rows.is_empty() {
            return Ok(());
        }
        for grant in rows.into_iter().map(GrantRow::into_grant) {
            // One that somebody else changed meanwhile is still there in the next round, and ends then.
            end(tx, &ending(grant, now).0, said, now).await?;
        }
    }
}

/// A grant's last version, and when it ends.
fn ending(grant: Grant, now: Timestamp) -> (Grant, Timestamp) {
    let at = grant.ends_at.map_or(now, |ends_at| ends_at.min(now));
    let ended = Grant {
        version: grant.version + 1,
        ends_at: Some(at),
        ..grant
    };
    (ended, at)
}

/// `false` if it had ended before, or somebody else changed it meanwhile.
async fn end(tx: &mut Tx, ended: &Grant, said: &Said, now: Timestamp) -> Result<bool, StoreError> {
    if !move_head(tx, ended, Some(now)).await? {
        return Ok(false);
    }
    insert_version(tx, ended, said, now).await?;
    tx.audit(act("grant.end", ended, said));
    tx.change(Change::GrantEnded {
        grant_id: ended.id,
        customer_id: ended.customer_id,
        device_id: ended.device_id,
    });
    Ok(true)
}

/// What the last version says, or when it was closed if that says nothing.
fn ended_at_before(last: &Grant, closed_at: Timestamp) -> Timestamp {
    last.ends_at.map_or(closed_at, |ends_at| ends_at.min(closed_at))
}

fn act(name: &'static str, grant: &Grant, said: &Said) -> Act {
    let act = Act::new(name, said.by)
        .about("grant_id", grant.id)
        .about("version", grant.version)
        .about("customer_id", grant.customer_id)
        .about("device_id", grant.device_id);
    said.reasoned(act, Some(grant.customer_id))
}

impl Said {
    /// The reason may name people, so it lies beside the chain.
    pub(crate) fn reasoned(&self, act: Act, subject: Option<CustomerId>) -> Act {
        match &self.reason {
            Some(reason) => act.with_detail(subject, &serde_json::json!({ "reason": reason })),
            None => act,
        }
    }
}

async fn current(link: Link<'_>, grant_id: GrantId) -> Result<Option<Grant>, StoreError> {
    let row: Option<GrantRow> = on!(link, |db| sqlx::query_as(CURRENT)
        .bind(Text(grant_id))
        .fetch_optional(&mut *db)
        .await?);
    Ok(row.map(GrantRow::into_grant))
}

async fn closed_at(link: Link<'_>, grant_id: GrantId) -> Result<Option<Timestamp>, StoreError> {
    let row: Option<(Option<Millis>,)> = on!(link, |db| sqlx::query_as(CLOSED_AT)
        .bind(Text(grant_id))
        .fetch_optional(&mut *db)
        .await?);
    Ok(row.and_then(|(closed_at,)| closed_at).map(|Millis(at)| at))
}

/// `false` if the unique index of owners, or an id drawn twice, left the row out.
async fn insert(tx: &mut Tx, grant: &Grant, said: &Said, now: Timestamp) -> Result<bool, StoreError> {
    let inserted = execute!(
        tx.link(),
        sqlx::query(INSERT_HEAD)
            .bind(Text(grant.id))
            .bind(Text(grant.customer_id))
            .bind(Text(grant.device_id))
            .bind(grant.source.as_str())
            .bind(grant.version)
            .bind(Millis(now))
    );
    if inserted == 0 {
        return Ok(false);
    }
    insert_version(tx, grant, said, now).await?;
    Ok(true)
}

async fn insert_version(tx: &mut Tx, grant: &Grant, said: &Said, now: Timestamp) -> Result<(), StoreError> {
    execute!(
        tx.link(),
        sqlx::query(INSERT_VERSION)
            .bind(Text(grant.id))
            .bind(grant.version)
            .bind(names(&grant.functions))
            .bind(names(&grant.variables))
            .bind(names(&grant.keys))
            .bind(Millis(grant.history.from))
            .bind(Millis(grant.history.to))
            .bind(Millis(grant.starts_at))
            .bind(grant.ends_at.map(Millis))
            .bind(Millis(now))
            .bind(Text(said.by))
            .bind(said.reason.as_deref())
    );
    Ok(())
}

/// Two who change one grant at once: the second finds another version and changes nothing.
async fn move_head(tx: &mut Tx, grant: &Grant, closed_at: Option<Timestamp>) -> Result<bool, StoreError> {
    let moved = execute!(
        tx.link(),
        sqlx::query(MOVE_HEAD)
            .bind(Text(grant.id))
            .bind(grant.version)
            .bind(closed_at.map(Millis))
    );
    Ok(moved == 1)
}

async fn close_lapsed_owner(tx: &mut Tx, device_id: DeviceId, now: Timestamp) -> Result<(), StoreError> {
    let closed: Vec<(Text<GrantId>, Text<CustomerId>)> = on!(tx.link(), |db| sqlx::query_as(CLOSE_LAPSED_OWNER)
        .bind(Text(device_id))
        .bind(Millis(now))
        .fetch_all(&mut *db)
        .await?);
    for (Text(grant_id), Text(customer_id)) in closed {
        tx.change(Change::GrantEnded {
            grant_id,
            customer_id,
            device_id,
        });
    }
    Ok(())
}
