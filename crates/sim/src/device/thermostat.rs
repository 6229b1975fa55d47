//! A thermostat in a room: heat leaks to a day-and-night outside, a burner with hysteresis works
//! against it, and the sensor is a little noisy. It does not know schedules.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Loop, noise};

const TICK_MS: i64 = 5_000;
/// Without heating a room falls towards the outside with this time constant.
const LEAK_SECONDS: f64 = 14_000.0;
/// What the burner adds, in kelvin per second.
const BURNER_POWER: f64 = 0.0022;
const HYSTERESIS: f64 = 0.3;
/// A gap longer than this (a restart, a jump of the clock) is not simulated step by step.
const STEP_SECONDS_MAX: f64 = 900.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Heat,
    Off,
    Auto,
}

impl Mode {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "heat" => Some(Self::Heat),
            "off" => Some(Self::Off),
            "auto" => Some(Self::Auto),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Heat => "heat",
            Self::Off => "off",
            Self::Auto => "auto",
        }
    }
}

/// State of one thermostat and its room.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Thermostat {
    room_celsius: f64,
    /// What the sensor last showed; variables and events agree on it.
    reading_celsius: f64,
    target: i32,
    mode: Mode,
    heating: bool,
    stepped_at: i64,
}

impl Thermostat {
    pub(super) const FUNCTIONS: [&'static str; 2] = ["setMode", "setTarget"];
    pub(super) const VARIABLES: [(&'static str, &'static str); 3] =
        [("mode", "string"), ("target", "int32"), ("temperature", "double")];

    pub(crate) fn installed(now_ms: i64, seed: u64) -> Self {
        let room_celsius = noise::between(seed, 1, 17.5, 22.5);
        Self {
            room_celsius,
            reading_celsius: tenth(room_celsius),
            target: 19 + (noise::unit(seed, 2) * 4.0) as i32,
            mode: Mode::Heat,
            heating: false,
            stepped_at: now_ms,
        }
    }

    pub(super) fn call(&mut self, function: &str, argument: &str, at: &mut Loop<'_>) -> i32 {
        let result = match function {
            "setTarget" => self.set_target(argument),
            "setMode" => self.set_mode(argument),
            _ => None,
        };
        if result.is_some() {
            self.step(at);
            self.report(at);
        }
        result.unwrap_or(-1)
    }

    fn set_target(&mut self, argument: &str) -> Option<i32> {
        let target = argument.parse().ok().filter(|target| (5..=30).contains(target))?;
        self.target = target;
        Some(target)
    }

    fn set_mode(&mut self, argument: &str) -> Option<i32> {
        self.mode = Mode::parse(argument)?;
        Some(1)
    }

    pub(super) fn read(&self, variable: &str) -> Option<Value> {
        match variable {
            "temperature" => Some(json!(self.reading_celsius)),
            "target" => Some(json!(self.target)),
            "mode" => Some(json!(self.mode.as_str())),
            _ => None,
        }
    }

    pub(super) fn tick(&mut self, at: &mut Loop<'_>) -> i64 {
        self.step(at);
        self.report(at);
        at.now_ms + TICK_MS
    }

    fn step(&mut self, at: &Loop<'_>) {
        let seconds = ((at.now_ms - self.stepped_at) as f64 / 1000.0).clamp(0.0, STEP_SECONDS_MAX);
        self.stepped_at = at.now_ms;
        self.heating = self.wants_heat();
        let leak = (outside_celsius(at.now_ms) - self.room_celsius) / LEAK_SECONDS;
        let burner = if self.heating { BURNER_POWER } else { 0.0 };
        self.room_celsius += (leak + burner) * seconds;
        let sensor_noise = noise::between(at.seed, at.now_ms as u64, -0.1, 0.1);
        self.reading_celsius = tenth(self.room_celsius + sensor_noise);
    }

    /// Between the two thresholds the burner stays as it is, so that it does not flutter.
    fn wants_heat(&self) -> bool {
        let set_point = match self.mode {
            Mode::Off => return false,
            Mode::Heat => f64::from(self.target),
            // Automatic operation saves a degree.
            Mode::Auto => f64::from(self.target) - 1.0,
        };
        if self.heating {
            self.room_celsius < set_point + HYSTERESIS
        } else {
            self.room_celsius < set_point - HYSTERESIS
        }
    }

    fn report(&self, at: &mut Loop<'_>) {
        let state = json!({
            "t": self.reading_celsius,
            "target": self.target,
            "mode": self.mode.as_str(),
            "heating": self.heating,
            "time": at.unix_s(),
        });
        at.publish("thermostat/state", &state);
    }
}

/// 6 °C on average, coldest at four in the morning (UTC).
fn outside_celsius(now_ms: i64) -> f64 {
    let day_fraction = now_ms.rem_euclid(86_400_000) as f64 / 86_400_000.0;
    6.0 - 4.0 * ((day_fraction - 4.0 / 24.0) * TAU).cos()
}

fn tenth(celsius: f64) -> f64 {
    (celsius * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_900_022_400_000;

    fn run(thermostat: &mut Thermostat, from: i64, hours: i64) {
        let mut published = Vec::new();
        let mut now_ms = from;
        while now_ms < from + hours * 3_600_000 {
            now_ms = thermostat.tick(&mut Loop {
                now_ms,
                seed: 3,
                published: &mut published,
            });
        }
    }

    fn call(thermostat: &mut Thermostat, function: &str, argument: &str) -> i32 {
        let mut published = Vec::new();
        let mut at = Loop {
            now_ms: NOON,
            seed: 3,
            published: &mut published,
        };
        thermostat.call(function, argument, &mut at)
    }

    #[test]
    fn the_room_reaches_its_target_and_stays_there() {
        let mut thermostat = Thermostat::installed(NOON, 3);
        assert_eq!(call(&mut thermostat, "setTarget", "24"), 24);
        run(&mut thermostat, NOON, 12);
        assert!(
            (thermostat.room_celsius - 24.0).abs() < 1.0,
            "{}",
            thermostat.room_celsius
        );
    }

    #[test]
    fn without_heating_the_room_cools() {
        let mut thermostat = Thermostat::installed(NOON, 3);
        assert_eq!(call(&mut thermostat, "setMode", "off"), 1);
        run(&mut thermostat, NOON, 12);
        assert!(thermostat.room_celsius < 12.0, "{}", thermostat.room_celsius);
    }

    #[test]
    fn senseless_arguments_change_nothing_and_return_minus_one() {
        let mut thermostat = Thermostat::installed(NOON, 3);
        let target = thermostat.target;
        for argument in ["", "4", "31", "20.5", "warm", " 20", "99999999999"] {
            assert_eq!(call(&mut thermostat, "setTarget", argument), -1, "{argument}");
        }
        assert_eq!(call(&mut thermostat, "setMode", "HEAT"), -1);
        assert_eq!(thermostat.target, target);
    }

    #[test]
    fn a_changed_target_is_published_at_once() {
        let mut thermostat = Thermostat::installed(NOON, 3);
        let mut published = Vec::new();
        thermostat.call(
            "setTarget",
            "21",
            &mut Loop {
                now_ms: NOON,
                seed: 3,
                published: &mut published,
            },
        );
        assert_eq!(published.len(), 1);
        let data: Value = serde_json::from_str(&published[0].data).unwrap();
        assert_eq!((&data["target"], &data["time"]), (&json!(21), &json!(NOON / 1000)));
    }
}
