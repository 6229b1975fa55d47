//! How a command fails, in words for the person who ran it and in an exit status for their script.

use std::path::PathBuf;

use crate::problem::Problem;

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("cannot read {}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{} is not TOML", path.display())]
    Toml {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error("cannot write the result")]
    Output(#[from] std::io::Error),
    #[error("{server} cannot be asked")]
    Unreachable { server: String, source: reqwest::Error },
    #[error("the server did not accept the client: {0}")]
    NotAuthorized(String),
    #[error("{0}")]
    Refused(Box<Problem>),
    #[error("the server's answer ({status}) is not one of Ostler's")]
    Unreadable { status: u16 },
    #[error("there is no product `{0}` here, or it is not this client's to see")]
    NoSuchProduct(String),
    #[error("the product differs from the file")]
    Differs,
}

impl Failure {
    /// 1: it failed. Wrong use (2) is found by clap before anything runs.
    pub const fn exit_status(&self) -> u8 {
        1
    }
}
