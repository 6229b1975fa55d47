//! Which client asks, and how it shows that: `client_secret_basic`, `client_secret_post`, or for
//! public clients `client_id` alone (RFC 6749 §2.3.1, §3.2.1).

use axum::extract::{FromRequest, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use ostler_app::identity::PresentedClient;
use ostler_core::client::Client;
use ostler_core::secret::ClientSecret;
use percent_encoding::percent_decode_str;

use super::error::{OAuthError, from_authentication};
use super::form::OAuthForm;
use crate::layers::address::ClientAddress;
use crate::layers::rate::RateSlot;
use crate::state::ServerState;

/// A form together with the client that sent it.
pub struct ClientForm {
    pub client: Client,
    pub form: OAuthForm,
}

impl FromRequest<ServerState> for ClientForm {
    type Rejection = OAuthError;

    async fn from_request(request: Request, state: &ServerState) -> Result<Self, OAuthError> {
        let header = basic_credentials(request.headers())?;
        let by_header = header.is_some();
        charge(&request, by_header, state)?;
        let form = OAuthForm::from_request(request, state).await?;
        let presented = presented(header, &form)?;
        let client = state.app().authenticate_client(&presented).await;
        Ok(Self {
            client: client.map_err(|error| from_authentication(error, by_header))?,
            form,
        })
    }
}

/// The frame charges those without an `Authorization` field; guessing secrets is charged as well.
fn charge(request: &Request, by_header: bool, state: &ServerState) -> Result<(), OAuthError> {
    let slot = request.extensions().get::<RateSlot>().cloned().unwrap_or_default();
    match request.extensions().get::<ClientAddress>() {
        Some(address) if by_header => Ok(state.frame().rates.charge_address(*address, &slot)?),
        Some(_) | None => Ok(()),
    }
}

fn presented(header: Option<Basic>, form: &OAuthForm) -> Result<PresentedClient, OAuthError> {
    let secret = form.get("client_secret").map(str::to_owned);
    match (header, secret) {
        (Some(_), Some(_)) => Err(OAuthError::invalid_request(
            "Authenticate the client by one method, not by two.",
        )),
        (Some(basic), None) if form.get("client_id").is_some_and(|named| named != basic.client_id) => Err(
            OAuthError::invalid_request("client_id must be the one that authenticates."),
        ),
        (Some(basic), None) => Ok(PresentedClient {
            client_id: basic.client_id,
            secret: Some(ClientSecret::presented(basic.secret)),
        }),
        (None, secret) => {
            let missing = "client_id is required, or HTTP Basic authentication.";
            let client_id = form.required("client_id", missing)?.to_owned();
            Ok(PresentedClient {
                client_id,
                secret: secret.map(ClientSecret::presented),
            })
        }
    }
}

/// What HTTP Basic (RFC 7617) carried.
struct Basic {
    client_id: String,
    secret: String,
}

/// `None` if the field is absent. One that cannot be read is a failed authentication, not none.
fn basic_credentials(headers: &HeaderMap) -> Result<Option<Basic>, OAuthError> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    match (fields.next(), fields.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(OAuthError::invalid_request(
            "The Authorization field must not be repeated.",
        )),
        (Some(field), None) => field
            .to_str()
            .ok()
            .and_then(read_basic)
            .map(Some)
            .ok_or(OAuthError::InvalidClient { by_header: true }),
    }
}

/// Both halves are form-encoded before they are joined (RFC 6749 §2.3.1).
fn read_basic(field: &str) -> Option<Basic> {
    let (scheme, encoded) = field.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let joined = String::from_utf8(STANDARD.decode(encoded.trim_matches(' ')).ok()?).ok()?;
    let (client_id, secret) = joined.split_once(':')?;
    Some(Basic {
        client_id: form_decoded(client_id)?,
        secret: form_decoded(secret)?,
    })
}

fn form_decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    Some(percent_decode_str(&spaced).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_form_encoded_before_they_are_joined() {
        let field = format!("Basic {}", STANDARD.encode("cli%5Fx:a%3Ab+c"));
        let basic = read_basic(&field).unwrap();
        assert_eq!((basic.client_id.as_str(), basic.secret.as_str()), ("cli_x", "a:b c"));
        for field in ["", "Basic", "Basic !", "Bearer x", "Basic eA=="] {
            assert!(read_basic(field).is_none(), "{field:?}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]
        #[test]
        fn no_field_makes_the_reader_panic(
            scheme in "([Bb]asic|Bearer)? {0,2}",
            content in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
            raw in "\\PC{0,20}",
        ) {
            drop(read_basic(&format!("{scheme}{}", STANDARD.encode(&content))));
            drop(read_basic(&format!("{scheme}{raw}")));
        }
    }
}
