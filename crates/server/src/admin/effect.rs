//! `?dry_run=true`: say what would happen, and do nothing.

use ostler_app::admin::Effect;
use serde::Deserialize;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EffectQuery {
    /// Change nothing; answer what would be changed.
    #[serde(default)]
    dry_run: bool,
}

impl EffectQuery {
    pub fn effect(&self) -> Effect {
        if self.dry_run { Effect::DryRun } else { Effect::Apply }
    }
}
