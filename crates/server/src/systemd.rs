//! Tells systemd how we are (sd_notify(3)): ready, stopping, and alive for the watchdog. Without
//! `NOTIFY_SOCKET` all of it does nothing.

use std::collections::BTreeMap;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

/// The service manager that started us, if there is one.
pub struct ServiceManager {
    address: Option<SocketAddr>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    pub fn from_environment(environment: &BTreeMap<String, String>) -> io::Result<Self> {
        let address = environment
            .get("NOTIFY_SOCKET")
            .map(|name| match name.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name),
                None => SocketAddr::from_pathname(name),
            });
        let watchdog = environment
            .get("WATCHDOG_USEC")
            .and_then(|micros| micros.parse().ok())
            .map(Duration::from_micros);
        Ok(Self {
            address: address.transpose()?,
            watchdog,
        })
    }

    /// We listen, and what we need works.
    pub fn ready(&self) {
        self.notify("READY=1");
    }

    pub fn stopping(&self) {
        self.notify("STOPPING=1");
    }

    /// Reports that the runtime still turns, twice as often as is asked for, until the server stops.
    pub async fn keep_watchdog_quiet(&self, stopping: &CancellationToken) {
        let Some(period) = self.watchdog.filter(|period| !period.is_zero()) else {
            return;
        };
        let mut ticks = tokio::time::interval(period / 2);
        while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
            self.notify("WATCHDOG=1");
        }
    }

    fn notify(&self, message: &str) {
        let Some(address) = &self.address else { return };
        let sent = UnixDatagram::unbound().and_then(|socket| socket.send_to_addr(message.as_bytes(), address));
        if let Err(error) = sent {
            warn!(error = %error, "systemd could not be told {message}: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn systemd_hears_that_we_are_ready_alive_and_stopping() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        let pairs = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "2000000")];
        let environment = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let manager = ServiceManager::from_environment(&environment).unwrap();

        manager.ready();
        let stopping = CancellationToken::new();
        let watched = tokio::time::timeout(Duration::from_millis(1_500), manager.keep_watchdog_quiet(&stopping));
        watched.await.unwrap_err();
        manager.stopping();

        let heard: Vec<String> = (0..4)
            .map(|_| {
                let mut buffer = [0; 32];
                let len = systemd.recv(&mut buffer).unwrap();
                String::from_utf8(buffer[..len].to_vec()).unwrap()
            })
            .collect();
        assert_eq!(heard, ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"]);
    }
}
