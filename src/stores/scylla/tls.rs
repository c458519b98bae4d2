//! TLS to the store.

use std::{path::Path, sync::Arc};

use foryou_actors::ports::store::StoreError;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Trusts the authorities in the PEM file `ca`, or those of the system where it is empty. A node's certificate must hold its IP
/// address: the driver knows nodes by address.
pub fn client(ca: &Path) -> Result<Arc<ClientConfig>, StoreError> {
    let mut roots = RootCertStore::empty();
    if ca.as_os_str().is_empty() {
        for certificate in rustls_native_certs::load_native_certs().certs {
            // The system may trust what this library does not understand.
            let _skipped = roots.add(certificate);
        }
    } else {
        let bad =
            |error: &dyn std::fmt::Display| StoreError::Away(format!("store.scylla.ca {}: {error}", ca.display()));
        for certificate in CertificateDer::pem_file_iter(ca).map_err(|e| bad(&e))? {
            roots.add(certificate.map_err(|e| bad(&e))?).map_err(|e| bad(&e))?;
        }
    }
    if roots.is_empty() {
        return Err(StoreError::Away("no certificate authority to trust; set store.scylla.ca to a PEM file".into()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Away(format!("TLS cannot be used: {error}")))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
