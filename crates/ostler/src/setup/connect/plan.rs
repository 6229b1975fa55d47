//! What connecting will change, told before it is done.
//!
//! Whether the stored credential still works is asked of the server, which alone can use it: then
//! the credential stays and only the hooks are set right.

use anyhow::Context as _;
use ostler_app::device_cloud::{CloudCredential, HookRequest};
use ostler_cli::failure::Failure;
use ostler_cli::staff_api::StaffApi;
use ostler_core::secret::IngestSecret;
use ostler_particle::Particle;
use ostler_particle::setup::{SetupRequest, SetupStep};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::product::ConnectedProduct;
use crate::setup::entropy;

pub enum Plan {
    /// The stored credential works; the server says what its hooks lack.
    Repair {
        hooks: Vec<HookLine>,
    },
    Connect {
        steps: Vec<SetupStep>,
    },
}

/// One hook as the staff API tells of it.
#[derive(Debug, Deserialize)]
pub struct HookLine {
    event: String,
    step: HookWord,
    what: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum HookWord {
    Unchanged,
    Created,
    Repaired,
    RemovedDuplicate,
}

#[derive(Deserialize)]
struct HooksAnswer {
    hooks: Vec<HookLine>,
}

impl Plan {
    pub async fn make(
        api: &StaffApi,
        cloud: &Particle,
        product: &ConnectedProduct,
        request: &SetupRequest,
    ) -> anyhow::Result<Self> {
        let known = product.known_connection(api).await?;
        let is_the_same =
            known.is_some_and(|known| known.base_url == request.base_url && known.product == request.cloud_product);
        if is_the_same && let Some(hooks) = hooks_by_server(api, product).await? {
            return Ok(Self::Repair { hooks });
        }
        let hook = HookRequest {
            url: product.ingest_url.clone(),
            // Only the server knows the real one; a hook that is there will be looked at again by it.
            secret: IngestSecret::draw(&*entropy()).reveal().to_owned().into(),
            event_prefixes: product.event_prefixes.clone(),
        };
        let steps = cloud
            .plan_setup(&SetupRequest {
                hook: Some(hook),
                ..request.clone()
            })
            .await?;
        Ok(Self::Connect { steps })
    }

    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Repair { hooks } => std::iter::once(format!("- {}", SetupStep::KeepStoredCredential))
                .chain(hooks.iter().map(|hook| format!("- {}", hook.to_be_done())))
                .collect(),
            Self::Connect { steps } => {
                let mut lines: Vec<String> = steps.iter().map(|step| format!("- {step}")).collect();
                let after_credential = lines.len().min(1);
                lines.insert(
                    after_credential,
                    "- store Ostler's own credential at Ostler, sealed".to_owned(),
                );
                lines
            }
        }
    }

    pub fn changes_anything(&self) -> bool {
        match self {
            Self::Repair { hooks } => hooks.iter().any(|hook| hook.step != HookWord::Unchanged),
            Self::Connect { .. } => true,
        }
    }

    pub async fn carry_out(
        &self,
        api: &StaffApi,
        cloud: &Particle,
        product: &ConnectedProduct,
        request: &SetupRequest,
    ) -> anyhow::Result<()> {
        match self {
            Self::Repair { .. } => {}
            Self::Connect { .. } => {
                let done = cloud.apply_setup(request).await?;
                for step in &done.steps {
                    println!("done: {step}");
                }
                store(api, product, request, &done.credential)
                    .await
                    .context("Ostler did not take the credential; run this again to replace it")?;
                println!("done: store Ostler's own credential");
            }
        }
        let path = ["products", &product.id, "webhook"];
        for hook in read_hooks(api.post(&path, &[], &Value::Null).await?)? {
            println!("done: {}", hook.to_be_done());
        }
        Ok(())
    }
}

impl HookLine {
    fn to_be_done(&self) -> String {
        let Self { event, step, what } = self;
        match step {
            HookWord::Unchanged => format!("keep the webhook for `{event}`"),
            HookWord::Created => format!("create a webhook for `{event}`"),
            HookWord::Repaired => {
                let what = what.as_deref().unwrap_or("content");
                format!("replace the webhook for `{event}`, whose {what} is not as it must be")
            }
            HookWord::RemovedDuplicate => format!("remove a surplus webhook for `{event}`"),
        }
    }
}

/// `None` if the stored credential does not reach the cloud.
async fn hooks_by_server(api: &StaffApi, product: &ConnectedProduct) -> anyhow::Result<Option<Vec<HookLine>>> {
    let path = ["products", &product.id, "webhook"];
    match api.post(&path, &[("dry_run", "true")], &Value::Null).await {
        Ok(answer) => read_hooks(answer).map(Some),
        Err(Failure::Refused(problem)) if matches!(problem.code(), "cloud-refused" | "conflict") => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

fn read_hooks(answer: Value) -> anyhow::Result<Vec<HookLine>> {
    let answer: HooksAnswer = serde_json::from_value(answer).context("the server's list of webhooks cannot be read")?;
    Ok(answer.hooks)
}

async fn store(
    api: &StaffApi,
    product: &ConnectedProduct,
    request: &SetupRequest,
    credential: &CloudCredential,
) -> Result<(), Failure> {
    let mut body = json!({"kind": "particle", "base_url": request.base_url, "product": request.cloud_product});
    match credential {
        CloudCredential::Client {
            client_id,
            client_secret,
        } => {
            body["client_id"] = json!(client_id);
            body["client_secret"] = json!(client_secret.expose_secret());
        }
        CloudCredential::Token(token) => body["access_token"] = json!(token.expose_secret()),
    }
    api.put(&["products", &product.id, "cloud"], &[], &body)
        .await
        .map(|_| ())
}
