//! The load generator: a schedule of due times at a fixed rate (open loop), or each connection as fast as it is
//! answered (closed loop).

mod closed;
mod open;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::connection::Connection;
use crate::edge;
use crate::latency::Latencies;
use open::Schedule;

/// Writes the n-th request; each number comes once in a program's life.
pub type Requests = Box<dyn Fn(u64, &mut Vec<u8>) + Send + Sync>;

/// Whom to ask for what, and the only status that counts as an answer: a quick refusal is no speed.
pub struct Target {
    pub name: &'static str,
    pub address: SocketAddr,
    pub requests: Requests,
    pub expected: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    Open { per_second: u32 },
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    pub pace: Pace,
    pub connections: usize,
    pub lasts: Duration,
}

#[derive(Debug)]
pub struct Measured {
    pub latencies: Latencies,
    /// From the start until the last answer.
    pub took: Duration,
}

impl Measured {
    pub fn per_second(&self) -> f64 {
        self.latencies.count() as f64 / self.took.as_secs_f64()
    }
}

/// Connections that have each had an answer already: what is measured is not the first request.
pub struct Crew<'a> {
    target: &'a Target,
    numbers: &'a AtomicU64,
    connections: Vec<Connection>,
}

impl<'a> Crew<'a> {
    pub fn assemble(target: &'a Target, connections: usize, numbers: &'a AtomicU64) -> anyhow::Result<Self> {
        let mut crew = Self {
            target,
            numbers,
            connections: Vec::with_capacity(connections),
        };
        let mut request = Vec::new();
        for _ in 0..connections {
            let mut connection =
                Connection::open(target.address).with_context(|| format!("{} is not there", target.name))?;
            crew.ask(&mut connection, &mut request)?;
            crew.connections.push(connection);
        }
        Ok(crew)
    }

    pub fn run(mut self, pace: Pace, lasts: Duration) -> anyhow::Result<Measured> {
        let connections = std::mem::take(&mut self.connections);
        let start = edge::now();
        let samples = match pace {
            Pace::Open { per_second } => open::run(&self, connections, &Schedule::new(start, lasts, per_second))?,
            Pace::Closed => closed::run(&self, connections, start + lasts)?,
        };
        let took = edge::now().duration_since(start);
        Ok(Measured {
            latencies: Latencies::of(samples),
            took,
        })
    }

    /// Sends a request and waits for the answer.
    fn ask(&self, connection: &mut Connection, request: &mut Vec<u8>) -> anyhow::Result<()> {
        self.send(connection, request)?;
        while !self.receive(connection)? {}
        Ok(())
    }

    fn send(&self, connection: &mut Connection, request: &mut Vec<u8>) -> anyhow::Result<()> {
        request.clear();
        (self.target.requests)(self.numbers.fetch_add(1, Ordering::Relaxed), request);
        connection
            .send(request)
            .with_context(|| format!("{} takes no request", self.target.name))
    }

    /// Whether the whole answer is here; then it is the expected one.
    fn receive(&self, connection: &mut Connection) -> anyhow::Result<bool> {
        let status = connection
            .receive()
            .with_context(|| format!("{} gave no answer", self.target.name))?;
        match status {
            None => Ok(false),
            Some(status) if status == self.target.expected => Ok(true),
            Some(status) => bail!(
                "{} answered {status}, not {}:\n{}",
                self.target.name,
                self.target.expected,
                connection.last_answer()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// Answers everything with 204; stalls once, for as long as told, at the given request.
    fn server(stall_at: usize, stall: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut request = [0; 4];
            for number in 0.. {
                if peer.read_exact(&mut request).is_err() {
                    return;
                }
                if number == stall_at {
                    edge::sleep(stall);
                }
                peer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            }
        });
        address
    }

    fn target(address: SocketAddr, expected: u16) -> Target {
        Target {
            name: "a test's server",
            address,
            requests: Box::new(|_, bytes| bytes.extend(b"ping")),
            expected,
        }
    }

    #[test]
    fn a_stall_is_seen_by_all_requests_that_were_due_meanwhile() {
        let target = target(server(20, Duration::from_millis(200)), 204);
        let numbers = AtomicU64::new(0);
        let crew = Crew::assemble(&target, 1, &numbers).unwrap();
        let measured = crew
            .run(Pace::Open { per_second: 500 }, Duration::from_millis(500))
            .unwrap();
        assert_eq!(measured.latencies.count(), 250);
        // 100 of 250 requests were due during the stall; a closed loop would have reported one.
        assert!(
            measured.latencies.quantile(0.75) > Duration::from_millis(50),
            "{measured:?}"
        );
        assert!(measured.latencies.quantile(1.0) >= Duration::from_millis(200));
    }

    #[test]
    fn the_closed_loop_does_not_wait_between_answers() {
        let target = target(server(usize::MAX, Duration::ZERO), 204);
        let numbers = AtomicU64::new(0);
        let crew = Crew::assemble(&target, 1, &numbers).unwrap();
        let measured = crew.run(Pace::Closed, Duration::from_millis(200)).unwrap();
        assert!(measured.latencies.count() > 200, "{measured:?}");
        assert_eq!(numbers.load(Ordering::Relaxed), measured.latencies.count() as u64 + 1);
    }

    #[test]
    fn another_status_fails_the_run() {
        let target = target(server(usize::MAX, Duration::ZERO), 200);
        let error = Crew::assemble(&target, 1, &AtomicU64::new(0)).err().unwrap();
        assert!(error.to_string().contains("answered 204, not 200"), "{error}");
    }
}
