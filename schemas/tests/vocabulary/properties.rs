//! No input makes a parser panic, and what is written is read back as it was.

use foryou_schemas::{
    Country, CreatorId, Event, EventId, FeedId, Gender, Kind, Language, Status, Timestamp, User, UserId, Video,
    VideoId, object,
};
use proptest::{option, prelude::*, sample::select};
use serde_json::json;

use crate::fixtures::{now, valid};

const END_OF_9999_MS: i64 = 253_402_300_799_999;

fn parse_all(bytes: &[u8]) {
    let _ = Event::parse(bytes, now(), || EventId::from_u128(7));
    let _ = Event::parse_of(bytes, UserId::from_u128(1), now(), || EventId::from_u128(7));
    let _ = User::parse(bytes);
    let _ = User::parse_with_id(bytes);
    let _ = Video::parse(bytes);
    let _ = Video::parse_with_id(bytes);
    let _ = object::batch(bytes, "events", 10);
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9-]{1,20}", "\\PC{1,30}"].prop_filter("1 to 128 bytes", |s| !s.is_empty() && s.len() <= 128)
}

fn at() -> impl Strategy<Value = Timestamp> {
    (0..=now().millis()).prop_map(|ms| Timestamp::from_millis(ms).unwrap())
}

fn language() -> impl Strategy<Value = Language> {
    select(vec!["de", "pt-BR", "zh-Hant-TW", "x-private", "en-US-u-hc-h12"])
        .prop_map(|tag| Language::parse(tag).unwrap())
}

fn country() -> impl Strategy<Value = Country> {
    select(Country::codes()).prop_map(|code| Country::parse(code).unwrap())
}

prop_compose! {
    fn event()(id in id(), user in id(), video in id(), kind in select(&Kind::ALL[..]), ms in 0u32..=86_400_000, at in at(),
               feed in option::of(id()), position in option::of(any::<u32>()), surface in option::of(id())) -> Event {
        Event {
            id: EventId::new(id).unwrap(),
            user: UserId::new(user).unwrap(),
            video: VideoId::new(video).unwrap(),
            kind,
            watch_ms: (kind == Kind::View).then_some(ms),
            at,
            feed: feed.map(|text| FeedId::new(text).unwrap()),
            position,
            surface: surface.map(Into::into),
        }
    }
}

prop_compose! {
    fn user()(age in option::of(13u8..=120), country in option::of(country()), language in option::of(language()), at in option::of(at()),
              gender in option::of(select(vec![Gender::Female, Gender::Male, Gender::Other, Gender::Unknown]))) -> User {
        User { age, country, gender, language, registered_at: at }
    }
}

prop_compose! {
    fn video()(creator in id(), category in id(), duration_ms in 1u32..=86_400_000, published_at in option::of(at()),
               tags in prop::collection::vec(id(), 0..=32), title in option::of(".{0,200}"), language in option::of(language()),
               country in option::of(country()), age_rating in 0u8..=21, live in any::<bool>()) -> Video {
        Video {
            creator: CreatorId::new(creator).unwrap(),
            category: category.into(),
            duration_ms,
            published_at,
            tags: tags.into_iter().map(Into::into).collect(),
            title: title.map(Into::into),
            language,
            country,
            age_rating,
            status: if live { Status::Live } else { Status::Removed },
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        parse_all(&bytes);
    }

    #[test]
    fn damaged_payloads_never_panic(line in 0usize..40, at in any::<prop::sample::Index>(), with in prop::collection::vec(any::<u8>(), 0..6), cut in 0usize..6) {
        let all: Vec<String> = ["event", "user", "video"].iter().flat_map(|name| valid(name)).collect();
        let mut bytes = all[line % all.len()].clone().into_bytes();
        let start = at.index(bytes.len());
        let end = (start + cut).min(bytes.len());
        bytes.splice(start..end, with);
        parse_all(&bytes);
    }

    #[test]
    fn arbitrary_texts_in_a_field_never_panic(text in ".{0,60}") {
        let all = ["id", "user", "video", "kind", "at", "feed", "surface", "country", "language", "gender", "registered_at", "creator",
                   "category", "tags", "title", "status", "published_at"];
        for field in all {
            parse_all(json!({ field: text }).to_string().as_bytes());
        }
        let _ = Timestamp::parse(&text);
    }

    #[test]
    fn an_event_comes_back(event in event()) {
        let json = serde_json::to_vec(&event).unwrap();
        prop_assert_eq!(Event::parse(&json, now(), || EventId::from_u128(7)).unwrap(), event);
    }

    #[test]
    fn a_user_comes_back(user in user()) {
        prop_assert_eq!(User::parse(&serde_json::to_vec(&user).unwrap()).unwrap(), user);
    }

    #[test]
    fn a_video_comes_back(video in video()) {
        prop_assert_eq!(Video::parse(&serde_json::to_vec(&video).unwrap()).unwrap(), video);
    }

    #[test]
    fn a_time_comes_back(ms in 0..=END_OF_9999_MS) {
        let time = Timestamp::from_millis(ms).unwrap();
        let text = time.to_string();
        prop_assert_eq!(text.len(), "2026-11-24T10:00:00.123Z".len());
        prop_assert_eq!(Timestamp::parse(&text).unwrap(), time);
    }
}
