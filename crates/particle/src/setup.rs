//! `ostler connect particle`: from one credential of the maker's to a credential of Ostler's own
//! with the least rights, and exactly the hooks that are needed.
//!
//! What an earlier run made is recognised and repaired. An API user's token is told once, so
//! getting one anew replaces it (§2.5): that happens only if the stored one does not work. The
//! maker's credential is used and forgotten, never stored.

use std::fmt;

use http::Method;
use ostler_app::device_cloud::{CloudConnection, CloudCredential, CloudError, HookRequest, HookStep};
use secrecy::{ExposeSecret, SecretString};

use crate::adapter::{InvalidConnection, Particle};
use crate::address::{ApiPath, InvalidAddress};
use crate::connection::Connection;
use crate::lockout::Standing;
use crate::mint::MintFault;
use crate::request::{CloudRequest, Purpose};
use crate::wire;

/// The least that the adapter needs (§2.5).
pub const SCOPES: [&str; 12] = [
    "devices:list",
    "devices:get",
    "devices.function:call",
    "devices.variable:get",
    "devices:ping",
    "devices:update",
    "events:get",
    "events:send",
    "integrations:create",
    "integrations:list",
    "integrations:remove",
    "locations:get",
];

const FRIENDLY_NAME: &str = "ostler";

/// How long the maker's own session lasts, if it could not be ended at once.
const SESSION_SECONDS: &str = "600";

/// What the maker hands us to begin with.
#[derive(Debug, Clone)]
pub enum SetupCredential {
    /// Of a person who may manage the product's team.
    UserToken(SecretString),
    UserPassword {
        username: String,
        password: SecretString,
    },
    /// Good enough to be kept: it reaches this product and nothing else.
    ProductClient {
        client_id: String,
        client_secret: SecretString,
    },
}

#[derive(Debug, Clone)]
pub struct SetupRequest {
    pub base_url: String,
    pub cloud_product: String,
    pub credential: SetupCredential,
    /// What an earlier run stored, if anything.
    pub stored: Option<CloudCredential>,
    /// `None` leaves the hooks to whoever knows their secret.
    pub hook: Option<HookRequest>,
}

/// One step, done or (in a plan) to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetupStep {
    KeepStoredCredential,
    KeepProductClient {
        client_id: String,
    },
    CreateApiUser,
    /// The one of an earlier run; its former token ends.
    ReplaceApiUserToken {
        username: String,
    },
    Hook(HookStep),
}

impl fmt::Display for SetupStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeepStoredCredential => write!(f, "keep the stored credential, which works"),
            Self::KeepProductClient { client_id } => write!(f, "use the product's client {client_id}"),
            Self::CreateApiUser => write!(f, "create the API user `{FRIENDLY_NAME}` with {} scopes", SCOPES.len()),
            Self::ReplaceApiUserToken { username } => {
                write!(
                    f,
                    "give the API user {username} its scopes and a new token; the former token ends"
                )
            }
            Self::Hook(HookStep::Unchanged { event }) => write!(f, "keep the webhook for `{event}`"),
            Self::Hook(HookStep::Created { event }) => write!(f, "create a webhook for `{event}`"),
            Self::Hook(HookStep::Repaired { event, what }) => {
                write!(
                    f,
                    "replace the webhook for `{event}`, whose {what} is not as it must be"
                )
            }
            Self::Hook(HookStep::RemovedDuplicate { event }) => write!(f, "remove a surplus webhook for `{event}`"),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SetupFault {
    #[error("the address or product of the device cloud {0}")]
    Address(#[from] InvalidAddress),
    #[error("the credential holds characters that none has")]
    NotACredential,
    #[error("the device cloud did not accept the credential")]
    CredentialRejected,
    #[error("the device cloud could not be reached; nothing was changed")]
    Unreachable,
    #[error("{during}")]
    Cloud { during: &'static str, source: CloudError },
    #[error("the device cloud made an API user without telling its token")]
    NoToken,
}

impl From<InvalidConnection> for SetupFault {
    fn from(fault: InvalidConnection) -> Self {
        match fault {
            InvalidConnection::Address(fault) => Self::Address(fault),
            InvalidConnection::Token(_) => Self::NotACredential,
        }
    }
}

impl From<MintFault> for SetupFault {
    fn from(fault: MintFault) -> Self {
        match fault {
            MintFault::Rejected | MintFault::HeldBack => Self::CredentialRejected,
            MintFault::Limited { .. } | MintFault::Unreachable => Self::Unreachable,
        }
    }
}

#[derive(Debug, Clone)]
pub struct SetupDone {
    /// To be stored, encrypted.
    pub credential: CloudCredential,
    pub steps: Vec<SetupStep>,
}

/// How Ostler will hold the product.
enum Holding {
    Stored(CloudCredential),
    Client(CloudCredential, String),
    NewApiUser,
    FormerApiUser(String),
}

impl Holding {
    fn step(&self) -> SetupStep {
        match self {
            Self::Stored(_) => SetupStep::KeepStoredCredential,
            Self::Client(_, client_id) => SetupStep::KeepProductClient {
                client_id: client_id.clone(),
            },
            Self::NewApiUser => SetupStep::CreateApiUser,
            Self::FormerApiUser(username) => SetupStep::ReplaceApiUserToken {
                username: username.clone(),
            },
        }
    }
}

impl Particle {
    /// What [`Self::apply_setup`] would do. Changes nothing at the cloud.
    pub async fn plan_setup(&self, request: &SetupRequest) -> Result<Vec<SetupStep>, SetupFault> {
        let maker = self.maker_session(request).await?;
        let planned = async {
            let holding = self.holding(request, &maker.connection).await?;
            let hooks = ensure_hooks(&maker.connection, request.hook.as_ref(), true).await?;
            Ok([vec![holding.step()], hooks].concat())
        };
        let planned = planned.await;
        maker.end().await;
        planned
    }

    /// Creates or repairs; the hooks with the credential that is returned, which so proves itself.
    pub async fn apply_setup(&self, request: &SetupRequest) -> Result<SetupDone, SetupFault> {
        let maker = self.maker_session(request).await?;
        let applied = self.apply(request, &maker.connection).await;
        maker.end().await;
        applied
    }

    /// Publishes an event with the maker's credential, to prove the way from the cloud to us.
    pub async fn publish_as_maker(&self, request: &SetupRequest, name: &str, data: &str) -> Result<(), SetupFault> {
        let maker = self.maker_session(request).await?;
        let published = maker.connection.publish(name, data).await;
        maker.end().await;
        published.map_err(|source| rejected_or("the test event could not be published", source))
    }

    async fn apply(&self, request: &SetupRequest, maker: &Connection) -> Result<SetupDone, SetupFault> {
        let holding = self.holding(request, maker).await?;
        let step = holding.step();
        let credential = match holding {
            Holding::Stored(credential) | Holding::Client(credential, _) => credential,
            Holding::NewApiUser => CloudCredential::Token(maker.create_api_user().await?),
            Holding::FormerApiUser(username) => CloudCredential::Token(maker.replace_token_of(&username).await?),
        };
        let own = self.open(&request.with(credential.clone()))?;
        let hooks = ensure_hooks(&own, request.hook.as_ref(), false).await?;
        Ok(SetupDone {
            credential,
            steps: [vec![step], hooks].concat(),
        })
    }

    async fn holding(&self, request: &SetupRequest, maker: &Connection) -> Result<Holding, SetupFault> {
        if let SetupCredential::ProductClient {
            client_id,
            client_secret,
        } = &request.credential
        {
            let during = "the product could not be reached with the client";
            maker.check().await.map_err(|source| rejected_or(during, source))?;
            return Ok(Holding::Client(
                product_client(client_id, client_secret),
                client_id.clone(),
            ));
        }
        if let Some(stored) = &request.stored
            && self.open(&request.with(stored.clone()))?.check().await.is_ok()
        {
            return Ok(Holding::Stored(stored.clone()));
        }
        Ok(match maker.api_user().await? {
            Some(username) => Holding::FormerApiUser(username),
            None => Holding::NewApiUser,
        })
    }

    async fn maker_session(&self, request: &SetupRequest) -> Result<MakerSession, SetupFault> {
        let (credential, ends_with_us) = match &request.credential {
            SetupCredential::UserToken(token) => (CloudCredential::Token(token.clone()), false),
            SetupCredential::UserPassword { username, password } => {
                let token = self.sign_in(&request.base_url, username, password).await?;
                (CloudCredential::Token(token), true)
            }
            SetupCredential::ProductClient {
                client_id,
                client_secret,
            } => (product_client(client_id, client_secret), false),
        };
        Ok(MakerSession {
            connection: self.open(&request.with(credential))?,
            ends_with_us,
        })
    }

    async fn sign_in(
        &self,
        base_url: &str,
        username: &str,
        password: &SecretString,
    ) -> Result<SecretString, SetupFault> {
        let site = self.site(&base_url.parse()?);
        // A developer's own account may use this public client (§2.2).
        let fields = [
            ("grant_type", "password"),
            ("client_id", "particle"),
            ("client_secret", "particle"),
            ("username", username),
            ("password", password.expose_secret()),
            ("expires_in", SESSION_SECONDS),
        ];
        let deadline = self.options().request_timeout;
        let minted = site.mint(&fields, Standing::Unproven, self.clock(), deadline).await?;
        Ok(minted.token)
    }
}

impl SetupRequest {
    fn with(&self, credential: CloudCredential) -> CloudConnection {
        CloudConnection {
            base_url: self.base_url.clone(),
            cloud_product: self.cloud_product.clone(),
            credential,
        }
    }
}

fn product_client(client_id: &str, client_secret: &SecretString) -> CloudCredential {
    CloudCredential::Client {
        client_id: client_id.to_owned(),
        client_secret: client_secret.clone(),
    }
}

/// The maker's own access, for as long as the setup takes.
struct MakerSession {
    connection: Connection,
    ends_with_us: bool,
}

impl MakerSession {
    /// Ends the token that the password was exchanged for; it would expire soon in any case.
    async fn end(&self) {
        if !self.ends_with_us {
            return;
        }
        let request = CloudRequest::new(Purpose::Token, Method::DELETE, ApiPath::current_token());
        if let Err(fault) = self.connection.exchange(&request).await {
            tracing::warn!(%fault, "the session for setting up could not be ended; it expires within ten minutes");
        }
    }
}

impl Connection {
    fn team_path(&self) -> ApiPath {
        self.product.path().segment("team")
    }

    /// The API user that an earlier run made, by its friendly name or by what the cloud makes of it.
    async fn api_user(&self) -> Result<Option<String>, SetupFault> {
        let during = "the product's team could not be listed";
        let answer = self.exchange(&CloudRequest::get(Purpose::Team, self.team_path())).await;
        let answer = answer.map_err(|source| rejected_or(during, source))?;
        let team: wire::TeamList = answer.json().map_err(|fault| rejected_or(during, fault.into()))?;
        let is_ours = |member: &wire::TeamMember| {
            let named = match &member.friendly_name {
                Some(name) => name == FRIENDLY_NAME,
                None => member.username.starts_with("ostler+"),
            };
            named && member.is_programmatic == Some(true)
        };
        Ok(team.team.into_iter().find(is_ours).map(|member| member.username))
    }

    async fn create_api_user(&self) -> Result<SecretString, SetupFault> {
        let during = "the API user could not be created";
        self.ask_for_api_user(Method::POST, self.team_path(), during).await
    }

    async fn replace_token_of(&self, username: &str) -> Result<SecretString, SetupFault> {
        let during = "the API user's token could not be replaced";
        self.ask_for_api_user(Method::PUT, self.team_path().segment(username), during)
            .await
    }

    async fn ask_for_api_user(
        &self,
        method: Method,
        path: ApiPath,
        during: &'static str,
    ) -> Result<SecretString, SetupFault> {
        let body = wire::ApiUserRequest {
            friendly_name: FRIENDLY_NAME,
            scopes: &SCOPES,
        };
        let request = CloudRequest::json(Purpose::Team, method, path, &body);
        let answer = self
            .exchange(&request)
            .await
            .map_err(|source| rejected_or(during, source))?;
        let reply: wire::ApiUserReply = answer.json().map_err(|fault| rejected_or(during, fault.into()))?;
        let token = reply.created.tokens.into_iter().next().ok_or(SetupFault::NoToken)?;
        Ok(token.token)
    }
}

async fn ensure_hooks(
    connection: &Connection,
    hook: Option<&HookRequest>,
    dry_run: bool,
) -> Result<Vec<SetupStep>, SetupFault> {
    let Some(hook) = hook else { return Ok(Vec::new()) };
    let during = "the product's webhooks could not be set";
    let steps = connection.ensure_hooks(hook, dry_run).await;
    let steps = steps.map_err(|source| rejected_or(during, source))?;
    Ok(steps.into_iter().map(SetupStep::Hook).collect())
}

fn rejected_or(during: &'static str, source: CloudError) -> SetupFault {
    match source {
        CloudError::CredentialRejected => SetupFault::CredentialRejected,
        CloudError::NotConnected
        | CloudError::Unreachable
        | CloudError::RateLimited { .. }
        | CloudError::Refused { .. }
        | CloudError::Unreadable => SetupFault::Cloud { during, source },
    }
}
