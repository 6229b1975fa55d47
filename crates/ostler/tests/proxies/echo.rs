//! A server that answers with the head of the request it got, so that a test sees what a proxy lets through. A path
//! that ends in `/stream` gets one event and then silence.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

pub struct Echo {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    /// Serves until the test's process ends.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let echo = Self {
            address: listener.local_addr().unwrap(),
            heads: Arc::default(),
        };
        let heads = Arc::clone(&echo.heads);
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let heads = Arc::clone(&heads);
                std::thread::spawn(move || serve(connection, &heads));
            }
        });
        echo
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn was_asked_for(&self, path: &str) -> bool {
        self.heads.lock().unwrap().iter().any(|head| head.contains(path))
    }
}

/// One connection, request after request, until the peer goes.
fn serve(connection: TcpStream, heads: &Mutex<Vec<String>>) {
    let mut answers = connection.try_clone().unwrap();
    let mut requests = BufReader::new(connection);
    while let Some(head) = read_head(&mut requests) {
        heads.lock().unwrap().push(head.clone());
        let path = head.split(' ').nth(1).unwrap_or("");
        let answer = if path.ends_with("/stream") {
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\nd\r\ndata: first\n\n\r\n"
                .to_owned()
        } else {
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{head}",
                head.len()
            )
        };
        if answers.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read_head(requests: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if requests.read_line(&mut line).ok()? == 0 {
            return None;
        }
        head.push_str(&line);
        if line == "\r\n" {
            return Some(head);
        }
    }
}
