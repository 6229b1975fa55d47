//! The newest value of each key that may be seen.

use ostler_core::caller::Caller;
use ostler_core::id::DeviceId;
use ostler_core::interval::IntervalSet;
use ostler_core::name::TelemetryKey;
use ostler_store::LatestPoint;

use super::HistoryError;
use crate::App;

#[derive(Debug, Clone, PartialEq)]
pub struct LatestValue {
    pub point: LatestPoint,
    pub unit: Option<String>,
}

impl App {
    /// In the order in which the product declares its keys; a key without a value is absent.
    pub async fn latest_values(&self, caller: &Caller, device_id: DeviceId) -> Result<Vec<LatestValue>, HistoryError> {
        let seen = self.see(caller, device_id, self.clock.now()).await?;
        let declaration = &seen.product.declaration;
        let visible: Vec<(TelemetryKey, IntervalSet)> = declaration
            .keys()
            .filter(|mapping| seen.sight.may_see_key(&mapping.key))
            .map(|mapping| (mapping.key.clone(), seen.sight.history_of(&mapping.key)))
            .collect();
        let points = self.store.latest_points(device_id, &visible).await?;
        let unit = |key: &TelemetryKey| declaration.key(key).and_then(|mapping| mapping.unit.clone());
        Ok(points
            .into_iter()
            .map(|point| LatestValue {
                unit: unit(&point.key),
                point,
            })
            .collect())
    }
}
