//! The row store against a model that is obviously right: a sorted map in memory.
//!
//! Batches arrive late, twice and out of order; then random windows, pages and buckets are asked
//! of both.

use std::collections::{BTreeMap, HashSet};

use super::*;

/// What is remembered of a point: when it arrived, and its value.
type Model = BTreeMap<i64, (i64, f64)>;

/// A generator that repeats (Marsaglia's xorshift).
pub struct Chance(u64);

impl Chance {
    pub const fn seeded(seed: u64) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ (seed << 32))
    }

    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> i64 {
        i64::try_from(self.bits() % bound).unwrap()
    }
}

/// Few distinct times, so that redeliveries and rewritten points are common; stretched over several
/// buckets.
const TICKS: u64 = 400;
const TICK: i64 = 37;

fn random_windows(chance: &mut Chance) -> IntervalSet {
    let list: Vec<(i64, i64)> = (0..chance.below(4))
        .map(|_| {
            let from = TICK * chance.below(TICKS);
            (from, from + TICK * chance.below(150))
        })
        .collect();
    windows(&list)
}

/// Points in the model that may be seen, ascending.
fn visible_in(model: &Model, visible: &IntervalSet) -> Vec<(i64, f64)> {
    model
        .iter()
        .filter(|(time, _)| visible.contains(at(**time)))
        .map(|(time, (_, value))| (*time, *value))
        .collect()
}

async fn random_batch(
    world: &World,
    device_id: DeviceId,
    chance: &mut Chance,
    arrival: i64,
    (model, known): (&mut Model, &mut HashSet<(i64, i64)>),
) {
    let mut events = Vec::new();
    for number in 0..=chance.below(12) {
        let (time, value) = (TICK * chance.below(TICKS), chance.below(3));
        let received = arrival + number;
        let event = world.event(device_id, time, &[("t", value as f64)]);
        events.push(NewEvent {
            received_at: at(received),
            ..event
        });
        if known.insert((time, value)) {
            model.insert(time, (received, value as f64));
        }
    }
    world.keep(events).await;
}

async fn ask_everything(world: &World, device_id: DeviceId, chance: &mut Chance, model: &Model) {
    let key = "t".parse().unwrap();
    let visible = random_windows(chance);
    let expected = visible_in(model, &visible);

    let limit = u32::try_from(1 + chance.below(40)).unwrap();
    let mut seen = Vec::new();
    let mut page = Page::first(limit);
    loop {
        let listed = world.store.points(device_id, &key, &visible, page).await.unwrap();
        assert!(listed.items.len() <= limit as usize);
        seen.extend(listed.items.iter().map(numbered));
        match listed.items.last() {
            Some(last) if listed.more => page = Page::after(last.time, limit),
            Some(_) | None => break,
        }
    }
    assert_eq!(seen, expected);

    let latest = world
        .store
        .latest_points(device_id, &[(key.clone(), visible.clone())])
        .await
        .unwrap();
    let latest: Vec<i64> = latest.iter().map(|point| point.time.millis() - NOW.millis()).collect();
    assert_eq!(
        latest,
        expected.last().map(|(time, _)| *time).into_iter().collect::<Vec<_>>()
    );

    let width: BucketWidth = "PT1S".parse().unwrap();
    let mut buckets: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (time, value) in &expected {
        buckets
            .entry(width.start_of(at(*time)).millis())
            .or_default()
            .push(*value);
    }
    let read = world.store.buckets(device_id, &key, &visible, width).await.unwrap();
    let read: Vec<_> = read
        .iter()
        .map(|each| (each.start.millis(), each.count, each.min, each.max, each.sum, each.last))
        .collect();
    let expected: Vec<_> = buckets
        .into_iter()
        .map(|(start, values)| {
            let min = values.iter().copied().fold(f64::INFINITY, f64::min);
            let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let last = values[values.len() - 1];
            (start, values.len() as i64, min, max, values.iter().sum::<f64>(), last)
        })
        .collect();
    assert_eq!(read, expected);
}

on_both! {
    async fn rows_agree_with_a_sorted_map(world) {
        let product_id = world.product("thermostat").await;
        for seed in 0..6 {
            let mut chance = Chance::seeded(seed);
            let device_id = world.device(product_id, 100 + seed).await;
            let (mut model, mut known) = (Model::new(), HashSet::new());
            for round in 0..25 {
                random_batch(&world, device_id, &mut chance, 100_000 + 100 * round, (&mut model, &mut known)).await;
                ask_everything(&world, device_id, &mut chance, &model).await;
            }
        }
    }
}
