//! A reader of server-sent events (WHATWG HTML §9.2.6) over bytes as they come, split anywhere.
//!
//! It keeps at most one event in memory: what is larger than [`EVENT_BYTES_MAX`] is skipped, and
//! said so. It does not reconnect and knows nothing of what events mean.

/// Far above what a device may publish (16 KiB, doubly encoded).
pub const EVENT_BYTES_MAX: usize = 128 * 1024;

const BOM: &[u8] = "\u{feff}".as_bytes();

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseEvent {
    /// Empty if no `event:` line came.
    pub name: String,
    /// The `data:` lines, joined by line feeds.
    pub data: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SseItem {
    Event(SseEvent),
    /// A comment, or an empty line without an event: the other side is alive.
    Beat,
    /// An event that was too large has been skipped.
    Oversized,
}

#[derive(Debug, Default)]
pub struct SseReader {
    /// The line that has not ended yet.
    line: Vec<u8>,
    line_is_oversized: bool,
    /// A line feed that follows is the second half of CR LF.
    after_carriage_return: bool,
    begun: bool,
    event: Pending,
}

/// The event that has not been dispatched yet.
#[derive(Debug, Default)]
struct Pending {
    name: String,
    data: Option<String>,
    oversized: bool,
}

impl SseReader {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes; returns what they complete.
    pub fn push(&mut self, mut bytes: &[u8]) -> Vec<SseItem> {
        let mut items = Vec::new();
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_carriage_return) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.extend_line(bytes);
                break;
            };
            self.extend_line(&bytes[..end]);
            self.after_carriage_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            items.extend(self.end_line());
        }
        items
    }

    fn extend_line(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > EVENT_BYTES_MAX {
            self.line_is_oversized = true;
            self.line.clear();
        }
        if !self.line_is_oversized {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self) -> Option<SseItem> {
        let mut line = std::mem::take(&mut self.line);
        let first = !std::mem::replace(&mut self.begun, true);
        if std::mem::take(&mut self.line_is_oversized) {
            self.event.oversized = true;
            return None;
        }
        let content = match line.strip_prefix(BOM) {
            Some(rest) if first => rest,
            Some(_) | None => &line,
        };
        let item = self.event.take_line(content);
        // The next line finds room of the size that lines here have.
        line.clear();
        self.line = line;
        item
    }
}

impl Pending {
    fn take_line(&mut self, line: &[u8]) -> Option<SseItem> {
        if line.is_empty() {
            return Some(std::mem::take(self).dispatched());
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = match colon {
            Some(0) => return Some(SseItem::Beat),
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => self.name = String::from_utf8_lossy(value).into_owned(),
            b"data" => self.add_data(&String::from_utf8_lossy(value)),
            // `id` and `retry` ask for replay, which the device cloud does not have (§8.1).
            _ => {}
        }
        None
    }

    fn add_data(&mut self, value: &str) {
        let held = self.data.as_ref().map_or(0, String::len);
        if held + value.len() > EVENT_BYTES_MAX {
            self.oversized = true;
            self.data = None;
        }
        if self.oversized {
            return;
        }
        match &mut self.data {
            Some(data) => {
                data.push('\n');
                data.push_str(value);
            }
            None => self.data = Some(value.to_owned()),
        }
    }

    fn dispatched(self) -> SseItem {
        match self.data {
            _ if self.oversized => SseItem::Oversized,
            Some(data) => SseItem::Event(SseEvent { name: self.name, data }),
            // A name without data is dropped, as the standard says.
            None => SseItem::Beat,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<SseItem> {
        SseReader::new().push(text.as_bytes())
    }

    fn event(name: &str, data: &str) -> SseItem {
        SseItem::Event(SseEvent {
            name: name.into(),
            data: data.into(),
        })
    }

    #[test]
    fn the_stream_of_the_reference_is_read() {
        let items = read(":ok\n\nevent: temp/barn\ndata: {\"data\":\"21.5\"}\n\n\n");
        assert_eq!(
            items,
            [
                SseItem::Beat,
                SseItem::Beat,
                event("temp/barn", "{\"data\":\"21.5\"}"),
                SseItem::Beat
            ]
        );
    }

    #[test]
    fn the_standards_corners_are_kept() {
        assert_eq!(
            read("\u{feff}data: a\n\n"),
            [event("", "a")],
            "a mark at the very beginning"
        );
        assert_eq!(read("data:a\rdata:  b\r\ndata\n\r"), [event("", "a\n b\n")]);
        assert_eq!(read("event: x\n\ndata: y\n\n"), [SseItem::Beat, event("", "y")]);
        assert_eq!(read("nonsense: 1\nid: 7\nretry: 9\ndata\n\n"), [event("", "")]);
        assert_eq!(read("data: cut off\n"), []);
    }

    #[test]
    fn what_is_too_large_is_skipped_and_the_next_event_is_read() {
        let huge = "x".repeat(EVENT_BYTES_MAX);
        let text = format!("event: a\ndata: {huge}\n\ndata: b\n\n");
        assert_eq!(read(&text), [SseItem::Oversized, event("", "b")]);
        let half = "y".repeat(EVENT_BYTES_MAX / 2);
        let many = format!("data: {half}\n").repeat(5);
        assert_eq!(
            read(&format!("{many}\ndata: b\n\n")),
            [SseItem::Oversized, event("", "b")]
        );
    }

    fn pushed_in_pieces(bytes: &[u8], cuts: &[usize]) -> Vec<SseItem> {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let mut reader = SseReader::new();
        let mut items = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([bytes.len()]) {
            items.extend(reader.push(&bytes[from..cut]));
            from = cut;
        }
        items
    }

    /// What a reader could stumble over: fields, line ends, marks, and bytes that are no text.
    const PIECES: [&[u8]; 20] = [
        b"event",
        b"data",
        b"id",
        b"retry",
        b"x",
        b":",
        b": ",
        b" ",
        b"data: ",
        b"event: ",
        b"\n",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        BOM,
        b"\xe2\x82",
        b"\xff",
        b"\0",
        b"\xc3\xa4",
    ];

    fn stream_like() -> impl Strategy<Value = Vec<u8>> {
        let piece = proptest::sample::select(PIECES.as_slice());
        proptest::collection::vec(piece, 0..32).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn property_where_the_bytes_are_cut_does_not_matter(
            bytes in stream_like(),
            cuts in proptest::collection::vec(any::<usize>(), 0..8),
        ) {
            let whole = SseReader::new().push(&bytes);
            prop_assert_eq!(pushed_in_pieces(&bytes, &cuts), whole);
        }

        #[test]
        fn property_what_was_written_is_read(
            events in proptest::collection::vec(("[a-z/]{0,8}", "[ :a-zä€]{0,8}(\n[ :a-zä€]{0,8}){0,2}"), 0..4),
            ending in prop_oneof![Just("\n"), Just("\r"), Just("\r\n")],
        ) {
            let mut written = String::new();
            for (name, data) in &events {
                written += &format!("event: {name}{ending}");
                for line in data.split('\n') {
                    written += &format!("data: {line}{ending}");
                }
                written += ending;
            }
            let expected: Vec<_> = events.iter().map(|(name, data)| event(name, data)).collect();
            prop_assert_eq!(read(&written), expected);
        }
    }
}
