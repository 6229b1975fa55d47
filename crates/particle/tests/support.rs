//! The adapter under test, with a clock that moves, and permits from the real policy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ostler_app::device_cloud::{CloudConnection, CloudCredential, DeviceCloud};
use ostler_core::id::ProductId;
use ostler_core::port::{Clock, Entropy};
use ostler_core::time::Timestamp;
use ostler_particle::{Backoff, Particle, ParticleOptions, StreamOptions};

pub const DEADLINE: Duration = Duration::from_secs(5);

/// It is 2030-05-01T10:00:00.123Z, the time of the fixtures, and runs on; `advance` skips.
pub struct TestClock {
    started: tokio::time::Instant,
    skipped_ms: AtomicU64,
}

pub const START: Timestamp = Timestamp::from_millis(1_903_860_000_123);

impl TestClock {
    fn passed(&self) -> Duration {
        self.started.elapsed() + Duration::from_millis(self.skipped_ms.load(Ordering::Acquire))
    }

    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap();
        self.skipped_ms.fetch_add(by, Ordering::AcqRel);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        START + self.passed()
    }

    fn instant(&self) -> Instant {
        self.started.into_std() + self.passed()
    }
}

/// The most that jitter can draw: pauses are then exactly their ceiling.
pub struct MostEntropy;
impl Entropy for MostEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0xff);
    }
}

pub struct Adapter {
    pub particle: Particle,
    pub clock: Arc<TestClock>,
    pub product_id: ProductId,
}

pub fn product_id(number: u8) -> ProductId {
    struct Number(u8);
    impl Entropy for Number {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }
    ProductId::draw(START, &Number(number))
}

/// Short pauses for what waits in real time; what waits by the clock keeps its length.
pub fn options() -> ParticleOptions {
    ParticleOptions {
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(3),
        stream: StreamOptions {
            idle_timeout: Duration::from_millis(400),
            reconnect: Backoff {
                first: Duration::from_millis(5),
                most: Duration::from_millis(20),
            },
            open_spacing: Duration::from_millis(30),
            queue: 64,
        },
        ..ParticleOptions::default()
    }
}

pub fn client(secret: &str) -> CloudCredential {
    CloudCredential::Client {
        client_id: "backend-4711".into(),
        client_secret: secret.into(),
    }
}

pub fn connection(base_url: &str, credential: CloudCredential) -> CloudConnection {
    CloudConnection {
        base_url: base_url.into(),
        cloud_product: "40123".into(),
        credential,
    }
}

impl Adapter {
    pub fn unconnected(options: ParticleOptions) -> Self {
        let clock = Arc::new(TestClock {
            started: tokio::time::Instant::now(),
            skipped_ms: AtomicU64::new(0),
        });
        Self {
            particle: Particle::new(options, Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(MostEntropy)),
            clock,
            product_id: product_id(1),
        }
    }

    pub fn new(base_url: &str, credential: CloudCredential) -> Self {
        Self::with(options(), base_url, credential)
    }

    pub fn with(options: ParticleOptions, base_url: &str, credential: CloudCredential) -> Self {
        let adapter = Self::unconnected(options);
        let connection = connection(base_url, credential);
        adapter.particle.connect(adapter.product_id, Some(connection));
        adapter
    }

    /// Whatever a pause was, it is over.
    pub fn skip(&self, by: Duration) {
        self.clock.advance(by);
    }
}
