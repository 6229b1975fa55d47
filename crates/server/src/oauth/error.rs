//! Errors of the token, revocation and introspection endpoints: RFC 6749 §5.2, one table.
//!
//! What is no fault of the request (our database, our load) is a problem document like everywhere
//! else: the RFC has no code for it.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue, PRAGMA, WWW_AUTHENTICATE};
use ostler_app::identity::{ClientAuthenticationError, RevokeError, TokenError};
use ostler_store::StoreError;
use serde::Serialize;

use crate::error::from_store;
use crate::problem::Problem;

#[derive(Debug)]
pub enum OAuthError {
    Refused {
        code: ErrorCode,
        description: &'static str,
    },
    /// RFC 6749 §5.2: the challenge is for those who tried by the `Authorization` field.
    InvalidClient {
        by_header: bool,
    },
    Ours(Box<Problem>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    InvalidScope,
}

impl ErrorCode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
        }
    }

    pub const fn status(self) -> StatusCode {
        match self {
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::InvalidRequest
            | Self::InvalidGrant
            | Self::UnauthorizedClient
            | Self::UnsupportedGrantType
            | Self::InvalidScope => StatusCode::BAD_REQUEST,
        }
    }
}

/// As it is written (RFC 6749 §5.2).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OAuthErrorDocument {
    #[schema(example = "invalid_grant")]
    error: &'static str,
    #[schema(example = "The code or refresh token is not valid for this client, or was used before.")]
    error_description: &'static str,
}

impl OAuthError {
    pub const fn invalid_request(description: &'static str) -> Self {
        Self::Refused {
            code: ErrorCode::InvalidRequest,
            description,
        }
    }

    pub const fn refused(code: ErrorCode, description: &'static str) -> Self {
        Self::Refused { code, description }
    }
}

impl From<Problem> for OAuthError {
    fn from(problem: Problem) -> Self {
        Self::Ours(Box::new(problem))
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        from_store(error).into()
    }
}

impl From<TokenError> for OAuthError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::InvalidGrant => Self::refused(
                ErrorCode::InvalidGrant,
                "The code or refresh token is not valid for this client, or was used before.",
            ),
            TokenError::InvalidScope => Self::refused(
                ErrorCode::InvalidScope,
                "The scope is not one that this client may be granted.",
            ),
            TokenError::UnauthorizedClient => Self::refused(
                ErrorCode::UnauthorizedClient,
                "The client is not registered for this flow.",
            ),
            TokenError::Store(error) => error.into(),
        }
    }
}

impl From<RevokeError> for OAuthError {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::AnotherClients => {
                Self::refused(ErrorCode::InvalidGrant, "The token was issued to another client.")
            }
            RevokeError::Store(error) => error.into(),
        }
    }
}

/// Of a client that authenticated by the `Authorization` field, or not.
pub fn from_authentication(error: ClientAuthenticationError, by_header: bool) -> OAuthError {
    match error {
        ClientAuthenticationError::Failed => OAuthError::InvalidClient { by_header },
        ClientAuthenticationError::Store(error) => error.into(),
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let (code, description, by_header) = match self {
            Self::Ours(problem) => return problem.into_response(),
            Self::Refused { code, description } => (code, description, false),
            Self::InvalidClient { by_header } => (
                ErrorCode::InvalidClient,
                "The client could not be authenticated.",
                by_header,
            ),
        };
        let document = OAuthErrorDocument {
            error: code.as_str(),
            error_description: description,
        };
        let mut response = (code.status(), axum::Json(document)).into_response();
        forbid_storing(&mut response);
        if by_header {
            let challenge = HeaderValue::from_static("Basic realm=\"ostler\", charset=\"UTF-8\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// RFC 6749 §5.1 asks for both fields.
pub fn forbid_storing(response: &mut Response) {
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
        .headers_mut()
        .insert(PRAGMA, HeaderValue::from_static("no-cache"));
}
