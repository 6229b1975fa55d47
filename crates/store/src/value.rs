//! How domain values stand in columns: ids and names as TEXT, times as BIGINT milliseconds,
//! digests as bytes, lists and contracts as JSON in TEXT.
//!
//! `core` knows no database, so each value wears a thin coat here. The coats are generic over the
//! driver: what is written on one database reads alike on the other.

use std::fmt::Display;
use std::str::FromStr;

use ostler_core::secret::SecretDigest;
use ostler_core::time::Timestamp;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::{Database, Decode, Encode, Type};

/// A value that has one spelling: ids, names, slugs, enums by their wire word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text<T>(pub T);

/// Milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Millis(pub Timestamp);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(pub SecretDigest);

/// A structure as JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AsJson<T>(pub T);

macro_rules! stands_as {
    ([$($generic:tt)*] $coat:ty, $stored:ty) => {
        impl<DB: Database, $($generic)*> Type<DB> for $coat
        where
            $stored: Type<DB>,
        {
            fn type_info() -> DB::TypeInfo {
                <$stored as Type<DB>>::type_info()
            }

            fn compatible(found: &DB::TypeInfo) -> bool {
                <$stored as Type<DB>>::compatible(found)
            }
        }
    };
}

stands_as!([T] Text<T>, String);
stands_as!([] Millis, i64);
stands_as!([] Digest, Vec<u8>);
stands_as!([T] AsJson<T>, String);

impl<'q, DB: Database, T: Display> Encode<'q, DB> for Text<T>
where
    String: Encode<'q, DB>,
{
    fn encode_by_ref(&self, buffer: &mut DB::ArgumentBuffer) -> Result<IsNull, BoxDynError> {
        self.0.to_string().encode(buffer)
    }
}

impl<'r, DB: Database, T> Decode<'r, DB> for Text<T>
where
    &'r str: Decode<'r, DB>,
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(<&str>::decode(value)?.parse()?))
    }
}

impl<'q, DB: Database> Encode<'q, DB> for Millis
where
    i64: Encode<'q, DB>,
{
    fn encode_by_ref(&self, buffer: &mut DB::ArgumentBuffer) -> Result<IsNull, BoxDynError> {
        self.0.millis().encode(buffer)
    }
}

impl<'r, DB: Database> Decode<'r, DB> for Millis
where
    i64: Decode<'r, DB>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(Timestamp::from_millis(i64::decode(value)?)))
    }
}

impl<'q, DB: Database> Encode<'q, DB> for Digest
where
    Vec<u8>: Encode<'q, DB>,
{
    fn encode_by_ref(&self, buffer: &mut DB::ArgumentBuffer) -> Result<IsNull, BoxDynError> {
        self.0.as_bytes().to_vec().encode(buffer)
    }
}

impl<'r, DB: Database> Decode<'r, DB> for Digest
where
    &'r [u8]: Decode<'r, DB>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
        let bytes: [u8; 32] = <&[u8]>::decode(value)?.try_into()?;
        Ok(Self(SecretDigest::from_bytes(bytes)))
    }
}

impl<'q, DB: Database, T: serde::Serialize> Encode<'q, DB> for AsJson<T>
where
    String: Encode<'q, DB>,
{
    fn encode_by_ref(&self, buffer: &mut DB::ArgumentBuffer) -> Result<IsNull, BoxDynError> {
        serde_json::to_string(&self.0)?.encode(buffer)
    }
}

impl<'r, DB: Database, T: serde::de::DeserializeOwned> Decode<'r, DB> for AsJson<T>
where
    &'r str: Decode<'r, DB>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(serde_json::from_str(<&str>::decode(value)?)?))
    }
}

/// The same spelling in JSON, for values whose own crate gives them none.
pub(crate) mod spelled {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// A number to the last bit: what a decimal is read back as may differ in it.
pub(crate) mod exact {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(f64::to_bits).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Ok(Option::deserialize(deserializer)?.map(f64::from_bits))
    }
}
