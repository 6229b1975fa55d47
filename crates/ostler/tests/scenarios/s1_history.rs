//! S1: the maker stores what devices publish and shows it to the customer who may see it, as far as
//! the customer may see it.

use ostler_core::port::Clock as _;
use ostler_server::edge::SystemClock;
use serde_json::{Value, json};

use super::on_both;
use crate::world::{Caller, Fleet, Installation, On};

/// Some minutes ago, so that a device's own clock is believed.
struct Minutes(i64);

impl Minutes {
    fn new() -> Self {
        let now = SystemClock.now().millis();
        Self(now / 60_000 * 60_000 - 30 * 60_000)
    }

    /// The minute, and a second in it, as milliseconds since 1970.
    fn at(&self, minute: i64, second: i64) -> i64 {
        self.0 + minute * 60_000 + second * 1000
    }

    fn text(&self, minute: i64, second: i64) -> String {
        ostler_core::time::Timestamp::from_millis(self.at(minute, second)).to_string()
    }
}

/// Which stored points are the test's own: those of the living device are later.
async fn history(caller: &Caller, device: &str, minutes: &Minutes, more: &str) -> crate::world::Answer {
    let (from, to) = (minutes.text(0, 0), minutes.text(10, 0));
    caller
        .get(&format!(
            "/v1/devices/{device}/history?key=temperature&from={from}&to={to}{more}"
        ))
        .await
}

fn event(cloud_id: &str, minutes: &Minutes, minute: i64, second: i64, temperature: f64) -> Value {
    let time = minutes.at(minute, second);
    json!({"event": "thermostat/state", "coreid": cloud_id, "published_at": minutes.text(minute, second),
        "data": json!({"t": temperature, "time": time / 1000}).to_string()})
}

async fn fill(installation: &Installation, fleet: &Fleet, cloud_id: &str, minutes: &Minutes) {
    // Out of order, and one of them twice.
    for (minute, second, temperature) in [
        (2, 30, 22.0),
        (0, 10, 20.0),
        (2, 10, 21.0),
        (0, 50, 24.0),
        (2, 10, 21.0),
    ] {
        installation
            .post_event(fleet, &event(cloud_id, minutes, minute, second, temperature))
            .await
            .expect(204);
    }
}

on_both! {
    async fn s1_points_are_kept_once_in_order_and_in_buckets_over_a_restart(installation) {
        let fleet = installation.thermostats().await;
        let (device, cloud_id) = fleet.devices[0].clone();
        let (_, ada) = installation.customer_with("ada", &device).await;
        let minutes = Minutes::new();
        fill(&installation, &fleet, &cloud_id.to_string(), &minutes).await;
        installation.restart();

        let raw = history(&ada, &device, &minutes, "").await.expect(200);
        let point = |minute, second, value: i64| json!({"time": minutes.text(minute, second), "value": value});
        let expected = json!([point(0, 10, 20), point(0, 50, 24), point(2, 10, 21), point(2, 30, 22)]);
        assert_eq!(raw.at("/points"), expected);
        assert_eq!((raw.at("/unit"), raw.at("/key"), raw.at("/device_id")), (json!("Cel"), json!("temperature"), json!(device)));

        let buckets = history(&ada, &device, &minutes, "&bucket=PT1M").await.expect(200);
        assert_eq!(buckets.at("/buckets"), json!([
            {"start": minutes.text(0, 0), "count": 2, "min": 20, "max": 24, "mean": 22, "sum": 44, "last": 24},
            {"start": minutes.text(2, 0), "count": 2, "min": 21, "max": 22, "mean": 21.5, "sum": 43, "last": 22},
        ]));

        // Page by page it is the same.
        let mut paged = Vec::new();
        let mut more = "&limit=3".to_owned();
        loop {
            let page = history(&ada, &device, &minutes, &more).await.expect(200);
            paged.extend(page.at("/points").as_array().unwrap().clone());
            match page.at("/next_cursor") {
                Value::String(cursor) => more = format!("&limit=3&cursor={cursor}"),
                _ => break,
            }
        }
        assert_eq!(Value::Array(paged), expected);
    }
}

on_both! {
    async fn s1_only_the_grants_window_is_seen(installation) {
        let fleet = installation.thermostats().await;
        let (device, cloud_id) = fleet.devices[0].clone();
        let minutes = Minutes::new();
        fill(&installation, &fleet, &cloud_id.to_string(), &minutes).await;
        let client_id = installation.app_client().await;
        let ada = installation.customer("ada").await;
        let limits = json!({"source": "share", "keys": ["temperature"], "history_from": minutes.text(2, 0)});
        installation.grant(&ada, &device, limits).await;
        let ada = installation.signed_in(&client_id, &ada).await;

        let raw = history(&ada, &device, &minutes, "").await.expect(200);
        let times: Vec<_> = raw.at("/points").as_array().unwrap().iter().map(|point| point["time"].clone()).collect();
        assert_eq!(times, [minutes.text(2, 10), minutes.text(2, 30)]);
        let buckets = history(&ada, &device, &minutes, "&bucket=PT5M").await.expect(200);
        assert_eq!(buckets.at("/buckets/0/count"), 2, "a bucket holds only what may be seen");
        let other = ada.get(&format!("/v1/devices/{device}/history?key=target&from={}&to={}", minutes.text(0, 0), minutes.text(9, 0))).await;
        assert!(other.status.is_client_error(), "{other:?}");

        let stranger = installation.customer("eve").await;
        let stranger = installation.signed_in(&client_id, &stranger).await;
        history(&stranger, &device, &minutes, "").await.expect_problem(404, "not-found");
    }
}

on_both! {
    async fn s1_bad_ranges_name_the_parameter_and_the_rule(installation) {
        let fleet = installation.thermostats().await;
        let (device, _) = fleet.devices[0].clone();
        let (_, ada) = installation.customer_with("ada", &device).await;
        let (from, to) = ("2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z");
        for (query, parameter) in [
            (format!("key=temperature&from={to}&to={from}"), "to"),
            (format!("key=temperature&from=yesterday&to={to}"), "from"),
            (format!("key=temperature&from={from}&to={to}&bucket=P1M"), "bucket"),
            (format!("key=temperature&from={from}&to={to}&bucket=PT1S"), "bucket"),
            (format!("key=temperature&from={from}&to={to}&limit=0"), "limit"),
            (format!("key=temperature&from={from}&to={to}&cursor=x"), "cursor"),
            (format!("key=temperature&from={from}&to={to}&bukcet=PT1M"), "bukcet"),
            (format!("from={from}&to={to}"), "key"),
        ] {
            let refused = ada.get(&format!("/v1/devices/{device}/history?{query}")).await.expect_problem(400, "invalid-request");
            assert_eq!(refused.at("/errors/0/parameter"), parameter, "{query}: {refused:?}");
        }
    }
}
