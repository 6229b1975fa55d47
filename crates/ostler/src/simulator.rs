//! `ostler sim`: the simulated Particle cloud alone, for people who build against the vendor's API.

use std::process::ExitCode;

use anyhow::Context as _;
use ostler_sim::{Sim, SimConfig};

use crate::commands::SimArgs;
use crate::terminal;

pub async fn run(args: SimArgs) -> anyhow::Result<ExitCode> {
    let stopping = terminal::stop_on_signal()?;
    let config = SimConfig {
        listen: args.listen,
        seed: args.seed,
        thermostats: args.devices,
        vehicles: args.vehicles,
        state_file: args.state,
        ..SimConfig::default()
    };
    let sim = Sim::start(config).await.context("the simulated cloud cannot start")?;
    tell(&sim);
    stopping.cancelled().await;
    sim.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// On stdout: whoever started it needs the credentials, and nobody else sees them.
fn tell(sim: &Sim) {
    let facts = sim.handle().facts();
    println!("Simulated Particle cloud on {}", sim.base_url());
    println!("Account  {} / {}", facts.username, facts.password);
    for product in &facts.products {
        println!(
            "Product  {} ({})  client {} / {}",
            product.slug, product.id, product.client_id, product.client_secret
        );
    }
    println!("Devices  {}", facts.devices.len());
}
