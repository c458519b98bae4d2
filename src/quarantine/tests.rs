//! On a RabbitMQ and a Cassandra.

use std::any::Any;

use foryou_actors::ports::{contract::Subject, quarantine::contract::Rig};

#[test]
fn what_is_too_large_for_a_store_is_told_and_not_kept() {
    let kept = |bytes: usize| {
        let put = crate::brokers::rabbitmq::PutAside {
            at: foryou_schemas::Timestamp::now(),
            partition: 1,
            redelivered: 0,
            reason: "it is no event".into(),
            payload: vec![b'x'; bytes],
        };
        crate::stores::scylla::Aside::from(put)
    };
    let (fits, large) = (kept(1 << 20), kept(20_000_000));
    assert_eq!((fits.payload.len(), &*fits.reason), (1 << 20, "it is no event"));
    assert!(large.payload.is_empty() && large.reason.starts_with("it is no event (it had 20000000 bytes"));
}

mod real_engines {
    use foryou_actors::services::supervisor::{RestartPolicy, Supervisor};
    use foryou_schemas::Timestamp;
    use foryou_testing::Engines;

    use super::{super::*, *};
    use crate::{
        brokers::rabbitmq::tests::Own,
        stores::scylla::{migrate, tests::Keyspace},
    };

    struct Both(Own, Keyspace);

    #[async_trait]
    impl Subject for Both {
        type Port = Rig;
        async fn open(&self) -> Rig {
            migrate(&self.1.0).await.unwrap();
            let (bus, store) = (Arc::new(self.0.open().await), Arc::new(self.1.open_as("t").await));
            let quarantine = SharedQuarantine::new(store, bus.clone(), 1_000);
            let services = vec![quarantine.clone().service()];
            let supervisor = Supervisor::start(RestartPolicy::default(), services).await.unwrap();
            let works: Box<dyn Any + Send + Sync> = Box::new(supervisor);
            Rig { bus, quarantine, works }
        }
    }

    fn fresh() -> Both {
        let engines = Engines::shared();
        Both(Own::on(&engines), Keyspace::on(&engines))
    }

    foryou_actors::quarantine_contract!(fresh);

    async fn store() -> (Keyspace, ScyllaStore) {
        let keyspace = Keyspace::on(&Engines::shared());
        migrate(&keyspace.0).await.unwrap();
        let store = keyspace.open_as("t").await;
        (keyspace, store)
    }

    fn aside(at: Timestamp, payload: String) -> Aside {
        Aside { at, partition: 1, redelivered: 0, reason: "r".into(), payload: payload.into_bytes() }
    }

    #[tokio::test]
    async fn a_rejected_event_that_comes_twice_is_kept_once_and_the_oldest_make_room() {
        let (_keyspace, store) = store().await;
        let now = Timestamp::now();
        for _again in 0..2 {
            for n in 0..9 {
                let at = now.plus_millis(-86_400_000 * (n / 3));
                store.keep_rejected(&aside(at, n.to_string())).await.unwrap();
            }
        }
        assert_eq!(store.count_rejected().await.unwrap(), 9);
        for (max, left) in [(9, 9), (7, 7), (3, 3), (2, 2), (0, 0)] {
            let before = store.count_rejected().await.unwrap();
            assert_eq!(store.trim_rejected(max).await.unwrap(), before - left);
            assert_eq!(store.count_rejected().await.unwrap(), left, "of {max}");
        }
    }

    #[tokio::test]
    async fn what_comes_after_an_erasure_is_kept_only_where_it_was_put_aside_after_it() {
        let (_keyspace, store) = store().await;
        let ann = UserId::new("ann").unwrap();
        let before = aside(Timestamp::now(), r#"{"id": "e1", "user": "ann"}"#.into());
        store.forget_rejected_of(&ann).await.unwrap();
        store.keep_rejected(&before).await.unwrap();
        assert_eq!(store.count_rejected().await.unwrap(), 0);
        store.keep_rejected(&aside(Timestamp::now(), r#"{"id": "e2", "user": "ann"}"#.into())).await.unwrap();
        store.keep_rejected(&aside(before.at, r#"{"id": "e1", "user": "bob"}"#.into())).await.unwrap();
        assert_eq!(store.count_rejected().await.unwrap(), 2);
    }
}
