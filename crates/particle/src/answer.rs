//! An answer of the cloud as read from the wire, before anybody asks what it means.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use httpdate::HttpDate;
use hyper::body::Incoming;
use ostler_core::time::Timestamp;
use serde::de::DeserializeOwned;

/// The largest body that is read; a page of devices is a few dozen KiB.
const BODY_BYTES_MAX: usize = 1 << 20;

/// No pause that the cloud asks for is believed beyond this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Lost {
    #[error("the request never left")]
    NeverLeft,
    #[error("the connection was lost after the request had left")]
    AfterDeparture,
    #[error("the answer is larger than we read")]
    TooLarge,
    #[error("no answer came in time")]
    Deadline,
}

pub(crate) struct Answer {
    pub status: StatusCode,
    headers: HeaderMap,
    pub body: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the device cloud's answer could not be read")]
pub(crate) struct Unreadable;

impl Answer {
    pub(crate) async fn read(response: Response<Incoming>) -> Result<Self, Lost> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|cause| {
            if cause.is::<http_body_util::LengthLimitError>() {
                Lost::TooLarge
            } else {
                Lost::AfterDeparture
            }
        })?;
        Ok(Self {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
        })
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Unreadable> {
        serde_json::from_slice(&self.body).map_err(|_| Unreadable)
    }

    /// The cloud's own clock when it answered, cut off to the second (RFC 9110 §6.6.1).
    pub(crate) fn date(&self) -> Option<Timestamp> {
        date(&self.headers)
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers)
    }
}

/// `Retry-After` in either form (RFC 9110 §10.2.3); a date counts from the answer's own `Date`.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => http_date(text)?.since(date(headers)?),
    };
    Some(pause.min(RETRY_AFTER_MAX))
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

/// RFC 9110 §5.6.7, in each of its forms.
fn http_date(text: &str) -> Option<Timestamp> {
    let date: HttpDate = text.parse().ok()?;
    let since_1970 = SystemTime::from(date).duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(i64::try_from(since_1970.as_millis()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(http::HeaderName, &str)]) -> Answer {
        Answer {
            status: StatusCode::OK,
            headers: headers
                .iter()
                .map(|(name, value)| (name.clone(), value.parse().unwrap()))
                .collect(),
            body: Bytes::new(),
        }
    }

    #[test]
    fn the_date_header_is_the_clouds_clock() {
        let at = answer(&[(DATE, "Sun, 17 Mar 2030 17:46:40 GMT")]).date();
        assert_eq!(at, Some(Timestamp::from_millis(1_900_000_000_000)));
        for obsolete in ["Sunday, 17-Mar-30 17:46:40 GMT", "Sun Mar 17 17:46:40 2030"] {
            assert_eq!(answer(&[(DATE, obsolete)]).date(), at, "{obsolete}");
        }
        for no_date in ["yesterday", "", "Sun, 17 Mar 2030 17:46:40"] {
            assert_eq!(answer(&[(DATE, no_date)]).date(), None, "{no_date}");
        }
    }

    #[test]
    fn a_pause_is_read_in_both_forms_and_never_believed_without_end() {
        let date = (DATE, "Sun, 17 Mar 2030 17:46:40 GMT");
        let table = [
            ("7", Some(7)),
            ("Sun, 17 Mar 2030 17:47:00 GMT", Some(20)),
            ("Sun, 17 Mar 2030 17:00:00 GMT", Some(0)),
            ("99999999", Some(3600)),
            ("soon", None),
        ];
        for (text, seconds) in table {
            let pause = answer(&[date.clone(), (RETRY_AFTER, text)]).retry_after();
            assert_eq!(pause, seconds.map(Duration::from_secs), "{text}");
        }
    }
}
