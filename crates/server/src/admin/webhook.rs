//! `/admin/v1/products/{product_id}/webhook`: the cloud's hooks that deliver events to us.

use axum::extract::State;
use ostler_app::admin::HookError;
use ostler_app::device_cloud::{CloudError, HookStep};
use ostler_core::id::ProductId;
use serde::Serialize;

use super::access::Writer;
use super::effect::EffectQuery;
use crate::error::{ApiError, Refusal, from_store};
use crate::extract::{Json, Path, Query};
use crate::problem::{Code, Problem};
use crate::refusals::{Bearer, Cloud, Conflicting, Input, Named};
use crate::state::ServerState;

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HooksResponse {
    /// What was done, or in a dry run would be; one entry for each hook.
    hooks: Vec<HookResponse>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HookResponse {
    /// The prefix of the event names that the hook delivers.
    #[schema(example = "t/")]
    event: String,
    step: HookWord,
    /// What had drifted, of a hook that was repaired.
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HookWord {
    Unchanged,
    Created,
    Repaired,
    RemovedDuplicate,
}

impl From<HookStep> for HookResponse {
    fn from(step: HookStep) -> Self {
        let (event, step, what) = match step {
            HookStep::Unchanged { event } => (event, HookWord::Unchanged, None),
            HookStep::Created { event } => (event, HookWord::Created, None),
            HookStep::Repaired { event, what } => (event, HookWord::Repaired, Some(what)),
            HookStep::RemovedDuplicate { event } => (event, HookWord::RemovedDuplicate, None),
        };
        Self { event, step, what }
    }
}

/// Create the product's hooks at its cloud, or repair them.
///
/// Lists what is there first, and does nothing where nothing is to be done.
#[utoipa::path(post, path = "/admin/v1/products/{product_id}/webhook", tag = "products",
    operation_id = "ensureWebhook",
    params(("product_id" = String, Path, example = "prd_01h455vb4pex5vsknk084sn02q"), EffectQuery),
    responses((status = 200, description = "What was done, or would be", body = HooksResponse), Bearer, Input, Named, Conflicting, Cloud),
    security(("bearer" = ["admin:write"])))]
pub async fn ensure_hooks(
    State(state): State<ServerState>,
    writer: Writer,
    Path(product_id): Path<ProductId>,
    Query(query): Query<EffectQuery>,
) -> Result<Json<HooksResponse>, ApiError> {
    let steps = writer
        .desk(state.app())
        .ensure_hooks(product_id, query.effect())
        .await?;
    Ok(Json(HooksResponse {
        hooks: steps.into_iter().map(HookResponse::from).collect(),
    }))
}

impl Refusal for HookError {
    fn problem(self) -> Problem {
        match self {
            Self::NotFound => Problem::not_found(),
            Self::Cloud(error) => cloud_problem(error),
            Self::Store(error) => from_store(error),
        }
    }
}

/// What the cloud's refusal means for staff, who may know its name and status.
pub(super) fn cloud_problem(error: CloudError) -> Problem {
    let problem = match error {
        CloudError::NotConnected => {
            return Problem::new(Code::Conflict)
                .detail("The product has no cloud connection.")
                .hint("PUT /admin/v1/products/{id}/cloud sets one");
        }
        CloudError::CredentialRejected | CloudError::Refused { .. } | CloudError::Unreadable => {
            Problem::new(Code::CloudRefused)
        }
        CloudError::Unreachable | CloudError::RateLimited { retry_after: None } => Problem::new(Code::CloudUnavailable),
        CloudError::RateLimited {
            retry_after: Some(wait),
        } => Problem::new(Code::CloudUnavailable).retry_after(wait),
    };
    problem.detail(error.to_string()).caused_by(error)
}
