//! A release that was loaded and found sound.

use std::path::Path;

use foryou_schemas::Video;
use ort::value::{TensorElementType, TensorRef};

use super::{
    Manifest, ModelError, Parity, TrainedItems, files,
    forest::Forest,
    runtime,
    sessions::{Port, Sessions},
};
use crate::features::towers::{self, UserInputs};

/// Videos that go through the item tower together.
const ITEM_BATCH: usize = 512;

/// What runs a ranker that this program trained. Any other ranker runs in ONNX Runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RankerEngine {
    /// Our own walk over the trees of `ranker.onnx`: about twenty times as fast.
    #[default]
    Native,
    /// ONNX Runtime.
    OnnxRuntime,
}

/// How a release is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loading {
    /// How many threads will ask the models at the same time.
    pub threads: usize,
    /// What runs the ranker.
    pub ranker: RankerEngine,
}

impl From<usize> for Loading {
    fn from(threads: usize) -> Self {
        Self { threads, ranker: RankerEngine::default() }
    }
}

/// The three models of a release, checked. All methods may be called from any number of threads.
pub struct Release {
    /// What it says about itself.
    pub manifest: Manifest,
    /// Offline metrics, as written by training.
    pub metrics: serde_json::Value,
    user: Sessions,
    item: Sessions,
    ranker: Sessions,
    /// The ranker compiled, where it is one of ours.
    forest: Option<Forest>,
    watch: bool,
}

/// What the ranker says about candidates.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Predictions {
    heads: usize,
    /// `[N, K]`, row-major: a probability per head, in the order of [`Manifest::heads`].
    pub probabilities: Vec<f32>,
    /// `[N]` expected watch time in milliseconds; empty where the ranker does not predict it.
    pub watch: Vec<f32>,
}

impl Predictions {
    /// The probabilities of one candidate, `[K]`.
    pub fn row(&self, n: usize) -> &[f32] {
        &self.probabilities[n * self.heads..(n + 1) * self.heads]
    }

    /// The expected watch time of one candidate in milliseconds.
    pub fn watch_ms(&self, n: usize) -> Option<f32> {
        self.watch.get(n).copied()
    }

    /// One head's probabilities.
    pub fn head(&self, head: usize) -> impl Iterator<Item = f32> + '_ {
        self.probabilities.iter().skip(head).step_by(self.heads.max(1)).copied()
    }
}

impl Release {
    /// Loads the release in `dir` with a user tower and a ranker for each thread, and checks it: checksums, schema, shapes,
    /// parity, and outputs for inputs that are unknown throughout. Where the ranker is walked natively, both ways are checked.
    ///
    /// Takes tens of milliseconds; not for an async thread.
    pub fn load(dir: &Path, how: impl Into<Loading>) -> Result<(Self, TrainedItems), ModelError> {
        let Loading { threads, ranker: engine } = how.into();
        let manifest: Manifest = json(&files::read(&dir.join("manifest.json"))?, dir, "manifest.json")?;
        let refused = |reason: String| ModelError::refused(&manifest.id, reason);
        if let Some(reason) = manifest.misfit() {
            return Err(refused(reason));
        }
        let read = |name: &str| -> Result<Vec<u8>, ModelError> {
            let bytes = files::read(&dir.join(name))?;
            match manifest.files.get(name) {
                Some(entry) if entry.sha256 == files::sha256(&bytes) => Ok(bytes),
                Some(_) => Err(refused(format!("{name} does not match its checksum; fetch the release again"))),
                None => Err(refused(format!("its manifest does not name {name}"))),
            }
        };
        let environment = runtime::environment()?;
        let user = Sessions::new(&environment, "user_tower", &read("user_tower.onnx")?, threads)?;
        let item = Sessions::new(&environment, "item_tower", &read("item_tower.onnx")?, 1)?;
        let ranker = read("ranker.onnx")?;
        let forest = match engine {
            RankerEngine::Native => Forest::compile(&ranker, manifest.feature_count, manifest.heads.len()),
            RankerEngine::OnnxRuntime => None,
        };
        let ranker = Sessions::new(&environment, "ranker", &ranker, if forest.is_some() { 1 } else { threads })?;
        let items = TrainedItems::decode(&read("item_vectors.bin")?)
            .map_err(|reason| refused(format!("item_vectors.bin: {reason}; fetch the release again")))?;
        if (items.ids.len(), items.vector_len) != (manifest.trained_videos, manifest.vector_len) {
            return Err(refused(
                "item_vectors.bin holds another number of videos or components than the manifest".into(),
            ));
        }
        let metrics = json(&read("metrics.json")?, dir, "metrics.json")?;
        let parity: Parity = json(&read("parity.json")?, dir, "parity.json")?;
        let release = Self { watch: ranker.has_output("watch_ms"), metrics, user, item, ranker, forest, manifest };
        release.check_shapes()?;
        release.probe()?;
        parity.verify(&release)?;
        Ok((release, items))
    }

    /// A person's vector `[d + 1]`.
    pub fn user_vector(&self, inputs: &UserInputs) -> Result<Vec<f32>, ModelError> {
        let (m, width) = (&self.manifest, self.manifest.towers.actions.len());
        let len = inputs.items.len() / m.vector_len;
        let skip = len.saturating_sub(m.history);
        let len = len - skip;
        if len == 0 {
            // No history: one event that the mask hides, because ONNX Runtime dislikes empty dimensions.
            let (items, actions) = (vec![0.0; m.vector_len], vec![0.0; width]);
            return self.user_tower(1, &items, &actions, &[0.0], &inputs.profile);
        }
        let (items, actions) = (&inputs.items[skip * m.vector_len..], &inputs.actions[skip * width..]);
        self.user_tower(len, items, actions, &vec![1.0; len], &inputs.profile)
    }

    fn user_tower(
        &self,
        len: usize,
        items: &[f32],
        actions: &[f32],
        mask: &[f32],
        profile: &[f32],
    ) -> Result<Vec<f32>, ModelError> {
        let (m, failed) = (&self.manifest, ModelError::inference);
        let inputs = [
            TensorRef::from_array_view(([1, len, m.vector_len], items)).map_err(failed("user_tower"))?.into(),
            TensorRef::from_array_view(([1, len, m.towers.actions.len()], actions))
                .map_err(failed("user_tower"))?
                .into(),
            TensorRef::from_array_view(([1, len], mask)).map_err(failed("user_tower"))?.into(),
            TensorRef::from_array_view(([1, m.towers.profile.len()], profile)).map_err(failed("user_tower"))?.into(),
        ];
        let vector = self.user.run(inputs, |out| Ok(out[0].try_extract_tensor::<f32>()?.1.to_vec()))?;
        finite("user_tower", vector, m.vector_len)
    }

    /// Vectors `[N, d + 1]` of videos, each with its own-id bucket (0 where it was not trained on).
    pub fn item_vectors(&self, videos: &[(&Video, i64)]) -> Result<Vec<f32>, ModelError> {
        let mut vectors = Vec::with_capacity(videos.len() * self.manifest.vector_len);
        for batch in videos.chunks(ITEM_BATCH) {
            let (mut ids, mut content) = (Vec::new(), Vec::new());
            batch.iter().for_each(|(video, bucket)| towers::item(video, *bucket, &mut ids, &mut content));
            vectors.extend(self.item_tower(&ids, &content)?);
        }
        Ok(vectors)
    }

    /// The item tower on `ids [N, I]` and `content [N, C]`.
    pub(super) fn item_tower(&self, ids: &[i64], content: &[f32]) -> Result<Vec<f32>, ModelError> {
        let (towers, failed) = (&self.manifest.towers, ModelError::inference);
        let n = ids.len() / towers.id_width().max(1);
        let inputs = [
            TensorRef::from_array_view(([n, towers.id_width()], ids)).map_err(failed("item_tower"))?.into(),
            TensorRef::from_array_view(([n, towers.content.len()], content)).map_err(failed("item_tower"))?.into(),
        ];
        let vectors = self.item.run(inputs, |out| Ok(out[0].try_extract_tensor::<f32>()?.1.to_vec()))?;
        finite("item_tower", vectors, n * self.manifest.vector_len)
    }

    /// Scores `rows` candidates; `features` is row-major `[rows, F]`, NaN is unknown.
    pub fn rank(&self, features: &[f32], rows: usize) -> Result<Predictions, ModelError> {
        let heads = self.manifest.heads.len();
        if features.len() != rows * self.manifest.feature_count {
            let reason =
                format!("{rows} rows of {} features are not {} values", self.manifest.feature_count, features.len());
            return Err(ModelError::Inference { model: "ranker", reason });
        }
        match &self.forest {
            _ if rows == 0 => Ok(Predictions { heads, ..Predictions::default() }),
            Some(forest) => {
                let (probabilities, watch) = forest.predict(features, rows);
                self.predictions(probabilities, watch, rows)
            }
            None => self.rank_by_onnx(features, rows),
        }
    }

    /// [`Release::rank`] through ONNX Runtime, whatever the model.
    pub(super) fn rank_by_onnx(&self, features: &[f32], rows: usize) -> Result<Predictions, ModelError> {
        let (m, failed) = (&self.manifest, ModelError::inference);
        let view = TensorRef::from_array_view(([rows, m.feature_count], features)).map_err(failed("ranker"))?;
        let (probabilities, watch) = self.ranker.run([view.into()], |out| {
            let probabilities = out["probabilities"].try_extract_tensor::<f32>()?.1.to_vec();
            let watch = if self.watch { out["watch_ms"].try_extract_tensor::<f32>()?.1.to_vec() } else { Vec::new() };
            Ok((probabilities, watch))
        })?;
        self.predictions(probabilities, watch, rows)
    }

    fn predictions(&self, probabilities: Vec<f32>, watch: Vec<f32>, rows: usize) -> Result<Predictions, ModelError> {
        let heads = self.manifest.heads.len();
        Ok(Predictions {
            heads,
            probabilities: finite("ranker", probabilities, rows * heads)?,
            watch: finite("ranker", watch, if self.watch { rows } else { 0 })?,
        })
    }

    /// The number of a probability head.
    pub fn head(&self, name: &str) -> Option<usize> {
        self.manifest.heads.iter().position(|head| head == name)
    }

    fn check_shapes(&self) -> Result<(), ModelError> {
        let m = &self.manifest;
        let len = m.vector_len as i64;
        let (actions, profile) = (m.towers.actions.len() as i64, m.towers.profile.len() as i64);
        let (ids, content) = (m.towers.id_width() as i64, m.towers.content.len() as i64);
        let float = TensorElementType::Float32;
        let expected = |name: &str, element, shape: &[i64]| Port { name: name.into(), element, shape: shape.into() };
        let wanted = [
            expected("items", float, &[-1, -1, len]),
            expected("actions", float, &[-1, -1, actions]),
            expected("mask", float, &[-1, -1]),
            expected("profile", float, &[-1, profile]),
        ];
        self.same_ports("user_tower.onnx", &self.user, &wanted, &[expected("vector", float, &[-1, len])])?;
        let wanted =
            [expected("ids", TensorElementType::Int64, &[-1, ids]), expected("content", float, &[-1, content])];
        self.same_ports("item_tower.onnx", &self.item, &wanted, &[expected("vectors", float, &[-1, len])])?;
        let features = [expected("features", float, &[-1, m.feature_count as i64])];
        let mut outputs = vec![expected("probabilities", float, &[-1, m.heads.len() as i64])];
        outputs.extend(self.watch.then(|| expected("watch_ms", float, &[-1])));
        self.same_ports("ranker.onnx", &self.ranker, &features, &outputs)
    }

    fn same_ports(&self, file: &str, model: &Sessions, inputs: &[Port], outputs: &[Port]) -> Result<(), ModelError> {
        let fits = |got: &Port, wanted: &Port| {
            let dims = |(got, wanted): (&i64, &i64)| *got == -1 || got == wanted;
            got.name == wanted.name
                && got.element == wanted.element
                && got.shape.len() == wanted.shape.len()
                && got.shape.iter().zip(&wanted.shape).all(dims)
        };
        let (got_inputs, got_outputs) = model.ports();
        let sides = [("input", &got_inputs, inputs), ("output", &got_outputs, outputs)];
        for (side, got, wanted) in sides {
            let all = got.len() == wanted.len() && got.iter().zip(wanted).all(|(g, w)| fits(g, w));
            if !all {
                let say = |ports: &[Port]| {
                    let each = ports.iter().map(|p| format!("{}: {:?} {:?}", p.name, p.element, p.shape));
                    each.collect::<Vec<_>>().join(", ")
                };
                let reason = format!("{file} has {side}s [{}], needed are [{}]", say(got), say(wanted));
                return Err(ModelError::refused(&self.manifest.id, reason));
            }
        }
        Ok(())
    }

    /// Unknown people, videos and values must give sane answers too.
    fn probe(&self) -> Result<(), ModelError> {
        let towers = &self.manifest.towers;
        let nobody = UserInputs { profile: vec![0.0; towers.profile.len()], ..UserInputs::default() };
        self.user_vector(&nobody)?;
        self.item_tower(&vec![0; towers.id_width()], &vec![0.0; towers.content.len()])?;
        for value in [f32::NAN, 0.0, 1e6] {
            let predictions = self.rank(&vec![value; self.manifest.feature_count], 1)?;
            if !predictions.row(0).iter().all(|p| (0.0..=1.0).contains(p)) {
                let reason = format!("its ranker answers {:?} to features that are all {value}", predictions.row(0));
                return Err(ModelError::refused(&self.manifest.id, reason));
            }
        }
        Ok(())
    }
}

fn json<T: serde::de::DeserializeOwned>(bytes: &[u8], dir: &Path, name: &str) -> Result<T, ModelError> {
    serde_json::from_slice(bytes).map_err(|e| {
        let release = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        ModelError::Refused { release, reason: format!("{name}: {e}; fetch the release again") }
    })
}

/// Nothing non-finite leaves a model.
fn finite(model: &'static str, values: Vec<f32>, expected: usize) -> Result<Vec<f32>, ModelError> {
    let failed = |reason: String| Err(ModelError::Inference { model, reason });
    if values.len() != expected {
        return failed(format!("it gave {} values, {expected} were expected", values.len()));
    }
    match values.iter().find(|x| !x.is_finite()) {
        None => Ok(values),
        Some(x) => failed(format!("it gave {x}")),
    }
}
