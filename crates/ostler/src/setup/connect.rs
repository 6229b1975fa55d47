//! `ostler connect particle`: from one credential of the maker's to a connected product.
//!
//! Ostler gets a credential of its own with the least rights, the product exactly the hooks that it
//! needs, and an event proves the way round. What an earlier run made is recognised and repaired.
//! The maker's credential is used and forgotten. All that will change is told first.

mod credential;
mod plan;
mod product;
mod round_trip;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use ostler_cli::connection::Connection;
use ostler_cli::staff_api::{Access, StaffApi};
use ostler_particle::setup::SetupRequest;

use super::particle;
use credential::CredentialArgs;
use plan::Plan;
use product::ConnectedProduct;

const PARTICLE: &str = "https://api.particle.io";

#[derive(Debug, Args)]
pub struct ConnectArgs {
    #[command(subcommand)]
    cloud: CloudCommand,
}

#[derive(Debug, Subcommand)]
enum CloudCommand {
    /// Connect a product to Particle's cloud, or repair its connection
    #[command(after_help = "Examples:\n  \
        ostler connect particle --product thermostat --cloud-product 40123 --username me@example.com --password-stdin --dry-run\n  \
        ostler connect particle --product thermostat --cloud-product 40123 --token-file token --yes")]
    Particle(ParticleArgs),
}

#[derive(Debug, Args)]
struct ParticleArgs {
    /// The product's slug at Ostler
    #[arg(long, value_name = "SLUG")]
    product: String,
    /// The product's number or slug at Particle
    #[arg(long, value_name = "ID")]
    cloud_product: String,
    /// Where Particle's API is
    #[arg(long, value_name = "URL", default_value = PARTICLE)]
    base_url: String,
    #[command(flatten)]
    credential: CredentialArgs,
    /// Change nothing; only say what would change
    #[arg(long)]
    dry_run: bool,
    /// Change what there is to change without asking
    #[arg(long)]
    yes: bool,
    /// How long to wait for the test event; the cloud repeats a lost delivery after 30 s
    #[arg(long, value_name = "SECONDS", default_value_t = 45)]
    patience: u64,
    #[command(flatten)]
    connection: Connection,
}

pub async fn run(args: ConnectArgs) -> anyhow::Result<ExitCode> {
    let CloudCommand::Particle(args) = args.cloud;
    let request = SetupRequest {
        base_url: args.base_url.clone(),
        cloud_product: args.cloud_product.clone(),
        credential: args.credential.read()?,
        stored: None,
        hook: None,
    };
    let api = StaffApi::sign_in(&args.connection, Access::Write).await?;
    let product = ConnectedProduct::find(&api, &args.connection.server, &args.product).await?;
    let cloud = particle();
    let plan = Plan::make(&api, &cloud, &product, &request).await?;
    for line in plan.lines() {
        println!("{line}");
    }
    if args.dry_run {
        println!("Nothing was changed.");
        return Ok(ExitCode::SUCCESS);
    }
    if plan.changes_anything() && !args.yes {
        confirm()?;
    }
    plan.carry_out(&api, &cloud, &product, &request).await?;
    let patience = Duration::from_secs(args.patience);
    round_trip::prove(&api, &cloud, &product, &request, patience).await?;
    Ok(ExitCode::SUCCESS)
}

/// Asks the person at the terminal; a script has to say beforehand that it means it.
fn confirm() -> anyhow::Result<()> {
    if !io::stdin().is_terminal() {
        bail!("nothing was changed: nobody is there to be asked; say --yes, or --dry-run to only look");
    }
    eprint!("Go on? [y/N] ");
    io::stderr().flush().context("the terminal cannot be written to")?;
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .context("the terminal cannot be read")?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => bail!("nothing was changed"),
    }
}
