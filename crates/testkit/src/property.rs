//! How many cases a property test runs. The tests say what suits an ordinary run; `make fuzz` multiplies it. The
//! property library's own variable would not do: a test that names a number no longer asks it.

use crate::edge;

const TIMES: &str = "OSTLER_FUZZ_TIMES";

/// `usual`, times what `OSTLER_FUZZ_TIMES` says (1 without it).
pub fn cases(usual: u32) -> u32 {
    let times = edge::variable(TIMES).map_or(1, |text| {
        text.to_str()
            .and_then(|text| text.parse::<u32>().ok())
            .unwrap_or_else(|| panic!("{TIMES} is a number of times, not {text:?}"))
    });
    usual.saturating_mul(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_run_has_the_usual_number_of_cases_and_a_long_one_a_multiple() {
        let ran = cases(20_000);
        assert!(ran >= 20_000 && ran.is_multiple_of(20_000), "{ran}");
    }
}
