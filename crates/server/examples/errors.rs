//! Writes `docs/errors.md` to stdout.

fn main() {
    print!("{}", ostler_server::problem::errors_document());
}
