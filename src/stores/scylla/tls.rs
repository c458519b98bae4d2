//! TLS to the store.

use std::{path::Path, sync::Arc};

use foryou_actors::ports::store::StoreError;
use rustls::ClientConfig;

/// Trusts the authorities in the PEM file `ca`, or those of the system where it is empty. A node's certificate must hold its IP
/// address: the driver knows nodes by address.
pub fn client(ca: &Path) -> Result<Arc<ClientConfig>, StoreError> {
    crate::tls::client(ca, "store.scylla.ca").map_err(|error| StoreError::Away(error.to_string()))
}
