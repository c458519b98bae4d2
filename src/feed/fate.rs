//! What becomes of one video that somebody asks about, noted by the stages as it passes them. Where nobody asks, nothing is noted.

use foryou_actors::catalogue::VideoIndex;

use super::{
    candidate::Candidate,
    diversify::Fatigues,
    filters::{self, Filter},
    hydrate, rank,
    request::Request,
    utility,
};

/// The record of the video that [`Request::watched`] names.
#[derive(Default)]
pub struct Fate(Option<Box<Noted>>);

/// How far the video came.
#[derive(Clone)]
pub struct Noted {
    /// The video, as the last stage left it. Weighed and held against fatigue also where it was not among the candidates: what it
    /// would have been worth.
    pub candidate: Candidate,
    /// The filter that refuses it, whether or not a source brought it: sources leave out what was seen or taken down.
    pub refused: Option<&'static Filter>,
    /// Its place among the candidates when that was too far down to be ranked.
    pub cut: Option<usize>,
    /// Its place in the feed, or in a longer one; `None` where it was not among the ranked.
    pub position: Option<usize>,
}

impl Noted {
    /// Whether it has a utility.
    pub fn is_weighed(&self) -> bool {
        !self.candidate.outcomes.is_empty() || self.position.is_some()
    }
}

impl Fate {
    /// Watches the video that the request names, if any.
    pub fn of(request: &Request) -> Self {
        let watched = request.watched.and_then(|video| Some((video, *request.catalogue.entry(video)?)));
        let noted = |(video, entry)| {
            let candidate = Candidate::unfound(video, entry);
            Box::new(Noted { candidate, refused: None, cut: None, position: None })
        };
        Self(watched.map(noted))
    }

    /// After sources were asked.
    pub fn found(&mut self, candidates: &[Candidate]) {
        let Some(noted) = &mut self.0 else { return };
        if let Some(found) = find(candidates, noted.candidate.video) {
            noted.candidate = found.clone();
        }
    }

    /// After the filters.
    pub fn filtered(&mut self, request: &Request) {
        let Some(noted) = &mut self.0 else { return };
        noted.refused = filters::refusal(request, &noted.candidate);
    }

    /// Before all but `ranked` candidates are dropped.
    pub fn cut(&mut self, candidates: &[Candidate], ranked: usize) {
        let Some(noted) = &mut self.0 else { return };
        noted.cut = candidates.iter().position(|c| c.video == noted.candidate.video).filter(|place| *place >= ranked);
    }

    /// After the candidates were weighed. The video is weighed too where it is not among them.
    pub fn weighed(&mut self, request: &Request, candidates: &[Candidate]) {
        let Some(noted) = &mut self.0 else { return };
        match find(candidates, noted.candidate.video) {
            Some(weighed) => noted.candidate = weighed.clone(),
            None => noted.suppose(request, candidates),
        }
    }

    /// Before a slot is given away.
    pub fn compared(&mut self, fatigues: &Fatigues) {
        let Some(noted) = &mut self.0 else { return };
        fatigues.hold_against(&mut noted.candidate);
    }

    /// After the slots of the feed were given away; `further` would fill more of them.
    pub fn selected(&mut self, feed: &[Candidate], further: impl Iterator<Item = Candidate>) {
        let Some(noted) = &mut self.0 else { return };
        let is_it = |candidate: &Candidate| candidate.video == noted.candidate.video;
        noted.position = match feed.iter().position(is_it) {
            Some(position) => {
                noted.candidate = feed[position].clone();
                Some(position)
            }
            None => further.into_iter().position(|candidate| is_it(&candidate)).map(|beyond| feed.len() + beyond),
        };
    }

    /// What was noted.
    pub fn told(self) -> Option<Noted> {
        self.0.map(|noted| *noted)
    }
}

impl Noted {
    /// Weighs a video that is not among the candidates, by the same stages.
    fn suppose(&mut self, request: &Request, candidates: &[Candidate]) {
        let alone = std::slice::from_mut(&mut self.candidate);
        let features = hydrate::apply(request, alone);
        if request.release.is_none() || rank::apply(request, alone, &features).is_err() {
            return;
        }
        utility::apply(request, alone);
        self.candidate.place = candidates.iter().filter(|c| c.utility > self.candidate.utility).count() as u32;
        // The row is none of the feed's.
        self.candidate.row = None;
    }
}

fn find(candidates: &[Candidate], video: VideoIndex) -> Option<&Candidate> {
    candidates.iter().find(|candidate| candidate.video == video)
}
