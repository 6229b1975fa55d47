//! E-mail addresses as the house compares them. Whether one can be reached is never judged here.

use std::fmt;
use std::str::FromStr;

/// An address folded to lower case: what people type differs in case, the mailbox does not. It is
/// personal data, so `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress(Box<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address of at most 254 characters")]
pub struct InvalidEmailAddress;

/// RFC 5321 §4.5.3.1.3, without the angle brackets.
const LEN_MAX: usize = 254;

impl EmailAddress {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidEmailAddress;

    /// Looks for what is surely wrong, no more: the only proof of an address is mail that arrives.
    fn from_str(text: &str) -> Result<Self, InvalidEmailAddress> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmailAddress)?;
        let is_plain = !text
            .chars()
            .any(|character| character.is_control() || character.is_whitespace());
        let is_domain = !domain.is_empty() && domain.split('.').all(|label| !label.is_empty());
        if text.len() > LEN_MAX || local.is_empty() || !is_plain || !is_domain {
            return Err(InvalidEmailAddress);
        }
        Ok(Self(text.to_lowercase().into()))
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_differ_in_case_are_one() {
        let one: EmailAddress = " Ada@Example.COM ".parse().unwrap();
        assert_eq!(one, "ada@example.com".parse().unwrap());
        assert_eq!(format!("{one:?}"), "EmailAddress(…)");
    }

    #[test]
    fn what_is_surely_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(250));
        for text in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a b@example.com",
            "ada@a..b",
            "ada@.",
            "a\u{0}@b.c",
            &long,
        ] {
            assert_eq!(text.parse::<EmailAddress>(), Err(InvalidEmailAddress), "{text}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]
        #[test]
        fn what_was_folded_folds_to_itself(text in "\\PC{0,12}@\\PC{0,12}") {
            if let Ok(address) = text.parse::<EmailAddress>() {
                proptest::prop_assert_eq!(address.as_str().parse::<EmailAddress>(), Ok(address.clone()));
            }
        }
    }
}
