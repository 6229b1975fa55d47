//! What an answer to a call or read proves, by its status and by which members are there; never by
//! the words of a message (§3). Bodies have changed over the years: all known forms are tables in
//! the tests.

use ostler_core::command::CloudRefusal;
use serde_json::Value;

use crate::wire::PrimitiveReply;

/// What the answer to a function call proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallReply {
    Returned(i32),
    /// The cloud gave up waiting: the device was not connected, or it acted and was not heard.
    Silent,
    /// 401: this request did not act.
    TokenRefused,
    /// 404: function or device unknown.
    NotFound,
    Refused(CloudRefusal),
    Limited,
    /// Anything may have happened.
    Uncertain,
}

/// What the answer to a variable read says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ReadReply {
    Value(Value),
    Silent,
    TokenRefused,
    NotFound,
    Limited,
    Unavailable,
}

pub(crate) fn call(status: u16, body: &[u8]) -> CallReply {
    match status {
        200 => returned(body),
        400 => bad_request(body),
        401 => CallReply::TokenRefused,
        403 => CallReply::Refused(forbidden(body)),
        404 => CallReply::NotFound,
        408 => CallReply::Silent,
        429 | 529 => CallReply::Limited,
        402 | 405..=428 | 430..=499 => CallReply::Refused(CloudRefusal::RequestRejected),
        _ => CallReply::Uncertain,
    }
}

fn reply(body: &[u8]) -> Option<PrimitiveReply> {
    serde_json::from_slice(body).ok()
}

fn returned(body: &[u8]) -> CallReply {
    let Some(reply) = reply(body) else {
        return CallReply::Uncertain;
    };
    let value = reply.return_value.as_ref().and_then(Value::as_i64);
    match value.and_then(|value| i32::try_from(value).ok()) {
        Some(value) => CallReply::Returned(value),
        None if reply.says_not_ok() => CallReply::Silent,
        None => CallReply::Uncertain,
    }
}

/// Until about 2017 a silent device was a 400 with `ok: false`; OAuth's refusals never have `ok`.
fn bad_request(body: &[u8]) -> CallReply {
    match reply(body) {
        Some(reply) if reply.says_not_ok() => CallReply::Silent,
        Some(reply) => match reply.error_code() {
            Some("invalid_token" | "expired_token") => CallReply::TokenRefused,
            // The token's scopes, or its kind, do not reach this route (§2.1).
            Some("unauthorized") => CallReply::Refused(CloudRefusal::CredentialRejected),
            Some(_) | None => CallReply::Refused(CloudRefusal::RequestRejected),
        },
        None => CallReply::Refused(CloudRefusal::RequestRejected),
    }
}

/// An OAuth shape speaks of the token; `info` or `ok` speak of the device.
fn forbidden(body: &[u8]) -> CloudRefusal {
    match reply(body) {
        Some(reply) if reply.error_description.is_some() => CloudRefusal::CredentialRejected,
        Some(reply) if reply.info.is_some() || reply.says_not_ok() => CloudRefusal::DeviceUnknown,
        Some(_) | None => CloudRefusal::RequestRejected,
    }
}

pub(crate) fn read(status: u16, body: &[u8]) -> ReadReply {
    match status {
        200 => match reply(body) {
            Some(PrimitiveReply {
                result: Some(value), ..
            }) => ReadReply::Value(value),
            Some(reply) if reply.says_not_ok() => ReadReply::Silent,
            Some(_) | None => ReadReply::Unavailable,
        },
        401 => ReadReply::TokenRefused,
        404 => ReadReply::NotFound,
        408 => ReadReply::Silent,
        429 | 529 => ReadReply::Limited,
        _ => ReadReply::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The forms of §3.3, §5.3 and §14 that no fixture holds.
    #[test]
    fn what_is_not_proven_stays_uncertain() {
        let table = [
            (
                200,
                r#"{"id":"x","return_value":2147483647}"#,
                CallReply::Returned(i32::MAX),
            ),
            (200, r#"{"id":"x","return_value":-1}"#, CallReply::Returned(-1)),
            (200, r#"{"id":"x","return_value":2147483648}"#, CallReply::Uncertain),
            (200, r#"{"id":"x","return_value":"1"}"#, CallReply::Uncertain),
            (200, r#"{"id":"x"}"#, CallReply::Uncertain),
            (200, "<html>", CallReply::Uncertain),
            (200, "", CallReply::Uncertain),
            (200, r#"{"ok":false,"error":"Timed out."}"#, CallReply::Silent),
            (204, "", CallReply::Uncertain),
            (302, "", CallReply::Uncertain),
            (
                500,
                r#"{"ok":false,"code":500,"errors":[{"error":"x"}]}"#,
                CallReply::Uncertain,
            ),
            (502, "<html>", CallReply::Uncertain),
            (529, "", CallReply::Limited),
            (413, "", CallReply::Refused(CloudRefusal::RequestRejected)),
        ];
        for (status, body, expected) in table {
            assert_eq!(call(status, body.as_bytes()), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_variable_that_is_null_has_a_value() {
        let null = read(200, br#"{"name":"x","result":null,"coreInfo":{}}"#);
        assert_eq!(null, ReadReply::Value(Value::Null));
        assert_eq!(read(200, br#"{"name":"x"}"#), ReadReply::Unavailable);
        assert_eq!(read(500, b""), ReadReply::Unavailable);
    }
}
