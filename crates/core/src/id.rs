//! One type per kind of id, so that no two can be mixed up.
//!
//! Ours are TypeIDs: a prefix that says the kind, and a UUIDv7 in Crockford's base 32
//! (TypeID specification 0.3). `CloudDeviceId` is the device cloud's; it is seen by the adapter,
//! the store and staff views only.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

use crate::port::{Entropy, random_bytes};
use crate::text::{Ascii, Parsed};
use crate::time::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an id that begins with `{prefix}_`, followed by 26 characters")]
pub struct InvalidId {
    pub prefix: &'static str,
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const SUFFIX_LEN: usize = 26;

/// Three letters, an underscore, the suffix.
const LEN: usize = 3 + 1 + SUFFIX_LEN;

fn written(prefix: &'static str, uuid: Uuid) -> Ascii {
    let (high, low) = uuid.as_u64_pair();
    let mut text = [b'_'; LEN];
    text[..3].copy_from_slice(prefix.as_bytes());
    let suffix = &mut text[LEN - SUFFIX_LEN..];
    // Of 26 digits with five bits each, the lower twelve take 60 bits, and the next has bits of both halves.
    write_digits(&mut suffix[..13], high >> 1);
    write_digits(&mut suffix[13..14], (high << 4) | (low >> 60));
    write_digits(&mut suffix[14..], low);
    Ascii::of(text)
}

/// The lowest digits of a number, as many as there is room for.
fn write_digits(place: &mut [u8], number: u64) {
    let mut rest = number;
    for digit in place.iter_mut().rev() {
        *digit = ALPHABET[(rest & 0x1f) as usize];
        rest >>= 5;
    }
}

const NO_DIGIT: u8 = 0xff;

/// The value of each letter of the alphabet, by its byte.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        digits[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

fn decode(text: &[u8]) -> Option<Uuid> {
    // 26 characters hold 130 bits: the first may only carry three.
    if text.len() != SUFFIX_LEN || text[0] > b'7' {
        return None;
    }
    let mut value: u128 = 0;
    for character in text {
        let digit = DIGITS[usize::from(*character)];
        if digit == NO_DIGIT {
            return None;
        }
        value = (value << 5) | u128::from(digit);
    }
    Some(Uuid::from_u128(value))
}

/// Draws a UUIDv7 (RFC 9562 §5.7): the time first, so that ids sort by age, then chance.
fn draw(now: Timestamp, entropy: &dyn Entropy) -> Uuid {
    let millis = u64::try_from(now.millis()).unwrap_or(0);
    let random: [u8; 10] = random_bytes(entropy);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            pub const PREFIX: &'static str = $prefix;
            /// What nobody has: no UUIDv7 is all ones (RFC 9562 §5.10).
            pub const NOBODYS: Self = Self(Uuid::max());

            pub fn draw(now: Timestamp, entropy: &dyn Entropy) -> Self {
                Self(draw(now, entropy))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(written($prefix, self.0).as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl From<$name> for Arc<str> {
            fn from(id: $name) -> Self {
                written($prefix, id.0).as_str().into()
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(|suffix| decode(suffix.as_bytes()))
                    .map(Self)
                    .ok_or(InvalidId { prefix: $prefix })
            }
        }

        /// As text where a person may read it, else as its 16 bytes.
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.serialize_str(written($prefix, self.0).as_str())
                } else {
                    serde::Serialize::serialize(&self.0, serializer)
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    deserializer.deserialize_str(Parsed::new())
                } else {
                    serde::Deserialize::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

id_type!(CustomerId, "cus");
id_type!(
    /// A device as Ostler names it, for as long as it lives, whichever cloud it is on.
    DeviceId,
    "dev"
);
id_type!(ProductId, "prd");
id_type!(GrantId, "gra");
id_type!(CommandId, "cmd");
id_type!(
    /// An OAuth client (RFC 6749 §2), never a customer.
    ClientId,
    "cli"
);
impl ClientId {
    /// Stands where a client is asked for in a staff session, which comes from no client.
    pub const STAFF_SESSION: Self = Self(Uuid::nil());
}
id_type!(StaffId, "stf");
id_type!(
    /// One signed-in browser of a customer or staff member.
    SessionId,
    "ses"
);
id_type!(
    /// All tokens that descend from one authorization: it ends as a whole.
    TokenFamilyId,
    "fam"
);
id_type!(TokenId, "tok");
id_type!(EventId, "evt");
id_type!(
    /// One chain of audit entries; each instance that writes extends its own.
    ChainId,
    "chn"
);
id_type!(RejectedEventId, "rej");

/// A Device ID as the Particle cloud issues it: 24 hexadecimal digits, lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloudDeviceId(Arc<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 24 hexadecimal digits")]
pub struct InvalidCloudDeviceId;

impl CloudDeviceId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CloudDeviceId {
    type Err = InvalidCloudDeviceId;

    /// Upper-case ids name the same device; the cloud itself is careless about them.
    fn from_str(text: &str) -> Result<Self, InvalidCloudDeviceId> {
        if text.len() != 24 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidCloudDeviceId);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for CloudDeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CloudDeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Repeating(u8);
    impl Entropy for Repeating {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn an_id_reads_as_the_typeid_specification_writes_it() {
        // The "valid-uuidv7" vector of the TypeID specification.
        let uuid: Uuid = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        assert_eq!(DeviceId(uuid).to_string(), "dev_01h455vb4pex5vsknk084sn02q");
        assert_eq!("dev_01h455vb4pex5vsknk084sn02q".parse(), Ok(DeviceId(uuid)));
    }

    #[test]
    fn another_kind_an_overflow_or_a_wrong_case_is_refused() {
        for text in [
            "cus_01h455vb4pex5vsknk084sn02q",
            "dev_8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "dev_01H455VB4PEX5VSKNK084SN02Q",
            "dev_01h455vb4pex5vsknk084sn02",
            "dev_01h455vb4pex5vsknk084sn02u",
            "dev_",
            "",
        ] {
            assert!(text.parse::<DeviceId>().is_err(), "{text}");
        }
    }

    #[test]
    fn ids_sort_by_the_time_they_were_drawn() {
        let early = DeviceId::draw(Timestamp::from_millis(1_000), &Repeating(0xff));
        let late = DeviceId::draw(Timestamp::from_millis(1_001), &Repeating(0));
        assert!(early < late && early.to_string() < late.to_string());
    }

    #[test]
    fn a_cloud_device_id_is_folded_to_lower_case() {
        let id: CloudDeviceId = "E00FCE68A1B2C3D4E5F60718".parse().unwrap();
        assert_eq!(id.as_str(), "e00fce68a1b2c3d4e5f60718");
        for text in [
            "001",
            "particle-internal",
            "e00fce68a1b2c3d4e5f6071g",
            "e00fce68a1b2c3d4e5f607189",
        ] {
            assert!(text.parse::<CloudDeviceId>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]
        #[test]
        fn every_uuid_survives_the_round_trip(value: u128) {
            let id = DeviceId(Uuid::from_u128(value));
            proptest::prop_assert_eq!(id.to_string().parse::<DeviceId>(), Ok(id));
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in "(dev_)?\\PC{0,30}") {
            std::hint::black_box(text.parse::<DeviceId>().is_ok());
            std::hint::black_box(text.parse::<CloudDeviceId>().is_ok());
        }
    }
}
