//! The door for the device cloud's webhook.
//!
//! Whoever does not show the product's secret is turned away before the body is read. Past that,
//! everything is answered 204 once it is durable, also what cannot be read: the vendor throttles a
//! whole host for the errors of one hook (particle-cloud-api.md §9.3).

use axum::Extension;
use axum::extract::{Request, State};
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use ostler_app::ingest::{Delivery, DeliveryError, DoorClosed};
use ostler_core::secret::IngestSecret;
use ostler_particle::webhook;

use crate::error::{ApiError, Refusal, from_store};
use crate::extract::{Path, read_body};
use crate::layers::address::ClientAddress;
use crate::layers::rate::RateSlot;
use crate::problem::{Code, Problem};
use crate::refusals::Door;
use crate::state::ServerState;

/// A busy writer is through with what is queued long before this.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

/// Deliver events of a product.
///
/// For the device cloud's webhook. 204 means durable; after 503 nothing is, and it may be repeated.
/// A body that cannot be read is kept for staff (`GET /admin/v1/rejected-events`) and answered 204
/// as well. 401 does not tell an unknown product from a wrong secret.
#[utoipa::path(post, path = "/ingest/particle/{slug}", tag = "ingest", operation_id = "ingestParticle",
    params(("slug" = String, Path, description = "The product's slug", example = "thermostat")),
    request_body(content(
        (String = "application/json", example = json!(r#"{"event":"thermostat/state","data":"{\"t\":21.5}","coreid":"e00fce68a1b2c3d4e5f60718","published_at":"2030-05-01T10:00:00.123Z"}"#)),
        (String = "application/x-www-form-urlencoded"))),
    responses((status = 204, description = "Durable"), Door),
    security(("ingest" = [])))]
pub async fn ingest_particle(
    State(state): State<ServerState>,
    Path(slug): Path<String>,
    Extension(address): Extension<ClientAddress>,
    Extension(slot): Extension<RateSlot>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let secret = presented(request.headers());
    let door = match state.app().open_ingest_door(&slug, &secret).await {
        Err(DoorClosed::Refused) => {
            // Guessing is charged to the address.
            state.frame().rates.charge_address(address, &slot)?;
            return Err(DoorClosed::Refused.into());
        }
        opened => opened?,
    };
    let content_type = request.headers().get(CONTENT_TYPE).cloned();
    let content_type = content_type.as_ref().and_then(|value| value.to_str().ok());
    let body = read_body(request.into_body(), state.limits().ingest_body_bytes).await?;
    let delivery = match webhook::parse(content_type, &body) {
        Ok(events) => Delivery::Events(events),
        Err(_fault) => Delivery::Unreadable(body),
    };
    state.app().take_delivery(&door, delivery).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// RFC 6750 §2.1; whatever else is sent is a secret that opens nothing.
fn presented(headers: &HeaderMap) -> IngestSecret {
    let text = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let (scheme, secret) = text.split_once(' ').unwrap_or_default();
    let secret = if scheme.eq_ignore_ascii_case("bearer") {
        secret.trim_start()
    } else {
        ""
    };
    IngestSecret::presented(secret.to_owned())
}

/// One answer for an unknown product and for a wrong secret or credential.
pub(super) fn refused() -> Problem {
    Problem::new(Code::Unauthenticated)
        .detail("There is no such product, or this is not its secret or credential.")
        .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

impl Refusal for DoorClosed {
    fn problem(self) -> Problem {
        match self {
            Self::Refused => refused(),
            Self::Store(error) => from_store(error),
        }
    }
}

impl Refusal for DeliveryError {
    fn problem(self) -> Problem {
        match self {
            Self::Overloaded => Problem::new(Code::Overloaded).retry_after(RETRY_AFTER),
            Self::Store(error) => from_store(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_secret_is_presented() {
        let digest = |text: &'static str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(text))]);
            presented(&headers).digest()
        };
        let secret = IngestSecret::presented("ost_in_x".into()).digest();
        assert_eq!(digest("Bearer ost_in_x"), secret);
        assert_eq!(digest("bearer  ost_in_x"), secret);
        for text in ["ost_in_x", "Basic ost_in_x", "Bearer", "Bearer ost_in_x y"] {
            assert_ne!(digest(text), secret, "{text}");
        }
    }
}
