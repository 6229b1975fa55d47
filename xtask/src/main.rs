//! What CI does beyond compiling and testing, made to run at home: `cargo xtask check`, `tidy`, `licenses`,
//! `seal-migrations`. It reads the checkout; only `seal-migrations` writes.

mod check;
mod checkout;
mod finding;
mod licenses;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::checkout::Checkout;
use crate::finding::Finding;

/// Ostler's own chores.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// All that CI does: format, clippy, tidy, licences, tests.
    Check,
    /// The rules of the house that neither compiler nor clippy knows: crate walls, refused crates, migrations, texts.
    Tidy,
    /// Lists the licences of everything we link, and refuses those we may not ship.
    Licenses,
    /// Notes the digests of new migrations at a release; from then on tidy refuses any change to them.
    SealMigrations,
}

fn main() -> Result<ExitCode> {
    let checkout = Checkout::of_this_build();
    match Arguments::parse().chore {
        Chore::Check => check::check(&checkout),
        Chore::Tidy => Ok(verdict("tidy", &tidy::findings(&checkout)?)),
        Chore::Licenses => Ok(verdict("licences", &licenses::findings(&checkout)?)),
        Chore::SealMigrations => tidy::migrations::seal(&checkout).map(|()| ExitCode::SUCCESS),
    }
}

/// Prints every finding, one a line, so that one run shows all there is to do.
fn verdict(chore: &str, findings: &[Finding]) -> ExitCode {
    for finding in findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("{chore}: nothing to say");
            ExitCode::SUCCESS
        }
        count => {
            eprintln!("{chore}: {count} to look at");
            ExitCode::FAILURE
        }
    }
}
