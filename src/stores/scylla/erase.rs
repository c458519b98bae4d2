//! Everything of one person, out of the store.

use std::collections::BTreeSet;

use foryou_actors::ports::store::StoreError;
use foryou_schemas::UserId;

use super::{
    Shared,
    batches::{Job, run},
    clock::day,
    errors::DriverError,
    people::{presence, snapshot},
};

/// Forgets a person; says whether there was anything. What is deleted stays so when an interrupted batch from before is completed
/// later: its rows are older than the deletion.
pub async fn erase(shared: &Shared, user: &UserId) -> Result<bool, StoreError> {
    let to = &*shared.link.get()?;
    shared.noted.lock().forget(user);
    let there = async { futures_util::try_join!(presence(to, user), snapshot(to, user, &shared.clock)) };
    let (there, snapshot) = there.await.map_err(|error| shared.link.failed(error))?;
    let now = shared.clock.next();
    // The last two days whatever the profile says: a batch that was interrupted may have left rows that it does not name.
    let recent = [day(now) - 1, day(now)];
    let name = user.as_str();
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for day in there.days.iter().copied().chain(recent).collect::<BTreeSet<_>>() {
        jobs.push(Box::pin(async move {
            delete(to.session.execute_unpaged(&to.on.erase_activity, (now, name, day)).await)
        }));
    }
    for day in there.feed_days.iter().copied().chain(recent).collect::<BTreeSet<_>>() {
        jobs.push(Box::pin(
            async move { delete(to.session.execute_unpaged(&to.on.erase_feeds, (now, name, day)).await) },
        ));
    }
    for statement in [&to.on.erase_snapshot, &to.on.erase_creators] {
        jobs.push(Box::pin(async move { delete(to.session.execute_unpaged(statement, (now, name)).await) }));
    }
    run(jobs).await.map_err(|error| shared.link.failed(error))?;
    // The profile last: should this end before, it still names what is left.
    let profile = to.session.execute_unpaged(&to.on.erase_profile, (now, name)).await;
    delete(profile).map_err(|error| shared.link.failed(error))?;
    Ok(there.told || !there.days.is_empty() || !there.feed_days.is_empty() || snapshot.is_some())
}

fn delete<T>(done: Result<T, scylla::errors::ExecutionError>) -> Result<(), DriverError> {
    done.map(|_| ()).map_err(DriverError::from)
}
