//! Multipart bodies (RFC 7578), read just far enough for the vendor's file uploads: every part becomes
//! a field with its text. Nested multiparts and transfer encodings are not read.

use super::Fields;

/// None if the body is not what its content type promises.
pub(super) fn read(content_type: &str, body: &[u8]) -> Option<Fields> {
    let delimiter = format!("--{}", boundary(content_type)?);
    let text = String::from_utf8_lossy(body);
    let mut fields = Vec::new();
    // Before the first delimiter stands a preamble, after the last `--` and an epilogue.
    for part in text.split(delimiter.as_str()).skip(1) {
        if part.starts_with("--") {
            return Some(fields.into_iter().collect());
        }
        let (head, content) = part.strip_prefix("\r\n")?.split_once("\r\n\r\n")?;
        fields.push((name(head)?, content.strip_suffix("\r\n")?.to_owned()));
    }
    None
}

fn boundary(content_type: &str) -> Option<&str> {
    let (_, rest) = content_type.split_once("boundary=")?;
    let boundary = rest.split(';').next()?.trim().trim_matches('"');
    Some(boundary).filter(|boundary| !boundary.is_empty())
}

/// `Content-Disposition: form-data; name="file"; filename="ids.txt"`
fn name(head: &str) -> Option<String> {
    let disposition = head
        .lines()
        .find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let (_, rest) = disposition.split_once("; name=\"")?;
    rest.split('"').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=xyz";

    #[test]
    fn parts_become_fields() {
        let body = "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n\
                    one\ntwo\r\n--xyz\r\ncontent-disposition: form-data; name=\"claim_user\"\r\n\r\na@example.com\r\n--xyz--\r\n";
        let fields = read(TYPE, body.as_bytes()).unwrap();
        assert_eq!(fields.text("file").as_deref(), Some("one\ntwo"));
        assert_eq!(fields.text("claim_user").as_deref(), Some("a@example.com"));
    }

    #[test]
    fn a_body_without_its_end_is_refused() {
        let body = "--xyz\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\none\r\n";
        assert!(read(TYPE, body.as_bytes()).is_none());
        assert!(read("multipart/form-data", b"").is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn no_bytes_make_it_panic(content_type in ".*", body in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&content_type, &body);
            read(TYPE, &[b"--xyz\r\n".as_slice(), &body, b"\r\n--xyz--".as_slice()].concat());
        }
    }
}
