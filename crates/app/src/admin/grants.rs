//! Grants by the maker's hand: given to a customer, listed, and ended for good.

use std::collections::BTreeSet;
use std::fmt;

use ostler_core::grant::{Allowance, Grant, GrantSource};
use ostler_core::id::{CommandId, CustomerId, DeviceId, GrantId};
use ostler_core::interval::Interval;
use ostler_core::product::Declaration;
use ostler_core::time::Timestamp;
use ostler_store::{
    DeviceRecord, GrantCreated, GrantEnded, GrantFilter, GrantRecord, GrantVersionRecord, Listed, Page, Said,
    StoreError,
};

use super::Desk;
use super::reach::merged;
use crate::permits::Ended;

/// A grant as it is asked for. Names are judged against what the product declares; `None` is all of
/// them, also those that it will declare later.
#[derive(Debug, Clone)]
pub struct GrantRequest {
    pub customer_id: CustomerId,
    pub device_id: DeviceId,
    pub source: GrantSource,
    pub functions: Option<Vec<String>>,
    pub variables: Option<Vec<String>>,
    pub keys: Option<Vec<String>>,
    /// `None`: from the grant's own start.
    pub history_from: Option<Timestamp>,
    /// `None`: from now.
    pub starts_at: Option<Timestamp>,
    /// `None`: until somebody ends it.
    pub ends_at: Option<Timestamp>,
    pub reason: Option<String>,
}

/// One thing that is wrong with a request, and where (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantFault {
    pub pointer: String,
    pub rule: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} part(s) of the grant cannot be", .0.len())]
pub struct InvalidGrant(pub Vec<GrantFault>);

#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    #[error("there is no such grant within reach")]
    NotFound,
    #[error("there is no such device within reach")]
    NoSuchDevice,
    #[error("there is no such customer")]
    NoSuchCustomer,
    /// P2: the constraint of the database said so.
    #[error("the device has an owner already")]
    OwnedAlready,
    #[error(transparent)]
    Invalid(#[from] InvalidGrant),
    #[error("the grant could not be read or written")]
    Store(#[from] StoreError),
}

/// What is true once the end of a grant has been answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedGrant {
    pub ended_at: Timestamp,
    /// Calls by this grant that had left before; no other will.
    pub in_flight: Vec<CommandId>,
}

impl Desk<'_> {
    pub async fn create_grant(&self, request: GrantRequest) -> Result<GrantRecord, GrantError> {
        let now = self.app.clock.now();
        let declaration = self.declaration_of(request.device_id).await?;
        let said = Said {
            by: self.by,
            reason: request.reason.clone(),
        };
        let id = GrantId::draw(now, &*self.app.entropy);
        let grant = grant(id, request, &declaration, now)?;
        match self.app.store.create_grant(grant, said, now).await? {
            GrantCreated::Created => self.grant(id).await,
            GrantCreated::OwnedAlready => Err(GrantError::OwnedAlready),
            // The device was just there, and devices are never deleted.
            GrantCreated::NobodyOrNothing => Err(GrantError::NoSuchCustomer),
        }
    }

    /// By id, which is by age; ended ones too.
    pub async fn grants(
        &self,
        customer_id: Option<CustomerId>,
        device_id: Option<DeviceId>,
        page: Page<GrantId>,
    ) -> Result<Listed<GrantRecord>, GrantError> {
        let mut pages = Vec::new();
        for product_id in self.lists_to_ask(None) {
            let filter = GrantFilter {
                customer_id,
                device_id,
                product_id,
            };
            pages.push(self.app.store.grants(filter, page).await?);
        }
        Ok(merged(pages, page.limit, |one, other| {
            one.grant.id.cmp(&other.grant.id)
        }))
    }

    pub async fn grant(&self, grant_id: GrantId) -> Result<GrantRecord, GrantError> {
        let record = self.app.store.grant(grant_id).await?.ok_or(GrantError::NotFound)?;
        match self.reached_device(record.grant.device_id).await? {
            Some(_) => Ok(record),
            None => Err(GrantError::NotFound),
        }
    }

    /// A grant with all that was ever said of it, the first version first.
    pub async fn grant_with_versions(
        &self,
        grant_id: GrantId,
    ) -> Result<(GrantRecord, Vec<GrantVersionRecord>), GrantError> {
        let record = self.grant(grant_id).await?;
        Ok((record, self.app.store.grant_versions(grant_id).await?))
    }

    /// Ends a grant. When this has answered, no call by it leaves any more (P1).
    ///
    /// Ended before: the time of the first end stands, and the wait is the same, for the answer to
    /// the first may have been lost.
    pub async fn end_grant(&self, grant_id: GrantId, reason: Option<String>) -> Result<EndedGrant, GrantError> {
        self.grant(grant_id).await?;
        let said = Said { by: self.by, reason };
        let ended_at = match self.app.store.end_grant(grant_id, said, self.app.clock.now()).await? {
            GrantEnded::Ended { at, .. } | GrantEnded::EndedBefore { at } => at,
            GrantEnded::Unknown => return Err(GrantError::NotFound),
        };
        let in_flight = self.app.permits.drain(Ended::Grant(grant_id), &*self.app.clock).await;
        Ok(EndedGrant { ended_at, in_flight })
    }

    async fn declaration_of(&self, device_id: DeviceId) -> Result<Declaration, GrantError> {
        let device = self.reached_device(device_id).await?.ok_or(GrantError::NoSuchDevice)?;
        let product = self
            .app
            .store
            .product(device.product_id)
            .await?
            .ok_or(GrantError::NoSuchDevice)?;
        Ok(product.to_product()?.declaration)
    }

    async fn reached_device(&self, device_id: DeviceId) -> Result<Option<DeviceRecord>, StoreError> {
        Ok(self
            .app
            .store
            .device(device_id)
            .await?
            .filter(|device| self.reaches(device.product_id)))
    }
}

/// The whole request is judged; every fault is named.
fn grant(id: GrantId, request: GrantRequest, declaration: &Declaration, now: Timestamp) -> Result<Grant, InvalidGrant> {
    let mut faults = Vec::new();
    let functions = declared(
        "/functions",
        request.functions,
        declaration.functions.keys(),
        &mut faults,
    );
    let variables = declared(
        "/variables",
        request.variables,
        declaration.variables.keys(),
        &mut faults,
    );
    let keys = declared(
        "/keys",
        request.keys,
        declaration.keys().map(|mapping| &mapping.key),
        &mut faults,
    );
    let starts_at = request.starts_at.unwrap_or(now);
    if request.ends_at.is_some_and(|ends_at| ends_at <= starts_at) {
        faults.push(GrantFault {
            pointer: "/ends_at".to_owned(),
            rule: "must be after `starts_at`",
        });
    }
    if !faults.is_empty() {
        return Err(InvalidGrant(faults));
    }
    Ok(Grant {
        id,
        version: 1,
        customer_id: request.customer_id,
        device_id: request.device_id,
        source: request.source,
        functions,
        variables,
        keys,
        history: Interval::new(request.history_from.unwrap_or(starts_at), Timestamp::MAX),
        starts_at,
        ends_at: request.ends_at,
    })
}

/// A name that nothing declares would be a right that begins with some later version of the
/// product, unseen.
fn declared<'a, T: Ord + Clone + fmt::Display + 'a>(
    pointer: &str,
    names: Option<Vec<String>>,
    known: impl Iterator<Item = &'a T>,
    faults: &mut Vec<GrantFault>,
) -> Allowance<T> {
    let Some(names) = names else { return Allowance::All };
    let known: BTreeSet<&T> = known.collect();
    let mut granted = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        match known.iter().find(|each| each.to_string() == *name) {
            Some(known) => {
                granted.insert((*known).clone());
            }
            None => {
                let rule = "must be one that the product declares";
                faults.push(GrantFault {
                    pointer: format!("{pointer}/{index}"),
                    rule,
                });
            }
        }
    }
    Allowance::Only(granted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::port::Entropy;
    use ostler_core::product_file::ProductFile;

    struct Repeating;
    impl Entropy for Repeating {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    const NOW: Timestamp = Timestamp::from_millis(1_900_000_000_000);

    fn declaration() -> Declaration {
        let file = r#"
            slug = "thermostat"
            name = "Thermostat"
            functions = [{ name = "setTarget", argument = { type = "none" } }]
            variables = [{ name = "temperature", type = "double" }]
            [[telemetry]]
            event = "t/state"
            keys = [{ key = "temperature", pointer = "/t", type = "number" }]
        "#;
        ProductFile::from_toml(file).unwrap().check().unwrap()
    }

    fn request() -> GrantRequest {
        GrantRequest {
            customer_id: CustomerId::draw(NOW, &Repeating),
            device_id: DeviceId::draw(NOW, &Repeating),
            source: GrantSource::Staff,
            functions: Some(vec!["setTarget".into()]),
            variables: None,
            keys: None,
            history_from: None,
            starts_at: None,
            ends_at: None,
            reason: None,
        }
    }

    fn judged(request: GrantRequest) -> Result<Grant, InvalidGrant> {
        grant(GrantId::draw(NOW, &Repeating), request, &declaration(), NOW)
    }

    #[test]
    fn what_is_left_out_begins_now_and_covers_all() {
        let grant = judged(request()).unwrap();
        assert_eq!((grant.starts_at, grant.ends_at), (NOW, None));
        assert_eq!(grant.history, Interval::new(NOW, Timestamp::MAX));
        assert_eq!((grant.variables, grant.keys), (Allowance::All, Allowance::All));
        assert_eq!(grant.functions, Allowance::Only(["setTarget".parse().unwrap()].into()));
    }

    #[test]
    fn every_fault_is_named_with_its_place() {
        let faults = judged(GrantRequest {
            functions: Some(vec!["setTarget".into(), "unlock".into()]),
            variables: Some(vec!["humidity".into()]),
            keys: Some(vec!["t/state".into()]),
            ends_at: Some(NOW),
            ..request()
        });
        let pointers: Vec<_> = faults.unwrap_err().0.into_iter().map(|fault| fault.pointer).collect();
        assert_eq!(pointers, ["/functions/1", "/variables/0", "/keys/0", "/ends_at"]);
    }

    #[test]
    fn granting_nothing_is_not_granting_all() {
        let grant = judged(GrantRequest {
            functions: Some(Vec::new()),
            ..request()
        })
        .unwrap();
        assert_eq!(grant.functions, Allowance::Only(BTreeSet::new()));
    }
}
