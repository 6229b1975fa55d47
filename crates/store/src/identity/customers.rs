//! Customers' accounts.

use std::collections::BTreeSet;

use ostler_core::email::EmailAddress;
use ostler_core::id::{CustomerId, ProductId};
use ostler_core::time::Timestamp;

use super::Created;
use super::ending::{EndReason, Of, end_families, end_sessions};
use crate::Store;
use crate::audit::{Act, Actor};
use crate::dialect::{Pair, json_rows};
use crate::error::StoreError;
use crate::grants::{Said, end_grants_of};
use crate::page::{Listed, Page};
use crate::read_model::{Change, TokensOf};
use crate::tx::{execute, on, row};
use crate::value::{AsJson, Millis, Text};

#[derive(Debug, Clone)]
pub struct NewCustomer {
    pub id: CustomerId,
    pub email: EmailAddress,
    pub name: Option<String>,
    pub password_hash: Option<String>,
    pub products: BTreeSet<ProductId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerRecord {
    pub id: CustomerId,
    /// `None` once the account has been erased.
    pub email: Option<EmailAddress>,
    pub name: Option<String>,
    pub created_at: Timestamp,
    pub locked_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
}

/// What a sign-in is judged by.
#[derive(Clone)]
pub struct CustomerCredentials {
    pub id: CustomerId,
    pub password_hash: Option<String>,
    /// Neither locked nor closed.
    pub may_sign_in: bool,
}

macro_rules! columns {
    () => {
        "customer_id, email, name, created_at, locked_at, closed_at"
    };
}

const BY_ID: &str = concat!("SELECT ", columns!(), " FROM customer WHERE customer_id = $1");
const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM customer WHERE customer_id > COALESCE($1, '') ORDER BY customer_id LIMIT $2"
);
const CREDENTIALS: &str = "
    SELECT customer_id, password_hash, locked_at, closed_at FROM customer WHERE email = $1";
const INSERT: &str = "
    INSERT INTO customer (customer_id, email, name, password_hash, created_at)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (email) DO NOTHING";
const INSERT_PRODUCTS: Pair = json_rows!(
    "INSERT INTO customer_product (customer_id, product_id) SELECT $2, value->>0 FROM ",
    ""
);
const PRODUCTS: &str = "SELECT product_id FROM customer_product WHERE customer_id = $1 ORDER BY product_id";
const CLOSE: &str = "UPDATE customer SET closed_at = $2 WHERE customer_id = $1 AND closed_at IS NULL";

row! {
    struct CustomerRow {
        customer_id: Text<CustomerId>,
        email: Option<Text<EmailAddress>>,
        name: Option<String>,
        created_at: Millis,
        locked_at: Option<Millis>,
        closed_at: Option<Millis>,
    }
}

row! {
    struct CredentialsRow {
        customer_id: Text<CustomerId>,
        password_hash: Option<String>,
        locked_at: Option<i64>,
        closed_at: Option<i64>,
    }
}

impl From<CustomerRow> for CustomerRecord {
    fn from(row: CustomerRow) -> Self {
        Self {
            id: row.customer_id.0,
            email: row.email.map(|Text(email)| email),
            name: row.name,
            created_at: row.created_at.0,
            locked_at: row.locked_at.map(|Millis(at)| at),
            closed_at: row.closed_at.map(|Millis(at)| at),
        }
    }
}

impl Store {
    pub async fn create_customer(&self, new: &NewCustomer, by: Actor, now: Timestamp) -> Result<Created, StoreError> {
        let mut tx = self.write(now).await?;
        let created = execute!(
            tx.link(),
            sqlx::query(INSERT)
                .bind(Text(new.id))
                .bind(Text(&new.email))
                .bind(&new.name)
                .bind(&new.password_hash)
                .bind(Millis(now))
        );
        if created == 0 {
            return Ok(Created::Taken);
        }
        let rows: Vec<_> = new.products.iter().map(|product_id| (product_id,)).collect();
        let sql = INSERT_PRODUCTS.of(tx.link().dialect());
        execute!(tx.link(), sqlx::query(sql).bind(AsJson(&rows)).bind(Text(new.id)));
        let detail = serde_json::json!({ "email": new.email.as_str() });
        tx.audit(
            Act::new("customer.create", by)
                .about("customer_id", new.id)
                .with_detail(Some(new.id), &detail),
        );
        tx.commit().await?;
        Ok(Created::Created)
    }

    pub async fn customer(&self, id: CustomerId) -> Result<Option<CustomerRecord>, StoreError> {
        let mut conn = self.read().await?;
        let row: Option<CustomerRow> = on!(conn.link(), |db| sqlx::query_as(BY_ID)
            .bind(Text(id))
            .fetch_optional(&mut *db)
            .await?);
        Ok(row.map(CustomerRecord::from))
    }

    /// The products that the account belongs to.
    pub async fn customer_products(&self, id: CustomerId) -> Result<BTreeSet<ProductId>, StoreError> {
        let mut conn = self.read().await?;
        let rows: Vec<(Text<ProductId>,)> = on!(conn.link(), |db| sqlx::query_as(PRODUCTS)
            .bind(Text(id))
            .fetch_all(&mut *db)
            .await?);
        Ok(rows.into_iter().map(|(Text(product_id),)| product_id).collect())
    }

    pub async fn customers(&self, page: Page<CustomerId>) -> Result<Listed<CustomerRecord>, StoreError> {
        let mut conn = self.read().await?;
        let rows: Vec<CustomerRow> = on!(conn.link(), |db| sqlx::query_as(LIST)
            .bind(page.after.map(Text))
            .bind(page.rows())
            .fetch_all(&mut *db)
            .await?);
        Ok(Listed::cut(rows.into_iter().map(CustomerRecord::from).collect(), &page))
    }

    pub async fn customer_credentials(&self, email: &EmailAddress) -> Result<Option<CustomerCredentials>, StoreError> {
        let mut conn = self.read().await?;
        let row: Option<CredentialsRow> = on!(conn.link(), |db| sqlx::query_as(CREDENTIALS)
            .bind(Text(email))
            .fetch_optional(&mut *db)
            .await?);
        Ok(row.map(|row| CustomerCredentials {
            id: row.customer_id.0,
            password_hash: row.password_hash,
            may_sign_in: row.locked_at.is_none() && row.closed_at.is_none(),
        }))
    }

    /// Closes an account and ends its sessions and tokens. Closing one that is closed changes
    /// nothing; `false` if there is no such customer.
    pub async fn close_customer(&self, id: CustomerId, by: Actor, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.write(now).await?;
        let closed = execute!(tx.link(), sqlx::query(CLOSE).bind(Text(id)).bind(Millis(now)));
        if closed == 1 {
            end_families(tx.link(), Of::Customer(id), EndReason::AccountEnded, now).await?;
            end_sessions(tx.link(), id).await?;
            let said = Said {
                by,
                reason: Some(EndReason::AccountEnded.as_str().to_owned()),
            };
            end_grants_of(&mut tx, id, &said, now).await?;
            tx.change(Change::TokensEnded(TokensOf::Customer(id)));
            tx.audit(Act::new("customer.close", by).about("customer_id", id));
            tx.commit().await?;
            return Ok(true);
        }
        drop(tx);
        Ok(self.customer(id).await?.is_some())
    }
}
