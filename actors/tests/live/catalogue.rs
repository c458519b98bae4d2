use std::sync::{Arc, atomic::Ordering::SeqCst};

use foryou_actors::{
    live::Live,
    services::{
        catalogue::{self, CatalogueError},
        subscriptions::Notice,
    },
};
use foryou_schemas::{EventId, Kind, Status, Video};

use super::rig::{DEADLINE, Rig, event, user, video, video_id};

#[tokio::test(flavor = "multi_thread")]
async fn a_video_is_durable_then_visible_and_the_same_after_a_restart() {
    let rig = Rig::new().await;
    let third = rig.live.catalogue().find(&video_id(3)).unwrap();
    let unpublished = Video { published_at: None, ..video(1, 1) };
    let put = vec![(video_id(100), unpublished), (video_id(3), video(2, 2))];
    assert_eq!(rig.catalogue.put_videos(put).await.unwrap(), [(40, true), (third, false)]);
    let published = rig.live.catalogue().entry(40).unwrap().published_at;
    assert_eq!(rig.store.stored.lock().videos[&video_id(100)].published_at, Some(published));
    let again = rig.catalogue.put_videos(vec![(video_id(100), video(1, 2))]).await.unwrap();
    assert_eq!(again, [(40, false)]);
    assert!(rig.catalogue.remove(video_id(3)).await.unwrap() && !rig.catalogue.remove(video_id(999)).await.unwrap());
    assert!(!rig.live.catalogue().entry(third).unwrap().live);
    let live = Arc::new(Live::default());
    catalogue::load(&*rig.store, &live).await.unwrap();
    let (catalogue, stored) = (live.catalogue_full(), rig.live.catalogue_full());
    assert_eq!(catalogue.len(), 41);
    for number in 0..41 {
        let here = stored.video(number).unwrap();
        assert_eq!(catalogue.video(catalogue.find(stored.id(number).unwrap()).unwrap()).unwrap(), here);
    }
    assert_eq!(catalogue.video(catalogue.find(&video_id(3)).unwrap()).unwrap().status, Status::Removed);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_stored_is_not_shown() {
    let rig = Rig::new().await;
    rig.store.away.store(true, SeqCst);
    let refused = rig.catalogue.put_videos(vec![(video_id(100), video(1, 1))]).await;
    assert!(matches!(refused, Err(CatalogueError::Store(_))), "{refused:?}");
    assert!(rig.live.catalogue().find(&video_id(100)).is_none());
    rig.store.away.store(false, SeqCst);
    let put = rig.catalogue.put_videos(vec![(video_id(101), video(1, 1))]).await.unwrap();
    assert_eq!(put, [(40, true)]);
    assert!(rig.live.catalogue().find(&video_id(100)).is_none());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_hear_what_concerns_them() {
    let rig = Rig::new().await;
    // v1 is by creator c1, v2 by c2.
    rig.ingest(&[event(1, &user(1), 1, "follow")]).await;
    let mut one = rig.subscriptions.subscribe(user(1), &rig.sessions).await.unwrap();
    let mut two = rig.subscriptions.subscribe(user(2), &rig.sessions).await.unwrap();
    rig.ingest(&[event(2, &user(2), 2, "follow"), event(3, &user(3), 2, "like")]).await;
    let told = tokio::time::timeout(DEADLINE, two.next()).await.unwrap();
    assert_eq!(told, Notice::Session { event: EventId::new("e2").unwrap(), kind: Kind::Follow });
    rig.catalogue.put_videos(vec![(video_id(100), video(1, 0)), (video_id(101), video(2, 0))]).await.unwrap();
    assert_eq!((one.next().await, two.next().await), (Notice::Video(40), Notice::Video(41)));
    rig.ingest(&[event(4, &user(1), 1, "unfollow")]).await;
    rig.catalogue.put_videos(vec![(video_id(102), video(1, 0))]).await.unwrap();
    rig.subscriptions.release_swapped("r1");
    assert!(matches!(one.next().await, Notice::Session { kind: Kind::Unfollow, .. }));
    assert_eq!((one.next().await, two.next().await), (Notice::Release("r1".into()), Notice::Release("r1".into())));
    // One that does not read loses notices, but never the last chance to notice.
    let many: Vec<_> = (10..90).map(|n| event(n, &user(2), n % 40, "view")).collect();
    rig.ingest(&many).await;
    rig.subscriptions.release_swapped("r2");
    assert_eq!(one.next().await, Notice::Release("r2".into()));
    while rig.subscriptions.dropped() < 80 - 32 + 1 {
        tokio::task::yield_now().await;
    }
    let waiting = std::iter::from_fn(|| two.try_next()).count();
    assert_eq!((waiting, rig.subscriptions.dropped()), (32, 80 - 32 + 1));
    drop((one, two));
    assert_eq!(rig.subscriptions.count(), 0);
    rig.stop().await;
}
