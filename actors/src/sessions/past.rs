//! What came of exposures that are no longer remembered one by one.

use super::state::Action;

/// Sums over exposures: how many, what came of them, and how that differs from what could be expected.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Past {
    /// Exposures.
    pub shown: f32,
    /// Long views.
    pub long_views: f32,
    /// Long views less expected ones.
    pub surplus: f32,
    /// Likes.
    pub likes: f32,
    /// Likes less expected ones.
    pub like_surplus: f32,
}

impl Past {
    /// Counts an exposure.
    pub fn add(&mut self, action: &Action) {
        self.shown += 1.0;
        self.long_views += action.long_view();
        self.surplus += action.surplus();
        self.likes += action.like();
        self.like_surplus += action.like_surplus();
    }
}
