//! The product file on the wire: what is read, and its schema for the OpenAPI document.
//!
//! `ostler_core::product_file` defines the format and judges it; the types here without a reader
//! only describe it. The contract test holds the two together.

use ostler_core::product_file::{EventEntry, FunctionEntry, ProductFile, VariableEntry};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use utoipa::ToSchema;

/// A product file. What an answer adds to it may stand there, and is ignored: what was read can be
/// changed and sent back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductRequest {
    /// Names the product in files and addresses; never changes.
    #[schema(example = "thermostat", pattern = "^[a-z0-9-]{1,64}$")]
    slug: String,
    #[schema(example = "Thermostat")]
    name: String,
    /// Of the IANA database; `UTC` if absent.
    #[schema(example = "Europe/Berlin")]
    time_zone: Option<String>,
    /// `fleet` if absent.
    #[schema(value_type = Option<AccessModeSchema>)]
    access_mode: Option<String>,
    /// Parts of location events that are dropped unless named here.
    #[serde(default)]
    keep: Vec<String>,
    #[serde(default)]
    #[schema(value_type = Vec<FunctionSchema>)]
    functions: Vec<FunctionEntry>,
    #[serde(default)]
    #[schema(value_type = Vec<VariableSchema>)]
    variables: Vec<VariableEntry>,
    #[serde(default)]
    #[schema(value_type = Vec<EventSchema>)]
    telemetry: Vec<EventEntry>,
    #[serde(rename = "id")]
    #[schema(ignore)]
    _id: Option<IgnoredAny>,
    #[serde(rename = "version")]
    #[schema(ignore)]
    _version: Option<IgnoredAny>,
    #[serde(rename = "created_at")]
    #[schema(ignore)]
    _created_at: Option<IgnoredAny>,
    #[serde(rename = "applied_at")]
    #[schema(ignore)]
    _applied_at: Option<IgnoredAny>,
    #[serde(rename = "applied_by")]
    #[schema(ignore)]
    _applied_by: Option<IgnoredAny>,
}

impl ProductRequest {
    pub fn into_file(self) -> ProductFile {
        ProductFile {
            slug: self.slug,
            name: self.name,
            time_zone: self.time_zone.unwrap_or_else(ProductFile::default_time_zone),
            access_mode: self.access_mode.unwrap_or_else(ProductFile::default_access_mode),
            keep: self.keep,
            functions: self.functions,
            variables: self.variables,
            telemetry: self.telemetry,
        }
    }
}

/// The same, as an answer holds it.
#[derive(ToSchema)]
#[schema(as = ProductFile)]
#[expect(dead_code, reason = "a description: read by the derive, never made")]
pub struct ProductFileSchema {
    #[schema(example = "thermostat")]
    slug: String,
    #[schema(example = "Thermostat")]
    name: String,
    #[schema(example = "Europe/Berlin")]
    time_zone: String,
    access_mode: AccessModeSchema,
    keep: Option<Vec<String>>,
    functions: Vec<FunctionSchema>,
    variables: Vec<VariableSchema>,
    telemetry: Vec<EventSchema>,
}

/// How devices are held at the cloud.
#[derive(ToSchema)]
#[schema(as = AccessMode, rename_all = "kebab-case")]
#[expect(dead_code, reason = "a description: read by the derive, never made")]
pub enum AccessModeSchema {
    Fleet,
    Customer,
    SessionClaim,
    OperatorAccount,
}

#[derive(ToSchema)]
#[schema(as = ProductFunction)]
#[expect(dead_code, reason = "a description: read by the derive, never made")]
pub struct FunctionSchema {
    #[schema(example = "setTarget")]
    name: String,
    title: Option<String>,
    argument: ArgumentSchema,
    /// At most 1024, which is the default.
    max_bytes: Option<u64>,
    #[schema(example = "20")]
    example: Option<String>,
    /// The pause between two calls; none if absent.
    cool_down_ms: Option<u64>,
    /// Whether a call may wait for the device; not if absent.
    queueable: Option<bool>,
    /// By which title somebody may call; all if absent.
    callers: Option<Vec<CallerSchema>>,
    confirmed_by: Option<ConfirmationSchema>,
}

#[derive(ToSchema)]
#[schema(as = ProductArgument)]
#[expect(dead_code, reason = "a description: read by the derive, never made")]
pub struct ArgumentSchema {
    r#type: ArgumentKindSchema,
    /// For `enum`.
    values: Option<Vec<String>>,
    /// For `integer` and `number`.
    #[schema(example = 5)]
    min: Option<f64>,
    #[schema(example = 30)]
    max: Option<f64>,
    /// For `pattern`: a regular expression that begins with `^` and ends with `$`.
    pattern: Option<String>,
    /// For `json_schema`.
    schema: Option<Value>,
}

#[derive(ToSchema)]
#[schema(as = ProductArgumentType, rename_all = "snake_case")]
#[expect(dead_code, reason = "a description: read by the derive, never made")]
pub enum ArgumentKindSchema {
    None,
    Enum,
    Integer,
    Number,
    Pattern,
    JsonSchema,
}

#[derive(ToSchema)]
#[schema(as = CallerTitle, rename_all = "lowercase")]
#[expect(dead_code, reason = "a description: read by the derive, never made")]
pub enum CallerSchema {
    Owner,
    Share,
    Guest,
    Rental,
    Staff,
}

/// The event by which the device itself says that it did what was asked.
#[derive(ToSchema)]
#[schema(as = ProductConfirmation)]
#[expect(dead_code, reason = "a description: read by the derive, never made")]
pub struct ConfirmationSchema {
    event: String,
    pointer: String,
    equals: Value,
    within_ms: u64,
}

#[derive(ToSchema)]
#[schema(as = ProductVariable)]
#[expect(dead_code, reason = "a description: read by the derive, never made")]
pub struct VariableSchema {
    #[schema(example = "temperature")]
    name: String,
    r#type: VariableKindSchema,
    /// UCUM.
    #[schema(example = "Cel")]
    unit: Option<String>,
}

#[derive(ToSchema)]
#[schema(as = ProductVariableType, rename_all = "lowercase")]
#[expect(dead_code, reason = "a description: read by the derive, never made")]
pub enum VariableKindSchema {
    Int32,
    Double,
    String,
    Bool,
}

/// How the events of one name become telemetry.
#[derive(ToSchema)]
#[schema(as = ProductEvent)]
#[expect(dead_code, reason = "a description: read by the derive, never made")]
pub struct EventSchema {
    /// An exact name, or a prefix followed by `*`.
    #[schema(example = "t/state")]
    event: String,
    time: Option<TimeSchema>,
    keys: Vec<KeySchema>,
}

#[derive(ToSchema)]
#[schema(as = ProductEventTime)]
#[expect(dead_code, reason = "a description: read by the derive, never made")]
pub struct TimeSchema {
    #[schema(example = "/time")]
    pointer: String,
    unit: TimeUnitSchema,
}

#[derive(ToSchema)]
#[schema(as = ProductTimeUnit, rename_all = "lowercase")]
#[expect(dead_code, reason = "a description: read by the derive, never made")]
pub enum TimeUnitSchema {
    S,
    Ms,
    Rfc3339,
}

#[derive(ToSchema)]
#[schema(as = ProductKey)]
#[expect(dead_code, reason = "a description: read by the derive, never made")]
pub struct KeySchema {
    #[schema(example = "temperature")]
    key: String,
    /// RFC 6901; the empty one is the whole data.
    #[schema(example = "/t")]
    pointer: String,
    r#type: KeyKindSchema,
    #[schema(example = "Cel")]
    unit: Option<String>,
}

#[derive(ToSchema)]
#[schema(as = ProductKeyType, rename_all = "lowercase")]
#[expect(dead_code, reason = "a description: read by the derive, never made")]
pub enum KeyKindSchema {
    Number,
    Integer,
    Boolean,
    Text,
    Location,
}
