//! A small HTTP/1.1 server on loopback: one thread, one runtime. Stub and checker are made of it, so that the
//! comparison's own parts cost as little as hyper does.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

pub type Body = BoxBody<Bytes, Infallible>;

pub trait Service: Send + Sync + 'static {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> BoxFuture<'static, Response<Body>>;
}

pub fn body(content: impl Into<Bytes>) -> Body {
    Full::new(content.into()).boxed()
}

/// Serves until the program ends. `listening` is told the address first.
pub fn serve(service: &Arc<impl Service>, listening: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        listening(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let service = Arc::clone(service);
            let answering = service_fn(move |request| {
                let answer = Arc::clone(&service).answer(request);
                async { Ok::<_, Infallible>(answer.await) }
            });
            tokio::spawn(async move {
                // The peer may hang up when it likes; it then gets no answer, and notices.
                if let Err(error) = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), answering)
                    .await
                    && !error.is_incomplete_message()
                {
                    eprintln!("a connection ended badly: {error}");
                }
            });
        }
    })
}
