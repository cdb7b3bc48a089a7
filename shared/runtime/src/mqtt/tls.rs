//! TLS of a connection: PEM files become a client's configuration, and its failures plain words.
//!
//! Guarantees: files that hold no certificate or key are found when the configuration is read,
//! before anything is connected; the certificate of this client is sent whichever authorities are
//! trusted. Keys are never shown. Chooses `ring`.

use std::error::Error;
use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};

use crate::config::Secret;

/// Contents of the PEM files for TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates that may sign the server's one; the system's if `None`.
    pub ca: Option<Vec<u8>>,
    /// Certificate chain and private key of this client.
    pub client: Option<(Vec<u8>, Secret)>,
}

/// A file that is no good, by its name in the options: `ca`, `cert` or `key`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct TlsError {
    /// Which file.
    pub file: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

fn fault(file: &'static str, problem: impl Into<String>) -> TlsError {
    TlsError { file, problem: problem.into() }
}

impl TlsFiles {
    /// The configuration of a client with these files.
    ///
    /// # Errors
    /// When a file does not hold what it should, or the two of the client do not fit together.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        super::install_crypto();
        let roots = match &self.ca {
            Some(pem) => authorities(pem)?,
            None => system_authorities()?,
        };
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let Some((pem, key)) = &self.client else {
            return Ok(Arc::new(builder.with_no_client_auth()));
        };
        let chain = certificates("cert", pem)?;
        let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
            .map_err(|_| fault("key", "the file holds no private key in PEM"))?;
        let config = builder.with_client_auth_cert(chain, key);
        config.map(Arc::new).map_err(|error| fault("key", format!("the key is no good: {error}")))
    }
}

fn certificates(file: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(fault(file, "the file holds no certificate in PEM")),
    }
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca", pem)? {
        let added = roots.add(certificate);
        added.map_err(|error| fault("ca", format!("a certificate is no good: {error}")))?;
    }
    Ok(roots)
}

fn system_authorities() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    // Systems carry certificates that cannot be parsed; the others count.
    let (added, _) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    match added {
        0 => Err(fault("ca", "the system has no certificate authorities: name a file with them")),
        _ => Ok(roots),
    }
}

/// What a failed connection means, in plain words where TLS is the reason.
pub(super) fn words(error: &(dyn Error + 'static), host: &str) -> String {
    let Some(found) = find(error) else { return error.to_string() };
    let meaning = match found {
        rustls::Error::InvalidCertificate(problem) => server_words(problem, host),
        rustls::Error::AlertReceived(alert) => client_words(*alert),
        _ => None,
    };
    match meaning {
        Some(meaning) => format!("{meaning} ({found})"),
        None => format!("TLS: {found}"),
    }
}

fn server_words(problem: &CertificateError, host: &str) -> Option<String> {
    use CertificateError as E;
    Some(match problem {
        E::UnknownIssuer | E::BadSignature => {
            "the server's certificate is signed by none of the known authorities: check the CA file"
                .into()
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            format!("the server's certificate is not for '{host}': check the host in the URL")
        }
        E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. } => {
            "the server's certificate is not valid now: check it, and the clock of this machine"
                .into()
        }
        _ => return None,
    })
}

fn client_words(alert: AlertDescription) -> Option<String> {
    use AlertDescription as A;
    Some(match alert {
        A::CertificateRequired | A::HandshakeFailure => {
            "the server asks for a certificate of this client: name the files of one".into()
        }
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::UnknownCA
        | A::AccessDenied => "the server does not accept the certificate of this client".into(),
        _ => return None,
    })
}

/// The error of rustls below the wrappers. An [`io::Error`] hides what it wraps from `source`.
fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner as &'a (dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_certificates_and_keys_are_named() {
        let with = |ca: Option<&str>, cert: &str, key: &str| TlsFiles {
            ca: ca.map(Into::into),
            client: (!cert.is_empty()).then(|| (cert.into(), Secret::new(key))),
        };
        assert_eq!(with(Some("no PEM"), "", "").client_config().unwrap_err().file, "ca");
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = with(Some(broken), "", "").client_config().unwrap_err();
        assert!(error.file == "ca" && error.to_string().contains("no good"), "{error}");
    }

    #[test]
    fn the_reason_is_found_below_its_wrappers() {
        let reason = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = io::Error::new(io::ErrorKind::InvalidData, reason);
        let said = words(&io::Error::other(wrapped), "b.example");
        assert!(said.contains("check the CA file") && said.contains("UnknownIssuer"), "{said}");
        let said = words(&io::Error::other("no route"), "b.example");
        assert_eq!(said, "no route");
    }
}
