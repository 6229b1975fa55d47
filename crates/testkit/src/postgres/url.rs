//! Just enough of a PostgreSQL URL to name another database on the same server. Everything else is the driver's
//! business.

/// The same server, user and parameters, another database.
pub fn with_database(url: &str, database: &str) -> String {
    let (address, parameters) = match url.split_once('?') {
        Some((address, parameters)) => (address, Some(parameters)),
        None => (url, None),
    };
    let authority_at = address.find("://").map_or(0, |at| at + "://".len());
    let authority_end = address[authority_at..]
        .find('/')
        .map_or(address.len(), |at| authority_at + at);
    let server = &address[..authority_end];
    match parameters {
        Some(parameters) => format!("{server}/{database}?{parameters}"),
        None => format!("{server}/{database}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_changes() {
        for (url, expected) in [
            (
                "postgres://u:p@localhost:5432/postgres",
                "postgres://u:p@localhost:5432/t",
            ),
            ("postgres://u:p@localhost:5432/", "postgres://u:p@localhost:5432/t"),
            ("postgresql://localhost", "postgresql://localhost/t"),
            ("postgres://u@h/a?sslmode=disable", "postgres://u@h/t?sslmode=disable"),
            ("postgres://u@h?host=/run/pg", "postgres://u@h/t?host=/run/pg"),
        ] {
            assert_eq!(with_database(url, "t"), expected, "{url}");
        }
    }
}
