//! Who is measured: the direct call, nginx in three shapes, what a maker writes by hand, and Ostler. All are asked to
//! have one function called on one of the same devices, and all call the same upstream.

pub mod direct;
pub mod fastify;
pub mod nginx;
pub mod ostler;

use std::time::Duration;

use ostler_testkit::Process;

use crate::load::Target;

/// How long a program may take to be there.
pub const STARTS_WITHIN: Duration = Duration::from_secs(30);
const STOPS_WITHIN: Duration = Duration::from_secs(30);

/// Devices of the fleet that is called in turn.
pub const DEVICES: u64 = 64;

/// Somebody who can be asked, and the processes whose CPU time it costs.
pub struct Contestant {
    pub target: Target,
    pub processes: Vec<u32>,
}

/// A program that is stopped politely when we are through, so that its own children go with it.
pub struct Stopping(pub Process);

impl Drop for Stopping {
    fn drop(&mut self) {
        if self.0.ended().is_none() && !std::thread::panicking() {
            self.0.terminate();
            self.0.wait(STOPS_WITHIN);
        }
    }
}

/// The n-th device of the fleet, as Particle names it: 24 hexadecimal digits.
pub fn cloud_id(number: u64) -> String {
    format!("e00fce68{:016x}", number % DEVICES)
}

/// The head and body of a POST with a JSON body, as bytes.
pub fn write_post(bytes: &mut Vec<u8>, path: &str, token: &str, json: &str) {
    let head = [
        "POST ",
        path,
        " HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ",
        token,
        "\r\ncontent-type: application/json\r\ncontent-length: ",
        &json.len().to_string(),
        "\r\n\r\n",
        json,
    ];
    bytes.extend(head.iter().flat_map(|part| part.bytes()));
}

/// A call as the upstream itself understands it.
pub fn write_upstream_call(bytes: &mut Vec<u8>, number: u64, token: &str) {
    let path = format!("/v1/products/1/devices/{}/setTarget", cloud_id(number));
    write_post(bytes, &path, token, r#"{"arg":"20"}"#);
}
