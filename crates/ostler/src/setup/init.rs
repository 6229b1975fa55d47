//! `ostler init`: a directory with a commented configuration, a master key, a migrated database, the
//! first member of staff and a machine client for the command line.
//!
//! Nothing is ever overwritten: all that stands in the way is told before anything is made, and
//! what was made is taken away again if the rest fails.

mod made;
mod site;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ostler_app::identity::{NewClientSecret, Password, StaffRequest};
use ostler_app::{App, Parts};
use ostler_core::caller::ProductReach;
use ostler_core::client::{ClientKind, ClientRegistration, RefreshPolicy};
use ostler_core::email::EmailAddress;
use ostler_core::port::{Entropy, random_bytes};
use ostler_core::scope::Scope;
use ostler_core::staff::StaffRole;
use ostler_server::config::Config;
use ostler_store::{Actor, Store, StoreOptions};
use secrecy::{ExposeSecret as _, SecretString};

use super::{clock, entropy, particle, secret_input};
use crate::commands::InitArgs;
use crate::{house, keys, terminal};
use made::Made;
use site::Site;

/// Who may sign in to the new installation. Told once, on standard output.
struct Credentials {
    password: SecretString,
    client_id: String,
    client_secret: String,
}

pub async fn run(args: &InitArgs) -> anyhow::Result<ExitCode> {
    let email: EmailAddress = args.email.parse().context("the e-mail address cannot be used")?;
    let site = Site::of(args)?;
    let conflicts = site.conflicts().await?;
    if !conflicts.is_empty() {
        bail!(
            "nothing was made, for something is there already:\n  {}",
            conflicts.join("\n  ")
        );
    }
    let password = if args.password_stdin {
        secret_input::from_stdin("password")?
    } else {
        draw_password(&*entropy()).into()
    };
    ensure!(
        Password::presented(password.expose_secret().to_owned()).is_acceptable(),
        "a password must have at least 8 characters and at most 1024 bytes"
    );

    let stopping = terminal::stop_on_signal()?;
    let mut made = Made::default();
    let credentials = tokio::select! {
        built = build(&site, &email, password, &mut made) => built?,
        () = stopping.cancelled() => bail!("interrupted; what had been made was taken away again"),
    };
    made.keep();
    print!("{}", report(&site, args, &credentials));
    Ok(ExitCode::SUCCESS)
}

async fn build(
    site: &Site,
    email: &EmailAddress,
    password: SecretString,
    made: &mut Made,
) -> anyhow::Result<Credentials> {
    made.directory(&site.directory)?;
    made.file(&site.master_key);
    keys::make_master_key(&site.master_key, &*entropy())?;
    made.file(&site.config);
    keys::create_private(&site.config, site.config_text.as_bytes())?;
    // As `serve` will read it, but for the environment, which is not part of the installation.
    let (config, _) = Config::load(Some(&site.config), &Default::default())?;
    for file in site.database_files() {
        made.file(&file);
    }
    if let Some(file) = &site.database_file {
        // Made beforehand, so that it and what SQLite puts beside it are nobody else's to read.
        keys::create_private(file, b"")?;
    }
    let store = Arc::new(open(&config).await?);
    let credentials = admit(&config, &store, email, password).await;
    store.close().await;
    credentials
}

async fn open(config: &Config) -> anyhow::Result<Store> {
    let options = StoreOptions::new(keys::read_master_key(&config.master_key_file)?, entropy());
    Store::open(config.database_url.expose(), options, clock().now())
        .await
        .with_context(|| format!("the database {} cannot be made", config.database_url.masked()))
}

/// Makes the owner's account and the client of the command line.
async fn admit(
    config: &Config,
    store: &Arc<Store>,
    email: &EmailAddress,
    password: SecretString,
) -> anyhow::Result<Credentials> {
    let app = App::new(Parts {
        store: Arc::clone(store),
        cloud: Arc::new(particle()),
        clock: clock(),
        entropy: entropy(),
        settings: house::settings(config),
    });
    let owner = StaffRequest {
        email: email.as_str().to_owned(),
        password: Password::presented(password.expose_secret().to_owned()),
        name: None,
        role: StaffRole::Owner,
        products: ProductReach::All,
    };
    app.create_staff(owner, Actor::System)
        .await
        .context("the owner's account cannot be made")?;
    let (client, secret) = app
        .create_client(command_line_client(), None, Actor::System)
        .await
        .context("the client for the command line cannot be made")?;
    let NewClientSecret::Drawn(secret) = secret else {
        bail!("a confidential client was made without a secret")
    };
    Ok(Credentials {
        password,
        client_id: client.id.to_string(),
        client_secret: secret.reveal().to_owned(),
    })
}

/// What `ostler product`, `ostler connect` and the maker's own jobs sign in with.
fn command_line_client() -> ClientRegistration {
    let scopes = [
        Scope::AdminRead,
        Scope::AdminWrite,
        Scope::FleetRead,
        Scope::FleetControl,
    ];
    ClientRegistration {
        name: "service".to_owned(),
        kind: ClientKind::Confidential,
        flows: vec!["client_credentials".to_owned()],
        redirect_uris: Vec::new(),
        scopes: scopes.map(|scope| scope.as_str().to_owned()).to_vec(),
        default_scopes: None,
        refresh_policy: RefreshPolicy::None,
        cors_origins: Vec::new(),
        products: None,
    }
}

/// 128 bits, in a form that a person can copy from a terminal.
fn draw_password(entropy: &dyn Entropy) -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<16>(entropy))
}

fn report(site: &Site, args: &InitArgs, credentials: &Credentials) -> String {
    let config = site.config.display();
    let master_key = site.master_key.display();
    let Credentials {
        password,
        client_id,
        client_secret,
    } = credentials;
    // Who brought a password knows it.
    let password = if args.password_stdin {
        "the password you gave"
    } else {
        password.expose_secret()
    };
    format!(
        "Configuration  {config}\n\
         Master key     {master_key}\n\
         Database       {database}\n\
         Owner          {email} / {password}\n\
         Client         {client_id} / {client_secret}\n\
         \n\
         Passwords and secrets are shown this once. Keep a copy of the master key apart from the\n\
         database's backups: without it the stored cloud credentials cannot be opened.\n\
         \n\
         Next steps:\n  \
           ostler check --config {config}\n  \
           ostler serve --config {config}\n  \
           export OSTLER_SERVER={server} OSTLER_CLIENT_ID={client_id} OSTLER_CLIENT_SECRET=…\n  \
           ostler product apply PRODUCT.toml\n  \
           ostler connect particle --product SLUG --cloud-product ID --username YOU --password-stdin\n",
        database = site.database(),
        email = args.email,
        server = args.public_url,
    )
}
