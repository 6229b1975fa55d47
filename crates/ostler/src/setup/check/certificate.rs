//! The certificate that `serve` will offer: readable, fitting its key, good for the public host, and
//! not about to end.
//!
//! Judged by a handshake in memory, as a client would judge it, with the chain's own last certificate
//! as the anchor. Whether customers' devices trust that one, only they know.

use std::sync::Arc;
use std::time::Duration;

use ostler_core::time::Timestamp;
use ostler_server::config::{Config, Tls};
use rustls::client::{ClientConfig, ClientConnection};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ServerConfig, ServerConnection};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, RootCertStore};

use super::verdict::{Verdict, chain};
use super::what;

const WARNS_BEFORE: Duration = Duration::from_secs(21 * 24 * 60 * 60);
/// More than any handshake has.
const FLIGHTS_MAX: usize = 10;

pub fn look(config: &Config, now: Timestamp) -> Verdict {
    match &config.tls {
        Some(tls) => judge(tls, config.public_url.host_str().unwrap_or_default(), now),
        None => Verdict::skipped(what::CERTIFICATE, "none is configured; a proxy may have one"),
    }
}

fn judge(tls: &Tls, host: &str, now: Timestamp) -> Verdict {
    let file = tls.certificate_file.display();
    let pair = match Pair::read(tls, host) {
        Ok(pair) => pair,
        Err(why) => return Verdict::failed(what::CERTIFICATE, why),
    };
    if let Err(error) = pair.shake_hands(now) {
        return Verdict::failed(what::CERTIFICATE, format!("{file}: {}", in_words(&error, host)));
    }
    match pair.shake_hands(now + WARNS_BEFORE) {
        Ok(()) => Verdict::ok(what::CERTIFICATE, format!("{file}, good for {host}")),
        Err(_) => Verdict::warning(what::CERTIFICATE, format!("{file} ends within 21 days")).hint("renew it"),
    }
}

fn in_words(error: &rustls::Error, host: &str) -> String {
    let rustls::Error::InvalidCertificate(fault) = error else {
        return chain(error);
    };
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("it is not for {host}")
        }
        CertificateError::UnknownIssuer => "the chain is not complete: who issued it is missing".to_owned(),
        other => format!("{other:?}"),
    }
}

struct Pair {
    chain: Vec<CertificateDer<'static>>,
    server: Arc<ServerConfig>,
    name: ServerName<'static>,
}

/// The time as it is handed in.
#[derive(Debug)]
struct At(Timestamp);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.millis()).ok()? / 1000;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

impl Pair {
    fn read(tls: &Tls, host: &str) -> Result<Self, String> {
        let Tls {
            certificate_file,
            key_file,
            ..
        } = tls;
        let unreadable = |file: &std::path::Path, error: rustls::pki_types::pem::Error| {
            format!("{} cannot be read as PEM: {error}", file.display())
        };
        let chain = CertificateDer::pem_file_iter(certificate_file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| unreadable(certificate_file, error))?;
        let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| unreadable(key_file, error))?;
        if chain.is_empty() {
            return Err(format!("{} holds no certificate", certificate_file.display()));
        }
        let server = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .and_then(|server| server.with_no_client_auth().with_single_cert(chain.clone(), key));
        let server = server.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                format!(
                    "{} is not the key of {}",
                    key_file.display(),
                    certificate_file.display()
                )
            }
            other => format!("{} cannot be used: {other}", certificate_file.display()),
        })?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(|_| "the public URL's host cannot stand in a certificate")?;
        Ok(Self {
            chain,
            server: Arc::new(server),
            name,
        })
    }

    fn shake_hands(&self, at: Timestamp) -> Result<(), rustls::Error> {
        let mut anchors = RootCertStore::empty();
        anchors.add(self.chain.last().expect("read() took no empty chain").clone())?;
        let client = ClientConfig::builder_with_details(provider(), Arc::new(At(at)))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(anchors)
            .with_no_client_auth();
        let mut client = ClientConnection::new(Arc::new(client), self.name.clone())?;
        let mut server = ServerConnection::new(Arc::clone(&self.server))?;
        for _ in 0..FLIGHTS_MAX {
            carry(&mut client, &mut server)?;
            carry(&mut server, &mut client)?;
            if !client.is_handshaking() && !server.is_handshaking() {
                return Ok(());
            }
        }
        Err(rustls::Error::HandshakeNotComplete)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Brings what one side has to say to the other, and has it understood.
fn carry<A, B>(
    from: &mut rustls::ConnectionCommon<A>,
    to: &mut rustls::ConnectionCommon<B>,
) -> Result<(), rustls::Error> {
    let mut flight = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut flight)
            .map_err(|error| rustls::Error::General(error.to_string()))?;
    }
    let mut rest = flight.as_slice();
    while !rest.is_empty() {
        to.read_tls(&mut rest)
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        to.process_new_packets()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::port::Clock as _;
    use ostler_server::edge::SystemClock;
    use ostler_testkit::{Scratch, issued, self_signed};

    use crate::setup::check::verdict::Standing;

    const CENTURY: Duration = Duration::from_secs(36_500 * 24 * 60 * 60);

    fn now() -> Timestamp {
        SystemClock.now()
    }

    /// What an operator may have put there, in one folder.
    fn files() -> Scratch {
        let scratch = Scratch::new();
        let whole = issued(&scratch, "chain", &["api.example.com", "127.0.0.1"]);
        let both = std::fs::read_to_string(whole.certificate).unwrap();
        let (server, _issuer) = both.split_at(both.find("-----END CERTIFICATE-----\n").unwrap() + 26);
        scratch.write("server.crt", server);
        self_signed(&scratch, "other", &["api.example.com"]);
        scratch
    }

    fn look_at(files: &Scratch, certificate: &str, key: &str, host: &str, now: Timestamp) -> Verdict {
        let tls = Tls {
            certificate_file: files.join(certificate),
            key_file: files.join(key),
            reload: Duration::from_secs(10),
        };
        judge(&tls, host, now)
    }

    #[test]
    fn a_whole_chain_for_its_host_holds_and_warns_three_weeks_before_its_end() {
        let files = files();
        assert_eq!(
            look_at(&files, "chain.crt", "chain.key", "api.example.com", now()).standing,
            Standing::Ok
        );
        assert_eq!(
            look_at(&files, "chain.crt", "chain.key", "127.0.0.1", now()).standing,
            Standing::Ok
        );
        let end = valid_until(&files);
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(
            look_at(&files, "chain.crt", "chain.key", "api.example.com", end - day * 22).standing,
            Standing::Ok
        );
        assert_eq!(
            look_at(&files, "chain.crt", "chain.key", "api.example.com", end - day * 20).standing,
            Standing::Warning
        );
    }

    #[test]
    fn each_way_in_which_customers_would_refuse_it_fails_by_name() {
        let (files, now) = (files(), now());
        let table = [
            (
                "chain.crt",
                "chain.key",
                "api.example.com",
                now + CENTURY * 2,
                "expired",
            ),
            (
                "chain.crt",
                "chain.key",
                "api.example.com",
                now - CENTURY / 2,
                "not valid yet",
            ),
            (
                "chain.crt",
                "chain.key",
                "www.example.com",
                now,
                "not for www.example.com",
            ),
            (
                "server.crt",
                "chain.key",
                "api.example.com",
                now,
                "chain is not complete",
            ),
            (
                "chain.crt",
                "other.key",
                "api.example.com",
                now,
                "other.key is not the key of",
            ),
            ("chain.key", "chain.key", "api.example.com", now, "holds no certificate"),
            (
                "absent.crt",
                "chain.key",
                "api.example.com",
                now,
                "absent.crt cannot be read",
            ),
            (
                "chain.crt",
                "server.crt",
                "api.example.com",
                now,
                "server.crt cannot be read",
            ),
        ];
        for (certificate, key, host, at, words) in table {
            let verdict = look_at(&files, certificate, key, host, at);
            assert_eq!(verdict.standing, Standing::Failed, "{certificate} {key} {host}");
            assert!(verdict.detail.contains(words), "{words}: {}", verdict.detail);
        }
    }

    /// The first moment at which it is expired, found as a client finds it.
    fn valid_until(files: &Scratch) -> Timestamp {
        let (mut good, mut bad) = (now(), now() + CENTURY);
        while bad.since(good) > Duration::from_secs(1) {
            let middle = good + bad.since(good) / 2;
            match look_at(files, "chain.crt", "chain.key", "api.example.com", middle).standing {
                Standing::Failed => bad = middle,
                Standing::Ok | Standing::Warning | Standing::Skipped => good = middle,
            }
        }
        bad
    }
}
