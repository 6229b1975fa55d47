//! Policy: one pure function of facts and time for each kind of act.
//!
//! It fetches nothing. A yes is a [`CallPermit`] or [`ReadPermit`], which only this module can
//! make; a no names the rule. Whoever has no grant on a device gets [`Denied::NoGrant`] whatever
//! else may be wrong, so that a device that exists and one that does not answer alike (P8).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::caller::{Caller, Principal};
use crate::contract::{ArgumentFault, CallerKind, FunctionContract};
use crate::grant::Grant;
use crate::id::{CloudDeviceId, CustomerId, DeviceId, GrantId, ProductId};
use crate::interval::{Interval, IntervalSet};
use crate::name::{FunctionName, TelemetryKey, VariableName};
use crate::permit::{Clearance, PERMIT_LIFETIME};
use crate::product::Product;
use crate::time::Timestamp;

pub use crate::permit::{CallPermit, PermitLapsed, ReadPermit, Ticket, TicketState};

/// Everything that a decision about one device rests on, as read at one instant.
#[derive(Debug, Clone)]
pub struct Facts {
    /// `None`: no such device.
    pub device: Option<DeviceFacts>,
    /// The present versions of the customer's grants on this device, in force or not.
    pub grants: Vec<Arc<Grant>>,
    /// When the function asked for was last called on this device, by anybody.
    pub last_called_at: Option<Timestamp>,
    /// Taken before the facts were read, and before the `now` by which they are judged: `send_by`
    /// counts from here.
    pub read_after: Instant,
}

#[derive(Debug, Clone)]
pub struct DeviceFacts {
    pub id: DeviceId,
    pub cloud_device_id: CloudDeviceId,
    pub product: Arc<Product>,
    pub quarantined: bool,
    pub presence: Presence,
}

/// What the device cloud last said about the device's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Unknown,
    Online,
    Offline,
}

/// In whose name an act is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Title {
    Customer(CustomerId),
    /// The maker's own staff and machines, within the products they reach.
    Maker,
}

impl Title {
    /// A customer acts in no other name; staff and machines may ask to be judged as a customer.
    pub fn of(caller: &Caller, on_behalf_of: Option<CustomerId>) -> Self {
        match (&caller.who, on_behalf_of) {
            (Principal::Customer(customer_id), _) => Self::Customer(*customer_id),
            (Principal::Machine { .. } | Principal::Staff { .. }, Some(customer_id)) => Self::Customer(customer_id),
            (Principal::Machine { .. } | Principal::Staff { .. }, None) => Self::Maker,
        }
    }
}

/// By what right something was allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    Grant { id: GrantId, version: i64 },
    Maker,
}

impl Right {
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Grant { .. } => "grant",
            Self::Maker => "staff",
        }
    }

    pub const fn grant_id(self) -> Option<GrantId> {
        match self {
            Self::Grant { id, .. } => Some(id),
            Self::Maker => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Denied {
    #[error("there is no grant on such a device")]
    NoGrant,
    #[error("the function is not among those granted")]
    FunctionNotGranted,
    #[error("the variable is not among those granted")]
    VariableNotGranted,
    #[error("the device is quarantined")]
    Quarantined,
    #[error("the argument {0}")]
    ArgumentNotAllowed(ArgumentFault),
    #[error("the function is cooling down")]
    CoolingDown { until: Timestamp },
}

impl Denied {
    /// The rule's name, as commands and problem documents say it.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::NoGrant => "not-found",
            Self::FunctionNotGranted | Self::VariableNotGranted => "function-not-granted",
            Self::Quarantined => "condition-not-met",
            Self::ArgumentNotAllowed(_) => "argument-not-allowed",
            Self::CoolingDown { .. } => "cooling-down",
        }
    }
}

/// One function call as somebody asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionCall {
    pub device_id: DeviceId,
    pub function: FunctionName,
    /// Shared by all that is kept of the call.
    pub argument: Arc<str>,
}

/// May `title` make this call now?
pub fn authorize_call(
    call: &FunctionCall,
    caller: &Caller,
    title: Title,
    facts: &Facts,
    now: Timestamp,
) -> Result<CallPermit, Denied> {
    let device = reachable_device(caller, facts)?;
    let holder = Holder::of(title, facts, now)?;
    let contract = device.product.declaration.functions.get(&call.function);
    let contract = contract.ok_or(Denied::FunctionNotGranted)?;
    let right = holder.right_to_call(contract).ok_or(Denied::FunctionNotGranted)?;
    if device.quarantined {
        return Err(Denied::Quarantined);
    }
    contract.check(&call.argument).map_err(Denied::ArgumentNotAllowed)?;
    check_cool_down(contract, facts.last_called_at, now)?;
    Ok(CallPermit::new(
        clearance(device, right, facts, now),
        call.clone(),
        contract.cool_down,
    ))
}

/// May `title` read this variable from the device now?
pub fn authorize_read(
    variable: &VariableName,
    caller: &Caller,
    title: Title,
    facts: &Facts,
    now: Timestamp,
) -> Result<ReadPermit, Denied> {
    let device = reachable_device(caller, facts)?;
    let holder = Holder::of(title, facts, now)?;
    if !device.product.declaration.variables.contains_key(variable) {
        return Err(Denied::VariableNotGranted);
    }
    let right = holder.right_by(|grant| grant.variables.covers(variable));
    let right = right.ok_or(Denied::VariableNotGranted)?;
    if device.quarantined {
        return Err(Denied::Quarantined);
    }
    Ok(ReadPermit::new(clearance(device, right, facts, now), variable.clone()))
}

/// What may be seen of a device, by whom it is seen.
#[derive(Debug, Clone)]
pub struct DeviceSight {
    holder: Holder,
}

/// May `title` see this device at all, and how far?
pub fn authorize_sight(caller: &Caller, title: Title, facts: &Facts, now: Timestamp) -> Result<DeviceSight, Denied> {
    reachable_device(caller, facts)?;
    Ok(DeviceSight {
        holder: Holder::of(title, facts, now)?,
    })
}

impl DeviceSight {
    pub fn may_call(&self, contract: &FunctionContract) -> bool {
        self.holder.right_to_call(contract).is_some()
    }

    pub fn may_read(&self, variable: &VariableName) -> bool {
        self.holder.right_by(|grant| grant.variables.covers(variable)).is_some()
    }

    pub fn may_see_key(&self, key: &TelemetryKey) -> bool {
        self.holder.right_by(|grant| grant.keys.covers(key)).is_some()
    }

    /// The times whose points of `key` may be seen: the windows of all grants that cover it.
    pub fn history_of(&self, key: &TelemetryKey) -> IntervalSet {
        self.windows(|grant| grant.keys.covers(key))
    }

    /// The times whose raw events may be seen. An event holds everything a device said, so only
    /// a grant for all keys shows it.
    pub fn history_of_events(&self) -> IntervalSet {
        self.windows(|grant| grant.keys == crate::grant::Allowance::All)
    }

    /// The grants in force by which a customer sees the device; none for the maker.
    pub fn grants(&self) -> &[Arc<Grant>] {
        match &self.holder {
            Holder::Grants(grants) => grants,
            Holder::Maker => &[],
        }
    }

    fn windows(&self, covers: impl Fn(&Grant) -> bool) -> IntervalSet {
        match &self.holder {
            Holder::Maker => [Interval::ALWAYS].into_iter().collect(),
            Holder::Grants(grants) => grants
                .iter()
                .filter(|grant| covers(grant))
                .map(|grant| grant.visible_history())
                .collect(),
        }
    }
}

/// By what somebody holds the device now.
#[derive(Debug, Clone)]
enum Holder {
    Maker,
    /// At least one grant, each in force.
    Grants(Vec<Arc<Grant>>),
}

impl Holder {
    fn of(title: Title, facts: &Facts, now: Timestamp) -> Result<Self, Denied> {
        match title {
            Title::Maker => Ok(Self::Maker),
            Title::Customer(customer_id) => {
                let in_force = |grant: &&Arc<Grant>| grant.customer_id == customer_id && grant.is_in_force(now);
                let grants: Vec<_> = facts.grants.iter().filter(in_force).cloned().collect();
                if grants.is_empty() {
                    Err(Denied::NoGrant)
                } else {
                    Ok(Self::Grants(grants))
                }
            }
        }
    }

    fn right_to_call(&self, contract: &FunctionContract) -> Option<Right> {
        match self {
            Self::Maker => contract.callers.contains(&CallerKind::Staff).then_some(Right::Maker),
            Self::Grants(_) => self.right_by(|grant| {
                grant.functions.covers(&contract.name) && contract.callers.contains(&CallerKind::from(grant.source))
            }),
        }
    }

    /// The first grant that covers; the maker's own need none.
    fn right_by(&self, covers: impl Fn(&Grant) -> bool) -> Option<Right> {
        match self {
            Self::Maker => Some(Right::Maker),
            Self::Grants(grants) => grants.iter().find(|grant| covers(grant)).map(|grant| Right::Grant {
                id: grant.id,
                version: grant.version,
            }),
        }
    }
}

fn reachable_device<'f>(caller: &Caller, facts: &'f Facts) -> Result<&'f DeviceFacts, Denied> {
    let device = facts.device.as_ref().ok_or(Denied::NoGrant)?;
    match caller.reach() {
        Some(reach) if !reach.covers(device.product.id) => Err(Denied::NoGrant),
        Some(_) | None => Ok(device),
    }
}

fn check_cool_down(
    contract: &FunctionContract,
    last_called_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Denied> {
    match last_called_at.map(|last| last + contract.cool_down) {
        Some(until) if contract.cool_down > Duration::ZERO && now < until => Err(Denied::CoolingDown { until }),
        Some(_) | None => Ok(()),
    }
}

/// A permit lasts no longer than the right it rests on.
fn clearance(device: &DeviceFacts, right: Right, facts: &Facts, now: Timestamp) -> Clearance {
    let grant = facts.grants.iter().find(|grant| right.grant_id() == Some(grant.id));
    // `now` was read after `read_after`, and tells whole milliseconds: the one begun counts as gone.
    let right_lasts = grant.map_or(PERMIT_LIFETIME, |grant| {
        grant.validity().to.since(now).saturating_sub(Duration::from_millis(1))
    });
    Clearance {
        product_id: device.product.id,
        cloud_device_id: device.cloud_device_id.clone(),
        right,
        send_by: facts.read_after + PERMIT_LIFETIME.min(right_lasts),
        ticket: Arc::default(),
    }
}

impl Facts {
    pub fn product_id(&self) -> Option<ProductId> {
        self.device.as_ref().map(|device| device.product.id)
    }
}

#[cfg(test)]
mod tests;
