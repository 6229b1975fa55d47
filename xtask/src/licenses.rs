//! The licences of everything we link. A crate passes when its SPDX expression can be satisfied with licences that
//! an Apache-2.0 program may ship without opening the maker's own code. `deny.toml` says the same to whoever has
//! cargo-deny; this needs no further tool.

mod spdx;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::checkout::Checkout;
use crate::finding::Finding;

const ALLOWED: [&str; 16] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    // Data, not code: Mozilla's list of certificate authorities.
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    // Weak copyleft per file: changes to such a file would have to be published, linking asks for nothing.
    "MPL-2.0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Prints a table of licences, and returns the crates that may not be shipped.
pub fn findings(checkout: &Checkout) -> Result<Vec<Finding>> {
    let crates = linked_crates(checkout)?;
    let mut by_license: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for linked in &crates {
        by_license.entry(linked.license()).or_default().push(&linked.name);
    }
    for (license, names) in &by_license {
        println!("{:4}  {license}: {}", names.len(), names.join(", "));
    }
    Ok(crates.iter().filter_map(Linked::objection).collect())
}

struct Linked {
    name: String,
    license: Option<String>,
}

impl Linked {
    fn license(&self) -> &str {
        self.license.as_deref().unwrap_or("none given")
    }

    fn objection(&self) -> Option<Finding> {
        let acceptable = self
            .license
            .as_deref()
            .is_some_and(|expression| spdx::is_satisfied(expression, &ALLOWED));
        (!acceptable).then(|| {
            Finding::in_file(
                "Cargo.lock",
                format!("{} is licensed as: {}", self.name, self.license()),
            )
        })
    }
}

/// The crates a build of the workspace really uses: the lock also names those of features nobody turned on.
fn linked_crates(checkout: &Checkout) -> Result<Vec<Linked>> {
    let used = crate::tidy::packages::used(checkout)?;
    let metadata = checkout.output("cargo", &["metadata", "--locked", "--format-version=1"])?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata printed no JSON")?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists packages")?;
    let text = |package: &Value, member: &str| package[member].as_str().map(str::to_owned);
    Ok(packages
        .iter()
        .filter_map(|package| {
            let name = text(package, "name")?;
            let version = text(package, "version")?;
            used.contains(&(name.clone(), version)).then(|| Linked {
                name,
                license: text(package, "license"),
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copyleft_and_silence_are_refused() {
        for (license, refused) in [
            (Some("MIT OR Apache-2.0"), false),
            (Some("GPL-3.0-only"), true),
            (Some("MIT AND AGPL-3.0"), true),
            (None, true),
        ] {
            let linked = Linked {
                name: "x".into(),
                license: license.map(str::to_owned),
            };
            assert_eq!(linked.objection().is_some(), refused, "{license:?}");
        }
    }
}
