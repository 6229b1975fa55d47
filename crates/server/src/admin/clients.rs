//! `/admin/v1/clients`: OAuth clients. A secret is told once, when it is drawn.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, LOCATION};
use ostler_app::identity::{ClientError, ClientPatch, NewClientSecret};
use ostler_core::caller::ProductReach;
use ostler_core::client::{Client, ClientKind, ClientRegistration, Flow, RedirectUri, RefreshPolicy, WebOrigin};
use ostler_core::id::{ClientId, ProductId};
use ostler_core::scope::ScopeSet;
use ostler_core::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::access::{Reader, Writer};
use crate::error::{ApiError, Refusal, from_store};
use crate::extract::{Json, Path, Query};
use crate::list::{ListQuery, ListResponse};
use crate::problem::{Code, Place, Problem};
use crate::refusals::{Bearer, Input, Named};
use crate::state::ServerState;

#[derive(Debug, Clone, Copy, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ClientKind)]
pub enum KindWord {
    Public,
    Confidential,
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = RefreshPolicy)]
pub enum PolicyWord {
    None,
    Rotating,
    Linking,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateClientRequest {
    #[schema(example = "The app")]
    name: String,
    kind: KindWord,
    /// `authorization_code`, `client_credentials`, `device_authorization`
    #[schema(example = json!(["authorization_code"]))]
    flows: Vec<String>,
    #[serde(default)]
    #[schema(example = json!(["com.example.app:/callback"]))]
    redirect_uris: Vec<String>,
    /// The most that it may ever be granted.
    #[schema(example = json!(["devices:read", "devices:control", "offline_access"]))]
    scopes: Vec<String>,
    /// What a request without `scope` gets; all if absent.
    #[schema(example = json!(["devices:read"]))]
    default_scopes: Option<Vec<String>>,
    refresh_policy: PolicyWord,
    /// Browser apps that may call the API from these origins.
    #[serde(default)]
    #[schema(example = json!(["https://app.example.com"]))]
    cors_origins: Vec<String>,
    /// On which products it may act as a machine; absent or `null`: all.
    #[schema(value_type = Option<Vec<String>>, example = json!(null))]
    products: Option<BTreeSet<ProductId>>,
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeClientRequest {
    #[schema(example = "The app")]
    name: Option<String>,
    flows: Option<Vec<String>>,
    redirect_uris: Option<Vec<String>>,
    /// Fewer than before: its access tokens end, and it asks anew.
    scopes: Option<Vec<String>>,
    default_scopes: Option<Vec<String>>,
    refresh_policy: Option<PolicyWord>,
    cors_origins: Option<Vec<String>>,
    /// `null`: all.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<Vec<String>>)]
    products: Option<Option<BTreeSet<ProductId>>>,
}

/// Tells `null`, which was said, from a member that is absent.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<BTreeSet<ProductId>>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ClientResponse {
    #[schema(example = "cli_01h455vb4pex5vsknk084sn02q")]
    client_id: String,
    #[schema(example = "The app")]
    name: String,
    kind: KindWord,
    #[schema(example = json!(["authorization_code"]))]
    flows: Vec<&'static str>,
    #[schema(example = json!(["com.example.app:/callback"]))]
    redirect_uris: Vec<String>,
    #[schema(example = json!(["devices:read", "offline_access"]))]
    scopes: Vec<&'static str>,
    #[schema(example = json!(["devices:read"]))]
    default_scopes: Vec<&'static str>,
    refresh_policy: PolicyWord,
    #[schema(example = json!([]))]
    cors_origins: Vec<String>,
    products: Option<Vec<String>>,
    #[schema(example = "2030-05-01T10:00:00.000Z")]
    created_at: String,
    ended_at: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct NewClientResponse {
    #[serde(flatten)]
    client: ClientResponse,
    /// Told only now. Public clients have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ost_cs_S2VwdCBieSB0aGUgbWFrZXIncyBzZXJ2ZXIsIG5vd2hlcmU")]
    client_secret: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ClientSecretResponse {
    /// Told only now.
    #[schema(example = "ost_cs_S2VwdCBieSB0aGUgbWFrZXIncyBzZXJ2ZXIsIG5vd2hlcmU")]
    client_secret: String,
}

impl From<KindWord> for ClientKind {
    fn from(word: KindWord) -> Self {
        match word {
            KindWord::Public => Self::Public,
            KindWord::Confidential => Self::Confidential,
        }
    }
}

impl From<ClientKind> for KindWord {
    fn from(kind: ClientKind) -> Self {
        match kind {
            ClientKind::Public => Self::Public,
            ClientKind::Confidential => Self::Confidential,
        }
    }
}

impl From<PolicyWord> for RefreshPolicy {
    fn from(word: PolicyWord) -> Self {
        match word {
            PolicyWord::None => Self::None,
            PolicyWord::Rotating => Self::Rotating,
            PolicyWord::Linking => Self::Linking,
        }
    }
}

impl From<RefreshPolicy> for PolicyWord {
    fn from(policy: RefreshPolicy) -> Self {
        match policy {
            RefreshPolicy::None => Self::None,
            RefreshPolicy::Rotating => Self::Rotating,
            RefreshPolicy::Linking => Self::Linking,
        }
    }
}

impl From<CreateClientRequest> for ClientRegistration {
    fn from(request: CreateClientRequest) -> Self {
        Self {
            name: request.name,
            kind: request.kind.into(),
            flows: request.flows,
            redirect_uris: request.redirect_uris,
            scopes: request.scopes,
            default_scopes: request.default_scopes,
            refresh_policy: request.refresh_policy.into(),
            cors_origins: request.cors_origins,
            products: request.products,
        }
    }
}

impl From<ChangeClientRequest> for ClientPatch {
    fn from(request: ChangeClientRequest) -> Self {
        Self {
            name: request.name,
            flows: request.flows,
            redirect_uris: request.redirect_uris,
            scopes: request.scopes,
            default_scopes: request.default_scopes,
            refresh_policy: request.refresh_policy.map(Into::into),
            cors_origins: request.cors_origins,
            products: request.products,
        }
    }
}

impl From<&Client> for ClientResponse {
    fn from(client: &Client) -> Self {
        let words = |scopes: ScopeSet| scopes.iter().map(|scope| scope.as_str()).collect();
        Self {
            client_id: client.id.to_string(),
            name: client.name.clone(),
            kind: client.kind.into(),
            flows: client.flows.iter().map(Flow::as_str).collect(),
            redirect_uris: client.redirect_uris.iter().map(RedirectUri::to_string).collect(),
            scopes: words(client.scopes),
            default_scopes: words(client.default_scopes),
            refresh_policy: client.refresh_policy.into(),
            cors_origins: client.cors_origins.iter().map(WebOrigin::to_string).collect(),
            products: match &client.products {
                ProductReach::All => None,
                ProductReach::Only(products) => Some(products.iter().map(ProductId::to_string).collect()),
            },
            created_at: client.created_at.to_string(),
            ended_at: client.ended_at.as_ref().map(Timestamp::to_string),
        }
    }
}

/// OAuth clients, ended ones too.
#[utoipa::path(get, path = "/admin/v1/clients", tag = "clients", operation_id = "listClients", params(ListQuery),
    responses((status = 200, description = "A page of clients", body = ListResponse<ClientResponse>), Bearer, Input),
    security(("bearer" = ["admin:read"])))]
pub async fn list_clients(
    State(state): State<ServerState>,
    reader: Reader,
    Query(query): Query<ListQuery>,
) -> Result<Json<ListResponse<ClientResponse>>, ApiError> {
    let listed = reader.desk(state.app()).clients(query.page()?).await?;
    Ok(Json(ListResponse::of(
        &listed,
        |client| client.id,
        ClientResponse::from,
    )))
}

/// Register an OAuth client.
///
/// A confidential client's secret is in this answer and in no other.
#[utoipa::path(post, path = "/admin/v1/clients", tag = "clients", operation_id = "createClient",
    request_body = CreateClientRequest,
    responses((status = 201, description = "The client", body = NewClientResponse, headers(("Location" = String))), Bearer, Input, Named),
    security(("bearer" = ["admin:write"])))]
pub async fn create_client(
    State(state): State<ServerState>,
    writer: Writer,
    Json(request): Json<CreateClientRequest>,
) -> Result<Response, ApiError> {
    let (client, secret) = writer.desk(state.app()).create_client(request.into()).await?;
    let headers = [
        (LOCATION, format!("/admin/v1/clients/{}", client.id)),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    let client_secret = match secret {
        NewClientSecret::None => None,
        NewClientSecret::Drawn(secret) => Some(secret.reveal().to_owned()),
    };
    let answer = NewClientResponse {
        client: ClientResponse::from(&client),
        client_secret,
    };
    Ok((StatusCode::CREATED, headers, Json(answer)).into_response())
}

/// An OAuth client.
#[utoipa::path(get, path = "/admin/v1/clients/{client_id}", tag = "clients", operation_id = "getClient",
    params(("client_id" = String, Path, example = "cli_01h455vb4pex5vsknk084sn02q")),
    responses((status = 200, description = "The client", body = ClientResponse), Bearer, Named),
    security(("bearer" = ["admin:read"])))]
pub async fn get_client(
    State(state): State<ServerState>,
    reader: Reader,
    Path(client_id): Path<ClientId>,
) -> Result<Json<ClientResponse>, ApiError> {
    let client = reader.desk(state.app()).client(client_id).await?;
    Ok(Json(ClientResponse::from(&client)))
}

/// Change an OAuth client.
#[utoipa::path(patch, path = "/admin/v1/clients/{client_id}", tag = "clients", operation_id = "changeClient",
    params(("client_id" = String, Path, example = "cli_01h455vb4pex5vsknk084sn02q")),
    request_body = ChangeClientRequest,
    responses((status = 200, description = "The client", body = ClientResponse), Bearer, Input, Named),
    security(("bearer" = ["admin:write"])))]
pub async fn change_client(
    State(state): State<ServerState>,
    writer: Writer,
    Path(client_id): Path<ClientId>,
    Json(request): Json<ChangeClientRequest>,
) -> Result<Json<ClientResponse>, ApiError> {
    let client = writer
        .desk(state.app())
        .change_client(client_id, request.into())
        .await?;
    Ok(Json(ClientResponse::from(&client)))
}

/// Replace a client's secret.
///
/// The former one is worth nothing from now on. A public client has none: 404.
#[utoipa::path(post, path = "/admin/v1/clients/{client_id}/secret", tag = "clients", operation_id = "replaceClientSecret",
    params(("client_id" = String, Path, example = "cli_01h455vb4pex5vsknk084sn02q")),
    responses((status = 200, description = "The new secret", body = ClientSecretResponse), Bearer, Named),
    security(("bearer" = ["admin:write"])))]
pub async fn replace_secret(
    State(state): State<ServerState>,
    writer: Writer,
    Path(client_id): Path<ClientId>,
) -> Result<Response, ApiError> {
    let secret = writer.desk(state.app()).replace_client_secret(client_id).await?;
    let answer = ClientSecretResponse {
        client_secret: secret.reveal().to_owned(),
    };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// End a client and all its tokens.
///
/// Once this has answered, no call by them leaves any more. Ending it again answers alike.
#[utoipa::path(post, path = "/admin/v1/clients/{client_id}/end", tag = "clients", operation_id = "endClient",
    params(("client_id" = String, Path, example = "cli_01h455vb4pex5vsknk084sn02q")),
    responses((status = 200, description = "It has ended", body = ClientResponse), Bearer, Named),
    security(("bearer" = ["admin:write"])))]
pub async fn end_client(
    State(state): State<ServerState>,
    writer: Writer,
    Path(client_id): Path<ClientId>,
) -> Result<Json<ClientResponse>, ApiError> {
    let client = writer.desk(state.app()).end_client(client_id).await?;
    Ok(Json(ClientResponse::from(&client)))
}

impl Refusal for ClientError {
    fn problem(self) -> Problem {
        match self {
            Self::Invalid(faults) => faults
                .into_iter()
                .fold(Problem::new(Code::InvalidRequest), |problem, fault| {
                    problem.error(Place::Pointer(fault.pointer), fault.rule)
                }),
            Self::NotFound => Problem::not_found(),
            Self::Store(error) => from_store(error),
        }
    }
}
