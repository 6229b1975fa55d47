//! Fields of spans and lines as tracing-subscriber writes them, only faster where it matters.
//!
//! Every request has a span with three fields, which are written down whether or not a line is ever
//! logged in it. The usual visitor takes some 5,700 instructions for them (about 1 µs), most for
//! styles that only a terminal has. What it writes is kept to the byte; all but plain values is left to it.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::{MakeVisitor, VisitFmt, VisitOutput};
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};

#[derive(Debug)]
pub(super) struct PlainFields;

pub(super) struct PlainVisitor<'a> {
    writer: Writer<'a>,
    /// Plain fields on their way to the writer, which would grow with each word.
    plain: String,
    is_empty: bool,
    result: fmt::Result,
}

impl<'a> MakeVisitor<Writer<'a>> for PlainFields {
    type Visitor = PlainVisitor<'a>;

    fn make_visitor(&self, writer: Writer<'a>) -> PlainVisitor<'a> {
        PlainVisitor {
            writer,
            plain: String::with_capacity(128),
            is_empty: true,
            result: Ok(()),
        }
    }
}

impl PlainVisitor<'_> {
    /// Lets the usual visitor write one field.
    fn usual(&mut self, record: impl FnOnce(&mut DefaultVisitor<'_>)) {
        self.flush();
        if self.result.is_err() {
            return;
        }
        let mut visitor = DefaultVisitor::new(self.writer.by_ref(), self.is_empty);
        record(&mut visitor);
        self.result = visitor.finish();
        self.is_empty = false;
    }

    fn is_plain(&self, field: &Field) -> bool {
        let name = field.name();
        self.result.is_ok()
            && !self.writer.has_ansi_escapes()
            && name != "message"
            && !name.starts_with("log.")
            && !name.starts_with("r#")
    }

    fn write_name(&mut self, name: &str) {
        if !self.is_empty {
            self.plain.push(' ');
        }
        self.is_empty = false;
        self.plain.push_str(name);
        self.plain.push('=');
    }

    fn flush(&mut self) {
        self.result = self.result.and_then(|()| self.writer.write_str(&self.plain));
        self.plain.clear();
    }
}

/// Whether Rust's debug notation writes the text as it is.
fn needs_no_escape(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
}

impl Visit for PlainVisitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if self.is_plain(field) && needs_no_escape(value) {
            self.write_name(field.name());
            self.plain.push('"');
            self.plain.push_str(value);
            self.plain.push('"');
        } else {
            self.usual(|visitor| visitor.record_str(field, value));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.usual(|visitor| visitor.record_error(field, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.is_plain(field) {
            self.write_name(field.name());
            self.result = write!(self.plain, "{value:?}");
        } else {
            self.usual(|visitor| visitor.record_debug(field, value));
        }
    }
}

impl VisitOutput<fmt::Result> for PlainVisitor<'_> {
    fn finish(mut self) -> fmt::Result {
        self.flush();
        self.result
    }
}

impl VisitFmt for PlainVisitor<'_> {
    fn writer(&mut self) -> &mut dyn fmt::Write {
        self.flush();
        &mut self.writer
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::format::DefaultFields;
    use tracing_subscriber::fmt::{FormatFields, MakeWriter, fmt};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            io::Write::write(&mut *self.0.lock().unwrap(), bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Page {
        type Writer = Self;
        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn logged<F>(fields: F, ansi: bool) -> String
    where
        F: for<'w> FormatFields<'w> + Send + Sync + 'static,
    {
        let page = Page::default();
        let lines = fmt().without_time().with_writer(page.clone()).with_ansi(ansi);
        tracing::subscriber::with_default(lines.fmt_fields(fields).finish(), || {
            let error = io::Error::other("no\u{1b}[1m \"room\"");
            let none: Option<&str> = None;
            let span =
                tracing::info_span!("request", request.id = "req_1", http.method = %"GET", r#type = "a", odd = "ä\"");
            let _entered = span.enter();
            tracing::warn!(
                status = 503,
                duration_ms = 1.25,
                none,
                error = &error as &dyn std::error::Error,
                "it\u{1b}[1m could not be {}",
                "done"
            );
            tracing::info!(log.target = "x", text = "plain", "said");
        });
        String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn what_is_written_is_the_usual_to_the_byte() {
        for ansi in [false, true] {
            assert_eq!(logged(PlainFields, ansi), logged(DefaultFields::new(), ansi));
        }
        assert!(logged(PlainFields, false).contains(r#"request{request.id="req_1" http.method=GET"#));
    }
}
