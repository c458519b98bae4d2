//! How long a request waits for the store.

use std::time::Duration;

use crate::error::Problem;

/// Longer than any store here takes to give up by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// What `work` comes to, or 503 where the store takes too long. A change that was begun may still happen; all of them can be asked
/// for again.
pub async fn patiently<T, E>(work: impl Future<Output = Result<T, E>>) -> Result<T, Problem>
where
    Problem: From<E>,
{
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => Ok(done?),
        Err(late) => Err(Problem::away("The feature store does not answer now", late)),
    }
}
