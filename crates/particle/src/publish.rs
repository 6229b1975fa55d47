//! Publishing into the product (§8.2), to prove the way back.

use http::Method;
use ostler_app::device_cloud::CloudError;

use crate::connection::Connection;
use crate::request::{CloudRequest, Purpose};
use crate::wire;

impl Connection {
    pub(crate) async fn publish(&self, name: &str, data: &str) -> Result<(), CloudError> {
        let path = self.product.path().segment("events");
        let event = wire::PublishRequest {
            name,
            data,
            private: true,
            ttl: 60,
        };
        let request = CloudRequest::json(Purpose::Publish, Method::POST, path, &event);
        self.exchange(&request).await.map(|_| ())
    }
}
