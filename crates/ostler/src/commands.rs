//! The command line, as `--help` tells it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The customer backend of a connected product.
#[derive(Debug, Parser)]
#[command(
    name = "ostler",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  ostler demo\n  ostler init /etc/ostler --email owner@example.com\n  ostler serve --config /etc/ostler/ostler.toml"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything on this machine: Ostler, a simulated device cloud, a living fleet
    #[command(after_help = "Example:\n  ostler demo --listen 127.0.0.1:8080 --facts demo.json")]
    Demo(DemoArgs),
    /// Run the server
    #[command(after_help = "Example:\n  ostler serve --config /etc/ostler/ostler.toml")]
    Serve(ConfigArgs),
    /// Run the simulated Particle cloud alone
    #[command(after_help = "Example:\n  ostler sim --listen 127.0.0.1:8081 --devices 5 --vehicles 5")]
    Sim(SimArgs),
    /// Make a new installation: configuration, keys, database, first staff account
    #[command(
        after_help = "Example:\n  ostler init /etc/ostler --email owner@example.com --public-url https://api.example.com"
    )]
    Init(InitArgs),
    /// Look whether the database, the cloud, the clock, the secrets and the network face are in order
    #[command(after_help = "Example:\n  ostler check --config /etc/ostler/ostler.toml")]
    Check(CheckArgs),
    /// Connect a product to its device cloud
    #[command(
        after_help = "Example:\n  ostler connect particle --product thermostat --cloud-product 40123 --token-file token --dry-run"
    )]
    Connect(crate::setup::ConnectArgs),
    /// Declare products by files
    #[command(
        subcommand,
        after_help = "Example:\n  ostler product apply --dry-run thermostat.toml"
    )]
    Product(ostler_cli::product::ProductCommand),
    /// Bring the database's schema up to this version (`serve` does so by itself)
    #[command(after_help = "Example:\n  ostler migrate --config /etc/ostler/ostler.toml")]
    Migrate(ConfigArgs),
    /// Copy a running SQLite installation into one file, and verify the copy
    #[command(
        after_help = "Example:\n  ostler backup --config /etc/ostler/ostler.toml --to /backup/ostler-2030-05-01.db"
    )]
    Backup(BackupArgs),
    /// Put a backup in the place of a database that is not there
    #[command(
        after_help = "Example:\n  ostler restore --config /etc/ostler/ostler.toml --from /backup/ostler-2030-05-01.db"
    )]
    Restore(RestoreArgs),
    /// Verify the audit chains, or export a signed head of them
    #[command(after_help = "Example:\n  ostler audit verify --config /etc/ostler/ostler.toml")]
    Audit(AuditArgs),
    /// Print the OpenAPI document
    #[command(after_help = "Example:\n  ostler openapi > openapi.json")]
    Openapi,
}

#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The configuration file; without it the defaults and OSTLER_… variables count
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where Ostler listens; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Where the simulated device cloud listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    pub sim_listen: SocketAddr,
    /// Keeps everything here, to go on with it next time [default: a fresh temporary directory]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Decides ids, physics and tracks of the simulated devices
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How many thermostats
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(4..=5000))]
    pub devices: u16,
    /// How many vehicles
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=5000))]
    pub vehicles: u16,
    /// A redirect URI of the clients `web` and `app`; may be repeated
    #[arg(long, value_name = "URL")]
    pub redirect_uri: Vec<String>,
    /// Writes addresses, ids and credentials here as JSON, mode 0600, once both servers listen
    #[arg(long, value_name = "FILE")]
    pub facts: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct SimArgs {
    /// Where the simulated cloud listens; loopback only
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How many thermostats
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub devices: usize,
    /// How many vehicles
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub vehicles: usize,
    /// Keeps accounts, tokens, devices and hooks here over restarts
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// The directory of the new installation
    #[arg(default_value = ".")]
    pub directory: PathBuf,
    /// E-mail address of the first staff account
    #[arg(long)]
    pub email: String,
    /// Where customers will reach this server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub public_url: String,
    /// sqlite:FILE or postgres://… [default: a file in the directory]
    #[arg(long, value_name = "URL", env = "OSTLER_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Read the owner's password from standard input instead of drawing one
    #[arg(long)]
    pub password_stdin: bool,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print the verdicts as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct BackupArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The file to write; it must not exist
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The backup
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,
    /// Only verify the backup and say what would be done
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    pub command: AuditCommand,
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Walk every chain and say whether anything was cut, added or rewritten
    #[command(after_help = "Example:\n  ostler audit verify --config ostler.toml --head heads/2030-05-01.json")]
    Verify {
        #[command(flatten)]
        config: ConfigArgs,
        /// A signed head exported earlier: proves that nothing up to it was rewritten
        #[arg(long, value_name = "FILE")]
        head: Option<PathBuf>,
        /// Print the verdict as JSON
        #[arg(long)]
        json: bool,
    },
    /// Sign where every chain ends now, to be kept apart from the database
    #[command(after_help = "Example:\n  ostler audit head --config ostler.toml --out heads/2030-05-01.json")]
    Head {
        #[command(flatten)]
        config: ConfigArgs,
        /// The file to write; it must not exist [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _};

    use super::Cli;

    fn assert_helpful(command: &mut Command, path: &str) {
        let help = command.render_help().to_string();
        assert!(help.contains("\nExample"), "`{path} --help` shows no example");
        for subcommand in command.get_subcommands_mut() {
            let path = format!("{path} {}", subcommand.get_name());
            assert_helpful(subcommand, &path);
        }
    }

    #[test]
    fn every_command_says_by_example_how_it_is_used() {
        Cli::command().debug_assert();
        assert_helpful(&mut Cli::command(), "ostler");
    }
}
