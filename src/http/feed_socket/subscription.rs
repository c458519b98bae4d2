//! What one subscription knows of its client's list: positions, what was watched, and what is still to come. Pure.

use std::collections::VecDeque;

use foryou_schemas::{EventId, VideoId};
use uuid::Uuid;

/// Videos that were watched lately and are kept out of the tail, whether the session knows already or not.
const WATCHED: usize = 256;

/// Where a subscription goes on after a drop: an opaque word for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume {
    /// Of the subscription.
    pub id: Uuid,
    /// The position of the next video to watch.
    pub head: u64,
    /// The number of the latest `feed` message.
    pub seq: u64,
}

/// Where a subscription was left, as a node knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftAt {
    /// Where it goes on.
    pub resume: Resume,
    /// The latest event that came over its socket and that the session may not have applied yet.
    pub after: Option<EventId>,
}

/// A client's list: positions count over the whole subscription, and those below `head` were watched or passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    id: Uuid,
    seq: u64,
    head: u64,
    tail: VecDeque<VideoId>,
    /// Latest last.
    watched: VecDeque<VideoId>,
    /// The least that is to be left to watch after a push.
    buffer: usize,
}

impl Subscription {
    /// One that begins, at position 0 or where an earlier one was.
    pub fn begin(id: Uuid, buffer: usize, resume: Option<&Resume>) -> Self {
        let (head, seq) = resume.map_or((0, 0), |resume| (resume.head, resume.seq));
        let id = resume.map_or(id, |resume| resume.id);
        Self { id, seq, head, tail: VecDeque::new(), watched: VecDeque::new(), buffer }
    }

    /// Where it would go on.
    pub fn resume(&self) -> Resume {
        Resume { id: self.id, head: self.head, seq: self.seq }
    }

    /// What is left to watch, in order.
    pub fn tail(&self) -> impl Iterator<Item = &VideoId> {
        self.tail.iter()
    }

    /// How much that is.
    pub fn left(&self) -> usize {
        self.tail.len()
    }

    /// How much was watched that the session may not know yet.
    pub fn count_watched(&self) -> usize {
        self.watched.len()
    }

    /// How much less is left to watch than the client wants at hand.
    pub fn missing(&self) -> usize {
        self.buffer.saturating_sub(self.tail.len())
    }

    /// How many videos a new tail has: what was there, and not less than the client wants.
    pub fn wanted(&self) -> usize {
        self.tail.len().max(self.buffer)
    }

    /// The client has got to a video: it and what stands before it are watched or passed. Of a video that is not in the tail only
    /// that it was watched is noted.
    pub fn watched(&mut self, video: &VideoId) {
        if let Some(at) = self.tail.iter().position(|waiting| waiting == video) {
            self.tail.drain(..=at);
            self.head += at as u64 + 1;
        }
        if !self.watched.contains(video) {
            self.watched.push_back(video.clone());
            if self.watched.len() > WATCHED {
                self.watched.pop_front();
            }
        }
    }

    /// Whether a video may stand in a new tail.
    pub fn may_come(&self, video: &VideoId) -> bool {
        !self.watched.contains(video)
    }

    /// Whether a video may be added to the tail.
    pub fn may_follow(&self, video: &VideoId) -> bool {
        self.may_come(video) && !self.tail.contains(video)
    }

    /// A new tail in the place of the old one: `(seq, from)` of the message that tells it.
    pub fn replace(&mut self, videos: impl IntoIterator<Item = VideoId>) -> (u64, u64) {
        self.tail = videos.into_iter().collect();
        self.seq += 1;
        (self.seq, self.head)
    }

    /// More behind the tail: `(seq, from)`.
    pub fn extend(&mut self, videos: impl IntoIterator<Item = VideoId>) -> (u64, u64) {
        let from = self.head + self.tail.len() as u64;
        self.tail.extend(videos);
        self.seq += 1;
        (self.seq, from)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn videos(names: std::ops::Range<u32>) -> Vec<VideoId> {
        names.map(|n| VideoId::new(n.to_string()).unwrap()).collect()
    }

    #[test]
    fn a_new_tail_begins_where_the_client_is() {
        let mut list = Subscription::begin(Uuid::from_u128(1), 3, None);
        assert_eq!(list.replace(videos(0..5)), (1, 0));
        list.watched(&videos(1..2)[0]);
        assert_eq!((list.left(), list.resume().head), (3, 2), "what was passed is gone as well");
        assert_eq!(list.replace(videos(10..13)), (2, 2));
        assert_eq!(list.extend(videos(20..22)), (3, 5));
        assert_eq!(list.left(), 5);
        assert!(!list.may_come(&videos(1..2)[0]) && list.may_come(&videos(20..21)[0]));
        assert!(!list.may_follow(&videos(20..21)[0]));
    }

    #[test]
    fn it_goes_on_where_it_was() {
        let mut list = Subscription::begin(Uuid::from_u128(1), 3, None);
        list.replace(videos(0..5));
        list.watched(&videos(3..4)[0]);
        let resume = list.resume();
        let mut again = Subscription::begin(Uuid::from_u128(2), 3, Some(&resume));
        assert_eq!(again.replace(videos(7..9)), (2, 4));
        assert_eq!(again.resume().id, Uuid::from_u128(1));
    }

    proptest! {
        #[test]
        fn positions_never_go_back_and_nothing_watched_may_come(steps in prop::collection::vec((0u8..3, 0u32..30), 1..60)) {
            let mut list = Subscription::begin(Uuid::from_u128(1), 3, None);
            let (mut head, mut seq, mut next) = (0, 0, 100);
            for (step, n) in steps {
                match step {
                    0 => {
                        let (number, from) = list.replace(videos(next..next + 4));
                        prop_assert!(number > seq && from == list.resume().head);
                        (seq, next) = (number, next + 4);
                    }
                    1 => {
                        let (number, from) = list.extend(videos(next..next + 2));
                        prop_assert!(number > seq && from >= list.resume().head);
                        (seq, next) = (number, next + 2);
                    }
                    _ => {
                        let video = VideoId::new((next.saturating_sub(n)).to_string()).unwrap();
                        list.watched(&video);
                        prop_assert!(!list.may_come(&video));
                    }
                }
                prop_assert!(list.resume().head >= head);
                head = list.resume().head;
            }
        }
    }
}
