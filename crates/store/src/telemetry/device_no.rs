//! The numbers by which the tables of events and points call devices.

use std::collections::BTreeSet;

use ostler_core::id::DeviceId;

use crate::dialect::{Pair, json_rows};
use crate::error::StoreError;
use crate::id_map::IdMap;
use crate::tx::{Tx, execute, on};
use crate::value::Text;

/// As SQL: the number of the device whose id is that parameter; `NULL` if it never said anything.
macro_rules! device_no {
    ($parameter:literal) => {
        concat!(
            "(SELECT device_no FROM history_device WHERE device_id = ",
            $parameter,
            ")"
        )
    };
}

pub(super) use device_no;

const KNOWN: Pair = json_rows!(
    "SELECT known.device_id, known.device_no
       FROM ",
    " AS asked
       JOIN history_device AS known ON known.device_id = asked.value->>0"
);
/// Another instance may be giving one to the same device: then that one counts.
const GIVE: Pair = json_rows!(
    "INSERT INTO history_device (device_id)
     SELECT value->>0 FROM ",
    " WHERE true ON CONFLICT (device_id) DO NOTHING"
);

pub(super) type DeviceNumbers = IdMap<DeviceId, i64>;

/// The numbers of all these devices; who has none yet is given one. Asked anew by each transaction,
/// for what one that is undone has given may be given to another.
pub(super) async fn device_numbers(tx: &mut Tx, devices: &BTreeSet<DeviceId>) -> Result<DeviceNumbers, StoreError> {
    let numbers = known(tx, devices).await?;
    let missing: Vec<&DeviceId> = devices.iter().filter(|id| !numbers.contains_key(*id)).collect();
    if missing.is_empty() {
        return Ok(numbers);
    }
    let sql = GIVE.of(tx.link().dialect());
    execute!(tx.link(), sqlx::query(sql).bind(as_rows(missing.into_iter())));
    known(tx, devices).await
}

async fn known(tx: &mut Tx, devices: &BTreeSet<DeviceId>) -> Result<DeviceNumbers, StoreError> {
    let sql = KNOWN.of(tx.link().dialect());
    let rows: Vec<(Text<DeviceId>, i64)> = on!(tx.link(), |db| sqlx::query_as(sql)
        .bind(as_rows(devices.iter()))
        .fetch_all(&mut *db)
        .await?);
    Ok(rows.into_iter().map(|(Text(id), number)| (id, number)).collect())
}

fn as_rows<'d>(devices: impl Iterator<Item = &'d DeviceId>) -> String {
    let rows: Vec<[&DeviceId; 1]> = devices.map(|id| [id]).collect();
    serde_json::to_string(&rows).expect("ids")
}
