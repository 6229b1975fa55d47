//! The log: lines to stderr, as text for people or JSON for machines.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::ParseError;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{Log, LogFormat};

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("the level cannot be read")]
    Level(#[from] ParseError),
    #[error("a log is installed already")]
    Installed,
}

/// Reads the level's directives. The environment's `RUST_LOG` plays no part: settings come one way.
pub(crate) fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(level)
}

/// Installs the process's log.
pub fn install(log: &Log) -> Result<(), LogError> {
    let filter = filter(&log.level)?;
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match log.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init(),
    };
    installed.map_err(|_| LogError::Installed)
}
