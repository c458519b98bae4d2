//! The directions of what a person enjoyed and skipped, live.

use foryou_actors::sessions::state::{Outcomes, SessionState};

use super::{
    ItemVectors,
    vector::{Direction, Mean},
};

/// How much less each earlier exposure counts in the weighted means.
const PER_RANK: f32 = 0.95;
/// Likes that are compared one by one.
const LIKES: usize = 8;

/// What a candidate's direction is compared with.
#[derive(Default)]
pub(super) struct Taste<'a> {
    /// Long views.
    pub enjoyed: Mean,
    /// Long views, the latest weighing most.
    pub enjoyed_lately: Mean,
    /// Exposures that were no long view.
    pub passed: Mean,
    /// Those, the latest weighing most.
    pub passed_lately: Mean,
    /// The latest likes, one by one.
    pub liked: Vec<Direction<'a>>,
}

impl<'a> Taste<'a> {
    pub fn new(session: &SessionState, vectors: &'a dyn ItemVectors) -> Self {
        let mut taste = Self::default();
        let mut weight = 1.0;
        for action in session.actions.iter().rev() {
            let Some(direction) = vectors.vector(action.video).map(Direction::of) else { continue };
            weight *= PER_RANK;
            let (plain, lately) = if action.outcomes.any(Outcomes::LONG_VIEW) {
                (&mut taste.enjoyed, &mut taste.enjoyed_lately)
            } else {
                (&mut taste.passed, &mut taste.passed_lately)
            };
            plain.add(&direction, 1.0);
            lately.add(&direction, weight);
            if action.outcomes.any(Outcomes::LIKE) && taste.liked.len() < LIKES {
                taste.liked.push(direction);
            }
        }
        taste
    }
}
