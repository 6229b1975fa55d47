//! No secret shows in an error, in anything that can be printed, or in any line of the log, however
//! talkative it is made (P4).

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ostler_app::device_cloud::{CloudCredential, DeviceCloud};
use ostler_particle::setup::{SetupCredential, SetupRequest};
use tracing_subscriber::fmt::MakeWriter;

use crate::simulated::{Barn, PASSWORD};
use crate::stub::{Stub, TOKEN, Told};
use crate::support::{Adapter, client, connection, options};

const SECRET: &str = "feedfacefeedfacefeedfacefeedfacefeedface";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// One thread, so that the subscriber sees every task.
#[tokio::test(flavor = "current_thread")]
async fn no_line_of_the_log_holds_a_secret() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let logging = tracing::subscriber::set_default(subscriber);

    for told in [
        Told::text(200, r#"{"return_value":1}"#),
        Told::text(401, "{}"),
        Told::text(403, &format!(r#"{{"error":"{TOKEN}"}}"#)),
        Told::text(502, TOKEN),
        Told::Close,
    ] {
        let stub = Stub::minting(move |_| told.clone()).await;
        for credential in [client(SECRET), CloudCredential::Token(SECRET.into())] {
            let adapter = Adapter::new(&stub.base_url, credential);
            for _ in 0..3 {
                adapter.call_within(Duration::from_millis(500)).await;
                adapter.read().await;
                let checked = adapter.particle.check(adapter.product_id).await;
                tracing::info!(?checked, "checked");
            }
        }
    }
    let barn = Barn::new().await;
    let adapter = Adapter::new("http://127.0.0.1:1", client(SECRET));
    adapter.call().await;
    adapter.particle.connect(
        adapter.product_id,
        Some(connection("http://elsewhere.example", client(SECRET))),
    );
    let request = SetupRequest {
        base_url: barn.sim.base_url(),
        cloud_product: "40123".into(),
        credential: SetupCredential::UserPassword {
            username: crate::simulated::MAKER.into(),
            password: PASSWORD.into(),
        },
        stored: Some(CloudCredential::Token(SECRET.into())),
        hook: Some(crate::hooks::request()),
    };
    let adapter = Adapter::unconnected(options());
    let done = adapter.particle.apply_setup(&request).await.unwrap();
    tracing::info!(?request, ?done, "set up");
    drop(logging);

    let text = log.text();
    assert!(text.contains("set up"), "the log was kept");
    for secret in [SECRET, TOKEN, PASSWORD, "ost_in_secret"] {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
}
