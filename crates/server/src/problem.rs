//! Problem documents (RFC 9457): what every refusal looks like on the wire.
//!
//! The codes are a closed list, and `docs/errors.md` is written from it. A [`Problem`] does not
//! render itself: it travels as an extension of its response, and the frame (`layers.rs`), which
//! alone knows the request id, writes the document and logs the cause.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};

macro_rules! codes {
    ($($variant:ident $code:literal $status:ident $title:literal $meaning:literal)+) => {
        /// What went wrong, for programs. Stable: a code never changes its name or its status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($variant),+ }

        impl Code {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),+ }
            }

            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }

            /// One sentence for `docs/errors.md`: when it happens and what to do.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }
        }
    };
}

codes! {
    InvalidRequest "invalid-request" BAD_REQUEST "The request is not valid"
        "A body, query or header could not be read or broke a rule; `errors` names each place and the rule."
    Unauthenticated "unauthenticated" UNAUTHORIZED "Authentication is needed"
        "No access token, or one that is unknown, expired or ended. Sign in or refresh, then repeat."
    InsufficientScope "insufficient-scope" FORBIDDEN "The token lacks a scope"
        "The token is good but was not granted the scope that this operation needs."
    FunctionNotGranted "function-not-granted" FORBIDDEN "The function is not granted"
        "The grant on this device does not contain the function, or the product does not declare it."
    ArgumentNotAllowed "argument-not-allowed" FORBIDDEN "The argument is not allowed"
        "The argument breaks the function's contract; `errors` names the rule. Nothing was sent."
    ConditionNotMet "condition-not-met" FORBIDDEN "A condition is not met"
        "The grant or contract asks for a state of the device that is not proven now. Nothing was sent."
    OutsideHours "outside-hours" FORBIDDEN "Outside the granted hours"
        "The grant holds only in recurring hours, and this is not one of them."
    UsesExhausted "uses-exhausted" FORBIDDEN "No uses are left"
        "The grant allowed a number of uses, and all are spent."
    RentedByAnother "rented-by-another" FORBIDDEN "The device is rented"
        "A running rental of another customer is exclusive; your grant rests until it ends."
    NotFound "not-found" NOT_FOUND "Not found"
        "There is no such thing, or it is not yours to see: the two look alike on purpose."
    MethodNotAllowed "method-not-allowed" METHOD_NOT_ALLOWED "The method is not allowed here"
        "The address exists, but not for this method; the `Allow` field lists those it has."
    RequestTimeout "request-timeout" REQUEST_TIMEOUT "The request took too long to arrive"
        "The body did not arrive within the time allowed. Nothing was done."
    Conflict "conflict" CONFLICT "The request conflicts with the present state"
        "Something changed, or exists already. Read the present state and decide again."
    IdempotencyKeyInFlight "idempotency-key-in-flight" CONFLICT "The first request is still running"
        "A request with the same Idempotency-Key has not finished. Repeat later with the same key."
    TooLarge "too-large" PAYLOAD_TOO_LARGE "The body is too large"
        "The body is larger than this operation takes. Nothing was done."
    UnsupportedMediaType "unsupported-media-type" UNSUPPORTED_MEDIA_TYPE "The media type is not supported"
        "The `Content-Type` is missing or not one that this operation reads."
    IdempotencyKeyReused "idempotency-key-reused" UNPROCESSABLE_ENTITY "The idempotency key was used before"
        "The same Idempotency-Key came with another body. Draw a new key for a new request."
    RateLimited "rate-limited" TOO_MANY_REQUESTS "Too many requests"
        "A limit is used up; the `RateLimit` fields name it and `Retry-After` says when to come back."
    CoolingDown "cooling-down" TOO_MANY_REQUESTS "The function is cooling down"
        "The function's contract asks for a pause between calls; `Retry-After` says how long."
    Internal "internal" INTERNAL_SERVER_ERROR "Something went wrong here"
        "Our fault, and logged. Quote `request_id` when you report it."
    CloudRefused "cloud-refused" BAD_GATEWAY "The device's service refused"
        "The service that reaches the device said no. The device did not act."
    DeviceOffline "device-offline" SERVICE_UNAVAILABLE "The device is offline"
        "The device is known not to be connected. It did not act; trying later is safe."
    CloudUnavailable "cloud-unavailable" SERVICE_UNAVAILABLE "The device's service cannot be reached"
        "The request never reached the device. It did not act; trying later is safe."
    Overloaded "overloaded" SERVICE_UNAVAILABLE "The server is busy"
        "There was no room or no time for this request. Repeat after `Retry-After`."
    OutcomeUnknown "outcome-unknown" GATEWAY_TIMEOUT "The outcome is unknown"
        "The call left, and no answer came. The device may have acted: look before you repeat."
}

impl utoipa::PartialSchema for Code {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .enum_values(Some(Self::ALL.iter().map(|code| code.as_str())))
            .into()
    }
}

impl utoipa::ToSchema for Code {
    fn name() -> Cow<'static, str> {
        "ProblemCode".into()
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The place in a request that broke a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// RFC 6901, into the JSON body.
    Pointer(String),
    /// A parameter of the query or form, or a header field.
    Parameter(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    #[serde(flatten)]
    pub place: Place,
    /// What must hold there: "must be …", "is required".
    pub rule: String,
}

/// The document as it is written; `problem` in the OpenAPI document.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// `/problems/<code>`
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    /// The HTTP status, repeated.
    status: u16,
    /// For people: what happened, without blame.
    detail: String,
    code: Code,
    /// To be quoted in a report; also in the `x-request-id` field.
    request_id: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// Members that one code or operation adds, such as `command_id`.
    #[serde(flatten)]
    extensions: Map<String, Value>,
}

const ERRORS_MAX: usize = 50;

type Cause = Arc<dyn Error + Send + Sync>;

/// A refusal on its way out. Boxed, for it travels in the `Err` of many a small result.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    code: Code,
    detail: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    errors: Vec<FieldError>,
    extensions: Map<String, Value>,
    headers: HeaderMap,
    cause: Option<Cause>,
}

impl Problem {
    /// A problem whose detail is the code's own sentence.
    pub fn new(code: Code) -> Self {
        Self(Box::new(Parts {
            code,
            detail: Cow::Borrowed(code.meaning()),
            hint: None,
            errors: Vec::new(),
            extensions: Map::new(),
            headers: HeaderMap::new(),
            cause: None,
        }))
    }

    /// The one answer for "does not exist" and "not yours": nothing may tell the two apart.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound)
    }

    /// Our bug or our database. The cause is logged with its chain and never told.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Code::Internal).caused_by(cause)
    }

    pub fn invalid_pointer(pointer: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest).error(Place::Pointer(pointer.into()), rule)
    }

    pub fn invalid_parameter(parameter: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest).error(Place::Parameter(parameter.into()), rule)
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = detail.into();
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// One more place and its rule, as far as somebody would read them: a body of a thousand faults
    /// does not get an answer of a thousand.
    #[must_use]
    pub fn error(mut self, place: Place, rule: impl Into<String>) -> Self {
        if self.0.errors.len() < ERRORS_MAX {
            self.0.errors.push(FieldError {
                place,
                rule: rule.into(),
            });
        }
        self
    }

    /// Adds a member of this operation's own, such as `command_id`.
    #[must_use]
    pub fn extension(mut self, member: &'static str, value: impl Into<Value>) -> Self {
        self.0.extensions.insert(member.to_owned(), value.into());
        self
    }

    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Whole seconds, rounded up: never invites anybody too early.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        self.header(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)))
    }

    /// For the log only.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into().into());
        self
    }

    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The cause with its own causes, for one line of the log.
    pub fn cause_chain(&self) -> Option<String> {
        let cause = self.0.cause.as_deref()?;
        let mut chain = cause.to_string();
        let mut next = cause.source();
        while let Some(source) = next {
            write!(chain, ": {source}").expect("writing to a String cannot fail");
            next = source.source();
        }
        Some(chain)
    }

    /// The document in bytes. Called by the frame, which knows the request id.
    pub fn render(&self, request_id: &str) -> Vec<u8> {
        let document = ProblemDocument {
            kind: format!("/problems/{}", self.0.code.as_str()),
            title: self.0.code.title(),
            status: self.0.code.status().as_u16(),
            detail: without_token_shapes(&self.0.detail),
            code: self.0.code,
            request_id: request_id.to_owned(),
            hint: self.0.hint.as_deref().map(without_token_shapes),
            errors: self.0.errors.iter().map(FieldError::without_token_shapes).collect(),
            extensions: self.0.extensions.clone(),
        };
        serde_json::to_vec(&document).expect("a problem document has text keys only")
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let mut response = self.code().status().into_response();
        response.headers_mut().extend(std::mem::take(&mut self.0.headers));
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

impl FieldError {
    fn without_token_shapes(&self) -> Self {
        let place = match &self.place {
            Place::Pointer(pointer) => Place::Pointer(without_token_shapes(pointer)),
            Place::Parameter(name) => Place::Parameter(without_token_shapes(name)),
        };
        Self {
            place,
            rule: without_token_shapes(&self.rule),
        }
    }
}

pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// No answer may contain 40 hexadecimal digits, the shape of a device cloud's tokens, not even
/// when it repeats what a caller sent: nobody should have to wonder whose they are.
pub(crate) fn without_token_shapes(text: &str) -> String {
    const TOKEN_LEN: usize = 40;
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let hex_len = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
        let (run, after) = rest.split_at(hex_len);
        clean.push_str(if hex_len < TOKEN_LEN { run } else { "…" });
        let plain_len = after.bytes().take_while(|byte| !byte.is_ascii_hexdigit()).count();
        let (plain, next) = after.split_at(plain_len);
        clean.push_str(plain);
        rest = next;
    }
    clean
}

/// `docs/errors.md`, whole.
pub fn errors_document() -> String {
    let mut text = String::from(
        "# Errors\n\n<!-- Generated from crates/server/src/problem.rs: cargo run -p ostler-server --example errors > docs/errors.md -->\n\n\
         Every refusal is a problem document (RFC 9457, `application/problem+json`). Programs look at `code`; the list is closed.\n\
         `hint` and `errors` are optional. The OAuth endpoints answer as their RFCs say instead.\n\n\
         | code | status | meaning |\n|---|--:|---|\n",
    );
    for code in Code::ALL {
        writeln!(
            text,
            "| `{}` | {} | {} |",
            code.as_str(),
            code.status().as_u16(),
            code.meaning()
        )
        .expect("writing to a String cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the statement failed")]
    struct Outer(#[source] std::io::Error);

    fn rendered(problem: &Problem) -> Value {
        serde_json::from_slice(&problem.render("req_1")).unwrap()
    }

    #[test]
    fn an_internal_problem_keeps_its_cause_to_the_log() {
        let problem = Problem::internal(Outer(std::io::Error::other("disk on fire")));
        assert_eq!(problem.cause_chain().unwrap(), "the statement failed: disk on fire");
        assert!(!rendered(&problem).to_string().contains("fire"));
    }

    #[test]
    fn a_problem_names_each_place_and_its_rule() {
        let problem = Problem::invalid_pointer("/argument", "must be a string")
            .error(Place::Parameter("from".into()), "is required")
            .hint("send both")
            .extension("command_id", "cmd_x");
        insta::assert_json_snapshot!(rendered(&problem), @r#"
        {
          "code": "invalid-request",
          "command_id": "cmd_x",
          "detail": "A body, query or header could not be read or broke a rule; `errors` names each place and the rule.",
          "errors": [
            {
              "pointer": "/argument",
              "rule": "must be a string"
            },
            {
              "parameter": "from",
              "rule": "is required"
            }
          ],
          "hint": "send both",
          "request_id": "req_1",
          "status": 400,
          "title": "The request is not valid",
          "type": "/problems/invalid-request"
        }
        "#);
    }

    #[test]
    fn what_looks_like_a_cloud_token_is_not_repeated() {
        let token = "0123456789abcdef0123456789ABCDEF01234567";
        let body = rendered(&Problem::invalid_parameter(token, format!("é {token}x")).detail(token));
        assert!(!body.to_string().contains(token), "{body}");
        assert_eq!(body["errors"][0]["rule"], "é …x");
        assert_eq!(without_token_shapes("dead beef é"), "dead beef é");
    }

    #[test]
    fn an_invitation_to_retry_is_never_too_early() {
        let response = Problem::new(Code::Overloaded)
            .retry_after(Duration::from_millis(1_001))
            .into_response();
        assert_eq!(response.headers()[RETRY_AFTER], "2");
    }
}
