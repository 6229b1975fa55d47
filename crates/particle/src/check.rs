//! Whether the credential works now, and for this product: the shortest page of its devices.

use ostler_app::device_cloud::CloudError;

use crate::connection::Connection;

impl Connection {
    pub(crate) async fn check(&self) -> Result<(), CloudError> {
        self.device_page(1, "1").await.map(|_| ())
    }
}
