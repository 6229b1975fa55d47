//! A shared bicycle with a tracker: it stands locked, is ridden now and then, and reports `loc` events
//! as the Tracker's firmware does (reference §11.1). It knows nothing of rentals.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::track::Track;
use super::{Loop, noise};

const RIDING_TICK_MS: i64 = 5_000;
const PARKED_TICK_MS: i64 = 30_000;
/// Coverage is lost once in each window of this length, if at all.
const OUTAGE_WINDOW_MS: i64 = 15 * 60_000;

/// State of one vehicle.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Vehicle {
    track: Track,
    battery_percent: f64,
    locked: bool,
    stepped_at: i64,
    /// Drives through gaps in coverage.
    outages: bool,
    request_id: u32,
}

impl Vehicle {
    pub(super) const FUNCTIONS: [&'static str; 4] = ["cmd", "locate", "lock", "unlock"];
    pub(super) const VARIABLES: [(&'static str, &'static str); 3] =
        [("battery", "double"), ("locked", "bool"), ("speed", "double")];

    pub(crate) fn parked(now_ms: i64, seed: u64, outages: bool) -> Self {
        Self {
            track: Track::parked_somewhere(now_ms, seed),
            battery_percent: noise::between(seed, 3, 45.0, 100.0),
            locked: true,
            stepped_at: now_ms,
            outages,
            request_id: 0,
        }
    }

    pub(super) fn call(&mut self, function: &str, argument: &str, at: &mut Loop<'_>) -> i32 {
        match function {
            "lock" => self.lock(at),
            "unlock" => self.unlock(at),
            "locate" => self.report_location("user", at),
            "cmd" => return self.command(argument, at),
            _ => return -1,
        }
        1
    }

    /// The tracker's own command channel (reference §11.1): 0 is success, -22 is `EINVAL`.
    fn command(&mut self, argument: &str, at: &mut Loop<'_>) -> i32 {
        let Ok(command) = serde_json::from_str::<Value>(argument) else {
            return -22;
        };
        match command["cmd"].as_str() {
            Some("get_loc") => {
                self.report_location("user", at);
                0
            }
            // The cloud's acknowledgement of a location.
            Some("loc" | "loc-enhanced") => 0,
            Some(_) | None => -22,
        }
    }

    fn lock(&mut self, at: &mut Loop<'_>) {
        self.locked = true;
        self.track.park(at);
        self.report_state(at);
        self.report_location("lock", at);
    }

    fn unlock(&mut self, at: &mut Loop<'_>) {
        self.locked = false;
        self.track.end_pause_at(at.now_ms + RIDING_TICK_MS);
        self.report_state(at);
    }

    pub(super) fn read(&self, variable: &str) -> Option<Value> {
        match variable {
            "speed" => Some(json!(tenth(self.track.speed_mps()))),
            "battery" => Some(json!(tenth(self.battery_percent))),
            "locked" => Some(json!(self.locked)),
            _ => None,
        }
    }

    pub(super) fn tick(&mut self, at: &mut Loop<'_>) -> i64 {
        let seconds = ((at.now_ms - self.stepped_at) as f64 / 1000.0).clamp(0.0, 60.0);
        self.stepped_at = at.now_ms;
        match (self.track.is_riding(), self.track.is_due(at.now_ms)) {
            (false, true) => {
                self.locked = false;
                self.track.set_off(at);
            }
            (false, false) => self.stand(seconds),
            (true, true) => self.lock(at),
            (true, false) => {
                let way_m = self.track.roll(seconds, at);
                self.battery_percent = (self.battery_percent - way_m / 600.0).max(5.0);
            }
        }
        self.report_location("time", at);
        self.report_state(at);
        let pause_ms = if self.track.is_riding() {
            RIDING_TICK_MS
        } else {
            PARKED_TICK_MS
        };
        at.now_ms + pause_ms
    }

    /// Where it stands, somebody changes the battery in time.
    fn stand(&mut self, seconds: f64) {
        if self.battery_percent < 20.0 {
            self.battery_percent = 100.0;
        }
        self.battery_percent = (self.battery_percent - seconds / 36_000.0).max(0.0);
    }

    fn report_location(&mut self, trigger: &str, at: &mut Loop<'_>) {
        self.request_id += 1;
        let jitter = |n: u64| noise::between(at.seed ^ n, at.now_ms as u64, -2e-5, 2e-5);
        let [longitude, latitude] = self.position();
        let time = at.unix_s();
        let location = json!({
            "cmd": "loc",
            "time": time,
            "loc": {
                "lck": 1,
                "time": time,
                "lat": rounded(latitude + jitter(10), 1e6),
                "lon": rounded(longitude + jitter(11), 1e6),
                "alt": rounded(408.0 + 4e4 * jitter(12), 10.0),
                "hd": rounded(self.track.heading_degrees(), 10.0),
                "spd": tenth(self.track.speed_mps()),
                "h_acc": rounded(4.0 + 5e4 * jitter(13), 10.0),
                "v_acc": 6.0,
                "cell": rounded(60.0 + 5e5 * jitter(14), 10.0),
                "batt": tenth(self.battery_percent),
            },
            "trig": [trigger],
            "req_id": self.request_id,
        });
        at.publish_or_store("loc", &location);
    }

    pub(super) fn position(&self) -> [f64; 2] {
        self.track.position()
    }

    fn report_state(&self, at: &mut Loop<'_>) {
        let state = json!({
            "locked": self.locked,
            "speed": tenth(self.track.speed_mps()),
            "battery": tenth(self.battery_percent),
            "time": at.unix_s(),
        });
        at.publish("vehicle/state", &state);
    }

    /// One gap of 45 to 120 s per quarter of an hour, at a place in time that only the seed knows.
    pub(super) fn has_coverage(&self, now_ms: i64, seed: u64) -> bool {
        if !self.outages {
            return true;
        }
        let window = now_ms.div_euclid(OUTAGE_WINDOW_MS);
        let within_ms = now_ms.rem_euclid(OUTAGE_WINDOW_MS) as f64;
        let starts_ms = noise::between(seed ^ 20, window as u64, 60_000.0, 700_000.0);
        let lasts_ms = noise::between(seed ^ 21, window as u64, 45_000.0, 120_000.0);
        !(starts_ms..starts_ms + lasts_ms).contains(&within_ms)
    }
}

fn tenth(value: f64) -> f64 {
    rounded(value, 10.0)
}

fn rounded(value: f64, steps_per_unit: f64) -> f64 {
    (value * steps_per_unit).round() / steps_per_unit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Publication;
    use crate::device::track::{CITY_RADIUS_M, METRES_PER_DEGREE};

    const START: i64 = 1_900_000_000_000;

    fn ride_for(minutes: i64, seed: u64) -> (Vehicle, Vec<Publication>) {
        let mut vehicle = Vehicle::parked(START, seed, false);
        let mut published = Vec::new();
        let mut now_ms = START;
        while now_ms < START + minutes * 60_000 {
            now_ms = vehicle.tick(&mut Loop {
                now_ms,
                seed,
                published: &mut published,
            });
        }
        (vehicle, published)
    }

    fn locations(published: &[Publication]) -> Vec<Value> {
        published
            .iter()
            .filter(|one| one.name == "loc")
            .map(|one| serde_json::from_str(&one.data).unwrap())
            .collect()
    }

    #[test]
    fn it_moves_no_faster_than_a_bicycle_and_stays_in_town() {
        let (vehicle, published) = ride_for(120, 9);
        let track = locations(&published);
        assert!(track.iter().any(|one| one["loc"]["spd"].as_f64().unwrap() > 2.0));
        for pair in track.windows(2) {
            let metres = |key: &str, scale: f64| {
                (pair[1]["loc"][key].as_f64().unwrap() - pair[0]["loc"][key].as_f64().unwrap()) * scale
            };
            let seconds = pair[1]["time"].as_f64().unwrap() - pair[0]["time"].as_f64().unwrap();
            let way = metres("lat", METRES_PER_DEGREE).hypot(metres("lon", 75_400.0));
            assert!(way <= 7.0 * seconds + 10.0, "{way} m in {seconds} s");
        }
        assert!(vehicle.track.distance_from_centre_m() < 2.0 * CITY_RADIUS_M);
    }

    #[test]
    fn a_location_has_the_members_of_the_tracker() {
        let (_, published) = ride_for(5, 9);
        let one = &locations(&published)[0];
        for member in [
            "lck", "time", "lat", "lon", "alt", "hd", "spd", "h_acc", "v_acc", "cell", "batt",
        ] {
            assert!(one["loc"][member].is_number(), "{member}");
        }
        assert_eq!((&one["cmd"], &one["trig"]), (&json!("loc"), &json!(["time"])));
    }

    #[test]
    fn locking_stops_a_ride_and_says_so() {
        let (mut vehicle, _) = ride_for(20, 9);
        let mut published = Vec::new();
        let mut at = Loop {
            now_ms: START + 1_200_000,
            seed: 9,
            published: &mut published,
        };
        assert_eq!(vehicle.call("unlock", "", &mut at), 1);
        assert_eq!(vehicle.read("locked"), Some(json!(false)));
        assert_eq!(vehicle.call("lock", "", &mut at), 1);
        assert_eq!(
            (vehicle.read("locked"), vehicle.read("speed")),
            (Some(json!(true)), Some(json!(0.0)))
        );
        assert!(
            published
                .iter()
                .any(|one| one.name == "vehicle/state" && one.data.contains("\"locked\":true"))
        );
    }

    #[test]
    fn coverage_is_lost_now_and_then_and_always_comes_back() {
        let vehicle = Vehicle::parked(START, 9, true);
        let seconds_without = (0..3600).filter(|s| !vehicle.has_coverage(START + s * 1000, 9)).count();
        assert!((90..600).contains(&seconds_without), "{seconds_without}");
        assert!(Vehicle::parked(START, 9, false).has_coverage(START, 9));
    }

    #[test]
    fn the_tracker_command_answers_as_the_tracker_does() {
        let mut vehicle = Vehicle::parked(START, 9, false);
        let mut published = Vec::new();
        let mut at = Loop {
            now_ms: START,
            seed: 9,
            published: &mut published,
        };
        assert_eq!(vehicle.call("cmd", r#"{"cmd":"get_loc"}"#, &mut at), 0);
        assert_eq!(vehicle.call("cmd", "get_loc", &mut at), -22);
        assert_eq!(published.len(), 1);
    }
}
