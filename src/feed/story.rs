//! Why an item stands where it stands, and why a video does not. Read off what the stages noted, once somebody asks.

use std::collections::BTreeMap;

use foryou_actors::catalogue::VideoIndex;
use foryou_schemas::{Explain, FoundBy, Standing, Why};

use super::{
    candidate::Candidate,
    diversify,
    fate::Noted,
    feeds::Preview,
    filters::FILTERS,
    pipeline::{Made, Pipeline},
    request::Request,
    sources::{Fallback, Source, SourceKind},
    utility::Scale,
};

/// The story of a feed's item.
pub fn of_item(pipeline: &Pipeline, request: &Request, made: &Made, item: &Candidate, position: usize) -> Explain {
    let place = item.place as usize;
    let moved = match position.cmp(&place) {
        std::cmp::Ordering::Equal => format!("diversity: kept at place {}", place + 1),
        std::cmp::Ordering::Less => format!("diversity: moved up from place {} to {}", place + 1, position + 1),
        std::cmp::Ordering::Greater => format!("diversity: moved down from place {} to {}", place + 1, position + 1),
    };
    let drawn = match (item.explore, item.propensity < 1.0) {
        (true, _) => format!("exploration: drawn for this slot, with propensity {:.4}", item.propensity),
        (false, true) => format!("exploration: the slot was not given away, propensity {:.4}", item.propensity),
        (false, false) => "exploration: not at stake in this slot".to_owned(),
    };
    let mut explain = as_far_as_weighed(pipeline, request, made.ranked, item);
    explain.stages.push(match item.explore {
        true => format!("diversity: chance put place {} here; {:.4} is left of its utility", place + 1, item.score),
        false => format!("{moved}; {:.4} is left of its utility", item.score),
    });
    explain.stages.push(drawn);
    explain
}

/// The story until diversity.
fn as_far_as_weighed(pipeline: &Pipeline, request: &Request, ranked: usize, item: &Candidate) -> Explain {
    let heads = request.release.iter().flat_map(|serving| &serving.release.manifest.heads);
    let mut outcomes: BTreeMap<String, f32> = heads.cloned().zip(item.outcomes.iter().copied()).collect();
    if !outcomes.is_empty() {
        outcomes.insert("watch_ms".into(), item.watch_ms);
    }
    let found: Vec<FoundBy> = item
        .sources
        .iter()
        .map(|found| FoundBy {
            source: found.source.name(),
            rank: found.rank,
            score: source(pipeline, found.source).and_then(|source| source.score(request, item.video)),
        })
        .collect();
    let ranks: Vec<String> = found.iter().map(|f| format!("rank {} of {}", f.rank + 1, f.source)).collect();
    let filters: Vec<&str> = FILTERS.iter().map(|filter| filter.name).collect();
    let stages = vec![
        match ranks.is_empty() {
            true => "sources: found by none".to_owned(),
            false => format!("sources: {}", ranks.join(", ")),
        },
        format!("filters: kept by {}", filters.join(", ")),
        match item.outcomes.is_empty() {
            true => "ranker: not ranked, by retrieval order".to_owned(),
            false => format!("ranker: one of {ranked}"),
        },
        format!("utility: {:.4}, place {}", item.utility, item.place + 1),
    ];
    let sources = found.iter().map(|found| found.source).collect();
    Explain { sources, found, outcomes, worth: worth(request, item), stages }
}

/// What the candidate's score is made of. One that is not finite has sunk, and only that is said.
fn worth(request: &Request, item: &Candidate) -> BTreeMap<String, f32> {
    let mut worth = BTreeMap::new();
    let utility = Scale::of(request).weigh(item, |name, adds| _ = worth.insert(name.to_owned(), adds));
    if !utility.is_finite() {
        worth = BTreeMap::from([("not_finite".to_owned(), item.utility)]);
    }
    worth.extend(diversify::worth(item).map(|(name, adds)| (name.to_owned(), adds)));
    worth
}

fn source(pipeline: &Pipeline, kind: SourceKind) -> Option<&dyn Source> {
    pipeline.sources().find(|source| source.kind() == kind)
}

/// Where the video that was watched ended, as a stage, a reason and a sentence.
struct End {
    stage: &'static str,
    reason: &'static str,
    detail: String,
}

impl End {
    /// `None` where the video is shown.
    fn of(request: &Request, made: &Made, noted: &Noted) -> Option<Self> {
        let (item, limit) = (&noted.candidate, request.limit);
        let end = |stage, reason, detail| Some(Self { stage, reason, detail });
        if let Some(filter) = noted.refused {
            return end("filters", filter.name, format!("Not shown: {}.", filter.about));
        }
        if item.sources.is_empty() {
            let worth = match (noted.is_weighed(), made.items.last()) {
                (true, Some(last)) => format!(
                    " Had one, its score would be {:.4}, where the last of {limit} has {:.4}.",
                    item.score, last.score
                ),
                _ => String::new(),
            };
            return end("sources", "not_found", format!("Not shown: no source brought it.{worth}"));
        }
        if let Some(place) = noted.cut {
            let most = made.ranked;
            let detail =
                format!("Not shown: it came as number {} of the candidates, of which {most} are ranked.", place + 1);
            return end("cut", "too_far_down", detail);
        }
        let position = noted.position.filter(|position| *position >= limit)?;
        let last = made.items.last().map_or(f32::MIN, |last| last.score);
        let beaten = format!(
            "Not shown: its score is {:.4}, where the last of {limit} has {last:.4}; in a longer feed it would come as number {}.",
            item.score,
            position + 1
        );
        match (item.place as usize) < limit {
            true => {
                let place = item.place + 1;
                let detail = format!(
                    "{beaten} By utility alone it is number {place}: too much by its creator or of its category was shown."
                );
                end("diversity", "too_alike", detail)
            }
            false => end("utility", "outscored", beaten),
        }
    }
}

/// Why the video that the request watches is not in `feed`, or where it is. `None` where the catalogue does not know it.
///
/// May look at the whole catalogue: not for an async thread.
pub fn of_watched(pipeline: &Pipeline, preview: Preview) -> Option<Why> {
    let Preview { feed, request, made } = preview;
    let (noted, video) = (made.fate.as_ref()?, request.catalogue.id(request.watched?)?.clone());
    let end = End::of(&request, &made, noted);
    let position = noted.position.filter(|_| noted.refused.is_none());
    let explain = match (&end, position) {
        (None, Some(position)) => of_item(pipeline, &request, &made, &noted.candidate, position),
        (end, _) => until(pipeline, &request, &made, noted, end.as_ref()),
    };
    let detail = match &end {
        Some(end) => end.detail.clone(),
        None => format!("Shown as number {} of {}.", position.unwrap_or(0) + 1, made.items.len()),
    };
    Some(Why {
        user: feed.user,
        video,
        release: feed.release,
        took_ms: feed.took_ms,
        limit: request.limit as u32,
        shown: end.is_none(),
        stage: end.as_ref().map(|end| end.stage),
        reason: end.as_ref().map(|end| end.reason),
        detail,
        position: position.map(|position| position as u32),
        score: noted.is_weighed().then_some(noted.candidate.score),
        last_score: made.items.last().map(|last| last.score),
        sources: standings(pipeline, &request, &made, &noted.candidate, &feed.degraded),
        degraded: feed.degraded,
        explain,
    })
}

/// The story of a video that is not shown, until the stage that kept it out.
fn until(pipeline: &Pipeline, request: &Request, made: &Made, noted: &Noted, end: Option<&End>) -> Explain {
    let mut explain = as_far_as_weighed(pipeline, request, made.ranked, &noted.candidate);
    if !noted.is_weighed() {
        explain.worth.clear();
    }
    let kept = match end.map(|end| end.stage) {
        Some("sources") => 0,
        Some("filters") => 1,
        Some("cut") => 2,
        _ => explain.stages.len(),
    };
    explain.stages.truncate(kept);
    let against = match (noted.position, made.items.last()) {
        (Some(_), Some(last)) if noted.refused.is_none() => {
            format!(", {:.4} against {:.4} of the last shown", noted.candidate.score, last.score)
        }
        _ => String::new(),
    };
    explain.stages.extend(end.map(|end| format!("{}: {}{against}", end.stage, end.reason)));
    explain
}

fn standings(
    pipeline: &Pipeline,
    request: &Request,
    made: &Made,
    item: &Candidate,
    degraded: &[String],
) -> Vec<Standing> {
    let brought = |kind: SourceKind| made.found.iter().find(|(found, _)| *found == kind).map(|(_, n)| *n as u32);
    let stands = |source: &dyn Source| {
        let (kind, name) = (source.kind(), source.kind().name());
        let found = item.sources.iter().find(|found| found.source == kind);
        let rank = found.map_or_else(|| place(request, source, item.video), |found| Ok(found.rank));
        let detail = match (found, brought(kind), rank) {
            (Some(_), ..) => None,
            (None, None, _) => {
                let fell_back = degraded.iter().find(|reason| reason.split(':').next() == Some(name));
                Some(fell_back.cloned().unwrap_or_else(|| "it was not asked: there are no models".to_owned()))
            }
            (None, Some(_), Err(absent)) => Some(absent.to_owned()),
            (None, Some(n), Ok(rank)) => {
                Some(format!("it is number {} in its order, of which it brought {n}", rank + 1))
            }
        };
        let (score, brought) = (source.score(request, item.video), brought(kind).unwrap_or(0));
        Standing { source: name, found: found.is_some(), rank: rank.ok(), score, brought, detail }
    };
    let fallback = brought(SourceKind::Fallback).map(|_| &Fallback as &dyn Source);
    pipeline.sources().chain(fallback).map(stands).collect()
}

fn place(request: &Request, source: &dyn Source, video: VideoIndex) -> Result<u32, &'static str> {
    match request.servable(video) {
        true => source.place(request, video).map(|place| place as u32),
        false => Err("it leaves out what was seen or taken down"),
    }
}
