use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use super::*;
use crate::caller::ProductReach;
use crate::grant::{Allowance, GrantSource};
use crate::id::{ClientId, StaffId, TokenFamilyId};
use crate::port::Entropy;
use crate::product_file::ProductFile;
use crate::scope::ScopeSet;
use crate::secret::SecretDigest;

struct Counting(std::sync::atomic::AtomicU8);
impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
    }
}
const NOW: Timestamp = Timestamp::from_millis(1_900_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);

struct World {
    customer: CustomerId,
    stranger: CustomerId,
    client: ClientId,
    family: TokenFamilyId,
    staff: StaffId,
    facts: Facts,
    other_product: ProductId,
}

/// One device of a product with `setTarget` (everybody, integer) and `unlock` (owner, staff;
/// cool-down of a minute), and a share of it for `customer`.
fn world() -> World {
    let entropy = Counting(1.into());
    let file: ProductFile = serde_json::from_value(serde_json::json!({
        "slug": "thermostat", "name": "Thermostat",
        "functions": [
            {"name": "setTarget", "argument": {"type": "integer", "min": 5, "max": 30}},
            {"name": "unlock", "argument": {"type": "none"}, "callers": ["owner", "staff"], "cool_down_ms": 60000},
            {"name": "factoryReset", "argument": {"type": "none"}, "callers": ["owner"]}
        ],
        "variables": [{"name": "temperature", "type": "double"}],
        "telemetry": [{"event": "t", "keys": [
            {"key": "temperature", "pointer": "/t", "type": "number"},
            {"key": "target", "pointer": "/s", "type": "number"}]}]
    }))
    .unwrap();
    let product = Product {
        id: ProductId::draw(NOW, &entropy),
        version: 1,
        declaration: file.check().unwrap(),
    };
    let customer = CustomerId::draw(NOW, &entropy);
    let device_id = DeviceId::draw(NOW, &entropy);
    let grant = Grant {
        id: GrantId::draw(NOW, &entropy),
        version: 3,
        customer_id: customer,
        device_id,
        source: GrantSource::Share,
        functions: Allowance::All,
        variables: Allowance::All,
        keys: Allowance::Only(BTreeSet::from(["temperature".parse().unwrap()])),
        history: Interval::new(NOW - HOUR, Timestamp::MAX),
        starts_at: NOW - HOUR,
        ends_at: Some(NOW + HOUR),
    };
    World {
        customer,
        stranger: CustomerId::draw(NOW, &entropy),
        client: ClientId::draw(NOW, &entropy),
        family: TokenFamilyId::draw(NOW, &entropy),
        staff: StaffId::draw(NOW, &entropy),
        other_product: ProductId::draw(NOW, &entropy),
        facts: Facts {
            device: Some(DeviceFacts {
                id: device_id,
                cloud_device_id: "e00fce68a1b2c3d4e5f60718".parse().unwrap(),
                product: Arc::new(product),
                quarantined: false,
                presence: Presence::Online,
            }),
            grants: vec![Arc::new(grant)],
            last_called_at: None,
            read_after: instant(),
        },
    }
}

#[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
fn instant() -> Instant {
    Instant::now()
}

impl World {
    fn caller(&self, who: Principal) -> Caller {
        Caller {
            who,
            client_id: self.client,
            family_id: self.family,
            scopes: ScopeSet::EMPTY,
            token: SecretDigest::from_bytes([0; 32]),
        }
    }

    fn device(&mut self) -> &mut DeviceFacts {
        self.facts.device.as_mut().unwrap()
    }

    fn grant(&mut self) -> &mut Grant {
        Arc::make_mut(&mut self.facts.grants[0])
    }

    fn judge(
        &self,
        who: Principal,
        on_behalf_of: Option<CustomerId>,
        function: &str,
        argument: &str,
    ) -> Result<Right, Denied> {
        self.judge_at(who, on_behalf_of, function, argument, NOW)
    }

    fn judge_at(
        &self,
        who: Principal,
        on_behalf_of: Option<CustomerId>,
        function: &str,
        argument: &str,
        now: Timestamp,
    ) -> Result<Right, Denied> {
        let device_id = self.facts.device.as_ref().map(|device| device.id).unwrap();
        let call = FunctionCall {
            device_id,
            function: function.parse().unwrap(),
            argument: argument.into(),
        };
        let caller = self.caller(who);
        let title = Title::of(&caller, on_behalf_of);
        authorize_call(&call, &caller, title, &self.facts, now).map(|permit| permit.right())
    }

    fn as_customer(&self, function: &str, argument: &str) -> Result<Right, Denied> {
        self.judge(Principal::Customer(self.customer), None, function, argument)
    }

    fn staff(&self) -> Principal {
        Principal::Staff {
            staff_id: self.staff,
            products: ProductReach::All,
        }
    }
}

#[test]
fn a_grant_in_force_allows_what_it_covers() {
    let world = world();
    let grant = &world.facts.grants[0];
    assert_eq!(
        world.as_customer("setTarget", "20"),
        Ok(Right::Grant {
            id: grant.id,
            version: 3
        })
    );
}

#[test]
fn the_interval_is_half_open() {
    let world = world();
    let at = |now| world.judge_at(Principal::Customer(world.customer), None, "setTarget", "20", now);
    assert_eq!(at(NOW - HOUR - Duration::from_millis(1)), Err(Denied::NoGrant));
    assert!(at(NOW - HOUR).is_ok());
    assert!(at(NOW + HOUR - Duration::from_millis(1)).is_ok());
    assert_eq!(at(NOW + HOUR), Err(Denied::NoGrant));
}

#[test]
fn a_stranger_gets_one_answer_whatever_is_asked() {
    let mut world = world();
    let stranger = || Principal::Customer(world.stranger);
    for (function, argument) in [("setTarget", "20"), ("setTarget", "x"), ("nothing", ""), ("unlock", "")] {
        assert_eq!(world.judge(stranger(), None, function, argument), Err(Denied::NoGrant));
    }
    let who = stranger();
    world.device().quarantined = true;
    assert_eq!(world.judge(who.clone(), None, "setTarget", "20"), Err(Denied::NoGrant));
    let device_id = world.device().id;
    world.facts.device = None;
    let call = FunctionCall {
        device_id,
        function: "setTarget".parse().unwrap(),
        argument: "".into(),
    };
    let caller = world.caller(who);
    let denied = authorize_call(&call, &caller, Title::of(&caller, None), &world.facts, NOW).map(|_| ());
    assert_eq!(denied, Err(Denied::NoGrant));
}

#[test]
fn the_contract_decides_who_may_call_and_with_what() {
    let mut world = world();
    assert_eq!(world.as_customer("nothing", ""), Err(Denied::FunctionNotGranted));
    assert_eq!(world.as_customer("unlock", ""), Err(Denied::FunctionNotGranted));
    assert!(matches!(
        world.as_customer("setTarget", "31"),
        Err(Denied::ArgumentNotAllowed(_))
    ));
    world.grant().source = GrantSource::Owner;
    assert!(world.as_customer("unlock", "").is_ok());
    world.grant().functions = Allowance::Only(BTreeSet::from(["unlock".parse().unwrap()]));
    assert_eq!(world.as_customer("setTarget", "20"), Err(Denied::FunctionNotGranted));
    world.device().quarantined = true;
    assert_eq!(world.as_customer("unlock", ""), Err(Denied::Quarantined));
}

#[test]
fn a_cool_down_ends_at_its_instant() {
    let mut world = world();
    world.grant().source = GrantSource::Owner;
    world.facts.last_called_at = Some(NOW - Duration::from_millis(59_999));
    let until = NOW + Duration::from_millis(1);
    assert_eq!(world.as_customer("unlock", ""), Err(Denied::CoolingDown { until }));
    world.facts.last_called_at = Some(NOW - Duration::from_secs(60));
    assert!(world.as_customer("unlock", "").is_ok());
    world.facts.last_called_at = Some(NOW);
    assert!(world.as_customer("setTarget", "20").is_ok(), "no cool-down declared");
}

#[test]
fn staff_act_within_their_products_and_the_contract() {
    let world = world();
    assert_eq!(world.judge(world.staff(), None, "unlock", ""), Ok(Right::Maker));
    assert_eq!(
        world.judge(world.staff(), None, "factoryReset", ""),
        Err(Denied::FunctionNotGranted)
    );
    let elsewhere = Principal::Machine {
        products: ProductReach::Only(BTreeSet::from([world.other_product])),
    };
    assert_eq!(world.judge(elsewhere.clone(), None, "unlock", ""), Err(Denied::NoGrant));
    assert_eq!(
        world.judge(elsewhere, Some(world.customer), "setTarget", "20"),
        Err(Denied::NoGrant)
    );
}

#[test]
fn on_behalf_of_a_customer_only_the_customers_rights_count() {
    let world = world();
    assert!(
        world
            .judge(world.staff(), Some(world.customer), "setTarget", "20")
            .is_ok()
    );
    assert_eq!(
        world.judge(world.staff(), Some(world.customer), "unlock", ""),
        Err(Denied::FunctionNotGranted)
    );
    assert_eq!(
        world.judge(world.staff(), Some(world.stranger), "setTarget", "20"),
        Err(Denied::NoGrant)
    );
}

#[test]
fn history_is_seen_through_the_grant() {
    let mut world = world();
    let caller = world.caller(Principal::Customer(world.customer));
    let title = Title::of(&caller, None);
    let sight = authorize_sight(&caller, title, &world.facts, NOW).unwrap();
    let temperature = "temperature".parse().unwrap();
    assert_eq!(
        sight.history_of(&temperature).as_slice(),
        [Interval::new(NOW - HOUR, NOW + HOUR)]
    );
    assert!(sight.history_of(&"target".parse().unwrap()).is_empty());
    assert!(sight.history_of_events().is_empty(), "raw events hold other keys too");
    assert!(sight.may_read(&"temperature".parse().unwrap()));
    world.grant().ends_at = Some(NOW);
    assert_eq!(
        authorize_sight(&caller, title, &world.facts, NOW).map(|_| ()),
        Err(Denied::NoGrant)
    );
}

#[test]
fn a_permit_is_used_once_and_lapses() {
    let world = world();
    let caller = world.caller(Principal::Customer(world.customer));
    let variable = "temperature".parse().unwrap();
    let read = || authorize_read(&variable, &caller, Title::of(&caller, None), &world.facts, NOW).unwrap();
    let permit = read();
    let start = world.facts.read_after;
    assert_eq!(permit.send_by(), start + PERMIT_LIFETIME);
    assert_eq!(permit.depart(start), Ok(()));
    assert_eq!(permit.ticket().state(), TicketState::Departed);
    assert_eq!(permit.depart(start), Err(PermitLapsed), "one permit, one departure");

    let late = read();
    assert_eq!(late.depart(start + PERMIT_LIFETIME), Err(PermitLapsed));
    assert_eq!(late.ticket().state(), TicketState::Returned);

    let unused = read();
    let ticket = Arc::clone(unused.ticket());
    drop(unused);
    assert_eq!(ticket.state(), TicketState::Returned);
}

#[test]
fn a_permit_does_not_outlast_its_grant() {
    let mut world = world();
    let lasts = Duration::from_millis(30);
    world.grant().ends_at = Some(NOW + lasts);
    let caller = world.caller(Principal::Customer(world.customer));
    let variable = "temperature".parse().unwrap();
    let permit = authorize_read(&variable, &caller, Title::of(&caller, None), &world.facts, NOW).unwrap();
    assert_eq!(
        permit.send_by(),
        world.facts.read_after + lasts - Duration::from_millis(1)
    );
}
