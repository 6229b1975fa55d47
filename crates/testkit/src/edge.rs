//! The one place of this crate that reads the clock, the environment and chance. Tests wait for real processes and
//! real servers, so here the clock cannot be handed in.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[expect(
    clippy::disallowed_methods,
    reason = "waiting for other processes happens in real time"
)]
pub fn now() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "makes names unlike those a killed run left behind"
)]
pub fn nanos_since_1970() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos()
}

#[expect(
    clippy::disallowed_methods,
    reason = "another process gives no signal we could wait on"
)]
pub fn sleep(duration: Duration) {
    std::thread::sleep(duration);
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tests' own settings come by the environment"
)]
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// 32 hexadecimal digits nobody can guess.
pub fn random_hex() -> String {
    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .expect("/dev/urandom is there on every system the tests run on");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
