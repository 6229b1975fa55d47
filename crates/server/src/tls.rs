//! TLS with the operator's own certificate, taken up again when its files change.
//!
//! Connections that are open keep what they agreed on; a new handshake gets the new certificate. A
//! pair of files that does not fit together is reported and the old one kept.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{} cannot be read as PEM", .file.display())]
    Pem {
        file: PathBuf,
        source: rustls_pki_types::pem::Error,
    },
    #[error("{} holds no certificate", .file.display())]
    NoCertificate { file: PathBuf },
    #[error("the certificate and the key cannot be used together")]
    Unusable(#[source] rustls::Error),
}

/// The certificate that new handshakes get.
#[derive(Debug)]
pub struct CurrentCertificate {
    files: config::Tls,
    current: RwLock<Loaded>,
}

#[derive(Debug, Clone)]
struct Loaded {
    key: Arc<CertifiedKey>,
    changed: [Option<SystemTime>; 2],
}

impl CurrentCertificate {
    pub fn load(files: &config::Tls) -> Result<Arc<Self>, TlsError> {
        let current = RwLock::new(load(files)?);
        Ok(Arc::new(Self {
            files: files.clone(),
            current,
        }))
    }

    pub fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Looks at the files from time to time until the server stops. Their times are compared, not
    /// watched for: that also works across mounts and with links that are swapped.
    pub async fn follow_files(self: Arc<Self>, stopping: CancellationToken) {
        let mut ticks = tokio::time::interval(self.files.reload);
        while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
            let own = self.clone();
            if let Err(panicked) = tokio::task::spawn_blocking(move || own.reload_if_changed()).await {
                warn!(error = %panicked, "looking at the certificate's files failed");
            }
        }
    }

    fn reload_if_changed(&self) {
        let before = self.current.read().unwrap_or_else(PoisonError::into_inner).changed;
        if times_changed(&self.files) == before {
            return;
        }
        match load(&self.files) {
            Ok(loaded) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = loaded;
                info!(file = %self.files.certificate_file.display(), "the renewed certificate is in use");
            }
            // Perhaps only one of the two files has been replaced yet: the next look will tell.
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "the changed certificate cannot be used; the old one stays"
                );
            }
        }
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).key.clone())
    }
}

fn load(files: &config::Tls) -> Result<Loaded, TlsError> {
    // The times first: a change between the two is then seen at the next look.
    let changed = times_changed(files);
    let chain = certificates(&files.certificate_file)?;
    let key = PrivateKeyDer::from_pem_file(&files.key_file).map_err(|source| TlsError::Pem {
        file: files.key_file.clone(),
        source,
    })?;
    let provider: CryptoProvider = rustls::crypto::aws_lc_rs::default_provider();
    let key = CertifiedKey::from_der(chain, key, &provider).map_err(TlsError::Unusable)?;
    Ok(Loaded {
        key: Arc::new(key),
        changed,
    })
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = |source| TlsError::Pem {
        file: file.to_owned(),
        source,
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(file)
        .map_err(pem)?
        .collect::<Result<_, _>>()
        .map_err(pem)?;
    if chain.is_empty() {
        Err(TlsError::NoCertificate { file: file.to_owned() })
    } else {
        Ok(chain)
    }
}

fn times_changed(files: &config::Tls) -> [Option<SystemTime>; 2] {
    [&files.certificate_file, &files.key_file]
        .map(|file| std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok())
}
