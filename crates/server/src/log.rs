//! The log: lines to stderr, as text for people or JSON for machines.

mod fields;

use std::io::IsTerminal as _;

use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, ParseError};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use self::fields::PlainFields;
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
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match log.format {
        LogFormat::Text => lines
            .with_ansi(std::io::stderr().is_terminal())
            .fmt_fields(PlainFields)
            .boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed(),
    };
    let installed = tracing_subscriber::registry().with(lines).with(threshold(&log.level)?);
    installed.try_init().map_err(|_| LogError::Installed)
}

/// Directives are looked up whenever a span is entered or left; a bare level needs none of that.
fn threshold<S>(level: &str) -> Result<Box<dyn Layer<S> + Send + Sync>, ParseError>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    match level.parse::<LevelFilter>() {
        Ok(level) => Ok(level.boxed()),
        Err(_) => Ok(filter(level)?.boxed()),
    }
}
