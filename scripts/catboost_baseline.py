"""CatBoost on the ranker's own rows: python3 scripts/catboost_baseline.py TRAIN.parquet JUDGE.parquet

The files come from `foryou train --rows TRAIN.parquet` and `foryou evaluate --rows JUDGE.parquet`.
Prints {outcome: {auc, gauc}} for the long view and the like. Needs catboost and pyarrow (pip install catboost pyarrow).
"""
import json
import sys

try:
    import numpy as np
    import pyarrow.parquet as pq
    from catboost import CatBoostClassifier
except ImportError as missing:
    sys.exit(f"{missing}: pip install catboost pyarrow")

KEYS = ("user", "video", "at")


def auc(score, label):
    """The rank-sum form, ties at their mean rank; None with one class only."""
    positives = int(label.sum())
    if positives in (0, len(label)):
        return None
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    return (mean_rank[inverse][label > 0].sum() - positives * (positives + 1) / 2) / (positives * (len(label) - positives))


def gauc(user, score, label):
    """AUC within each person, weighted by rows."""
    order = np.argsort(user, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(user[order])) + 1)
    each = [(auc(score[p], label[p]), len(p)) for p in parts]
    each = [(a, n) for a, n in each if a is not None]
    return sum(a * n for a, n in each) / sum(n for _, n in each) if each else None


def main(train_file, judge_file):
    train, judge = pq.read_table(train_file), pq.read_table(judge_file)
    live = (train.schema.metadata or {}).get(b"live_columns", b"").decode().split(",")  # ours are predicted without them too
    names = [c for c in train.column_names if c not in (*KEYS, *live) and not c.startswith("label_")]
    features = lambda table: np.stack([table[c].to_numpy() for c in names], axis=1)
    x, x_judge = features(train), features(judge)
    _, user = np.unique(judge["user"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    out = {}
    for outcome, depth, trees in (("long_view", 6, 600), ("like", 5, 400)):
        y, y_judge = train[f"label_{outcome}"].to_numpy(), judge[f"label_{outcome}"].to_numpy()
        if y.sum() < 50:
            continue
        model = CatBoostClassifier(iterations=trees, depth=depth, learning_rate=0.05, l2_leaf_reg=8, random_seed=1,
                                   thread_count=2, verbose=False, allow_writing_files=False)
        model.fit(x, y)
        score = model.predict_proba(x_judge)[:, 1]
        out[outcome] = {"auc": auc(score, y_judge), "gauc": gauc(user, score, y_judge)}
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:3])
