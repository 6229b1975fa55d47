//! Raw events, for those who may see everything that the device says.

use ostler_core::caller::Caller;
use ostler_core::id::DeviceId;
use ostler_core::interval::Interval;
use ostler_store::{EventCursor, Listed, Page, StoredEvent};

use super::HistoryError;
use crate::App;

impl App {
    /// In the order of their time.
    pub async fn events(
        &self,
        caller: &Caller,
        device_id: DeviceId,
        range: Interval,
        page: Page<EventCursor>,
    ) -> Result<Listed<StoredEvent>, HistoryError> {
        let seen = self.see(caller, device_id, self.clock.now()).await?;
        let visible = seen.sight.history_of_events();
        if visible.is_empty() {
            return Err(HistoryError::EventsNotGranted);
        }
        Ok(self.store.events(device_id, &visible.clipped_to(&range), page).await?)
    }
}
