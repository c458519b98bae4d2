//! Sessions that leave memory: idle ones, those beyond the budget, and all at the end.

use std::time::Duration;

use foryou_schemas::UserId;
use tokio::sync::oneshot;

use super::{super::session::Sleep, Sessions};

/// How many sessions fall asleep at the same time.
const FALLING_ASLEEP: usize = 256;

impl Sessions {
    /// Puts sessions to sleep that are idle or beyond the memory budget. Returns how many went.
    pub async fn sweep(&self) -> usize {
        let settings = &self.shared.settings;
        let idle_since = self.now_ms().checked_sub(settings.idle.as_millis() as u64);
        let bytes = self.stats().bytes;
        let mut by_touch: Vec<(u64, UserId)> =
            self.shared.residents.pin().iter().map(|(user, resident)| (resident.touched(), user.clone())).collect();
        let each = (bytes / (by_touch.len() as u64).max(1)).max(1);
        let excess = bytes.saturating_sub(settings.budget_bytes).div_ceil(each) as usize;
        let idle = by_touch.iter().filter(|(touched, _)| idle_since.is_some_and(|since| *touched < since)).count();
        let leaving = excess.max(idle).min(by_touch.len());
        if leaving == 0 {
            return 0;
        }
        if leaving < by_touch.len() {
            by_touch.select_nth_unstable_by_key(leaving, |(touched, _)| *touched);
            by_touch.truncate(leaving);
        }
        self.put_to_sleep(by_touch.into_iter().map(|(_, user)| user).collect(), settings.patience).await
    }

    /// Puts one session to sleep, if it is in memory and nobody touches it meanwhile. Returns whether it left.
    pub async fn sleep(&self, user: &UserId) -> bool {
        match self.fall_asleep(user) {
            Some(slept) => slept.await.unwrap_or(false),
            None => false,
        }
    }

    /// Puts to sleep what can be within `deadline`. Returns how many went.
    pub async fn sleep_all(&self, deadline: Duration) -> usize {
        let users = self.shared.residents.pin().keys().cloned().collect();
        self.put_to_sleep(users, deadline).await
    }

    async fn put_to_sleep(&self, users: Vec<UserId>, deadline: Duration) -> usize {
        let ends = tokio::time::Instant::now() + deadline;
        let mut slept = 0;
        for wave in users.chunks(FALLING_ASLEEP) {
            let falling: Vec<_> = wave.iter().filter_map(|user| self.fall_asleep(user)).collect();
            for answer in falling {
                match tokio::time::timeout_at(ends, answer).await {
                    Ok(answer) => slept += usize::from(answer.unwrap_or(false)),
                    Err(_) => return slept,
                }
            }
        }
        slept
    }

    fn fall_asleep(&self, user: &UserId) -> Option<oneshot::Receiver<bool>> {
        let addr = self.resident(user)?.addr()?;
        let (reply, slept) = oneshot::channel();
        addr.do_send(Sleep { reply });
        Some(slept)
    }
}
