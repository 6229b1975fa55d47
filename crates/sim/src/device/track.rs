//! How a vehicle moves: along a grid of streets in a town, with turns at crossings, red lights, and
//! pauses between rides. It knows nothing of locks, batteries or reports.

use serde::{Deserialize, Serialize};

use super::{Loop, noise};

/// The streets' origin: Zürich, the old town.
const ORIGIN_LAT: f64 = 47.3769;
const ORIGIN_LON: f64 = 8.5417;
pub(super) const METRES_PER_DEGREE: f64 = 111_320.0;
pub(super) const CITY_RADIUS_M: f64 = 2_500.0;
/// The grid is turned, so that tracks do not run along meridians.
const GRID_TURNED_DEGREES: f64 = 24.0;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Motion {
    Parked,
    Riding {
        heading_degrees: f64,
        block_left_m: f64,
        speed_mps: f64,
    },
}

/// A place in town, what the vehicle does there, and until when.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Track {
    east_m: f64,
    north_m: f64,
    motion: Motion,
    until: i64,
}

impl Track {
    pub(super) fn parked_somewhere(now_ms: i64, seed: u64) -> Self {
        Self {
            east_m: noise::between(seed, 1, -CITY_RADIUS_M, CITY_RADIUS_M),
            north_m: noise::between(seed, 2, -CITY_RADIUS_M, CITY_RADIUS_M),
            motion: Motion::Parked,
            until: now_ms + 1000 * noise::between(seed, 4, 5.0, 600.0) as i64,
        }
    }

    pub(super) fn is_riding(&self) -> bool {
        matches!(self.motion, Motion::Riding { .. })
    }

    /// Whether the ride, or the pause, is over.
    pub(super) fn is_due(&self, now_ms: i64) -> bool {
        now_ms >= self.until
    }

    pub(super) fn speed_mps(&self) -> f64 {
        match self.motion {
            Motion::Riding { speed_mps, .. } => speed_mps,
            Motion::Parked => 0.0,
        }
    }

    pub(super) fn heading_degrees(&self) -> f64 {
        match self.motion {
            Motion::Riding { heading_degrees, .. } => heading_degrees,
            Motion::Parked => 0.0,
        }
    }

    /// Longitude, latitude.
    pub(super) fn position(&self) -> [f64; 2] {
        [
            ORIGIN_LON + self.east_m / (METRES_PER_DEGREE * ORIGIN_LAT.to_radians().cos()),
            ORIGIN_LAT + self.north_m / METRES_PER_DEGREE,
        ]
    }

    pub(super) fn distance_from_centre_m(&self) -> f64 {
        self.east_m.hypot(self.north_m)
    }

    /// Three to eighteen minutes, in one of four directions.
    pub(super) fn set_off(&mut self, at: &Loop<'_>) {
        let draw = |n: u64| noise::unit(at.seed ^ n, at.now_ms as u64);
        self.until = at.now_ms + 1000 * (180.0 + 900.0 * draw(1)) as i64;
        self.motion = Motion::Riding {
            heading_degrees: street_bearing((draw(2) * 4.0) as u32),
            block_left_m: 80.0 + 170.0 * draw(3),
            speed_mps: 3.0,
        };
    }

    pub(super) fn park(&mut self, at: &Loop<'_>) {
        let minutes = noise::between(at.seed ^ 5, at.now_ms as u64, 2.0, 15.0);
        self.motion = Motion::Parked;
        self.until = at.now_ms + (minutes * 60_000.0) as i64;
    }

    /// Somebody mounts: a pause ends soon.
    pub(super) fn end_pause_at(&mut self, at_ms: i64) {
        if !self.is_riding() {
            self.until = at_ms;
        }
    }

    /// Rolls along the street and returns the way in metres. At a crossing it goes on or turns, and
    /// turns home at the city's edge.
    pub(super) fn roll(&mut self, seconds: f64, at: &Loop<'_>) -> f64 {
        let Motion::Riding {
            heading_degrees,
            block_left_m,
            ..
        } = self.motion
        else {
            return 0.0;
        };
        let draw = |n: u64| noise::unit(at.seed ^ n, at.now_ms as u64);
        // One time in eight there is a red light.
        let speed_mps = if draw(6) < 0.125 { 0.0 } else { 3.0 + 3.5 * draw(7) };
        let way_m = speed_mps * seconds;
        let (east, north) = heading_degrees.to_radians().sin_cos();
        self.east_m += way_m * east;
        self.north_m += way_m * north;
        let is_at_crossing = way_m >= block_left_m;
        self.motion = Motion::Riding {
            heading_degrees: if is_at_crossing {
                self.next_street(heading_degrees, draw(8))
            } else {
                heading_degrees
            },
            block_left_m: if is_at_crossing {
                80.0 + 170.0 * draw(9)
            } else {
                block_left_m - way_m
            },
            speed_mps,
        };
        way_m
    }

    /// Half of the time straight on, else left or right.
    fn next_street(&self, heading_degrees: f64, choice: f64) -> f64 {
        if self.distance_from_centre_m() > CITY_RADIUS_M {
            return self.homeward_street();
        }
        let turn = match choice {
            straight if straight < 0.5 => 0.0,
            right if right < 0.75 => 90.0,
            _left => 270.0,
        };
        (heading_degrees + turn).rem_euclid(360.0)
    }

    fn homeward_street(&self) -> f64 {
        let homeward = (-self.east_m).atan2(-self.north_m).to_degrees().rem_euclid(360.0);
        let detour = |bearing: f64| turn_between(bearing, homeward);
        let streets = (0..4).map(street_bearing);
        streets
            .min_by(|a, b| detour(*a).total_cmp(&detour(*b)))
            .expect("there are four streets")
    }
}

fn street_bearing(direction: u32) -> f64 {
    GRID_TURNED_DEGREES + 90.0 * f64::from(direction % 4)
}

fn turn_between(a_degrees: f64, b_degrees: f64) -> f64 {
    let turn = (a_degrees - b_degrees).rem_euclid(360.0);
    turn.min(360.0 - turn)
}
