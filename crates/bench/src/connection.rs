//! One kept-alive HTTP/1.1 connection of the generator: writes a request that is ready as bytes, reads the whole
//! answer, tells the status. It copies nothing, because the generator must cost less than what it measures. It does not
//! know chunked bodies; nobody here sends them.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// Longer than any deadline under test: a run that hits it is broken, not slow.
pub const PATIENCE: Duration = Duration::from_secs(60);
const BUFFER_BYTES: usize = 64 * 1024;
const FIELDS_MAX: usize = 64;

#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Box<[u8]>,
    /// So much of it is of the answer that is coming in.
    filled: usize,
    waits: bool,
}

struct Head {
    status: u16,
    /// Head and body together.
    length: usize,
}

impl Connection {
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            filled: 0,
            waits: true,
        })
    }

    /// Asks and waits: the status, once the whole answer is here.
    pub fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        self.send(request)?;
        loop {
            if let Some(status) = self.receive()? {
                return Ok(status);
            }
        }
    }

    /// From now on [`Self::receive`] does not wait.
    pub fn set_nonblocking(&mut self) -> io::Result<()> {
        self.waits = false;
        self.stream.set_nonblocking(true)
    }

    pub fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.filled = 0;
        self.stream.write_all(request)
    }

    /// The status, once the whole answer is here; `None` as long as some of it is missing.
    pub fn receive(&mut self) -> io::Result<Option<u16>> {
        let read = match self.stream.read(&mut self.buffer[self.filled..]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.waits => return Ok(None),
            read => read?,
        };
        if read == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the connection was closed, or the answer is too long",
            ));
        }
        self.filled += read;
        let head = parse(&self.buffer[..self.filled])?;
        Ok(head.filter(|head| self.filled >= head.length).map(|head| head.status))
    }

    /// What the last answer was, for a message about it.
    pub fn last_answer(&self) -> String {
        let text = String::from_utf8_lossy(&self.buffer);
        text.trim_end_matches('\0').chars().take(2000).collect()
    }
}

/// `None` while the head is incomplete.
fn parse(bytes: &[u8]) -> io::Result<Option<Head>> {
    let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let head = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(invalid(&error.to_string())),
    };
    let status = response.code.ok_or_else(|| invalid("an answer without status"))?;
    let length = response
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let body = match length {
        Some(field) => {
            let text = std::str::from_utf8(field.value).ok();
            text.and_then(|text| text.trim().parse().ok())
                .ok_or_else(|| invalid("a content-length that is no number"))?
        }
        // RFC 9110 §15.3.5: no content follows.
        None if status == 204 => 0,
        None => return Err(invalid("an answer without content-length")),
    };
    Ok(Some(Head {
        status,
        length: head + body,
    }))
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert!(parse(&whole[..20]).unwrap().is_none());
        let head = parse(&whole[..whole.len() - 1]).unwrap().unwrap();
        assert_eq!((head.status, head.length), (200, whole.len()));
        assert_eq!(parse(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap().length, 27);
    }

    #[test]
    fn what_it_cannot_frame_it_refuses() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n",
            b"SSH-2.0-OpenSSH\r\n\r\n",
        ] {
            assert!(parse(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn an_answer_may_come_in_pieces_and_a_closed_connection_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut request = [0; 4];
            peer.read_exact(&mut request).unwrap();
            for piece in ["HTTP/1.1 200 OK\r\nconte", "nt-length: 5\r\n\r\nhe", "llo"] {
                peer.write_all(piece.as_bytes()).unwrap();
            }
        });
        let mut connection = Connection::open(address).unwrap();
        assert_eq!(connection.exchange(b"ping").unwrap(), 200);
        server.join().unwrap();
        connection.exchange(b"ping").unwrap_err();
    }
}
