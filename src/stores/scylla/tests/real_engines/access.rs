//! Keys and the audit log.

use std::sync::Arc;

use foryou_actors::ports::audit::contract::KEPT_DAYS;

use super::*;
use crate::stores::scylla::ScyllaAudit;

foryou_actors::access_contract!(fresh);

struct Audit(Keyspace);

#[async_trait]
impl Subject for Audit {
    type Port = ScyllaAudit;
    async fn open(&self) -> ScyllaAudit {
        ScyllaAudit::new(Arc::new(self.0.open().await), KEPT_DAYS)
    }
}

mod audit {
    use super::*;

    fn fresh() -> Audit {
        Audit(super::fresh())
    }
    foryou_actors::audit_contract!(fresh);
}
