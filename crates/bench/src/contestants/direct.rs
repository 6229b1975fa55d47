//! The call without anybody in between: what all others are compared with.

use std::net::SocketAddr;

use super::{Contestant, write_upstream_call};
use crate::load::Target;

pub fn contestant(upstream: SocketAddr) -> Contestant {
    let requests = Box::new(|number, bytes: &mut Vec<u8>| write_upstream_call(bytes, number, "x"));
    Contestant {
        target: Target {
            name: "direct",
            address: upstream,
            requests,
            expected: 200,
        },
        processes: Vec::new(),
    }
}
