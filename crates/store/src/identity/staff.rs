//! Staff: a table of their own, which no customer is ever looked up in.

use std::collections::BTreeSet;

use ostler_core::caller::ProductReach;
use ostler_core::email::EmailAddress;
use ostler_core::id::{ProductId, StaffId};
use ostler_core::staff::StaffRole;
use ostler_core::time::Timestamp;

use super::Created;
use super::clients::{reach, reach_column};
use crate::Store;
use crate::audit::{Act, Actor};
use crate::error::StoreError;
use crate::tx::{execute, on, row};
use crate::value::{AsJson, Millis, Text};

#[derive(Debug, Clone)]
pub struct NewStaff {
    pub id: StaffId,
    pub email: EmailAddress,
    pub name: Option<String>,
    pub password_hash: String,
    pub role: StaffRole,
    pub products: ProductReach,
}

/// A staff member with what a sign-in is judged by.
#[derive(Clone)]
pub struct StaffRecord {
    pub id: StaffId,
    pub role: StaffRole,
    pub products: ProductReach,
    pub password_hash: String,
    pub ended_at: Option<Timestamp>,
}

const BY_EMAIL: &str = "SELECT staff_id, role, products, password_hash, ended_at FROM staff WHERE email = $1";
const INSERT: &str = "
    INSERT INTO staff (staff_id, email, name, password_hash, role, products, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (email) DO NOTHING";

row! {
    struct StaffRow {
        staff_id: Text<StaffId>,
        role: Text<StaffRole>,
        products: Option<AsJson<BTreeSet<ProductId>>>,
        password_hash: String,
        ended_at: Option<Millis>,
    }
}

impl Store {
    pub async fn create_staff(&self, new: &NewStaff, by: Actor, now: Timestamp) -> Result<Created, StoreError> {
        let mut tx = self.write(now).await?;
        let created = execute!(
            tx.link(),
            sqlx::query(INSERT)
                .bind(Text(new.id))
                .bind(Text(&new.email))
                .bind(&new.name)
                .bind(&new.password_hash)
                .bind(Text(new.role))
                .bind(reach_column(&new.products))
                .bind(Millis(now))
        );
        if created == 0 {
            return Ok(Created::Taken);
        }
        tx.audit(
            Act::new("staff.create", by)
                .about("staff_id", new.id)
                .about("role", new.role),
        );
        tx.commit().await?;
        Ok(Created::Created)
    }

    pub async fn staff_by_email(&self, email: &EmailAddress) -> Result<Option<StaffRecord>, StoreError> {
        let mut conn = self.read().await?;
        let row: Option<StaffRow> = on!(conn.link(), |db| sqlx::query_as(BY_EMAIL)
            .bind(Text(email))
            .fetch_optional(&mut *db)
            .await?);
        Ok(row.map(|row| StaffRecord {
            id: row.staff_id.0,
            role: row.role.0,
            products: reach(row.products),
            password_hash: row.password_hash,
            ended_at: row.ended_at.map(|Millis(at)| at),
        }))
    }
}
