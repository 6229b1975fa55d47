//! Who may sit at the staff API's desk: holders of `admin:read` and `admin:write` who are staff or
//! a machine of the maker.

use axum::extract::FromRequestParts;
use http::request::Parts;
use ostler_app::App;
use ostler_app::admin::{Desk, Maker};

use crate::access::{AdminRead, AdminWrite, Scoped};
use crate::error::ApiError;
use crate::problem::{Code, Problem};
use crate::state::ServerState;

/// May look.
pub struct Reader(Maker);

/// May change.
pub struct Writer(Maker);

macro_rules! opens_the_desk {
    ($($name:ident: $scope:ident),+) => {
        $(
            impl FromRequestParts<ServerState> for $name {
                type Rejection = ApiError;

                async fn from_request_parts(parts: &mut Parts, state: &ServerState) -> Result<Self, ApiError> {
                    let caller = Scoped::<$scope>::from_request_parts(parts, state).await?;
                    // No customer's token carries the scope; if one did, it would still be a customer's.
                    Maker::of(&caller).map(Self).ok_or_else(|| Problem::new(Code::InsufficientScope).into())
                }
            }

            impl $name {
                pub fn desk<'a>(&'a self, app: &'a App) -> Desk<'a> {
                    app.desk(&self.0)
                }
            }
        )+
    };
}

opens_the_desk!(Reader: AdminRead, Writer: AdminWrite);
