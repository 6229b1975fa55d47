//! Products: declared by files, every version kept, so that any can be shown and gone back to.

use std::sync::Arc;

use ostler_core::id::ProductId;
use ostler_core::name::Slug;
use ostler_core::port::random_bytes;
use ostler_core::product::{Declaration, Product};
use ostler_core::product_file::{InvalidProductFile, ProductFile};
use ostler_core::time::Timestamp;

use crate::Store;
use crate::audit::{Act, Actor};
use crate::error::StoreError;
use crate::page::{Listed, Page};
use crate::product_cache::declaration;
use crate::read_model::Change;
use crate::registration_keys::key_place;
use crate::tx::{Link, Tx, execute, on, row};
use crate::value::{AsJson, Millis, Text};

/// A product as it stands, with the file that declared it.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductRecord {
    pub id: ProductId,
    pub version: i64,
    pub file: ProductFile,
    pub created_at: Timestamp,
    /// When this version was applied, and by whom.
    pub applied_at: Timestamp,
    pub applied_by: String,
}

/// What applying a file did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    Created {
        id: ProductId,
    },
    Changed {
        id: ProductId,
        version: i64,
    },
    /// The file says what is there already: no row was written.
    Unchanged {
        id: ProductId,
        version: i64,
    },
}

impl Applied {
    pub const fn id(&self) -> ProductId {
        match self {
            Self::Created { id } | Self::Changed { id, .. } | Self::Unchanged { id, .. } => *id,
        }
    }
}

/// One version of a product, without its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductVersionRecord {
    pub version: i64,
    pub applied_at: Timestamp,
    pub applied_by: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error(transparent)]
    Invalid(#[from] InvalidProductFile),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ApplyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

macro_rules! product_columns {
    () => {
        "p.product_id, p.version, p.created_at, v.file, v.applied_at, v.applied_by
           FROM product p
           JOIN product_version v ON v.product_id = p.product_id"
    };
}

const BY_ID: &str = concat!(
    "SELECT ",
    product_columns!(),
    " AND v.version = p.version WHERE p.product_id = $1"
);
const BY_SLUG: &str = concat!(
    "SELECT ",
    product_columns!(),
    " AND v.version = p.version WHERE p.slug = $1"
);
const LIST: &str = concat!(
    "SELECT ",
    product_columns!(),
    " AND v.version = p.version
      WHERE p.product_id > COALESCE($1, '') ORDER BY p.product_id LIMIT $2"
);
const VERSION: &str = "SELECT file FROM product_version WHERE product_id = $1 AND version = $2";
/// The newest first.
const VERSIONS: &str = "
    SELECT version, applied_at, applied_by FROM product_version
     WHERE product_id = $1 AND version < COALESCE($2, 9223372036854775807)
     ORDER BY version DESC LIMIT $3";
const INSERT: &str = "
    INSERT INTO product (product_id, slug, version, registration_key, created_at)
    VALUES ($1, $2, 0, $3, $4)
    ON CONFLICT (slug) DO NOTHING";
/// Locks the row on PostgreSQL, so that two who apply at once follow each other.
const NEXT_VERSION: &str = "UPDATE product SET version = version + 1 WHERE product_id = $1 RETURNING version";
const INSERT_VERSION: &str = "
    INSERT INTO product_version (product_id, version, file, applied_at, applied_by)
    VALUES ($1, $2, $3, $4, $5)";

row! {
    struct ProductRow {
        product_id: Text<ProductId>,
        version: i64,
        created_at: Millis,
        file: AsJson<ProductFile>,
        applied_at: Millis,
        applied_by: String,
    }
}

impl From<ProductRow> for ProductRecord {
    fn from(row: ProductRow) -> Self {
        Self {
            id: row.product_id.0,
            version: row.version,
            file: row.file.0,
            created_at: row.created_at.0,
            applied_at: row.applied_at.0,
            applied_by: row.applied_by,
        }
    }
}

impl Store {
    /// Makes a product what the file says, whole or not at all. The slug names the product.
    pub async fn apply_product(&self, file: &ProductFile, by: Actor, now: Timestamp) -> Result<Applied, ApplyError> {
        let declaration = file.check()?;
        let mut tx = self.write(now).await?;
        let (id, created) = match by_slug(tx.link(), &declaration.slug).await? {
            Some(known) if known.file == *file => {
                return Ok(Applied::Unchanged {
                    id: known.id,
                    version: known.version,
                });
            }
            Some(known) => (known.id, false),
            None => create(&mut tx, &self.shared.keys, &declaration.slug, now).await?,
        };
        let version = declare(&mut tx, (id, created), file, declaration, by, now).await?;
        tx.commit().await?;
        Ok(if created {
            Applied::Created { id }
        } else {
            Applied::Changed { id, version }
        })
    }

    /// Declares a product that is new; `None` if its slug is taken. Of many who try at once one does.
    pub async fn create_product(
        &self,
        file: &ProductFile,
        by: Actor,
        now: Timestamp,
    ) -> Result<Option<ProductId>, ApplyError> {
        let declaration = file.check()?;
        let mut tx = self.write(now).await?;
        let (id, created) = create(&mut tx, &self.shared.keys, &declaration.slug, now).await?;
        if !created {
            return Ok(None);
        }
        declare(&mut tx, (id, created), file, declaration, by, now).await?;
        tx.commit().await?;
        Ok(Some(id))
    }

    /// Goes back to what a former version said, by applying it anew; `None` if there is no such
    /// version.
    pub async fn revert_product(
        &self,
        id: ProductId,
        version: i64,
        by: Actor,
        now: Timestamp,
    ) -> Result<Option<Applied>, ApplyError> {
        match self.product_file(id, version).await? {
            Some(file) => self.apply_product(&file, by, now).await.map(Some),
            None => Ok(None),
        }
    }

    pub async fn product(&self, id: ProductId) -> Result<Option<ProductRecord>, StoreError> {
        let mut conn = self.read().await?;
        let row: Option<ProductRow> = on!(conn.link(), |db| sqlx::query_as(BY_ID)
            .bind(Text(id))
            .fetch_optional(&mut *db)
            .await?);
        Ok(row.map(ProductRecord::from))
    }

    pub async fn product_by_slug(&self, slug: &Slug) -> Result<Option<ProductRecord>, StoreError> {
        by_slug(self.read().await?.link(), slug).await
    }

    pub async fn products(&self, page: Page<ProductId>) -> Result<Listed<ProductRecord>, StoreError> {
        let mut conn = self.read().await?;
        let rows: Vec<ProductRow> = on!(conn.link(), |db| sqlx::query_as(LIST)
            .bind(page.after.map(Text))
            .bind(page.rows())
            .fetch_all(&mut *db)
            .await?);
        Ok(Listed::cut(rows.into_iter().map(ProductRecord::from).collect(), &page))
    }

    /// What a version declared, as it was written.
    pub async fn product_file(&self, id: ProductId, version: i64) -> Result<Option<ProductFile>, StoreError> {
        let mut conn = self.read().await?;
        let file: Option<(AsJson<ProductFile>,)> = on!(conn.link(), |db| sqlx::query_as(VERSION)
            .bind(Text(id))
            .bind(version)
            .fetch_optional(&mut *db)
            .await?);
        Ok(file.map(|(AsJson(file),)| file))
    }

    pub async fn product_versions(
        &self,
        id: ProductId,
        page: Page<i64>,
    ) -> Result<Listed<ProductVersionRecord>, StoreError> {
        let mut conn = self.read().await?;
        let rows: Vec<(i64, Millis, String)> = on!(conn.link(), |db| sqlx::query_as(VERSIONS)
            .bind(Text(id))
            .bind(page.after)
            .bind(page.rows())
            .fetch_all(&mut *db)
            .await?);
        let versions = rows
            .into_iter()
            .map(|(version, Millis(applied_at), applied_by)| ProductVersionRecord {
                version,
                applied_at,
                applied_by,
            })
            .collect();
        Ok(Listed::cut(versions, &page))
    }

    /// The parsed product of this version, from memory if it was parsed before.
    pub(crate) async fn product_version(&self, id: ProductId, version: i64) -> Result<Arc<Product>, StoreError> {
        if let Some(product) = self.shared.products.get(id, version) {
            return Ok(product);
        }
        let mut conn = self.read().await?;
        let (file,): (String,) = on!(conn.link(), |db| sqlx::query_as(VERSION)
            .bind(Text(id))
            .bind(version)
            .fetch_one(&mut *db)
            .await?);
        self.shared.products.parsed(id, version, &file)
    }
}

impl ProductRecord {
    /// The product that policy knows.
    pub fn to_product(&self) -> Result<Product, StoreError> {
        let file = serde_json::to_string(&self.file).expect("a product file is JSON");
        Ok(Product {
            id: self.id,
            version: self.version,
            declaration: declaration(&file)?,
        })
    }
}

pub(crate) async fn by_slug(link: Link<'_>, slug: &Slug) -> Result<Option<ProductRecord>, StoreError> {
    let row: Option<ProductRow> = on!(link, |db| sqlx::query_as(BY_SLUG)
        .bind(Text(slug))
        .fetch_optional(&mut *db)
        .await?);
    Ok(row.map(ProductRecord::from))
}

/// Creates the product without a version yet; `false` if another instance was quicker.
async fn create(
    tx: &mut Tx,
    keys: &crate::sealed::MasterKeys,
    slug: &Slug,
    now: Timestamp,
) -> Result<(ProductId, bool), StoreError> {
    let id = ProductId::draw(now, tx.entropy());
    let key: zeroize::Zeroizing<[u8; 32]> = zeroize::Zeroizing::new(random_bytes(tx.entropy()));
    let row = id.to_string();
    let sealed = keys.seal(key_place(&row), key.as_slice(), tx.entropy());
    let inserted = execute!(
        tx.link(),
        sqlx::query(INSERT)
            .bind(Text(id))
            .bind(Text(slug))
            .bind(sealed.as_slice())
            .bind(Millis(now))
    );
    if inserted == 1 {
        return Ok((id, true));
    }
    let known = by_slug(tx.link(), slug).await?;
    known
        .map(|known| (known.id, false))
        .ok_or(StoreError::inconsistent("a slug that is neither free nor taken"))
}

/// Writes the product's next version; says its number.
async fn declare(
    tx: &mut Tx,
    (id, created): (ProductId, bool),
    file: &ProductFile,
    declaration: Declaration,
    by: Actor,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let version = add_version(tx, id, file, by, now).await?;
    let act = if created { "product.create" } else { "product.change" };
    tx.audit(Act::new(act, by).about("product_id", id).about("version", version));
    tx.change(Change::Product(Arc::new(Product {
        id,
        version,
        declaration,
    })));
    Ok(version)
}

async fn add_version(
    tx: &mut Tx,
    id: ProductId,
    file: &ProductFile,
    by: Actor,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let (version,): (i64,) = on!(tx.link(), |db| sqlx::query_as(NEXT_VERSION)
        .bind(Text(id))
        .fetch_one(&mut *db)
        .await?);
    execute!(
        tx.link(),
        sqlx::query(INSERT_VERSION)
            .bind(Text(id))
            .bind(version)
            .bind(AsJson(file))
            .bind(Millis(now))
            .bind(Text(by))
    );
    Ok(version)
}
