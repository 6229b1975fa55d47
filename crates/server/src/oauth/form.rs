//! A form of the OAuth endpoints, read by RFC 6749 §3.2: no parameter twice, unknown ones ignored,
//! empty ones as if they were absent.

use axum::extract::{FromRequest, Request};

use super::error::OAuthError;
use crate::extract::{Parameters, read_form};
use crate::problem::{Code, Problem};
use crate::state::ServerState;

pub struct OAuthForm(Parameters);

/// All that these endpoints take fits many times.
const BYTES_MAX: usize = 16 * 1024;

impl OAuthForm {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).filter(|value| !value.is_empty())
    }

    pub fn required(&self, name: &str, missing: &'static str) -> Result<&str, OAuthError> {
        self.get(name).ok_or(OAuthError::invalid_request(missing))
    }
}

impl FromRequest<ServerState> for OAuthForm {
    type Rejection = OAuthError;

    async fn from_request(request: Request, _state: &ServerState) -> Result<Self, OAuthError> {
        read_form(request, BYTES_MAX).await.map(Self).map_err(refused)
    }
}

/// Malformed forms are the RFC's business; a body that is too large or too slow is the frame's.
fn refused(problem: Problem) -> OAuthError {
    match problem.code() {
        Code::InvalidRequest => {
            OAuthError::invalid_request("The form cannot be read: it must be UTF-8, and no parameter may come twice.")
        }
        Code::UnsupportedMediaType => {
            OAuthError::invalid_request("Send the parameters as application/x-www-form-urlencoded.")
        }
        _ => problem.into(),
    }
}
