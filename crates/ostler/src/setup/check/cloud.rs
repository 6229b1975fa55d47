//! Each product at its device cloud: is the credential accepted, do its hooks stand as they should.

use ostler_app::admin::hook_prefixes;
use ostler_app::device_cloud::{CloudError, DeviceCloud, HookRequest, HookStep};
use ostler_server::config::Config;
use secrecy::SecretString;

use super::verdict::{Verdict, chain};
use super::{ConnectedProduct, what};
use crate::setup::particle;

pub async fn look(config: &Config, products: &[ConnectedProduct]) -> Vec<Verdict> {
    if products.is_empty() {
        return vec![
            Verdict::skipped(what::CLOUD, "no product is connected").hint("`ostler connect particle` connects one"),
            Verdict::skipped(what::HOOK, "no product is connected"),
        ];
    }
    let cloud = particle();
    let mut verdicts = Vec::new();
    for product in products {
        let slug = product.declaration.slug.as_str();
        cloud.connect(product.id, Some(product.connection.clone().into()));
        let (credential, hook) = match cloud.check(product.id).await {
            Ok(()) => (Ok(()), hook(config, &cloud, product).await),
            Err(error) => (Err(error), Verdict::skipped(what::HOOK, "the cloud cannot be asked")),
        };
        verdicts.push(judge_credential(&product.connection.base_url, credential).of_product(slug));
        verdicts.push(hook.of_product(slug));
    }
    verdicts
}

fn judge_credential(base_url: &str, answer: Result<(), CloudError>) -> Verdict {
    let Err(error) = answer else {
        return Verdict::ok(what::CLOUD, format!("{base_url} accepts the credential"));
    };
    let verdict = Verdict::failed(what::CLOUD, format!("{base_url}: {}", chain(&error)));
    match error {
        CloudError::CredentialRejected | CloudError::NotConnected | CloudError::Refused { .. } => {
            verdict.hint("`ostler connect particle` gets a new credential")
        }
        CloudError::Unreachable | CloudError::RateLimited { .. } | CloudError::Unreadable => {
            verdict.hint("is the cloud up, and may this machine reach it?")
        }
    }
}

async fn hook(config: &Config, cloud: &dyn DeviceCloud, product: &ConnectedProduct) -> Verdict {
    let Some(secret) = product.hook_secret.clone() else {
        return judge_hooks(Ok(Vec::new()));
    };
    let request = hook_request(config, product, secret);
    judge_hooks(cloud.ensure_hooks(product.id, &request, true).await)
}

fn hook_request(config: &Config, product: &ConnectedProduct, secret: SecretString) -> HookRequest {
    let public_url = config.public_url.as_str().trim_end_matches('/');
    HookRequest {
        url: format!("{public_url}/ingest/particle/{}", product.declaration.slug),
        secret,
        event_prefixes: hook_prefixes(&product.declaration),
    }
}

/// By what setting them right would have to change. Every product needs at least one.
fn judge_hooks(steps: Result<Vec<HookStep>, CloudError>) -> Verdict {
    let steps = match steps {
        Ok(steps) => steps,
        Err(error) => return Verdict::failed(what::HOOK, chain(&error)),
    };
    let wrong: Vec<String> = steps.iter().filter_map(wrong).collect();
    if !steps.is_empty() && wrong.is_empty() {
        return Verdict::ok(what::HOOK, format!("{} in place", steps.len()));
    }
    let detail = if wrong.is_empty() {
        "none was ever made".to_owned()
    } else {
        wrong.join("\n")
    };
    Verdict::failed(what::HOOK, detail).hint("`ostler connect particle` makes and repairs them")
}

fn wrong(step: &HookStep) -> Option<String> {
    match step {
        HookStep::Unchanged { .. } => None,
        HookStep::Created { event } => Some(format!("there is none for `{event}`")),
        HookStep::Repaired { event, what } => Some(format!("the {what} of that for `{event}` is not as it must be")),
        HookStep::RemovedDuplicate { event } => Some(format!("there is one too many for `{event}`")),
    }
}
