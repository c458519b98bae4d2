//! What every store of keys does. [`access_contract!`](crate::access_contract) makes a test of each clause.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "for tests only")]

use foryou_schemas::Timestamp;

use super::{AccessStore, ApiKey, Scope};
pub use crate::ports::contract::Subject;
use crate::ports::contract::instant;

/// Makes one test of each clause, with a fresh [`Subject`] from the given (synchronous) function.
#[macro_export]
macro_rules! access_contract {
    ($fresh:path) => {
        $crate::access_contract!(
            @each $fresh,
            keys_are_read_as_they_were_put,
            a_revoked_key_stays_revoked,
            at_once_nothing_is_lost,
            a_logout_is_seen_by_everybody,
            reopening_keeps_everything,
        );
    };
    (@each $fresh:path, $($clause:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $clause() {
            $crate::ports::access::contract::$clause(&$fresh()).await;
        }
    )*};
}

fn key(id: &str) -> ApiKey {
    ApiKey {
        id: id.into(),
        hash: [7; 32],
        name: "the app / ünï ☕".into(),
        scopes: [Scope::Events, Scope::Feed].into_iter().collect(),
        created_at: instant(1),
        expires_at: Some(instant(2)),
        revoked_at: None,
    }
}

/// Far enough ahead that nothing is forgotten during a test.
fn later() -> Timestamp {
    Timestamp::now().plus_millis(3_600_000)
}

/// A key is read as it was put, with and without what may be absent, in the order of ids.
pub async fn keys_are_read_as_they_were_put<S: Subject<Port: AccessStore>>(subject: &S) {
    let store = subject.open().await;
    assert_eq!(store.admitted().await.unwrap(), Default::default());
    let plain = ApiKey { name: "".into(), scopes: Scope::ALL.into_iter().collect(), expires_at: None, ..key("b") };
    for key in [&plain, &key("a")] {
        store.put_key(key).await.unwrap();
    }
    assert_eq!(store.admitted().await.unwrap().keys, [key("a"), plain]);
}

/// Revoking says whether there is such a key; the first time counts.
pub async fn a_revoked_key_stays_revoked<S: Subject<Port: AccessStore>>(subject: &S) {
    let store = subject.open().await;
    store.put_key(&key("a")).await.unwrap();
    assert!(!store.revoke_key("nobody", instant(5)).await.unwrap());
    assert!(store.revoke_key("a", instant(5)).await.unwrap());
    assert!(store.revoke_key("a", instant(9)).await.unwrap());
    let revoked = ApiKey { revoked_at: Some(instant(5)), ..key("a") };
    assert_eq!(store.admitted().await.unwrap().keys, [revoked]);
}

/// Commands that run at the same time see each other's keys.
pub async fn at_once_nothing_is_lost<S: Subject<Port: AccessStore>>(subject: &S) {
    let (one, other) = (subject.open().await, subject.open().await);
    let ids = ["a", "b", "c", "d", "e", "f", "g", "h"].map(key);
    let put = |store, keys: &'static [usize]| {
        let (store, ids): (&S::Port, _) = (store, &ids);
        async move {
            for key in keys {
                store.put_key(&ids[*key]).await.unwrap();
            }
        }
    };
    tokio::join!(put(&one, &[0, 1, 2, 3]), put(&other, &[4, 5, 6, 7]));
    assert_eq!(one.admitted().await.unwrap().keys, ids);
    assert_eq!(other.admitted().await.unwrap().keys, ids);
}

/// A session that was ended is on the list while it would go on otherwise.
pub async fn a_logout_is_seen_by_everybody<S: Subject<Port: AccessStore>>(subject: &S) {
    let (one, other) = (subject.open().await, subject.open().await);
    one.end_session("s1", later()).await.unwrap();
    one.end_session("s1", later()).await.unwrap();
    other.end_session("s2", later()).await.unwrap();
    one.end_session("long over", instant(1)).await.unwrap();
    let mut ended = other.admitted().await.unwrap().ended;
    ended.retain(|id| &**id != "long over");
    ended.sort();
    assert_eq!(ended, ["s1".into(), "s2".into()]);
}

/// What was kept is kept.
pub async fn reopening_keeps_everything<S: Subject<Port: AccessStore>>(subject: &S) {
    let store = subject.open().await;
    store.put_key(&key("a")).await.unwrap();
    store.end_session("s1", later()).await.unwrap();
    let before = store.admitted().await.unwrap();
    drop(store);
    assert_eq!(subject.open().await.admitted().await.unwrap(), before);
}
