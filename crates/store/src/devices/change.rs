//! What staff and owners may change about a device: its name, notes, time zone, quarantine.

use ostler_core::id::DeviceId;
use ostler_core::time::Timestamp;

use crate::Store;
use crate::audit::{Act, Actor};
use crate::error::StoreError;
use crate::grants::Said;
use crate::read_model::Change;
use crate::tx::execute;
use crate::value::{Millis, Text};

/// What is to be said anew; `None` leaves as it is, an empty text removes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renamed {
    pub name: Option<String>,
    pub notes: Option<String>,
    pub time_zone: Option<String>,
}

const RENAME: &str = "
    UPDATE device
       SET name = NULLIF(COALESCE($2, name), ''), notes = NULLIF(COALESCE($3, notes), ''),
           time_zone = NULLIF(COALESCE($4, time_zone), '')
     WHERE device_id = $1";
const QUARANTINE: &str = "UPDATE device SET quarantined_at = $2 WHERE device_id = $1 AND quarantined_at IS NULL";
const RELEASE: &str = "
    UPDATE device SET quarantined_at = NULL WHERE device_id = $1 AND quarantined_at IS NOT NULL";

impl Store {
    /// `false` if there is no such device.
    pub async fn rename_device(
        &self,
        device_id: DeviceId,
        renamed: &Renamed,
        by: Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write(now).await?;
        let found = execute!(
            tx.link(),
            sqlx::query(RENAME)
                .bind(Text(device_id))
                .bind(renamed.name.as_deref())
                .bind(renamed.notes.as_deref())
                .bind(renamed.time_zone.as_deref())
        );
        if found == 1 {
            tx.audit(Act::new("device.rename", by).about("device_id", device_id));
            tx.commit().await?;
        }
        Ok(found == 1)
    }

    /// Stops a device from being controlled, or lets it be controlled again. `false` if it was so
    /// already, or there is no such device.
    pub async fn quarantine_device(
        &self,
        device_id: DeviceId,
        quarantined: bool,
        said: &Said,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.write(now).await?;
        let changed = if quarantined {
            execute!(
                tx.link(),
                sqlx::query(QUARANTINE).bind(Text(device_id)).bind(Millis(now))
            )
        } else {
            execute!(tx.link(), sqlx::query(RELEASE).bind(Text(device_id)))
        };
        if changed == 1 {
            let act = if quarantined {
                "device.quarantine"
            } else {
                "device.release"
            };
            let act = Act::new(act, said.by).about("device_id", device_id);
            tx.audit(said.reasoned(act, None));
            tx.change(Change::Quarantine { device_id, quarantined });
            tx.commit().await?;
        }
        Ok(changed == 1)
    }
}
