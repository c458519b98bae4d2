//! Whom people follow and block.

use foryou_actors::ports::store::{
    StoreError,
    creators::{Before, Newest, Related, Standing},
};
use foryou_schemas::{CreatorId, UserId};
use futures_util::TryStreamExt;
use scylla::value::{CqlTimestamp, MaybeUnset};

use super::{Shared, entry::Stood, link::Connected};
use crate::stores::rows::{id, instant};

type Row = (String, Option<CqlTimestamp>, Option<CqlTimestamp>);
/// A cell: left as it is, emptied, or filled.
type Cell = MaybeUnset<Option<CqlTimestamp>>;
/// The values of `put_creator`.
pub type Values<'a> = (i64, Cell, Cell, &'a str, &'a str);

/// What becomes of a row at `at`.
pub fn values(row: &Stood, at: i64) -> Values<'_> {
    let cell = |cell: Option<Option<i64>>| match cell {
        None => MaybeUnset::Unset,
        Some(since) => MaybeUnset::Set(since.map(CqlTimestamp)),
    };
    (at, cell(row.followed), cell(row.blocked.map(Some)), row.user.as_str(), &row.creator)
}

impl Shared {
    /// All of a person's, in any order.
    pub async fn creators_of(&self, to: &Connected, user: &UserId) -> Result<Vec<(CreatorId, Standing)>, StoreError> {
        let rows = self.rows::<Row>(to, &to.on.creators, (user.as_str(),)).await?;
        rows.and_then(|row| std::future::ready(read(row))).try_collect().await
    }

    /// A page of a person's, newest first. The rows are read one by one, and those of the page kept.
    pub async fn newest_creators(
        &self,
        user: &UserId,
        before: Option<&Before>,
        limit: usize,
    ) -> Result<Vec<Related>, StoreError> {
        let to = &*self.link.get()?;
        let mut newest = Newest::new(before, limit);
        let mut rows = std::pin::pin!(self.rows::<Row>(to, &to.on.creators, (user.as_str(),)).await?);
        while let Some(row) = rows.try_next().await? {
            let (creator, standing) = read(row)?;
            newest.add(creator, standing);
        }
        Ok(newest.list())
    }
}

fn read((creator, followed, blocked): Row) -> Result<(CreatorId, Standing), StoreError> {
    let time = |at: Option<CqlTimestamp>| at.map(|at| instant(at.0)).transpose();
    Ok((id(&creator, CreatorId::new)?, Standing { followed: time(followed)?, blocked: time(blocked)? }))
}
