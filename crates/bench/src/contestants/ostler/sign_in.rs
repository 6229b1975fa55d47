//! The customer signs in as with any app: authorization code with PKCE (RFC 6749 §4.1, RFC 7636), through the two
//! pages a browser would show.

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{COOKIE, HeaderMap, LOCATION, ORIGIN, SET_COOKIE};
use regex::Regex;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::staff::{CUSTOMER, CUSTOMER_PASSWORD, SCOPES, text};

pub const REDIRECT_URI: &str = "http://127.0.0.1/callback";
/// RFC 7636 appendix B. Nobody is there to guess it.
const CODE_VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

pub async fn access_token(base: &str, client_id: &str) -> anyhow::Result<String> {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(CODE_VERIFIER));
    let asked = [
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", REDIRECT_URI),
        ("scope", SCOPES),
        ("state", "s"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let start = Url::parse_with_params(&format!("{base}/oauth/authorize"), asked)?;
    let mut browser = Browser::new(start)?;
    browser.open().await?;
    browser
        .submit(&[
            ("email", CUSTOMER),
            ("password", CUSTOMER_PASSWORD),
            ("action", "sign-in"),
        ])
        .await?;
    browser.submit(&[("action", "allow")]).await?;
    let code = browser.code()?;

    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT_URI),
        ("client_id", client_id),
        ("code_verifier", CODE_VERIFIER),
    ];
    let response = browser
        .client
        .post(format!("{base}/oauth/token"))
        .form(&form)
        .send()
        .await?;
    let answer = response.text().await?;
    text(
        &serde_json::from_str(&answer).with_context(|| format!("the token endpoint said {answer}"))?,
        "access_token",
    )
}

/// As much of a browser as the two pages need: where it is, the page's form token, one cookie.
struct Browser {
    client: Client,
    base: String,
    at: Url,
    page: String,
    cookie: Option<String>,
    form_token: Regex,
}

impl Browser {
    fn new(at: Url) -> anyhow::Result<Self> {
        let client = Client::builder().redirect(Policy::none()).build()?;
        let form_token = Regex::new(r#"name="form_token" value="([^"]+)""#)?;
        let base = at.origin().ascii_serialization();
        Ok(Self {
            client,
            base,
            at,
            page: String::new(),
            cookie: None,
            form_token,
        })
    }

    async fn open(&mut self) -> anyhow::Result<()> {
        let response = self.client.get(self.at.clone()).headers(self.fields()?).send().await?;
        self.take(response).await
    }

    /// Posts the page's form to the page's own address.
    async fn submit(&mut self, fields: &[(&str, &str)]) -> anyhow::Result<()> {
        if self.has_left() {
            return Ok(());
        }
        let token = self
            .form_token
            .captures(&self.page)
            .with_context(|| format!("no form on the page: {}", self.page))?;
        let form: Vec<_> = [("form_token", &token[1])]
            .into_iter()
            .chain(fields.iter().copied())
            .collect();
        let response = self
            .client
            .post(self.at.clone())
            .headers(self.fields()?)
            .form(&form)
            .send()
            .await?;
        self.take(response).await
    }

    fn fields(&self) -> anyhow::Result<HeaderMap> {
        let mut fields = HeaderMap::from_iter([(ORIGIN, self.base.parse()?)]);
        if let Some(cookie) = &self.cookie {
            fields.insert(COOKIE, cookie.parse()?);
        }
        Ok(fields)
    }

    /// Goes on from redirect to redirect, as long as they stay on the server.
    async fn take(&mut self, mut response: Response) -> anyhow::Result<()> {
        loop {
            if let Some(set) = response.headers().get(SET_COOKIE) {
                self.cookie = set.to_str()?.split(';').next().map(str::to_owned);
            }
            let Some(location) = response.headers().get(LOCATION) else {
                break;
            };
            self.at = self.at.join(location.to_str()?)?;
            if self.has_left() {
                return Ok(());
            }
            response = self.client.get(self.at.clone()).headers(self.fields()?).send().await?;
        }
        let status = response.status();
        self.page = response.text().await?;
        ensure!(status.is_success(), "{} was answered {status}: {}", self.at, self.page);
        Ok(())
    }

    fn has_left(&self) -> bool {
        self.at.as_str().starts_with(REDIRECT_URI)
    }

    fn code(&self) -> anyhow::Result<String> {
        ensure!(self.has_left(), "the app was not reached: {}", self.page);
        let code = self.at.query_pairs().find(|(name, _)| name == "code");
        Ok(code
            .with_context(|| format!("no code came back: {}", self.at))?
            .1
            .into_owned())
    }
}
