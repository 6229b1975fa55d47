//! Signing in as a browser does it: pages, forms, a cookie, a redirect back to the app.

use std::collections::BTreeMap;

use reqwest::Url;
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};

use super::{Answer, Customer};

/// RFC 7636, appendix B: a verifier and its S256 challenge.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

#[derive(Debug, Clone)]
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: Option<String>,
    pub scope: String,
    /// What was shown on the way.
    pub pages: Vec<String>,
}

/// Authorization code with PKCE, from the app's first redirect to its tokens.
pub async fn sign_in(base: &str, client_id: &str, redirect_uri: &str, customer: &Customer, scope: &str) -> Tokens {
    sign_in_over(super::http(), base, client_id, redirect_uri, customer, scope).await
}

/// The same by another way than straight over loopback.
pub async fn sign_in_over(
    http: reqwest::Client,
    base: &str,
    client_id: &str,
    redirect_uri: &str,
    customer: &Customer,
    scope: &str,
) -> Tokens {
    let mut browser = Browser::new(base, http.clone());
    let mut pages = Vec::new();
    let query = [
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", redirect_uri),
        ("scope", scope),
        ("state", "a state"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let start = Url::parse_with_params(&format!("{base}/oauth/authorize"), query).expect("a URL");
    browser.open(start).await;
    pages.push(browser.page.clone());
    browser
        .submit(&[("email", &customer.email), ("password", &customer.password)])
        .await;
    if browser.left_for.is_none() {
        pages.push(browser.page.clone());
        browser.submit(&[]).await;
    }
    let back = browser
        .left_for
        .unwrap_or_else(|| panic!("not back at the app: {:?}", browser.page));
    let answered: BTreeMap<_, _> = back.query_pairs().into_owned().collect();
    assert_eq!(answered.get("state").map(String::as_str), Some("a state"), "{back}");
    assert_eq!(answered.get("iss").map(String::as_str), Some(base), "{back}");
    let code = answered.get("code").unwrap_or_else(|| panic!("no code in {back}"));
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", client_id),
        ("redirect_uri", redirect_uri),
        ("code", code),
        ("code_verifier", VERIFIER),
    ];
    let request = http.post(format!("{base}/oauth/token")).form(&form);
    let answer = Answer::of(request.send().await.expect("the server answers"))
        .await
        .expect(200);
    let text = |pointer: &str| {
        answer
            .json()
            .pointer(pointer)
            .and_then(|value| value.as_str())
            .map(str::to_owned)
    };
    Tokens {
        access_token: text("/access_token").expect("an access token"),
        refresh_token: text("/refresh_token"),
        scope: text("/scope").unwrap_or_default(),
        pages,
    }
}

/// One tab, one cookie jar, no scripts.
struct Browser {
    base: String,
    http: reqwest::Client,
    cookies: BTreeMap<String, String>,
    address: Url,
    page: String,
    /// Where a redirect led that is not ours: the app.
    left_for: Option<Url>,
}

impl Browser {
    fn new(base: &str, http: reqwest::Client) -> Self {
        Self {
            base: base.to_owned(),
            http,
            cookies: BTreeMap::new(),
            address: Url::parse(base).expect("a URL"),
            page: String::new(),
            left_for: None,
        }
    }

    async fn open(&mut self, address: Url) {
        let request = self.http.get(address.clone());
        self.address = address;
        self.go(request).await;
    }

    /// Fills in the page's first form and presses its first button.
    async fn submit(&mut self, filled_in: &[(&str, &str)]) {
        let mut fields: Vec<(String, String)> = tags(&self.page, "input")
            .filter(|tag| attribute(tag, "type").as_deref() == Some("hidden"))
            .filter_map(|tag| named_value(&tag))
            .collect();
        fields.extend(
            filled_in
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        fields.extend(tags(&self.page, "button").filter_map(|tag| named_value(&tag)).take(1));
        let action = tags(&self.page, "form")
            .next()
            .and_then(|form| attribute(&form, "action"));
        let address = action.map_or_else(
            || self.address.clone(),
            |action| self.address.join(&action).expect("an action"),
        );
        let request = self.http.post(address.clone()).header(ORIGIN, &self.base).form(&fields);
        self.address = address;
        self.go(request).await;
    }

    async fn go(&mut self, request: reqwest::RequestBuilder) {
        let mut request = request;
        for _ in 0..10 {
            let jar: Vec<_> = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let response = request
                .header(COOKIE, jar.join("; "))
                .send()
                .await
                .expect("the server answers");
            for cookie in response.headers().get_all(SET_COOKIE) {
                let cookie = cookie.to_str().expect("ASCII");
                let (name, value) = cookie
                    .split(';')
                    .next()
                    .and_then(|pair| pair.split_once('='))
                    .expect("a pair");
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
            let Some(location) = response.headers().get(LOCATION) else {
                let answer = Answer::of(response).await;
                assert!(answer.status.is_success(), "{answer:?}");
                self.page = answer.text;
                return;
            };
            let next = self
                .address
                .join(location.to_str().expect("ASCII"))
                .expect("a location");
            if !next.as_str().starts_with(&self.base) {
                self.left_for = Some(next);
                return;
            }
            request = self.http.get(next.clone());
            self.address = next;
        }
        panic!("redirects without end at {}", self.address);
    }
}

/// The opening tags of one kind, in order.
fn tags<'p>(page: &'p str, name: &str) -> impl Iterator<Item = String> + use<'p> {
    let opening = format!("<{name}");
    let mut rest = page;
    std::iter::from_fn(move || {
        let at = rest.find(&opening)?;
        let end = rest[at..].find('>')? + at;
        let tag = rest[at..end].to_owned();
        rest = &rest[end..];
        Some(tag)
    })
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    let end = tag[start..].find('"')? + start;
    Some(
        tag[start..end]
            .replace("&quot;", "\"")
            .replace("&#38;", "&")
            .replace("&amp;", "&"),
    )
}

fn named_value(tag: &str) -> Option<(String, String)> {
    Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default()))
}
