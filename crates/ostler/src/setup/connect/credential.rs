//! What the maker hands over: exactly one credential, its secret from standard input or a file.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{ArgGroup, Args};
use ostler_particle::setup::SetupCredential;
use secrecy::SecretString;

use crate::setup::secret_input;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("maker").required(true).multiple(false)))]
#[command(group(ArgGroup::new("password").multiple(false)))]
#[command(group(ArgGroup::new("cloud_secret").multiple(false)))]
pub struct CredentialArgs {
    /// Your account at Particle; used once to make a credential for Ostler
    #[arg(long, value_name = "E-MAIL", group = "maker", requires = "password")]
    username: Option<String>,
    /// Read the account's password from standard input
    #[arg(long, group = "password", requires = "username")]
    password_stdin: bool,
    /// Read the account's password from a file
    #[arg(long, value_name = "FILE", group = "password", requires = "username")]
    password_file: Option<PathBuf>,
    /// Read an access token of your account from standard input
    #[arg(long, group = "maker")]
    token_stdin: bool,
    /// Read an access token of your account from a file
    #[arg(long, value_name = "FILE", group = "maker")]
    token_file: Option<PathBuf>,
    /// An OAuth client of the product at Particle; Ostler keeps it
    #[arg(long, value_name = "ID", group = "maker", requires = "cloud_secret")]
    cloud_client_id: Option<String>,
    /// Read that client's secret from standard input
    #[arg(long, group = "cloud_secret", requires = "cloud_client_id")]
    cloud_client_secret_stdin: bool,
    /// Read that client's secret from a file
    #[arg(long, value_name = "FILE", group = "cloud_secret", requires = "cloud_client_id")]
    cloud_client_secret_file: Option<PathBuf>,
}

impl CredentialArgs {
    pub fn read(&self) -> anyhow::Result<SetupCredential> {
        if let Some(username) = &self.username {
            let password = read("password", self.password_file.as_deref())?;
            return Ok(SetupCredential::UserPassword {
                username: username.clone(),
                password,
            });
        }
        if let Some(client_id) = &self.cloud_client_id {
            let client_secret = read("client secret", self.cloud_client_secret_file.as_deref())?;
            return Ok(SetupCredential::ProductClient {
                client_id: client_id.clone(),
                client_secret,
            });
        }
        if self.token_stdin || self.token_file.is_some() {
            return Ok(SetupCredential::UserToken(read("token", self.token_file.as_deref())?));
        }
        bail!("no credential was named")
    }
}

/// Without a file, clap has seen to it that standard input was named.
fn read(what: &str, file: Option<&Path>) -> anyhow::Result<SecretString> {
    match file {
        Some(file) => secret_input::from_file(what, file),
        None => secret_input::from_stdin(what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        credential: CredentialArgs,
    }

    #[test]
    fn exactly_one_credential_with_one_source_of_its_secret() {
        let parses = |words: &str| Cli::try_parse_from(["x"].into_iter().chain(words.split_whitespace())).is_ok();
        for fine in [
            "--username a --password-stdin",
            "--username a --password-file f",
            "--token-stdin",
            "--token-file f",
            "--cloud-client-id a --cloud-client-secret-stdin",
            "--cloud-client-id a --cloud-client-secret-file f",
        ] {
            assert!(parses(fine), "{fine}");
        }
        for wrong in [
            "",
            "--username a",
            "--password-stdin",
            "--username a --token-stdin",
            "--username a --password-stdin --password-file f",
            "--token-stdin --token-file f",
            "--cloud-client-id a",
            "--cloud-client-id a --password-stdin",
        ] {
            assert!(!parses(wrong), "{wrong}");
        }
    }
}
