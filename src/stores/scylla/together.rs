//! Questions that share a request: while some are on their way, what is asked meanwhile waits and goes together. The slower the store, the
//! fewer and larger the requests.

use std::{collections::HashSet, hash::Hash};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

/// Which of some keys are there: asked by many at once.
pub struct Together<K, E> {
    waiting: Mutex<Vec<Question<K, E>>>,
    turns: Semaphore,
}

struct Question<K, E> {
    keys: Vec<K>,
    answer: oneshot::Sender<Result<HashSet<K>, E>>,
}

impl<K: Copy + Eq + Hash, E: Clone> Together<K, E> {
    /// With so many requests on their way at a time.
    pub fn new(requests: usize) -> Self {
        Self { waiting: Mutex::default(), turns: Semaphore::new(requests) }
    }

    /// Those of `keys` that `look` finds. Whoever's turn it is looks for all who wait; who stops waiting for the answer meanwhile leaves
    /// the others to ask again.
    ///
    /// # Errors
    /// That of `look`, for all who share it.
    pub async fn ask<F>(&self, keys: &[K], look: impl Fn(Vec<K>) -> F) -> Result<HashSet<K>, E>
    where
        F: Future<Output = Result<HashSet<K>, E>>,
    {
        loop {
            let (answer, mut answered) = oneshot::channel();
            self.waiting.lock().push(Question { keys: keys.to_vec(), answer });
            let known = tokio::select! {
                biased;
                known = &mut answered => known,
                turn = self.turns.acquire() => {
                    self.lead(&look).await;
                    drop(turn);
                    // Looked for just now, or on its way by another call.
                    answered.await
                }
            };
            if let Ok(known) = known {
                return known;
            }
        }
    }

    async fn lead<F>(&self, look: impl Fn(Vec<K>) -> F)
    where
        F: Future<Output = Result<HashSet<K>, E>>,
    {
        let questions = std::mem::take(&mut *self.waiting.lock());
        let all: HashSet<K> = questions.iter().flat_map(|question| question.keys.iter().copied()).collect();
        if all.is_empty() {
            return;
        }
        let found = look(all.into_iter().collect()).await;
        for Question { keys, answer } in questions {
            let known = |found: &HashSet<K>| keys.iter().copied().filter(|key| found.contains(key)).collect();
            let _gone = answer.send(found.as_ref().map(known).map_err(E::clone));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, time::Duration};

    use futures_util::future::join_all;

    use super::*;

    /// Even numbers are there. A look takes a while, and is noted.
    async fn even(looks: &RefCell<Vec<usize>>, keys: Vec<u32>) -> Result<HashSet<u32>, &'static str> {
        looks.borrow_mut().push(keys.len());
        tokio::time::sleep(Duration::from_millis(10)).await;
        if keys.contains(&13) { Err("unlucky") } else { Ok(keys.into_iter().filter(|key| key % 2 == 0).collect()) }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_meanwhile_goes_together_and_each_gets_its_own() {
        let (together, looks) = (Together::new(2), RefCell::default());
        let ask = async |n: u32| {
            let known = together.ask(&[n, n + 100], |keys| even(&looks, keys)).await.unwrap();
            let wanted = if n.is_multiple_of(2) { vec![n, n + 100] } else { vec![] };
            assert_eq!(known, HashSet::from_iter(wanted));
        };
        join_all((0..50).filter(|n| *n != 13).map(ask)).await;
        assert_eq!(*looks.borrow(), [2, 2, 94], "two at once, then all the others");
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_everybodys_and_no_later_ones() {
        let (together, looks) = (Together::new(1), RefCell::default());
        let ask = |n| together.ask(std::slice::from_ref(n), |keys| even(&looks, keys));
        assert_eq!(join_all([&1, &13, &2].map(ask)).await, [Ok(HashSet::new()), Err("unlucky"), Err("unlucky")]);
        assert_eq!(ask(&2).await, Ok(HashSet::from([2])));
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_while_looking_for_others_leaves_them_to_ask_again() {
        let (together, looks) = (Together::new(1), RefCell::default());
        let ask = |n| together.ask(std::slice::from_ref(n), |keys| even(&looks, keys));
        let impatient = tokio::time::timeout(Duration::from_millis(15), ask(&2));
        let first = ask(&1);
        let (first, impatient, patient) = tokio::join!(first, impatient, ask(&4));
        assert!(first.is_ok() && impatient.is_err(), "it had led the second look");
        assert_eq!(patient, Ok(HashSet::from([4])));
        assert_eq!(*looks.borrow(), [1, 2, 1]);
    }
}
