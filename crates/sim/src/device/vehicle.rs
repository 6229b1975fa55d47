//! A shared bicycle with a tracker: it stands locked, is ridden now and then along a grid of streets,
//! and reports `loc` events as the Tracker's firmware does (reference §11.1). It knows nothing of
//! rentals.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Loop, noise};

const RIDING_TICK_MS: i64 = 5_000;
const PARKED_TICK_MS: i64 = 30_000;
/// The streets' origin: Zürich, the old town.
const ORIGIN_LAT: f64 = 47.3769;
const ORIGIN_LON: f64 = 8.5417;
const METRES_PER_DEGREE: f64 = 111_320.0;
const CITY_RADIUS_M: f64 = 2_500.0;
/// Coverage is lost once in each window of this length, if at all.
const OUTAGE_WINDOW_MS: i64 = 15 * 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ride {
    Parked {
        until: i64,
    },
    Riding {
        until: i64,
        heading_degrees: f64,
        block_left_m: f64,
        speed_mps: f64,
    },
}

/// State of one vehicle.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Vehicle {
    east_m: f64,
    north_m: f64,
    battery_percent: f64,
    locked: bool,
    ride: Ride,
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
            east_m: noise::between(seed, 1, -CITY_RADIUS_M, CITY_RADIUS_M),
            north_m: noise::between(seed, 2, -CITY_RADIUS_M, CITY_RADIUS_M),
            battery_percent: noise::between(seed, 3, 45.0, 100.0),
            locked: true,
            ride: Ride::Parked {
                until: now_ms + 1000 * noise::between(seed, 4, 5.0, 600.0) as i64,
            },
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
        self.park(at);
        self.report_state(at);
        self.report_location("lock", at);
    }

    fn unlock(&mut self, at: &mut Loop<'_>) {
        self.locked = false;
        if matches!(self.ride, Ride::Parked { .. }) {
            self.ride = Ride::Parked {
                until: at.now_ms + RIDING_TICK_MS,
            };
        }
        self.report_state(at);
    }

    pub(super) fn read(&self, variable: &str) -> Option<Value> {
        match variable {
            "speed" => Some(json!(tenth(self.speed_mps()))),
            "battery" => Some(json!(tenth(self.battery_percent))),
            "locked" => Some(json!(self.locked)),
            _ => None,
        }
    }

    pub(super) fn tick(&mut self, at: &mut Loop<'_>) -> i64 {
        let seconds = ((at.now_ms - self.stepped_at) as f64 / 1000.0).clamp(0.0, 60.0);
        self.stepped_at = at.now_ms;
        match self.ride {
            Ride::Parked { until } if at.now_ms >= until => self.set_off(at),
            Ride::Riding { until, .. } if at.now_ms >= until => self.lock(at),
            Ride::Riding { .. } => self.roll(seconds, at),
            Ride::Parked { .. } => self.charge(seconds),
        }
        self.report_location("time", at);
        self.report_state(at);
        at.now_ms
            + if self.is_riding() {
                RIDING_TICK_MS
            } else {
                PARKED_TICK_MS
            }
    }

    fn set_off(&mut self, at: &mut Loop<'_>) {
        let draw = |n: u64| noise::unit(at.seed ^ n, at.now_ms as u64);
        self.locked = false;
        self.ride = Ride::Riding {
            until: at.now_ms + 1000 * (180.0 + 900.0 * draw(1)) as i64,
            heading_degrees: street_bearing((draw(2) * 4.0) as u32),
            block_left_m: 80.0 + 170.0 * draw(3),
            speed_mps: 3.0,
        };
    }

    fn park(&mut self, at: &Loop<'_>) {
        let minutes = noise::between(at.seed ^ 5, at.now_ms as u64, 2.0, 15.0);
        self.ride = Ride::Parked {
            until: at.now_ms + (minutes * 60_000.0) as i64,
        };
    }

    /// Rolls along the street; at a crossing goes on or turns, and turns home at the city's edge.
    fn roll(&mut self, seconds: f64, at: &Loop<'_>) {
        let Ride::Riding {
            until,
            mut heading_degrees,
            mut block_left_m,
            ..
        } = self.ride
        else {
            return;
        };
        let draw = |n: u64| noise::unit(at.seed ^ n, at.now_ms as u64);
        // One time in eight there is a red light.
        let speed_mps = if draw(6) < 0.125 { 0.0 } else { 3.0 + 3.5 * draw(7) };
        let way_m = speed_mps * seconds;
        let (east, north) = heading_degrees.to_radians().sin_cos();
        self.east_m += way_m * east;
        self.north_m += way_m * north;
        block_left_m -= way_m;
        if block_left_m <= 0.0 {
            heading_degrees = self.next_street(heading_degrees, draw(8));
            block_left_m = 80.0 + 170.0 * draw(9);
        }
        self.battery_percent = (self.battery_percent - way_m / 600.0).max(5.0);
        self.ride = Ride::Riding {
            until,
            heading_degrees,
            block_left_m,
            speed_mps,
        };
    }

    fn next_street(&self, heading_degrees: f64, choice: f64) -> f64 {
        if self.east_m.hypot(self.north_m) > CITY_RADIUS_M {
            let homeward = (-self.east_m).atan2(-self.north_m).to_degrees().rem_euclid(360.0);
            return (0..4)
                .map(street_bearing)
                .min_by(|a, b| turn_between(*a, homeward).total_cmp(&turn_between(*b, homeward)))
                .unwrap_or(heading_degrees);
        }
        let turn = if choice < 0.5 {
            0.0
        } else if choice < 0.75 {
            90.0
        } else {
            270.0
        };
        (heading_degrees + turn).rem_euclid(360.0)
    }

    /// Where it stands, somebody changes the battery in time.
    fn charge(&mut self, seconds: f64) {
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
                "hd": rounded(self.heading_degrees(), 10.0),
                "spd": tenth(self.speed_mps()),
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

    /// Longitude, latitude.
    pub(super) fn position(&self) -> [f64; 2] {
        [
            ORIGIN_LON + self.east_m / (METRES_PER_DEGREE * ORIGIN_LAT.to_radians().cos()),
            ORIGIN_LAT + self.north_m / METRES_PER_DEGREE,
        ]
    }

    fn report_state(&self, at: &mut Loop<'_>) {
        let state = json!({
            "locked": self.locked,
            "speed": tenth(self.speed_mps()),
            "battery": tenth(self.battery_percent),
            "time": at.unix_s(),
        });
        at.publish("vehicle/state", &state);
    }

    fn is_riding(&self) -> bool {
        matches!(self.ride, Ride::Riding { .. })
    }

    fn speed_mps(&self) -> f64 {
        match self.ride {
            Ride::Riding { speed_mps, .. } => speed_mps,
            Ride::Parked { .. } => 0.0,
        }
    }

    fn heading_degrees(&self) -> f64 {
        match self.ride {
            Ride::Riding { heading_degrees, .. } => heading_degrees,
            Ride::Parked { .. } => 0.0,
        }
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

/// The grid is turned by 24 degrees, so that tracks do not run along meridians.
fn street_bearing(direction: u32) -> f64 {
    24.0 + 90.0 * f64::from(direction % 4)
}

fn turn_between(a_degrees: f64, b_degrees: f64) -> f64 {
    let turn = (a_degrees - b_degrees).rem_euclid(360.0);
    turn.min(360.0 - turn)
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
        assert!(vehicle.east_m.hypot(vehicle.north_m) < 2.0 * CITY_RADIUS_M);
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
