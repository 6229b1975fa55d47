//! Products as files: shown, compared, applied whole or not at all, and gone back to.

use ostler_core::caller::ProductReach;
use ostler_core::id::ProductId;
use ostler_core::name::Slug;
use ostler_core::product_file::{FileFault, InvalidProductFile, ProductFile};
use ostler_store::{Applied, ApplyError, Listed, Page, ProductRecord, ProductVersionRecord, StoreError};

use super::product_diff::{ProductChange, diff};
use super::{Desk, Effect};

/// What a product file changes, or would change.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductSubmission {
    /// `None`: it does not exist, and nothing was created.
    pub id: Option<ProductId>,
    pub slug: String,
    /// The version that counts once the outcome is what it says.
    pub version: i64,
    pub outcome: ProductOutcome,
    pub changes: Vec<ProductChange>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProductOutcome {
    WouldCreate,
    Created,
    WouldApply,
    Applied,
    /// The file says what is there already.
    Unchanged,
}

#[derive(Debug, thiserror::Error)]
pub enum ProductError {
    #[error("there is no such product within reach")]
    NotFound,
    #[error("only who reaches all products may create one")]
    OutOfReach,
    #[error("a product with this slug exists already")]
    SlugTaken,
    #[error("there is no such version of the product")]
    NoSuchVersion,
    #[error(transparent)]
    Invalid(#[from] InvalidProductFile),
    #[error("the product could not be read or written")]
    Store(#[from] StoreError),
}

impl From<ApplyError> for ProductError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Invalid(faults) => Self::Invalid(faults),
            ApplyError::Store(error) => Self::Store(error),
        }
    }
}

impl Desk<'_> {
    pub async fn products(&self, page: Page<ProductId>) -> Result<Listed<ProductRecord>, ProductError> {
        let reached = match self.reach {
            ProductReach::All => return Ok(self.app.store.products(page).await?),
            ProductReach::Only(reached) => reached,
        };
        let limit = page.limit.max(1) as usize;
        let mut ids = reached.iter().filter(|id| page.after.is_none_or(|after| **id > after));
        let mut items = Vec::new();
        for id in ids.by_ref().take(limit) {
            items.extend(self.app.store.product(*id).await?);
        }
        Ok(Listed {
            items,
            more: ids.next().is_some(),
        })
    }

    pub async fn product(&self, id: ProductId) -> Result<ProductRecord, ProductError> {
        if !self.reaches(id) {
            return Err(ProductError::NotFound);
        }
        self.app.store.product(id).await?.ok_or(ProductError::NotFound)
    }

    pub async fn product_versions(
        &self,
        id: ProductId,
        page: Page<i64>,
    ) -> Result<Listed<ProductVersionRecord>, ProductError> {
        self.product(id).await?;
        Ok(self.app.store.product_versions(id, page).await?)
    }

    pub async fn create_product(&self, file: &ProductFile, effect: Effect) -> Result<ProductSubmission, ProductError> {
        if !self.reaches_all() {
            return Err(ProductError::OutOfReach);
        }
        let slug: Slug = file.check()?.slug;
        let changes = diff(None, file);
        let (id, outcome) = match effect {
            Effect::DryRun => match self.app.store.product_by_slug(&slug).await? {
                Some(_) => return Err(ProductError::SlugTaken),
                None => (None, ProductOutcome::WouldCreate),
            },
            Effect::Apply => {
                let now = self.app.clock.now();
                let created = self.app.store.create_product(file, self.by, now).await?;
                (Some(created.ok_or(ProductError::SlugTaken)?), ProductOutcome::Created)
            }
        };
        Ok(ProductSubmission {
            id,
            slug: file.slug.clone(),
            version: 1,
            outcome,
            changes,
        })
    }

    /// Makes a product what the file says.
    pub async fn change_product(
        &self,
        id: ProductId,
        file: &ProductFile,
        effect: Effect,
    ) -> Result<ProductSubmission, ProductError> {
        let known = self.product(id).await?;
        file.check()?;
        same_slug(&known, file)?;
        let changes = diff(Some(&known.file), file);
        let (version, outcome) = match effect {
            Effect::DryRun if known.file == *file => (known.version, ProductOutcome::Unchanged),
            Effect::DryRun => (known.version + 1, ProductOutcome::WouldApply),
            Effect::Apply => match self.apply(file).await? {
                Applied::Unchanged { version, .. } => (version, ProductOutcome::Unchanged),
                Applied::Changed { version, .. } => (version, ProductOutcome::Applied),
                Applied::Created { .. } => (1, ProductOutcome::Created),
            },
        };
        Ok(ProductSubmission {
            id: Some(id),
            slug: known.file.slug,
            version,
            outcome,
            changes,
        })
    }

    /// Says again what a former version said, as a new version.
    pub async fn revert_product(
        &self,
        id: ProductId,
        version: i64,
        effect: Effect,
    ) -> Result<ProductSubmission, ProductError> {
        self.product(id).await?;
        let file = self
            .app
            .store
            .product_file(id, version)
            .await?
            .ok_or(ProductError::NoSuchVersion)?;
        self.change_product(id, &file, effect).await
    }

    async fn apply(&self, file: &ProductFile) -> Result<Applied, ProductError> {
        Ok(self
            .app
            .store
            .apply_product(file, self.by, self.app.clock.now())
            .await?)
    }
}

/// Hooks, files and addresses know a product by its slug: it stays.
fn same_slug(known: &ProductRecord, file: &ProductFile) -> Result<(), InvalidProductFile> {
    if known.file.slug == file.slug {
        return Ok(());
    }
    let rule = format!("must stay {}: a product keeps its slug", known.file.slug);
    Err(InvalidProductFile(vec![FileFault {
        pointer: "/slug".to_owned(),
        rule,
    }]))
}
