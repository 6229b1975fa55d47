//! The binary `ostler`: reads the command line, wires the parts together, sets the exit status.
//!
//! 0: done. 1: it failed, and why stands on stderr. 2: the command line was wrong.

mod commands;
mod demo;
mod exit;
mod house;
mod keys;
mod maintenance;
mod serve;
mod setup;
mod simulator;
mod terminal;

use std::io;
use std::num::NonZero;
use std::process::ExitCode;
use std::thread;

use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use crate::commands::{Cli, Command};

/// A call allocates some hundred times, half of them freed by another thread or larger than glibc
/// likes; it spent a sixth of its CPU on that (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Exactly one provider of cryptography, chosen before anything could choose another.
    let installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    debug_assert!(installed.is_ok(), "nothing ran before");
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(&anyhow::Error::new(error).context("the runtime cannot start")),
    };
    match runtime.block_on(run(cli)) {
        Ok(code) => code,
        Err(error) => exit::report(&error),
    }
}

/// On one core there is nobody to share tasks with: without the means for it a call takes 7 % less CPU
/// (docs/performance.md).
fn runtime() -> io::Result<Runtime> {
    let mut builder = match thread::available_parallelism() {
        Ok(NonZero::<usize>::MIN) => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.enable_all().build()
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Demo(args) => demo::run(args).await,
        Command::Serve(args) => serve::run(&args).await,
        Command::Sim(args) => simulator::run(args).await,
        Command::Init(args) => setup::init(&args).await,
        Command::Check(args) => setup::check(&args).await,
        Command::Migrate(args) => maintenance::migrate(&args).await,
        Command::Backup(args) => maintenance::backup(&args).await,
        Command::Restore(args) => maintenance::restore(&args).await,
        Command::Audit(args) => maintenance::audit(&args).await,
        Command::Openapi => maintenance::openapi(),
        Command::Product(command) => {
            command.run(&mut std::io::stdout()).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Connect(args) => setup::connect(args).await,
    }
}
