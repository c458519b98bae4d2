//! MovieLens 1M (`.dat`, Latin-1) and latest (`.csv`): movies stand in for videos, ratings for what came of an exposure.
//!
//! | rating | becomes |
//! |---|---|
//! | 4.5 and 5 | `view` to the end, `like` |
//! | 4 | `view` to the end |
//! | 3 and 3.5 | `view` of [`PARTIAL_WATCH_MS`]: neither a long view nor a skip |
//! | 2 and 2.5 | `skip` |
//! | below 2 | `dislike` |
//!
//! A movie is published at the start of the year in its title, lasts [`MOVIE_DURATION_MS`] (the source has no lengths), and is filed
//! under its first genre. The source names no creators: each movie is its own (`movie-<id>`), so that creator features say no more
//! than the movie's own, and blocking one hides one movie. Of people, 1M tells gender and an age group, kept as the youngest age of
//! the group (17 for "under 18"); occupation and zip code have no field and are dropped.

use std::path::Path;

use foryou_schemas::{CreatorId, Event, EventId, Gender, Kind, Status, Timestamp, User, UserId, Video, VideoId};

use super::{ImportError, report::Place, sink::Sink, table};

/// The length that every movie is given: 100 minutes.
pub const MOVIE_DURATION_MS: u32 = 6_000_000;
/// The watch time of a lukewarm rating.
pub const PARTIAL_WATCH_MS: u32 = 10_000;
/// The category of a movie without a genre.
const NO_GENRE: &str = "unknown";
const SEPARATOR: &str = "::";

/// Reads a folder in either layout.
pub fn read(dir: &Path, sink: &mut Sink) -> Result<(), ImportError> {
    let (mut ratings, report) = (Vec::new(), sink.report.clone());
    let mut rating = |place: Place, cells: [&str; 4]| match Rating::new(place, cells) {
        Ok(rating) => ratings.push(rating),
        Err(reason) => report.skip(place, reason),
    };
    if dir.join("ratings.dat").is_file() {
        dat_rows(&dir.join("users.dat"), sink, |place, [id, gender, age, _occupation, _zip], sink| {
            match user(id, gender, age) {
                Ok((id, user)) => sink.user(id, user)?,
                Err(reason) => sink.report.skip(place, reason),
            }
            Ok(())
        })?;
        dat_rows(&dir.join("movies.dat"), sink, hand_on_movie)?;
        dat_rows(&dir.join("ratings.dat"), sink, |place, cells, _| {
            rating(place, cells);
            Ok(())
        })?;
    } else if dir.join("ratings.csv").is_file() {
        let movies = ["movieId", "title", "genres"];
        table::csv_rows(&dir.join("movies.csv"), movies, &report, |place, cells| hand_on_movie(place, cells, sink))?;
        let columns = ["userId", "movieId", "rating", "timestamp"];
        table::csv_rows(&dir.join("ratings.csv"), columns, &report, |place, cells| {
            rating(place, cells);
            Ok(())
        })?;
    } else {
        let reason =
            "there is neither ratings.dat (with movies.dat and users.dat) nor ratings.csv (with movies.csv) in it";
        return Err(ImportError::Layout { path: dir.into(), what: "MovieLens", reason: reason.into() });
    }
    ratings.sort_by_key(|rating| rating.at_s);
    sink.report.step("importing ratings", ratings.len() as u64);
    for rating in ratings {
        rating.hand_on(sink)?;
        sink.report.advance(1);
    }
    Ok(())
}

/// Rows of a `.dat` file; one with another number of fields is reported and left out.
fn dat_rows<const N: usize>(
    path: &Path,
    sink: &mut Sink,
    mut visit: impl FnMut(Place, [&str; N], &mut Sink) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let report = sink.report.clone();
    table::lines(path, &report, |place, line| {
        // In Latin-1 every byte is the character of its own number.
        let text: String = line.iter().copied().map(char::from).collect();
        let cells: Vec<&str> = text.split(SEPARATOR).collect();
        match <[&str; N]>::try_from(cells) {
            Ok(cells) => visit(place, cells, sink),
            Err(cells) => {
                report.skip(place, format!("there are {} fields between {SEPARATOR}, not {N}", cells.len()));
                Ok(())
            }
        }
    })
}

fn user(id: &str, gender: &str, age: &str) -> Result<(UserId, User), String> {
    let gender = match gender {
        "F" => Gender::Female,
        "M" => Gender::Male,
        other => return Err(format!("gender {other:?} is neither F nor M")),
    };
    let age = match age.parse() {
        Ok(1) => 17,
        Ok(age @ 13..=120) => age,
        _ => return Err(format!("age {age:?} is not an age group")),
    };
    Ok((UserId::new(id)?, User { age: Some(age), gender: Some(gender), ..User::default() }))
}

fn hand_on_movie(place: Place, cells: [&str; 3], sink: &mut Sink) -> Result<(), ImportError> {
    match movie(cells) {
        Ok((id, video)) => sink.video(id, video),
        Err(reason) => {
            sink.report.skip(place, reason);
            Ok(())
        }
    }
}

fn movie([id, title, genres]: [&str; 3]) -> Result<(VideoId, Video), String> {
    let genre = |text: &str| !text.is_empty() && text != "(no genres listed)";
    let tags: Vec<Box<str>> = genres.split('|').map(str::trim).filter(|text| genre(text)).map(Box::from).collect();
    let id = VideoId::new(id).map_err(|reason| format!("the movie's id {reason}"))?;
    let video = Video {
        creator: CreatorId::new(format!("movie-{id}"))?,
        category: tags.first().cloned().unwrap_or_else(|| NO_GENRE.into()),
        duration_ms: MOVIE_DURATION_MS,
        published_at: year(title).and_then(|year| Timestamp::parse(&format!("{year}-01-01T00:00:00Z")).ok()),
        tags,
        title: Some(title.trim().into()),
        language: None,
        country: None,
        age_rating: 0,
        status: Status::Live,
    };
    Ok((id, video))
}

/// The year at the end of a title, as in `Toy Story (1995)`.
fn year(title: &str) -> Option<&str> {
    let year = title.trim().strip_suffix(')')?.rsplit_once('(')?.1;
    (year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit())).then_some(year)
}

/// One rating, small enough to sort millions in memory.
struct Rating {
    place: Place,
    user: u32,
    movie: u32,
    /// In half stars, 1–10.
    halves: u8,
    at_s: u32,
}

impl Rating {
    fn new(place: Place, [user, movie, rating, at]: [&str; 4]) -> Result<Self, String> {
        let whole = |name: &str, text: &str| {
            text.trim().parse::<u32>().map_err(|_| format!("{name} {text:?} is not a whole number from 0"))
        };
        let halves = match rating.trim().parse::<f32>() {
            Ok(stars) if (0.5..=5.0).contains(&stars) => (stars * 2.0).round() as u8,
            _ => return Err(format!("rating {rating:?} is not 0.5 to 5")),
        };
        Ok(Self {
            place,
            user: whole("user", user)?,
            movie: whole("movie", movie)?,
            halves,
            at_s: whole("timestamp", at)?,
        })
    }

    /// What the rating stands for (see the table above).
    fn outcomes(&self) -> &'static [(Kind, Option<u32>, &'static str)] {
        const VIEW: Kind = Kind::View;
        match self.halves {
            9.. => &[(VIEW, Some(MOVIE_DURATION_MS), "v"), (Kind::Like, None, "l")],
            8 => &[(VIEW, Some(MOVIE_DURATION_MS), "v")],
            6..=7 => &[(VIEW, Some(PARTIAL_WATCH_MS), "v")],
            4..=5 => &[(Kind::Skip, None, "s")],
            _ => &[(Kind::Dislike, None, "d")],
        }
    }

    fn hand_on(&self, sink: &mut Sink) -> Result<(), ImportError> {
        for &(kind, watch_ms, suffix) in self.outcomes() {
            match self.event(kind, watch_ms, suffix) {
                Ok(event) => sink.event(event, self.place)?,
                Err(reason) => sink.report.skip(self.place, reason),
            }
        }
        Ok(())
    }

    fn event(&self, kind: Kind, watch_ms: Option<u32>, suffix: &str) -> Result<Event, String> {
        let Self { user, movie, at_s, .. } = self;
        Ok(Event {
            id: EventId::new(format!("ml-{user}-{movie}-{at_s}-{suffix}"))?,
            user: UserId::new(user.to_string())?,
            video: VideoId::new(movie.to_string())?,
            kind,
            watch_ms,
            at: Timestamp::from_millis(i64::from(*at_s) * 1_000).ok_or("the timestamp is beyond the calendar")?,
            feed: None,
            position: None,
            surface: None,
        })
    }
}
