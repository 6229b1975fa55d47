//! The rules of the house that neither compiler nor clippy knows. Each rule is a function from texts to findings;
//! this module only gathers them.

pub mod documents;
pub mod manifests;
pub mod migrations;
pub mod packages;
pub mod sources;

use anyhow::Result;

use crate::checkout::Checkout;
use crate::finding::Finding;

pub fn findings(checkout: &Checkout) -> Result<Vec<Finding>> {
    let texts = checkout.texts()?;
    let mut findings = manifests::findings(&texts)?;
    findings.extend(packages::findings(&packages::used(checkout)?));
    findings.extend(migrations::findings(&texts)?);
    findings.extend(sources::findings(&texts));
    findings.extend(documents::findings(&texts));
    findings.sort();
    Ok(findings)
}
