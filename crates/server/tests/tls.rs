//! Own certificates: offered, renewed without closing anything, kept when the new ones are unusable.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ostler_server::config::Tls;
use ostler_server::listen::{ListenError, Listener};
use ostler_testkit::{Certified, Scratch, self_signed};
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::world::{Served, limits, soon, world};

fn certificate(file: &Certified) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(&file.certificate).unwrap()
}

/// Two pairs, and the place where the server looks for its own.
struct Files {
    first: Certified,
    second: Certified,
    tls: Tls,
    _scratch: Scratch,
}

impl Files {
    /// The first is in place.
    fn new() -> Self {
        let scratch = Scratch::new();
        let pair = |name| self_signed(&scratch, name, &["localhost", "127.0.0.1"]);
        let tls = Tls {
            certificate_file: scratch.join("server.crt"),
            key_file: scratch.join("server.key"),
            reload: Duration::from_millis(50),
        };
        let files = Self {
            first: pair("first"),
            second: pair("second"),
            tls,
            _scratch: scratch,
        };
        files.put(&files.first.certificate, &files.first.key);
        files
    }

    /// Replaces both as certbot does: written beside, then renamed over.
    fn put(&self, certificate: &Path, key: &Path) {
        for (from, to) in [(key, &self.tls.key_file), (certificate, &self.tls.certificate_file)] {
            let beside = to.with_extension("new");
            std::fs::copy(from, &beside).unwrap();
            std::fs::rename(beside, to).unwrap();
        }
    }

    /// Trusts both; which one is offered is what the tests ask.
    async fn connect(&self, served: &Served, protocol: &[u8]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        for pair in [&self.first, &self.second] {
            roots.add(certificate(pair)).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(served.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        soon(TlsConnector::from(Arc::new(config)).connect(name, stream))
            .await
            .unwrap()
    }
}

fn offered(stream: &TlsStream<TcpStream>) -> &CertificateDer<'static> {
    &stream.get_ref().1.peer_certificates().unwrap()[0]
}

async fn is_healthy(stream: &mut TlsStream<TcpStream>) -> bool {
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut buffer = [0; 4_096];
    let len = soon(stream.read(&mut buffer)).await.unwrap();
    buffer[..len].starts_with(b"HTTP/1.1 200")
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_up_and_open_connections_stay() {
    let files = Files::new();
    let served = world().serving(Some(&files.tls)).await;
    let mut old = files.connect(&served, b"http/1.1").await;
    assert_eq!(*offered(&old), certificate(&files.first));
    assert!(is_healthy(&mut old).await);

    files.put(&files.second.certificate, &files.second.key);
    soon(async {
        while *offered(&files.connect(&served, b"http/1.1").await) != certificate(&files.second) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(is_healthy(&mut old).await, "the open connection goes on");
}

#[tokio::test]
async fn a_pair_that_does_not_fit_is_not_taken_up() {
    let files = Files::new();
    let served = world().serving(Some(&files.tls)).await;
    files.put(&files.second.certificate, &files.first.key);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        *offered(&files.connect(&served, b"http/1.1").await),
        certificate(&files.first)
    );
}

#[tokio::test]
async fn http_2_is_agreed_on_where_the_client_offers_it() {
    let files = Files::new();
    let served = world().serving(Some(&files.tls)).await;
    let stream = files.connect(&served, b"h2").await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
}

#[tokio::test]
async fn a_stranger_who_does_not_speak_tls_is_cut_off_in_time() {
    let files = Files::new();
    let mut world = world();
    world.limits.header_deadline = Duration::from_millis(200);
    let served = world.serving(Some(&files.tls)).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn files_that_cannot_be_used_are_reported_before_listening() {
    let files = Files::new();
    files.put(&files.second.certificate, &files.first.key);
    let anywhere = [([127, 0, 0, 1], 0).into()];
    let refused = Listener::bind(&anywhere, Some(&files.tls), (&limits()).into()).await;
    assert!(matches!(refused, Err(ListenError::Tls(_))));
}
