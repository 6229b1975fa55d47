//! A client of the staff API: a token by client credentials (RFC 6749 §4.4), then JSON.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;

use crate::connection::Connection;
use crate::failure::Failure;
use crate::problem::Problem;

/// A person is waiting; and no call here waits for a device.
const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

impl Access {
    const fn scope(self) -> &'static str {
        match self {
            Self::Read => "admin:read",
            Self::Write => "admin:read admin:write",
        }
    }
}

pub struct StaffApi {
    http: Client,
    server: Url,
    token: String,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
}

/// RFC 6749 §5.2.
#[derive(Deserialize)]
struct TokenRefusal {
    error: String,
    error_description: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Value>,
    next_cursor: Option<String>,
}

impl StaffApi {
    pub async fn sign_in(connection: &Connection, access: Access) -> Result<Self, Failure> {
        let unreachable = |source| Failure::Unreachable {
            server: connection.server.to_string(),
            source,
        };
        let http = Client::builder()
            .timeout(DEADLINE)
            // A redirect would take the secret, or the token, to somebody who was not named.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(unreachable)?;
        let response = http
            .post(address(&connection.server, &["oauth", "token"]))
            .basic_auth(
                form_encoded(&connection.client_id),
                Some(form_encoded(connection.client_secret().reveal())),
            )
            .form(&[("grant_type", "client_credentials"), ("scope", access.scope())])
            .send()
            .await
            .map_err(unreachable)?;
        let token = token(response).await?;
        Ok(Self {
            http,
            server: connection.server.clone(),
            token,
        })
    }

    pub async fn get(&self, path: &[&str]) -> Result<Response, Failure> {
        self.send(self.http.get(self.address(path))).await
    }

    pub async fn get_json(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Failure> {
        json(self.send(self.http.get(self.address(path)).query(query)).await?).await
    }

    pub async fn put(&self, path: &[&str], query: &[(&str, &str)], body: &Value) -> Result<Value, Failure> {
        json(
            self.send(self.http.put(self.address(path)).query(query).json(body))
                .await?,
        )
        .await
    }

    pub async fn post(&self, path: &[&str], query: &[(&str, &str)], body: &Value) -> Result<Value, Failure> {
        json(
            self.send(self.http.post(self.address(path)).query(query).json(body))
                .await?,
        )
        .await
    }

    /// All items of a list, page after page.
    pub async fn list(&self, path: &[&str]) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut request = self.http.get(self.address(path));
            if let Some(cursor) = &cursor {
                request = request.query(&[("cursor", cursor)]);
            }
            let page: Page = read(self.send(request).await?).await?;
            items.extend(page.items);
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => return Ok(items),
            }
        }
    }

    fn address(&self, path: &[&str]) -> Url {
        address(&self.server, &[&["admin", "v1"], path].concat())
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request
            .bearer_auth(&self.token)
            .send()
            .await
            .map_err(|source| Failure::Unreachable {
                server: self.server.to_string(),
                source,
            })?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let problem: Problem = response.json().await.map_err(|_| Failure::Unreadable { status })?;
        Err(Failure::Refused(Box::new(problem)))
    }
}

async fn token(response: Response) -> Result<String, Failure> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(read::<TokenAnswer>(response).await?.access_token);
    }
    let refusal: TokenRefusal = read(response).await?;
    Err(Failure::NotAuthorized(match refusal.error_description {
        Some(description) => format!("{description} ({})", refusal.error),
        None => refusal.error,
    }))
}

async fn read<T: serde::de::DeserializeOwned>(response: Response) -> Result<T, Failure> {
    let status = response.status().as_u16();
    response.json().await.map_err(|_| Failure::Unreadable { status })
}

pub async fn json(response: Response) -> Result<Value, Failure> {
    read(response).await
}

/// Below whatever path the server itself lives at.
fn address(server: &Url, path: &[&str]) -> Url {
    let mut address = server.clone();
    if let Ok(mut segments) = address.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    address
}

/// RFC 6749 §2.3.1: id and secret are form-encoded before they are put into the header.
fn form_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*') {
            encoded.push(char::from(byte));
        } else if byte == b' ' {
            encoded.push('+');
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_lies_below_the_servers_own_path() {
        let server: Url = "https://example.com/ostler/".parse().unwrap();
        assert_eq!(
            address(&server, &["admin", "v1", "a/b"]).as_str(),
            "https://example.com/ostler/admin/v1/a%2Fb"
        );
        let server: Url = "http://127.0.0.1:8080".parse().unwrap();
        assert_eq!(
            address(&server, &["oauth", "token"]).as_str(),
            "http://127.0.0.1:8080/oauth/token"
        );
    }

    #[test]
    fn a_secret_with_odd_characters_survives_the_header() {
        assert_eq!(form_encoded("a:b c%ä"), "a%3Ab+c%25%C3%A4");
    }
}
