//! `/admin/v1/customers`: the accounts of customers.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use ostler_app::admin::CustomerRecord;
use ostler_app::identity::{AccountError, CustomerRequest, Password};
use ostler_core::email::EmailAddress;
use ostler_core::id::{CustomerId, ProductId};
use ostler_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::access::{Reader, Writer};
use crate::error::{ApiError, Refusal, from_store};
use crate::extract::{Json, Path, Query};
use crate::list::{ListQuery, ListResponse};
use crate::problem::{Code, Problem};
use crate::refusals::{Bearer, Conflicting, Input, Named};
use crate::state::ServerState;
use crate::text::Line;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateCustomerRequest {
    #[schema(value_type = String, max_length = 254, example = "ada@example.com")]
    email: Line<254>,
    /// At least 8 characters. Without one nobody can sign in by password.
    #[schema(value_type = Option<String>, max_length = 1024, example = "correct horse battery staple")]
    password: Option<Line<1024>>,
    #[schema(value_type = Option<String>, max_length = 400, example = "Ada")]
    name: Option<Line<400>>,
    /// To which products the account belongs.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!([]))]
    products: BTreeSet<ProductId>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CustomerResponse {
    #[schema(example = "cus_01h455vb4pex5vsknk084sn02q")]
    id: String,
    /// `null` once the account was erased.
    #[schema(example = "ada@example.com")]
    email: Option<String>,
    #[schema(example = "Ada")]
    name: Option<String>,
    #[schema(example = "2030-05-01T10:00:00.000Z")]
    created_at: String,
    closed_at: Option<String>,
}

impl From<&CustomerRecord> for CustomerResponse {
    fn from(customer: &CustomerRecord) -> Self {
        Self {
            id: customer.id.to_string(),
            email: customer.email.as_ref().map(EmailAddress::to_string),
            name: customer.name.clone(),
            created_at: customer.created_at.to_string(),
            closed_at: customer.closed_at.as_ref().map(Timestamp::to_string),
        }
    }
}

/// Customers, closed accounts too.
#[utoipa::path(get, path = "/admin/v1/customers", tag = "customers", operation_id = "listCustomers", params(ListQuery),
    responses((status = 200, description = "A page of customers", body = ListResponse<CustomerResponse>), Bearer, Input),
    security(("bearer" = ["admin:read"])))]
pub async fn list_customers(
    State(state): State<ServerState>,
    reader: Reader,
    Query(query): Query<ListQuery>,
) -> Result<Json<ListResponse<CustomerResponse>>, ApiError> {
    let listed = reader.desk(state.app()).customers(query.page()?).await?;
    Ok(Json(ListResponse::of(
        &listed,
        |customer| customer.id,
        CustomerResponse::from,
    )))
}

/// Make a customer's account.
#[utoipa::path(post, path = "/admin/v1/customers", tag = "customers", operation_id = "createCustomer",
    request_body = CreateCustomerRequest,
    responses((status = 201, description = "The account", body = CustomerResponse, headers(("Location" = String))), Bearer, Input, Named, Conflicting),
    security(("bearer" = ["admin:write"])))]
pub async fn create_customer(
    State(state): State<ServerState>,
    writer: Writer,
    Json(request): Json<CreateCustomerRequest>,
) -> Result<Response, ApiError> {
    let request = CustomerRequest {
        email: request.email.into(),
        password: request.password.map(|password| Password::presented(password.into())),
        name: request.name.map(String::from),
        products: request.products,
    };
    let customer = writer.desk(state.app()).create_customer(request).await?;
    let location = [(LOCATION, format!("/admin/v1/customers/{}", customer.id))];
    Ok((StatusCode::CREATED, location, Json(CustomerResponse::from(&customer))).into_response())
}

/// A customer's account.
#[utoipa::path(get, path = "/admin/v1/customers/{customer_id}", tag = "customers", operation_id = "getCustomer",
    params(("customer_id" = String, Path, example = "cus_01h455vb4pex5vsknk084sn02q")),
    responses((status = 200, description = "The account", body = CustomerResponse), Bearer, Named),
    security(("bearer" = ["admin:read"])))]
pub async fn get_customer(
    State(state): State<ServerState>,
    reader: Reader,
    Path(customer_id): Path<CustomerId>,
) -> Result<Json<CustomerResponse>, ApiError> {
    let customer = reader.desk(state.app()).customer(customer_id).await?;
    Ok(Json(CustomerResponse::from(&customer)))
}

/// Close a customer's account.
///
/// Its sessions and tokens end. Once this has answered, no call by them leaves any more. Closing it
/// again answers alike.
#[utoipa::path(post, path = "/admin/v1/customers/{customer_id}/close", tag = "customers", operation_id = "closeCustomer",
    params(("customer_id" = String, Path, example = "cus_01h455vb4pex5vsknk084sn02q")),
    responses((status = 200, description = "It is closed", body = CustomerResponse), Bearer, Named),
    security(("bearer" = ["admin:write"])))]
pub async fn close_customer(
    State(state): State<ServerState>,
    writer: Writer,
    Path(customer_id): Path<CustomerId>,
) -> Result<Json<CustomerResponse>, ApiError> {
    let customer = writer.desk(state.app()).close_customer(customer_id).await?;
    Ok(Json(CustomerResponse::from(&customer)))
}

impl Refusal for AccountError {
    fn problem(self) -> Problem {
        match self {
            Self::Email(rule) => Problem::invalid_pointer("/email", rule.to_string()),
            Self::Password => {
                Problem::invalid_pointer("/password", "must have at least 8 characters and at most 1024 bytes")
            }
            Self::Name => Problem::invalid_pointer("/name", "must have 1 to 100 characters, no control characters"),
            Self::NoSuchProduct => Problem::invalid_pointer("/products", "must name products that exist"),
            Self::Taken => Problem::new(Code::Conflict).detail("The e-mail address belongs to another account."),
            Self::NotFound => Problem::not_found(),
            Self::Overloaded(error) => Problem::new(Code::Overloaded)
                .caused_by(error)
                .retry_after(Duration::from_secs(2)),
            Self::Store(error) => from_store(error),
        }
    }
}
