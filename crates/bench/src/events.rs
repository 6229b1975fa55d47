//! The events that the webhook delivers: each one new, none from the future, spread over the fleet.

use jiff::Timestamp;

use crate::contestants::{DEVICES, cloud_id};

/// Begins this long ago: events keep their distance of a millisecond per device, and a fast run must not overtake the
/// clock.
const HEAD_START_SECONDS: i64 = 3600;

pub struct Events {
    from: Timestamp,
}

impl Events {
    pub fn beginning_before(seconds_since_1970: u64) -> anyhow::Result<Self> {
        Ok(Self {
            from: Timestamp::from_second(i64::try_from(seconds_since_1970)? - HEAD_START_SECONDS)?,
        })
    }

    /// As Particle's recommended hook writes it (particle-cloud-api.md §9.2).
    pub fn body(&self, number: u64) -> String {
        let published_at = self.from + jiff::SignedDuration::from_millis((number / DEVICES) as i64);
        let tenths = number % 400;
        format!(
            r#"{{"event":"thermostat/state","data":"{{\"t\":{}.{},\"n\":{number}}}","coreid":"{}","published_at":"{published_at:.3}"}}"#,
            tenths / 10,
            tenths % 10,
            cloud_id(number),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_differs_from_every_other_and_lies_in_the_past() {
        let events = Events::beginning_before(1_900_000_000).unwrap();
        assert_eq!(
            events.body(65),
            r#"{"event":"thermostat/state","data":"{\"t\":6.5,\"n\":65}","coreid":"e00fce680000000000000001","published_at":"2030-03-17T16:46:40.001Z"}"#
        );
        let distinct: std::collections::BTreeSet<_> = (0..1000).map(|number| events.body(number)).collect();
        assert_eq!(distinct.len(), 1000);
        for body in distinct {
            serde_json::from_str::<serde_json::Value>(&body).unwrap();
        }
    }
}
