//! The one place of this crate that reads the environment by itself: what clap reads from there has an
//! option of the same name, and a secret must have none.

#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge where the environment comes in"
)]
pub fn client_secret() -> Option<String> {
    std::env::var("OSTLER_CLIENT_SECRET")
        .ok()
        .filter(|secret| !secret.is_empty())
}
