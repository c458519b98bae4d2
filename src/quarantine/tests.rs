//! On a RabbitMQ and a Cassandra.

use std::any::Any;

use foryou_actors::ports::{contract::Subject, quarantine::contract::Rig};

mod real_engines {
    use foryou_actors::services::supervisor::{RestartPolicy, Supervisor};
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

    #[tokio::test]
    async fn a_rejected_event_that_comes_twice_is_kept_once_and_the_oldest_make_room() {
        let both = fresh();
        migrate(&both.1.0).await.unwrap();
        let store = both.1.open_as("t").await;
        std::mem::forget(both.0);
        let now = foryou_schemas::Timestamp::now();
        let aside = |n: i64| Aside {
            at: now.plus_millis(-86_400_000 * (n / 3)),
            partition: 1,
            redelivered: 0,
            reason: "r".into(),
            payload: format!("{n}").into_bytes(),
        };
        for _again in 0..2 {
            for n in 0..9 {
                store.keep_rejected(&aside(n)).await.unwrap();
            }
        }
        assert_eq!(store.count_rejected().await.unwrap(), 9);
        for (max, left) in [(9, 9), (7, 7), (3, 3), (2, 2), (0, 0)] {
            store.trim_rejected(max).await.unwrap();
            assert_eq!(store.count_rejected().await.unwrap(), left, "of {max}");
        }
    }
}
