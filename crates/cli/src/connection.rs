//! Which Ostler a command speaks to, and as whom.

use clap::Args;

use crate::edge;

/// Options that every command of a staff client has.
#[derive(Debug, Clone, Args)]
pub struct Connection {
    /// Where Ostler is, such as https://api.example.com
    #[arg(long, env = "OSTLER_SERVER", value_name = "URL")]
    pub server: reqwest::Url,
    /// A confidential client that may ask for `admin:read` and `admin:write`
    #[arg(long, env = "OSTLER_CLIENT_ID", value_name = "ID")]
    pub client_id: String,
    /// A file that holds its secret and nothing else; or put the secret itself into the variable
    /// OSTLER_CLIENT_SECRET. On the command line everybody on the machine could read it
    #[arg(long, env = "OSTLER_CLIENT_SECRET_FILE", value_name = "FILE", value_parser = ClientSecret::from_file,
          required = edge::client_secret().is_none())]
    client_secret_file: Option<ClientSecret>,
}

impl Connection {
    /// What was named last by hand counts: the file, then the variable.
    pub(crate) fn client_secret(&self) -> ClientSecret {
        let given = self.client_secret_file.clone();
        given.unwrap_or_else(|| ClientSecret(edge::client_secret().unwrap_or_default()))
    }
}

/// Shown by no `Debug`: clap and panics print arguments.
#[derive(Clone)]
pub struct ClientSecret(String);

impl ClientSecret {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// A line end after it is not part of it.
    fn from_file(path: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.is_empty() || secret.contains(['\r', '\n']) {
            return Err("it must hold the secret in one line, and nothing else".to_owned());
        }
        Ok(Self(secret.to_owned()))
    }
}

impl std::fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientSecret(…)")
    }
}
