//! What may come of an exposure.

use foryou_schemas::Kind;

/// A view longer than this, or to the end, is a long view (how KuaiRand defines it).
pub const LONG_VIEW_MS: u32 = 18_000;
/// A view shorter than this that is no long view counts as a skip.
pub const SKIP_MS: u32 = 2_000;

/// A set of outcomes of one exposure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, serde::Serialize, serde::Deserialize)]
pub struct Outcomes(u16);

impl Outcomes {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The video came before the person: set once per exposure, by whatever event comes first.
    pub const OPENED: Self = Self(1);
    /// It was played.
    pub const VIEW: Self = Self(1 << 1);
    /// It was watched to the end, or for [`LONG_VIEW_MS`].
    pub const LONG_VIEW: Self = Self(1 << 2);
    /// It was watched to the end.
    pub const FINISH: Self = Self(1 << 3);
    /// It was watched again.
    pub const REWATCH: Self = Self(1 << 4);
    /// It was liked.
    pub const LIKE: Self = Self(1 << 5);
    /// It was commented on.
    pub const COMMENT: Self = Self(1 << 6);
    /// It was shared.
    pub const SHARE: Self = Self(1 << 7);
    /// Its creator was followed.
    pub const FOLLOW: Self = Self(1 << 8);
    /// It was swiped away, or played for less than [`SKIP_MS`].
    pub const SKIP: Self = Self(1 << 9);
    /// "Not interested".
    pub const DISLIKE: Self = Self(1 << 10);
    /// It was reported.
    pub const REPORT: Self = Self(1 << 11);
    /// Its creator was blocked.
    pub const BLOCK: Self = Self(1 << 12);
    /// Any explicit refusal.
    pub const NEGATIVE: Self = Self::DISLIKE.with(Self::REPORT).with(Self::BLOCK);
    /// Any sign that the video was enjoyed.
    pub const ENJOYED: Self =
        Self::LONG_VIEW.with(Self::LIKE).with(Self::COMMENT).with(Self::SHARE).with(Self::FOLLOW).with(Self::REWATCH);

    /// Both sets together.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// What both sets hold.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
    /// What only this set holds.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
    /// Whether the sets share an outcome.
    pub const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
    /// How many outcomes the set holds.
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }
    /// As bits, for storage.
    pub const fn bits(self) -> u16 {
        self.0
    }
    /// From stored bits.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// What an event of `kind` says; a view is judged by its watch time.
    pub fn of(kind: Kind, watch_ms: u32, duration_ms: u32) -> Self {
        match kind {
            Kind::Impression | Kind::Unlike | Kind::Unfollow => Self::NONE,
            Kind::View => {
                let finish = if watch_ms >= duration_ms { Self::FINISH } else { Self::NONE };
                if watch_ms >= duration_ms.min(LONG_VIEW_MS) {
                    Self::VIEW.with(Self::LONG_VIEW).with(finish)
                } else if watch_ms < SKIP_MS {
                    Self::VIEW.with(Self::SKIP)
                } else {
                    Self::VIEW
                }
            }
            Kind::Finish => Self::VIEW.with(Self::LONG_VIEW).with(Self::FINISH),
            Kind::Rewatch => Self::VIEW.with(Self::REWATCH),
            Kind::Like => Self::LIKE,
            Kind::Comment => Self::COMMENT,
            Kind::Share => Self::SHARE,
            Kind::Follow => Self::FOLLOW,
            Kind::Skip => Self::SKIP,
            Kind::Dislike => Self::DISLIKE,
            Kind::Report => Self::REPORT,
            Kind::Block => Self::BLOCK,
        }
    }
}
