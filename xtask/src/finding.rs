//! One thing to look at, printed so that editors can jump to it.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    path: String,
    line: usize,
    text: String,
}

impl Finding {
    /// About a whole file.
    pub fn in_file(path: &str, text: impl Into<String>) -> Self {
        Self::at(path, 0, text)
    }

    /// About a line, counted from 1.
    pub fn at(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            text: text.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, text } = self;
        match line {
            0 => write!(formatter, "{path}: {text}"),
            line => write!(formatter, "{path}:{line}: {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_only_when_there_is_one() {
        assert_eq!(Finding::in_file("a.rs", "odd").to_string(), "a.rs: odd");
        assert_eq!(Finding::at("a.rs", 3, "odd").to_string(), "a.rs:3: odd");
    }
}
