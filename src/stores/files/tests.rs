use async_trait::async_trait;
use foryou_actors::ports::{audit::contract::KEPT_DAYS, contract::Subject};
use tempfile::TempDir;

use super::*;

struct Keys(TempDir);

#[async_trait]
impl Subject for Keys {
    type Port = KeyFile;
    async fn open(&self) -> KeyFile {
        KeyFile::new(&self.0.path().join("access"))
    }
}

mod keys {
    use super::*;

    fn fresh() -> Keys {
        Keys(TempDir::new().unwrap())
    }
    foryou_actors::access_contract!(fresh);

    #[tokio::test]
    async fn nobody_else_may_read_the_file_and_a_broken_one_is_named() {
        use std::os::unix::fs::PermissionsExt;

        use foryou_actors::ports::access::AccessStore;
        let subject = fresh();
        let file = subject.open().await;
        let now = foryou_schemas::Timestamp::now();
        let (key, text) = crate::access::key::create("", Default::default(), now, None);
        file.put_key(&key).await.unwrap();
        let path = subject.0.path().join("access/keys.json");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let (_, secret) = crate::access::key::parse(&text).unwrap();
        assert!(!std::fs::read_to_string(&path).unwrap().contains(secret));
        std::fs::write(&path, "{").unwrap();
        let error = file.admitted().await.unwrap_err().to_string();
        assert!(error.contains("keys.json"), "{error}");
        assert!(file.put_key(&key).await.is_err(), "what does not read is not written over");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{");
    }
}

struct Audit(TempDir);

#[async_trait]
impl Subject for Audit {
    type Port = AuditFiles;
    async fn open(&self) -> AuditFiles {
        AuditFiles::new(&self.0.path().join("access"), KEPT_DAYS)
    }
}

mod audit {
    use super::*;

    fn fresh() -> Audit {
        Audit(TempDir::new().unwrap())
    }
    foryou_actors::audit_contract!(fresh);

    #[tokio::test]
    async fn a_line_that_was_cut_off_costs_no_other() {
        use std::io::Write;

        use foryou_actors::ports::audit::{AuditLog, Outcome};
        let subject = fresh();
        let log = subject.open().await;
        let deed = crate::access::Deed { action: "key create", on: "k", outcome: Outcome::Done, detail: "" };
        let line = || crate::access::audit_line(foryou_schemas::Timestamp::now(), "command", "", deed);
        log.append(&line()).await.unwrap();
        let file = std::fs::read_dir(subject.0.path().join("access")).unwrap().next().unwrap().unwrap().path();
        std::fs::File::options().append(true).open(&file).unwrap().write_all(b"{\"id\": \"half\n").unwrap();
        log.append(&line()).await.unwrap();
        assert_eq!(log.latest(None, 10).await.unwrap().len(), 2);
    }
}
