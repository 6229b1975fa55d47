//! A cloud that answers as a test tells it, down to the connection: it can close, hang or say
//! nothing. It speaks just enough HTTP/1.1 to be spoken to, and remembers what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        Some(value)
    }

    pub fn is_mint(&self) -> bool {
        self.path == "/oauth/token"
    }
}

#[derive(Debug, Clone)]
pub enum Told {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Answers, and closes the connection right after.
    AnswerAndClose { status: u16, body: String },
    /// Answers with a body after this while.
    Late { after: Duration, body: String },
    /// Closes without a word.
    Close,
    /// Says nothing, for ever.
    Hang,
}

impl Told {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, &body.to_string())
    }

    pub fn text(status: u16, body: &str) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub fn with(self, name: &'static str, value: &str) -> Self {
        match self {
            Self::Answer {
                status,
                mut headers,
                body,
            } => {
                headers.push((name, value.into()));
                Self::Answer { status, headers, body }
            }
            Self::AnswerAndClose { .. } | Self::Late { .. } | Self::Close | Self::Hang => {
                panic!("only an answer has headers")
            }
        }
    }
}

pub const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";

pub fn minted() -> Told {
    Told::text(
        200,
        &format!(r#"{{"token_type":"bearer","access_token":"{TOKEN}","expires_in":7776000}}"#),
    )
}

pub fn returned(value: i32) -> Told {
    Told::text(200, &format!(r#"{{"id":"x","connected":true,"return_value":{value}}}"#))
}

type Answers = dyn Fn(&Asked) -> Told + Send + Sync;

pub struct Stub {
    pub base_url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<Mutex<usize>>,
}

impl Stub {
    /// Mints for everybody; `answers` says the rest.
    pub async fn minting(answers: impl Fn(&Asked) -> Told + Send + Sync + 'static) -> Self {
        Self::start(move |asked| if asked.is_mint() { minted() } else { answers(asked) }).await
    }

    pub async fn start(answers: impl Fn(&Asked) -> Told + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stub = Self {
            base_url: format!("http://{}", listener.local_addr().unwrap()),
            asked: Arc::default(),
            connections: Arc::default(),
        };
        let (asked, connections) = (Arc::clone(&stub.asked), Arc::clone(&stub.connections));
        let answers: Arc<Answers> = Arc::new(answers);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                *connections.lock().unwrap() += 1;
                tokio::spawn(serve(socket, Arc::clone(&answers), Arc::clone(&asked)));
            }
        });
        stub
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    pub fn mints(&self) -> usize {
        self.asked().iter().filter(|asked| asked.is_mint()).count()
    }

    pub fn calls(&self) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(|asked| asked.method == "POST" && asked.path.contains("/devices/"));
        asked
    }
}

async fn serve(mut socket: TcpStream, answers: Arc<Answers>, log: Arc<Mutex<Vec<Asked>>>) {
    let mut buffer = Vec::new();
    while let Some(asked) = read_request(&mut socket, &mut buffer).await {
        log.lock().unwrap().push(asked.clone());
        let (status, headers, body, close) = match answers(&asked) {
            Told::Answer { status, headers, body } => (status, headers, body, false),
            Told::AnswerAndClose { status, body } => (status, Vec::new(), body, true),
            Told::Late { after, body } => {
                tokio::time::sleep(after).await;
                (200, Vec::new(), body, false)
            }
            Told::Close => return,
            Told::Hang => std::future::pending().await,
        };
        let mut text = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        if socket.write_all(format!("{text}\r\n{body}").as_bytes()).await.is_err() || close {
            return;
        }
    }
}

async fn read_request(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Asked> {
    loop {
        if let Some((asked, length)) = parse(buffer) {
            buffer.drain(..length);
            return Some(asked);
        }
        if socket.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

fn parse(buffer: &[u8]) -> Option<(Asked, usize)> {
    let head_length = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&buffer[..head_length]).unwrap();
    let mut lines = head.lines();
    let mut words = lines.next().unwrap().split(' ');
    let (method, path) = (words.next().unwrap().into(), words.next().unwrap().into());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = head_length + length.map_or(0, |(_, value)| value.parse().unwrap());
    let body = buffer.get(head_length..length)?;
    let asked = Asked {
        method,
        path,
        headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    Some((asked, length))
}
