//! `make bench`: Ostler beside the direct call, nginx, and what a maker writes by hand; one run, one machine, one
//! upstream. It knows only the wire.
//!
//! The load generator and the upstream share core 0, what is measured has core 1. Exit status 0: everything was
//! measured, whatever the figures are; 1: something could not be measured, and why stands on stderr.

mod checker;
mod comparison;
mod connection;
mod contestants;
mod disk;
mod edge;
mod events;
mod latency;
mod load;
mod processes;
mod report;
mod service;
mod single;
mod stub;
mod targets;
mod token;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use ostler_testkit::Scratch;

use crate::comparison::{Comparison, Who};
use crate::contestants::fastify::{self, Fastify};
use crate::contestants::nginx::Nginx;
use crate::contestants::ostler::{Installation, Ostler, Start};
use crate::contestants::{Contestant, direct};
use crate::stub::Stub;
use crate::token::Signer;

/// How often an empty installation is started, to see how long that takes.
const STARTS: usize = 5;

/// Measures Ostler beside nginx and the direct call
#[derive(Debug, Parser)]
#[command(name = "ostler-bench", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Where the rows are written as JSON
    #[arg(long, value_name = "FILE", default_value = "target/bench/report.json")]
    report: PathBuf,
    /// The program under test [default: `ostler` beside this program]
    #[arg(long, value_name = "FILE")]
    ostler: Option<PathBuf>,
    /// The databases are made below this folder; its disk is part of what is measured
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    data_dir: PathBuf,
    /// Every figure is the median of so many rounds
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// How long each measurement of a round lasts
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..))]
    seconds: u8,
}

impl RunArgs {
    fn lasts(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

#[derive(Debug, Subcommand)]
enum Part {
    /// The service that nginx asks; started by the run itself
    #[command(hide = true)]
    Checker { public_key: String },
    /// Put one load on Ostler alone, for a profiler
    Load {
        kind: single::Kind,
        #[command(flatten)]
        run: RunArgs,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.part {
        Some(Part::Checker { public_key }) => checker::run(&public_key),
        Some(Part::Load { kind, run }) => load(kind, &run),
        None => run(&cli.run),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("make bench could not measure: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn load(kind: single::Kind, args: &RunArgs) -> anyhow::Result<()> {
    processes::pin_ourselves()?;
    let data = fresh_folder(args)?;
    single::run(kind, &program(args)?, data.path(), args.lasts())
}

fn run(args: &RunArgs) -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        eprintln!("This is a debug build: its figures say nothing.");
    }
    let recipe = fastify::install().map_err(|error| format!("{error:#}"));
    processes::pin_ourselves()?;
    let program = program(args)?;
    let folder = fresh_folder(args)?;
    let data = folder.path().canonicalize()?;
    let scratch = Scratch::new();
    let machine = report::machine();
    println!(
        "{machine}; {} rounds, {} s for each measurement",
        args.rounds, args.seconds
    );
    if let Some(words) = report::disturbance() {
        println!("{words}");
    }

    let installation = Installation::make(&program, &data.join("ostler"))?;
    let starts: Vec<Start> = (0..STARTS)
        .map(|_| installation.try_start(&scratch))
        .collect::<anyhow::Result<_>>()?;

    let stub = Stub::start()?;
    let signer = Signer::new()?;
    let token = signer.mint(edge::seconds_since_1970())?;
    let nginx = Nginx::start(stub.address, &signer, &token, &scratch)?;
    let recipe = recipe.and_then(|folder| {
        let started = Fastify::start(&folder, stub.address, &signer, &token, &data, &scratch);
        started.map_err(|error| format!("{error:#}"))
    });
    let ostler = installation.open(stub.address, &scratch)?;

    let comparison = Comparison {
        callers: callers(&stub, &nginx, recipe.as_ref().ok(), &ostler),
        bearer: ostler.bearer_checks(),
        ingest: ostler.webhooks()?,
        stub,
        data,
        lasts: args.lasts(),
        numbers: AtomicU64::new(0),
    };
    let mut rounds = Vec::new();
    for number in 1..=args.rounds {
        eprintln!("Round {number} of {} …", args.rounds);
        rounds.push(comparison.round()?);
    }

    let rows = targets::rows(&rounds, &starts, recipe.as_ref().err().map(String::as_str));
    let callers: Vec<_> = comparison.callers.values().collect();
    println!("\n{}", report::figures(&rounds, &callers));
    println!(
        "memory after this load: {:.1} MiB\n",
        ostler.resident_kibibytes()? as f64 / 1024.0
    );
    print!("{}", report::table(&rows));
    report::write(&rows, &args.report)?;
    eprintln!("The rows are in {}.", args.report.display());
    Ok(())
}

fn callers(stub: &Stub, nginx: &Nginx, fastify: Option<&Fastify>, ostler: &Ostler) -> BTreeMap<Who, Contestant> {
    let [plain, caching, verifying] = nginx.contestants();
    let mut callers = BTreeMap::from([
        (Who::Direct, direct::contestant(stub.address)),
        (Who::Nginx, plain),
        (Who::NginxCaching, caching),
        (Who::NginxVerifying, verifying),
        (Who::Ostler, ostler.calls()),
    ]);
    callers.extend(fastify.map(|fastify| (Who::Fastify, fastify.contestant())));
    callers
}

/// It goes with the value.
fn fresh_folder(args: &RunArgs) -> anyhow::Result<tempfile::TempDir> {
    std::fs::create_dir_all(&args.data_dir)?;
    Ok(tempfile::Builder::new().prefix("data-").tempdir_in(&args.data_dir)?)
}

fn program(args: &RunArgs) -> anyhow::Result<PathBuf> {
    let beside = || {
        let own = std::env::current_exe()?;
        anyhow::Ok(own.parent().unwrap_or(Path::new(".")).join("ostler"))
    };
    let program = args.ostler.clone().map_or_else(beside, Ok)?;
    program
        .canonicalize()
        .with_context(|| format!("{} is not there; build it first", program.display()))
}
