//! The directions of what a person enjoyed and skipped, live.

use foryou_actors::sessions::state::{Outcomes, SessionState};

use super::{
    ItemVectors,
    vector::{Direction, unit},
};

/// How much less each earlier exposure counts in the weighted means.
const PER_RANK: f32 = 0.95;
/// Likes that are compared one by one.
const LIKES: usize = 8;

/// Means of unit item vectors: the mean of cosines to a candidate is then one inner product.
#[derive(Default)]
pub(super) struct Taste {
    /// Of long views.
    pub enjoyed: Option<Direction>,
    /// Of long views, the latest weighing most.
    pub enjoyed_lately: Option<Direction>,
    /// Of exposures that were no long view.
    pub passed: Option<Direction>,
    /// Of those, the latest weighing most.
    pub passed_lately: Option<Direction>,
    /// Of the latest likes, one by one.
    pub liked: Vec<Direction>,
}

impl Taste {
    pub fn new(session: &SessionState, vectors: &dyn ItemVectors) -> Self {
        let mut means: [Mean; 4] = Default::default();
        let mut liked = Vec::new();
        let mut weight = 1.0;
        for action in session.actions.iter().rev() {
            let Some(direction) = vectors.vector(action.video).map(unit) else { continue };
            weight *= PER_RANK;
            let [enjoyed, enjoyed_lately, passed, passed_lately] = &mut means;
            let (plain, lately) = if action.outcomes.any(Outcomes::LONG_VIEW) {
                (enjoyed, enjoyed_lately)
            } else {
                (passed, passed_lately)
            };
            plain.add(&direction, 1.0);
            lately.add(&direction, weight);
            if action.outcomes.any(Outcomes::LIKE) && liked.len() < LIKES {
                liked.push(direction);
            }
        }
        let [enjoyed, enjoyed_lately, passed, passed_lately] = means.map(Mean::value);
        Self { enjoyed, enjoyed_lately, passed, passed_lately, liked }
    }
}

#[derive(Default)]
struct Mean {
    sum: Direction,
    weight: f32,
}

impl Mean {
    fn add(&mut self, direction: &Direction, weight: f32) {
        self.weight += weight;
        self.sum.add(direction, weight);
    }

    fn value(mut self) -> Option<Direction> {
        (self.weight > 0.0).then(|| {
            self.sum.scale(1.0 / self.weight);
            self.sum
        })
    }
}
