//! Writes the OpenAPI document: `cargo run -p ostler-server --example openapi > docs/openapi.json`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(ostler_server::openapi::document())
}
