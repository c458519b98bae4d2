//! TLS by rustls: the server's certificate, which is read again when it changes, and what clients trust.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use foryou_actors::services::{repeated::repeated, supervisor::ServiceSpec};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::{config::Tls, watched_files::WatchedFiles};

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

fn failed(what: &str, path: &Path, error: impl fmt::Display) -> TlsError {
    TlsError(format!("{what} {}: {error}", path.display()))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A client that trusts the authorities in the PEM file `ca`, or those of the system where it is empty. `setting` names `ca` in errors.
pub fn client(ca: &Path, setting: &str) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    if ca.as_os_str().is_empty() {
        for certificate in rustls_native_certs::load_native_certs().certs {
            // The system may trust what this library does not understand.
            let _skipped = roots.add(certificate);
        }
    } else {
        for certificate in CertificateDer::pem_file_iter(ca).map_err(|e| failed(setting, ca, e))? {
            let certificate = certificate.map_err(|e| failed(setting, ca, e))?;
            roots.add(certificate).map_err(|e| failed(setting, ca, e))?;
        }
    }
    if roots.is_empty() {
        return Err(TlsError(format!("no certificate authority to trust; set {setting} to a PEM file")));
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError(format!("TLS cannot be used: {error}")))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// The server's certificate with its key.
#[derive(Debug)]
pub struct Certificate {
    files: Tls,
    now: ArcSwap<CertifiedKey>,
    watched: WatchedFiles,
}

impl Certificate {
    /// As it is in the files now.
    pub fn open(files: &Tls) -> Result<Arc<Self>, TlsError> {
        let watched = WatchedFiles::new([files.cert.as_path(), files.key.as_path()]);
        let now = ArcSwap::from_pointee(read(files)?);
        Ok(Arc::new(Self { files: files.clone(), now, watched }))
    }

    /// What a server speaks TLS with: HTTP/1.1 under whatever the certificate is at the time.
    pub fn server(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError(format!("TLS cannot be used: {error}")))?;
        Ok(config.with_no_client_auth().with_cert_resolver(self.clone()))
    }

    /// Reads the files again if they changed. Where that fails, the certificate stays as it is. Waits for the disk.
    fn refresh(&self) -> Result<(), TlsError> {
        if let Some(new) = self.watched.again(|| read(&self.files))? {
            self.now.store(Arc::new(new));
            tracing::info!(cert = %self.files.cert.display(), "the certificate changed");
        }
        Ok(())
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now.load_full())
    }
}

fn read(Tls { cert, key }: &Tls) -> Result<CertifiedKey, TlsError> {
    let missing = |path: &PathBuf| path.as_os_str().is_empty();
    if missing(cert) || missing(key) {
        return Err(TlsError("server.tls needs both cert and key; set the other one, too".into()));
    }
    let chain = CertificateDer::pem_file_iter(cert).map_err(|e| failed("server.tls.cert", cert, e))?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(|e| failed("server.tls.cert", cert, e))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| failed("server.tls.key", key, e))?;
    let certified = CertifiedKey::from_der(chain, private, &provider());
    certified.map_err(|e| failed("server.tls.cert and key do not go together:", cert, e))
}

/// Looks so often whether the certificate changed; to be supervised.
pub fn service(certificate: Arc<Certificate>, every: Duration) -> ServiceSpec {
    repeated("certificate", every, move || {
        let certificate = certificate.clone();
        async move {
            let read = tokio::task::spawn_blocking(move || certificate.refresh()).await?;
            // Both files are rarely written at once; the next look finds them together.
            Ok(read.inspect_err(|error| tracing::warn!(%error, "the certificate stays as it was"))?)
        }
    })
}
