//! On a Cassandra.

mod real_engines {
    use foryou_actors::ports::contract::Subject;
    use foryou_testing::Engines;
    use tempfile::TempDir;

    use super::super::{
        super::contract::{self, Folder, content, listed, publish, write},
        *,
    };
    use crate::stores::scylla::{migrate, tests::Keyspace};

    /// A machine with a folder of its own, on a keyspace of its own.
    struct Machine(Keyspace, TempDir);

    impl Machine {
        async fn beside(&self, folder: &TempDir) -> Folder {
            migrate(&self.0.0).await.unwrap();
            let releases = Releases::new(folder.path());
            let store = Arc::new(self.0.open_as("t").await);
            Folder { shelf: Box::new(SharedShelf::new(store, releases.clone(), contract::KEEP)), releases }
        }
    }

    #[async_trait]
    impl Subject for Machine {
        type Port = Folder;
        async fn open(&self) -> Folder {
            self.beside(&self.1).await
        }
    }

    fn fresh() -> Machine {
        Machine(Keyspace::on(&Engines::shared()), tempfile::tempdir().unwrap())
    }

    contract::shelf_contract!(fresh);

    #[tokio::test]
    async fn what_one_machine_activates_comes_to_the_others_as_it_is() {
        let (machine, folder) = (fresh(), tempfile::tempdir().unwrap());
        let (a, b) = (machine.open().await, machine.beside(&folder).await);
        publish(&a, 2).await;
        assert_eq!(b.shelf.sync().await.unwrap(), None, "none is active");
        a.shelf.activate("r1").await.unwrap();
        assert_eq!(b.shelf.sync().await.unwrap().as_deref(), Some("r1"));
        assert_eq!(b.shelf.sync().await.unwrap(), None);
        let path = |on: &Folder, id: &str| on.releases.path(id).unwrap();
        let mut sent = content(&path(&a, "r1"));
        // It is in the row of the release, unless the manifest names it.
        sent.remove("metrics.json");
        assert_eq!(content(&path(&b, "r1")), sent);
        assert_eq!(b.releases.active().unwrap().as_deref(), Some("r1"));
        assert!(b.releases.path("r0").is_err(), "what is not needed is not brought");
        // From the other machine back, which has it not.
        b.shelf.activate("r0").await.unwrap();
        assert_eq!(a.shelf.sync().await.unwrap().as_deref(), Some("r0"));
        assert_eq!(b.shelf.rollback().await.unwrap(), "r1");
        assert_eq!(a.shelf.sync().await.unwrap().as_deref(), Some("r1"));
        assert_eq!(listed(&*a.shelf).await, listed(&*b.shelf).await);
        // One of the same name that was made anew.
        write(&a.releases, "r1", 9);
        a.shelf.publish("r1").await.unwrap();
        b.shelf.fetch("r1").await.unwrap();
        assert_eq!(content(&path(&b, "r1"))["large.bin"], content(&path(&a, "r1"))["large.bin"]);
    }

    #[tokio::test]
    async fn a_release_that_is_not_whole_is_not_taken_in() {
        let (machine, folder) = (fresh(), tempfile::tempdir().unwrap());
        let (a, b) = (machine.open().await, machine.beside(&folder).await);
        publish(&a, 2).await;
        a.shelf.activate("r0").await.unwrap();
        b.shelf.sync().await.unwrap();
        let store = machine.0.open_as("other").await;
        store.drop_release_part("r1", "large.bin", 1).await.unwrap();
        a.shelf.activate("r1").await.unwrap();
        let error = b.shelf.sync().await.unwrap_err().to_string();
        assert!(error.contains("r1") && error.contains("large.bin"), "{error}");
        assert_eq!(b.releases.active().unwrap().as_deref(), Some("r0"), "the one before goes on");
        store.put_release_part("r1", "large.bin", 1, &[0; CHUNK]).await.unwrap();
        assert!(b.shelf.sync().await.unwrap_err().to_string().contains("checksum"));
        let sent = std::fs::read(a.releases.path("r1").unwrap().join("large.bin")).unwrap();
        store.put_release_part("r1", "large.bin", 1, &sent[CHUNK..2 * CHUNK]).await.unwrap();
        assert_eq!(b.shelf.sync().await.unwrap().as_deref(), Some("r1"));
        // One that broke off while it was published is none, and goes when it never came to its end.
        let row = store.release("r0").await.unwrap().unwrap();
        let broken = ReleaseRow { id: "broken".into(), whole: false, ..row };
        store.put_release(&broken).await.unwrap();
        assert_eq!(listed(&*b.shelf).await, ["r1*", "r0"]);
        assert!(matches!(b.shelf.activate("broken").await, Err(ModelError::Unknown(_))));
        b.shelf.prune().await.unwrap();
        assert_eq!(store.release("broken").await.unwrap(), None);
        // Damaged where it was made: it does not get far.
        write(&a.releases, "r2", 2);
        std::fs::write(a.releases.path("r2").unwrap().join("small.json"), "[]").unwrap();
        assert!(a.shelf.activate("r2").await.unwrap_err().to_string().contains("small.json"));
        assert_eq!(listed(&*b.shelf).await, ["r1*", "r0"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_many_who_activate_at_once_each_has_its_turn() {
        let (machine, folder) = (fresh(), tempfile::tempdir().unwrap());
        let (a, b) = (machine.open().await, machine.beside(&folder).await);
        publish(&a, 3).await;
        let turns = (0..9).map(|n| {
            let on = if n % 2 == 0 { &a } else { &b };
            async move { on.shelf.activate(&format!("r{}", n % 3)).await }
        });
        futures_util::future::try_join_all(turns).await.unwrap();
        let history = a.shelf.history().await.unwrap();
        assert!(history.len() >= 3 && history.windows(2).all(|pair| pair[0] != pair[1]), "{history:?}");
        b.shelf.sync().await.unwrap();
        assert_eq!(b.releases.active().unwrap(), history.first().cloned());
    }

    #[tokio::test]
    async fn the_release_of_a_node_from_before_is_shared_where_none_was() {
        let (machine, folder) = (fresh(), tempfile::tempdir().unwrap());
        let (a, b) = (machine.open().await, machine.beside(&folder).await);
        write(&a.releases, "mine", 1);
        a.releases.activate("mine").unwrap();
        assert_eq!(b.shelf.sync().await.unwrap(), None);
        a.shelf.sync().await.unwrap();
        assert_eq!(b.shelf.sync().await.unwrap().as_deref(), Some("mine"));
        assert_eq!(a.shelf.sync().await.unwrap(), None, "it serves already");
    }
}
