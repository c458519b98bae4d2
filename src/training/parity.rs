//! Picks the cases of `parity.json` and computes what the models say in training.

use foryou_actors::catalogue::VideoIndex;
use foryou_trainer::{
    Matrix,
    ranker::Ranker,
    two_tower::{History, TwoTower},
};

use super::{rows::Rows, towers::Towers, world::World};
use crate::{
    features::{REGISTRY, towers},
    models::{ItemCase, Parity, RowCase, UserCase},
};

const CASES: usize = 8;

/// A few videos, people and rows with the models' answers.
pub fn cases(world: &World, trained: &Towers, rows: &Rows, ranker: &Ranker, people: usize) -> anyhow::Result<Parity> {
    Ok(Parity {
        items: items(world, trained)?,
        users: users(world, trained, people)?,
        rows: ranker_rows(rows, ranker)?,
    })
}

/// Trained videos, and one of them as if it were new.
fn items(world: &World, trained: &Towers) -> anyhow::Result<Vec<ItemCase>> {
    let catalogue = world.catalogue();
    let spread = spread(trained.trained.len()).map(|n| (trained.trained[n], towers::own_bucket(n)));
    let new = trained.trained.first().map(|video| (*video, 0));
    let mut cases = Vec::new();
    for (video, bucket) in spread.chain(new) {
        let (Some(id), Some(of)) = (catalogue.id(video), catalogue.video(video)) else { continue };
        let (mut ids, mut content) = (Vec::new(), Vec::new());
        towers::item(of, bucket, &mut ids, &mut content);
        let schema = trained.model.schema();
        let table = foryou_trainer::two_tower::ItemTable::new(
            schema,
            ids.clone(),
            Matrix::from_vec(1, content.len(), content.clone())?,
        )?;
        let vector = trained.model.item_vectors(&table)?.row(0).to_vec();
        cases.push(ItemCase { video: id.clone(), ids, content, vector });
    }
    Ok(cases)
}

/// People with a history, and one without.
fn users(world: &World, trained: &Towers, people: usize) -> anyhow::Result<Vec<UserCase>> {
    let catalogue = world.catalogue();
    let duration_ms = |video: VideoIndex| catalogue.entry(video).map_or(0, |e| e.duration_ms);
    let nobody = foryou_actors::sessions::state::SessionState::default();
    let sessions = spread(people).map(|user| world.session(user as u32)).chain([&nobody]);
    let case = |session| {
        let inputs = towers::user(session, &trained.vectors, &duration_ms, world.now_s);
        let history = History { items: &inputs.items, actions: &inputs.actions, profile: &inputs.profile };
        let vector = TwoTower::user_vector(&trained.model, history)?;
        Ok(UserCase { vector, items: inputs.items, actions: inputs.actions, profile: inputs.profile })
    };
    sessions.map(case).collect()
}

fn ranker_rows(rows: &Rows, ranker: &Ranker) -> anyhow::Result<Vec<RowCase>> {
    let mut features = Matrix::zeros(0, REGISTRY.len());
    spread(rows.len()).try_for_each(|n| features.push_row(rows.row(n)))?;
    features.push_row(&vec![f32::NAN; REGISTRY.len()])?;
    let predicted = ranker.predict(&features)?;
    let case = |n: usize| RowCase {
        features: features.row(n).iter().map(|x| (!x.is_nan()).then_some(*x)).collect(),
        probabilities: predicted.probabilities.row(n).to_vec(),
        watch_ms: predicted.watch_ms.get(n).copied(),
    };
    Ok((0..features.rows()).map(case).collect())
}

/// A few numbers below `n`, evenly spread.
fn spread(n: usize) -> impl Iterator<Item = usize> {
    let count = CASES.min(n);
    (0..count).map(move |i| i * n / count.max(1))
}
