//! PostgreSQL: how its connections are set, and which audit chain is this instance's.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::Mutex;

use ostler_core::id::ChainId;
use ostler_core::port::Entropy;
use ostler_core::time::Timestamp;

use super::{Claim, Db, Lane, OpenError, Shared, StoreOptions, WaitingCounts};
use crate::audit::{begin_chain, chains};
use crate::error::StoreError;
use crate::journal::Tail;
use crate::migrate::migrate_postgres;
use crate::product_cache::ProductCache;
use crate::tx::Link;

const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection used so lately is taken to be alive.
const FRESH: Duration = Duration::from_secs(5);

/// Every wait has a deadline, here too.
const SETTINGS: [(&str, &str); 5] = [
    ("synchronous_commit", "on"),
    ("timezone", "UTC"),
    ("statement_timeout", "30s"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "30s"),
];

const TRY_CLAIM: &str = "SELECT pg_try_advisory_lock(hashtextextended($1, 7816374152))";

/// An idle connection that holds the advisory lock on one chain: no other instance extends it.
///
/// Should the connection be lost, another instance may claim the chain; then the primary key of
/// `audit_entry` refuses whichever of the two comes second.
pub(super) struct ChainClaim {
    connection: PgConnection,
}

impl ChainClaim {
    pub async fn release(self) {
        if let Err(error) = self.connection.close().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the claim on an audit chain was not released cleanly"
            );
        }
    }
}

pub(super) async fn open(url: &str, options: StoreOptions, now: Timestamp) -> Result<Shared, OpenError> {
    let settings = PgConnectOptions::from_str(url)
        .map_err(OpenError::Url)?
        .application_name("ostler")
        .statement_cache_capacity(256)
        .options(SETTINGS);
    let mut first = PgConnection::connect_with(&settings)
        .await
        .map_err(OpenError::Connect)?;
    migrate_postgres(&mut first, options.migrations, now).await?;
    let chain_id = claim_chain(&mut first, &*options.entropy, now).await?;
    let pool = PgPoolOptions::new()
        .max_connections(options.connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A ping before each use would be a second round trip; only one that lay idle is asked.
        .test_before_acquire(false)
        .before_acquire(|connection, usage| {
            Box::pin(async move { Ok(usage.idle_for < FRESH || connection.ping().await.is_ok()) })
        })
        .connect_with(settings)
        .await
        .map_err(OpenError::Connect)?;
    Ok(Shared {
        db: Db::Pg(pool),
        faults: options.faults,
        keys: options.master_keys,
        entropy: options.entropy,
        chain_id,
        products: ProductCache::default(),
        lane: Lane::new(Tail::Unused),
        waiting: WaitingCounts::of(&Tail::Unused),
        model: None,
        checkpoints: None,
        claim: Mutex::new(Some(Claim::Pg(Box::new(ChainClaim { connection: first })))),
    })
}

/// The oldest chain that no running instance extends, or a new one: after a restart the chain goes
/// on where it was.
async fn claim_chain(
    connection: &mut PgConnection,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Result<ChainId, StoreError> {
    for chain_id in chains(Link::Pg(connection)).await? {
        if try_claim(connection, chain_id).await? {
            return Ok(chain_id);
        }
    }
    // Claimed before it can be seen: another instance that starts now would take it for one that is free.
    let chain_id = ChainId::draw(now, entropy);
    if !try_claim(connection, chain_id).await? {
        return Err(StoreError::inconsistent("the new audit chain"));
    }
    begin_chain(Link::Pg(connection), chain_id, now).await?;
    Ok(chain_id)
}

async fn try_claim(connection: &mut PgConnection, chain_id: ChainId) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(TRY_CLAIM)
        .bind(chain_id.to_string())
        .fetch_one(connection)
        .await?)
}
