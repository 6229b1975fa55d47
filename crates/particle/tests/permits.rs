//! Permits as the real policy makes them, for device `barn-3` of the fixtures.

use std::sync::Arc;
use std::time::Duration;

use ostler_app::device_cloud::{DeviceCloud, ReadOutcome};
use ostler_core::caller::{Caller, Principal, ProductReach};
use ostler_core::command::{CallOutcome, NotSent};
use ostler_core::id::{ClientId, DeviceId, ProductId, TokenFamilyId};
use ostler_core::policy::{
    CallPermit, DeviceFacts, Facts, FunctionCall, Presence, ReadPermit, Title, authorize_call, authorize_read,
};
use ostler_core::port::Clock;
use ostler_core::product::Product;
use ostler_core::product_file::ProductFile;
use ostler_core::scope::ScopeSet;
use ostler_core::secret::SecretDigest;

use crate::support::{Adapter, DEADLINE, MostEntropy, START};

pub const BARN_3: &str = "e00fce68a1b2c3d4e5f60718";

const PRODUCT: &str = r#"
slug = "barn"
name = "Barn"
functions = [
    { name = "setValve", argument = { type = "pattern", pattern = "^.*$" } },
    { name = "blink", argument = { type = "none" } },
]
variables = [{ name = "volts", type = "double" }, { name = "amperes", type = "double" }]
"#;

fn facts(product_id: ProductId, device: &str, clock: &dyn Clock) -> Facts {
    let declaration = ProductFile::from_toml(PRODUCT).unwrap().check().unwrap();
    Facts {
        device: Some(DeviceFacts {
            id: DeviceId::draw(START, &MostEntropy),
            cloud_device_id: device.parse().unwrap(),
            product: Arc::new(Product {
                id: product_id,
                version: 1,
                declaration,
            }),
            quarantined: false,
            presence: Presence::Unknown,
        }),
        grants: Vec::new(),
        last_called_at: None,
        read_after: clock.instant(),
    }
}

fn machine() -> Caller {
    Caller {
        who: Principal::Machine {
            products: ProductReach::All,
        },
        client_id: ClientId::draw(START, &MostEntropy),
        family_id: TokenFamilyId::draw(START, &MostEntropy),
        scopes: ScopeSet::default(),
        token: SecretDigest::of(""),
    }
}

pub fn call_permit(
    product_id: ProductId,
    device: &str,
    function: &str,
    argument: &str,
    clock: &dyn Clock,
) -> CallPermit {
    let facts = facts(product_id, device, clock);
    let call = FunctionCall {
        device_id: facts.device.as_ref().unwrap().id,
        function: function.parse().unwrap(),
        argument: argument.into(),
    };
    authorize_call(&call, &machine(), Title::Maker, &facts, START).unwrap()
}

pub fn read_permit(product_id: ProductId, device: &str, variable: &str, clock: &dyn Clock) -> ReadPermit {
    let facts = facts(product_id, device, clock);
    authorize_read(&variable.parse().unwrap(), &machine(), Title::Maker, &facts, START).unwrap()
}

impl Adapter {
    pub fn permit(&self, function: &str, argument: &str) -> CallPermit {
        call_permit(self.product_id, BARN_3, function, argument, &*self.clock)
    }

    pub async fn call(&self) -> CallOutcome {
        self.call_within(DEADLINE).await
    }

    pub async fn call_within(&self, deadline: Duration) -> CallOutcome {
        let permit = self.permit("setValve", "3,open");
        self.particle.call_function(&permit, deadline).await
    }

    /// As the use case does: a lapsed permit is judged again, a few times.
    pub async fn call_judged_again(&self) -> CallOutcome {
        for _ in 0..20 {
            let outcome = self.call().await;
            if outcome != CallOutcome::NotSent(NotSent::PermitLapsed) {
                return outcome;
            }
        }
        CallOutcome::NotSent(NotSent::PermitLapsed)
    }

    pub async fn read(&self) -> ReadOutcome {
        let permit = read_permit(self.product_id, BARN_3, "volts", &*self.clock);
        self.particle.read_variable(&permit, DEADLINE).await
    }
}
