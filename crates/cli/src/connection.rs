//! Which Ostler a command speaks to, and as whom.

use clap::Args;

/// Options that every command of a staff client has.
#[derive(Debug, Clone, Args)]
pub struct Connection {
    /// Where Ostler is, such as https://api.example.com
    #[arg(long, env = "OSTLER_SERVER", value_name = "URL")]
    pub server: reqwest::Url,
    /// A confidential client that may ask for `admin:read` and `admin:write`
    #[arg(long, env = "OSTLER_CLIENT_ID", value_name = "ID")]
    pub client_id: String,
    /// Its secret; better given in the environment, where `ps` does not show it
    #[arg(long, env = "OSTLER_CLIENT_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub client_secret: ClientSecret,
}

/// Shown by no `Debug`: clap and panics print arguments.
#[derive(Clone)]
pub struct ClientSecret(String);

impl ClientSecret {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for ClientSecret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl std::fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientSecret(…)")
    }
}
