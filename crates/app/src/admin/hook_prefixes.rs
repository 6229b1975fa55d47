//! Which events the cloud's hook has to deliver: a vendor's hook names a prefix of event names.
//!
//! The list is minimal: a prefix that another covers would make the cloud deliver twice.

use std::collections::BTreeSet;

use ostler_core::mapping::EventMatcher;
use ostler_core::product::Declaration;

/// What belongs to us and to no product: registrations, heartbeats, the test event of a new connection.
const OUR_OWN: &str = "ostler/";

/// In order, none covering another.
pub fn hook_prefixes(declaration: &Declaration) -> Vec<String> {
    let mapped = declaration.telemetry.iter().map(|mapping| match &mapping.event {
        EventMatcher::Exact(name) | EventMatcher::Prefix(name) => name.as_str(),
    });
    let confirming = declaration
        .functions
        .values()
        .filter_map(|contract| Some(contract.confirmed_by.as_ref()?.event.as_str()));
    let wanted: BTreeSet<&str> = mapped.chain(confirming).chain([OUR_OWN]).collect();
    let mut minimal: Vec<String> = Vec::new();
    // Sorted, a prefix comes before whatever it covers, with nothing uncovered in between.
    for name in wanted {
        if !minimal.last().is_some_and(|prefix| name.starts_with(prefix.as_str())) {
            minimal.push(name.to_owned());
        }
    }
    minimal
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::product_file::ProductFile;

    fn prefixes(events: &[&str]) -> Vec<String> {
        let mut text = String::from("slug = \"x\"\nname = \"x\"\n");
        for event in events {
            text += &format!("[[telemetry]]\nevent = \"{event}\"\nkeys = []\n");
        }
        hook_prefixes(&ProductFile::from_toml(&text).unwrap().check().unwrap())
    }

    #[test]
    fn each_event_is_delivered_once() {
        assert_eq!(prefixes(&[]), ["ostler/"]);
        assert_eq!(
            prefixes(&["t/state", "t/*", "loc", "location"]),
            ["loc", "ostler/", "t/"]
        );
        assert_eq!(prefixes(&["ostler/*", "t/a", "t/ab", "t/b"]), ["ostler/", "t/a", "t/b"]);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]
        #[test]
        fn every_name_is_covered_by_exactly_one_prefix(names in proptest::collection::vec("[ab/]{1,4}", 0..8)) {
            let events: Vec<&str> = names.iter().map(String::as_str).collect();
            let prefixes = prefixes(&events);
            for name in events {
                let covering = prefixes.iter().filter(|prefix| name.starts_with(prefix.as_str())).count();
                proptest::prop_assert_eq!(covering, 1);
            }
        }
    }
}
