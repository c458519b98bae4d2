//! Both towers as ONNX files.

use crate::onnx::{Attribute, Dim, Graph};

use super::LOGIT_SCALE;
use super::TwoTower;
use super::standardise::Standardiser;
use super::user_tower::{COUNT_SCALE, SCORE_LIMIT};

/// Inputs `ids` int64 `[N, I]` and `content` float `[N, C]`; output `vectors` float `[N, d + 1]`.
pub(crate) fn item_tower(model: &TwoTower, metadata: &[(String, String)]) -> Vec<u8> {
    let (tower, schema) = (&model.items, &model.schema);
    let (n, width) = (Dim::Named("N"), tower.width);
    let mut g = Graph::new("item_tower");
    let ids = g.input_i64("ids", &[n.clone(), Dim::Fixed(schema.id_width())]);
    let content = g.input_f32("content", &[n.clone(), Dim::Fixed(schema.content.len())]);
    g.output_f32("vectors", &[n, Dim::Fixed(width)]);

    // The scale goes into every summand: all of them are linear.
    let scaled = |weights: &[f32]| -> Vec<f32> {
        let scale = |(i, w): (usize, &f32)| if i % width == width - 1 { *w } else { LOGIT_SCALE * w };
        weights.iter().enumerate().map(scale).collect()
    };
    let base = g.weights("base", &[width], &scaled(&tower.base.weights));
    let content_weights = scaled(&tower.content_weights.weights);
    let weights = g.weights("content_weights", &[schema.content.len(), width], &content_weights);
    let content = standardise(&mut g, "content", &content, &tower.content);
    let product = g.node("MatMul", &[&content, &weights], &[]);
    let mut sum = g.node("Add", &[&product, &base], &[]);
    let mut column = 0;
    for (group, table) in schema.id_groups.iter().zip(&tower.tables) {
        let name = format!("table_{}", group.name);
        let table = g.weights(&name, &[group.buckets, width], &scaled(&table.param.weights));
        let (from, to) = (g.ints(&[column]), g.ints(&[column + group.width as i64]));
        let axis = g.ints(&[1]);
        let of_group = g.node("Slice", &[&ids, &from, &to, &axis], &[]);
        let rows = g.node("Gather", &[&table, &of_group], &[("axis", Attribute::Int(0))]);
        let rows = g.node("ReduceSum", &[&rows, &axis], &[("keepdims", Attribute::Int(0))]);
        sum = g.node("Add", &[&sum, &rows], &[]);
        column += group.width as i64;
    }
    g.node_named("Identity", &[&sum], "vectors", &[]);

    let groups: Vec<String> =
        schema.id_groups.iter().map(|g| format!("{}:{}:{}", g.name, g.buckets, g.width)).collect();
    g.encode(&with(metadata, &[("id_groups", groups.join(",")), ("content", schema.content.join(","))]))
}

/// Inputs `items` float `[B, L, d + 1]`, `actions` float `[B, L, A]`, `mask` float `[B, L]` and `profile` float `[B, P]`;
/// output `vector` float `[B, d + 1]`.
pub(crate) fn user_tower(model: &TwoTower, metadata: &[(String, String)]) -> Vec<u8> {
    let (tower, schema, s) = (&model.users, &model.schema, model.users.sizes);
    let (b, l) = (Dim::Named("B"), Dim::Named("L"));
    let mut g = Graph::new("user_tower");
    let items = g.input_f32("items", &[b.clone(), l.clone(), Dim::Fixed(s.dim + 1)]);
    let actions = g.input_f32("actions", &[b.clone(), l.clone(), Dim::Fixed(s.actions)]);
    let mask = g.input_f32("mask", &[b.clone(), l]);
    let profile = g.input_f32("profile", &[b.clone(), Dim::Fixed(s.profile)]);
    g.output_f32("vector", &[b, Dim::Fixed(s.dim + 1)]);

    // x = [v, a], [B, L, d + A]
    let (zero, one, two, dim) = (g.ints(&[0]), g.ints(&[1]), g.ints(&[2]), g.ints(&[s.dim as i64]));
    let directions = g.node("Slice", &[&items, &zero, &dim, &two], &[]);
    let unscale = g.weights("unscale", &[1], &[1.0 / LOGIT_SCALE]);
    let directions = g.node("Mul", &[&directions, &unscale], &[]);
    let actions = standardise(&mut g, "actions", &actions, &model.actions);
    let events = g.node("Concat", &[&directions, &actions], &[("axis", Attribute::Int(2))]);

    // w = exp(clip(x q^T)) * mask, [B, L, H]
    let queries = transpose(&tower.queries.weights, s.pools, s.event());
    let queries = g.weights("queries", &[s.event(), s.pools], &queries);
    let limits = (g.weights("low", &[], &[-SCORE_LIMIT]), g.weights("high", &[], &[SCORE_LIMIT]));
    let scores = g.node("MatMul", &[&events, &queries], &[]);
    let scores = g.node("Clip", &[&scores, &limits.0, &limits.1], &[]);
    let weights = g.node("Exp", &[&scores], &[]);
    let wide_mask = g.node("Unsqueeze", &[&mask, &two], &[]);
    let weights = g.node("Mul", &[&weights, &wide_mask], &[]);

    // p = w^T x / (sum w + exp(s)), [B, H, d + A]
    let sinks: Vec<f32> = tower.sinks.weights.iter().map(|s| s.clamp(-SCORE_LIMIT, SCORE_LIMIT).exp()).collect();
    let sinks = g.weights("sinks", &[s.pools], &sinks);
    let totals = g.node("ReduceSum", &[&weights, &one], &[("keepdims", Attribute::Int(0))]);
    let totals = g.node("Add", &[&totals, &sinks], &[]);
    let totals = g.node("Unsqueeze", &[&totals, &two], &[]);
    let columns = g.node("Transpose", &[&weights], &[("perm", Attribute::Ints(vec![0, 2, 1]))]);
    let pools = g.node("MatMul", &[&columns, &events], &[]);
    let pools = g.node("Div", &[&pools, &totals], &[]);
    let flat = g.ints(&[0, (s.pools * s.event()) as i64]);
    let pools = g.node("Reshape", &[&pools, &flat], &[]);

    // z = [p, ln(1 + L) / 4, profile]
    let unit = g.weights("unit", &[1], &[1.0]);
    let count_scale = g.weights("count_scale", &[1], &[COUNT_SCALE]);
    let count = g.node("ReduceSum", &[&mask, &one], &[("keepdims", Attribute::Int(1))]);
    let count = g.node("Add", &[&count, &unit], &[]);
    let count = g.node("Log", &[&count], &[]);
    let count = g.node("Mul", &[&count, &count_scale], &[]);
    let profile = standardise(&mut g, "profile", &profile, &model.profile);
    let z = g.node("Concat", &[&pools, &count, &profile], &[("axis", Attribute::Int(1))]);

    // u = W2 [relu(W1 z + b1), z] + b2
    let w1 = g.weights("w1", &[s.input(), s.hidden], &tower.w1.weights);
    let b1 = g.weights("b1", &[s.hidden], &tower.b1.weights);
    let w2 = g.weights("w2", &[s.last(), s.dim], &tower.w2.weights);
    let b2 = g.weights("b2", &[s.dim], &tower.b2.weights);
    let hidden = g.node("Gemm", &[&z, &w1, &b1], &[]);
    let hidden = g.node("Relu", &[&hidden], &[]);
    let last = g.node("Concat", &[&hidden, &z], &[("axis", Attribute::Int(1))]);
    let user = g.node("Gemm", &[&last, &w2, &b2], &[]);

    // [u, 1]: the one is padded on, so it has the batch's length.
    let pads = g.ints(&[0, 0, 0, 1]);
    let pad_value = g.weights("pad_value", &[], &[1.0]);
    g.node_named("Pad", &[&user, &pads, &pad_value], "vector", &[]);

    let columns = [
        ("actions", schema.actions.join(",")),
        ("profile", schema.profile.join(",")),
        ("history", model.history.to_string()),
    ];
    g.encode(&with(metadata, &columns))
}

fn standardise(g: &mut Graph, name: &str, value: &str, s: &Standardiser) -> String {
    let mean = g.weights(&format!("{name}_mean"), &[s.mean.len()], &s.mean);
    let scale = g.weights(&format!("{name}_scale"), &[s.scale.len()], &s.scale);
    let centred = g.node("Sub", &[value, &mean], &[]);
    g.node("Mul", &[&centred, &scale], &[])
}

fn transpose(data: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    (0..rows * cols).map(|i| data[(i % rows) * cols + i / rows]).collect()
}

fn with(metadata: &[(String, String)], own: &[(&str, String)]) -> Vec<(String, String)> {
    let own = own.iter().map(|(k, v)| ((*k).to_string(), v.clone()));
    metadata.iter().cloned().chain(own).collect()
}
