//! `ostler product export | diff | apply`: a product as a file under version control.
//!
//! The file is turned into JSON as it stands and judged by the server alone: there is one set of
//! rules, and its faults point into the file.

mod render;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::connection::Connection;
use crate::failure::Failure;
use crate::staff_api::{Access, StaffApi, json};

#[derive(Debug, Clone, Subcommand)]
pub enum ProductCommand {
    /// Write a product's file, as it counts now, to standard output
    #[command(after_help = "Example:\n  ostler product export thermostat > thermostat.toml")]
    Export(ExportArgs),
    /// Say what applying a file would change
    #[command(after_help = "Example:\n  ostler product diff thermostat.toml")]
    Diff(DiffArgs),
    /// Create the product that a file declares, or bring it to what the file says
    #[command(
        after_help = "Examples:\n  ostler product apply --dry-run thermostat.toml\n  ostler product apply thermostat.toml"
    )]
    Apply(ApplyArgs),
}

#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// The product's slug or id
    product: String,
    /// Write the server's answer in JSON, which can be sent back as it is, instead of TOML
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Args)]
pub struct DiffArgs {
    /// The product file (TOML)
    file: PathBuf,
    /// Exit with status 1 if there is a difference
    #[arg(long)]
    check: bool,
    /// Write the server's answer instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Args)]
pub struct ApplyArgs {
    /// The product file (TOML)
    file: PathBuf,
    /// Change nothing; only say what would change
    #[arg(long)]
    dry_run: bool,
    /// Write the server's answer instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    DryRun,
    Apply,
}

impl Effect {
    const fn query(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::DryRun => &[("dry_run", "true")],
            Self::Apply => &[],
        }
    }
}

impl ProductCommand {
    /// Runs the command; results go to `out`.
    pub async fn run(self, out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Self::Export(args) => export(args, out).await,
            Self::Diff(args) => diff(args, out).await,
            Self::Apply(args) => apply(args, out).await,
        }
    }
}

async fn export(args: ExportArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let api = StaffApi::sign_in(&args.connection, Access::Read).await?;
    let id = find(&api, &args.product)
        .await?
        .ok_or(Failure::NoSuchProduct(args.product))?;
    if args.json {
        let product = json(api.get(&["products", &id]).await?).await?;
        return write_json(out, &product);
    }
    let response = api.get(&["products", &id, "export"]).await?;
    let status = response.status().as_u16();
    let text = response.text().await.map_err(|_| Failure::Unreadable { status })?;
    Ok(out.write_all(text.as_bytes())?)
}

async fn diff(args: DiffArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let file = read_file(&args.file)?;
    let answer = submit(&args.connection, &file, Effect::DryRun).await?;
    if args.json {
        write_json(out, &answer)?;
    } else {
        out.write_all(render::changes(&answer).as_bytes())?;
    }
    if args.check && render::has_changes(&answer) {
        Err(Failure::Differs)
    } else {
        Ok(())
    }
}

async fn apply(args: ApplyArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let file = read_file(&args.file)?;
    let effect = if args.dry_run { Effect::DryRun } else { Effect::Apply };
    let answer = submit(&args.connection, &file, effect).await?;
    if args.json {
        return write_json(out, &answer);
    }
    out.write_all(render::changes(&answer).as_bytes())?;
    Ok(writeln!(out, "{}", render::verdict(&answer))?)
}

/// Creates the product if its slug is new, otherwise applies the file to it.
async fn submit(connection: &Connection, file: &Value, effect: Effect) -> Result<Value, Failure> {
    let api = StaffApi::sign_in(connection, Access::Write).await?;
    let slug = file["slug"].as_str().unwrap_or_default();
    match find(&api, slug).await? {
        Some(id) => api.put(&["products", &id], effect.query(), file).await,
        None => api.post(&["products"], effect.query(), file).await,
    }
}

/// The id of the product with this slug or id.
async fn find(api: &StaffApi, product: &str) -> Result<Option<String>, Failure> {
    let products = api.list(&["products"]).await?;
    let found = products
        .iter()
        .find(|each| each["slug"] == product || each["id"] == product);
    Ok(found.and_then(|each| each["id"].as_str()).map(str::to_owned))
}

fn read_file(path: &Path) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(path).map_err(|source| Failure::File {
        path: path.to_owned(),
        source,
    })?;
    toml::from_str(&text).map_err(|source| Failure::Toml {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

fn write_json(out: &mut dyn Write, value: &Value) -> Result<(), Failure> {
    Ok(writeln!(out, "{value:#}")?)
}
