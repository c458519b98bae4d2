//! Scratch: the development split.
use foryou_trainer::baselines::*;
use foryou_trainer::two_tower::{self, *};
use foryou_trainer::{Cancel, Matrix};
use std::time::Instant;

struct Reader(Vec<u8>, usize);
impl Reader {
    fn take<T, const N: usize>(&mut self, n: usize, f: fn([u8; N]) -> T) -> Vec<T> {
        let out = self.0[self.1..self.1 + n * N].chunks_exact(N).map(|c| f(c.try_into().unwrap())).collect();
        self.1 += n * N;
        out
    }
    fn i64(&mut self, n: usize) -> Vec<i64> {
        self.take(n, i64::from_le_bytes)
    }
    fn f32(&mut self, n: usize) -> Vec<f32> {
        self.take(n, f32::from_le_bytes)
    }
    fn u32(&mut self, n: usize) -> Vec<u32> {
        self.take(n, u32::from_le_bytes)
    }
}
fn env(name: &str, default: f64) -> f64 {
    std::env::var(name).ok().map_or(default, |v| v.parse().unwrap())
}

fn main() {
    let path = std::env::args().nth(1).unwrap_or("/tmp/kr/dev.bin".into());
    let mut r = Reader(std::fs::read(path).unwrap(), 0);
    let h: Vec<usize> = r.i64(10).into_iter().map(|x| x as usize).collect();
    let (n, iw, cw, users, events, aw, nt) = (h[0], h[1], h[2], h[3], h[4], h[5], h[6]);
    let ids = r.i64(n * iw);
    let content = Matrix::from_vec(n, cw, r.f32(n * cw)).unwrap();
    let off = r.i64(users + 1);
    let items = r.u32(events);
    let acts = r.f32(events * aw);
    let toff = r.i64(users + 1);
    let tg = r.u32(nt);
    let (ri, rl, rlr) = (r.f32(n), r.f32(n), r.f32(n));
    let s = |v: &[&str]| v.iter().map(|x| x.to_string()).collect::<Vec<_>>();
    let use_content = env("CONTENT", 1.0) > 0.0;
    // columns in the file: video, author, tag0, tags x4, upload type
    let mut groups = vec![IdGroup::new("video", n + 1, 1)];
    let mut keep = vec![0usize];
    if use_content {
        groups.extend([
            IdGroup::new("author", h[7], 1),
            IdGroup::new("category", h[8], 1),
            IdGroup::new("tag", h[8], 4),
            IdGroup::new("upload", h[9], 1),
        ]);
        keep = (0..iw).collect();
    }
    let holdout = env("HOLDOUT", 0.0); // share of videos that are cold: bucket 0 in evaluation
    let ids: Vec<i64> = ids.chunks_exact(iw).flat_map(|row| keep.iter().map(|&k| row[k]).collect::<Vec<_>>()).collect();
    let schema = TowerSchema {
        id_groups: groups,
        content: s(&["d", "d2", "wide", "day"]),
        actions: s(&["long", "like", "click", "skip", "log"]),
        profile: s(&["one"]),
    };
    let table = ItemTable::new(&schema, ids.clone(), content.clone()).unwrap();
    let mut hist = Histories::new(&schema);
    let cold = |i: u32| (i as u64 * 2654435761 % 1000) as f64 / 1000.0 < holdout;
    for u in 0..users {
        let (a, b) = (off[u] as usize, off[u + 1] as usize);
        let keep: Vec<usize> = (a..b).filter(|&e| !cold(items[e])).collect();
        let it: Vec<u32> = keep.iter().map(|&e| items[e]).collect();
        let ac: Vec<f32> = keep.iter().flat_map(|&e| acts[e * aw..(e + 1) * aw].to_vec()).collect();
        hist.push(&it, &ac, &[1.0]).unwrap();
    }
    let d = TwoTowerConfig::default();
    let mut pop = vec![0f32; n];
    items.iter().for_each(|&i| pop[i as usize] += 1.0);
    let eval = |name: &str, score: &dyn Fn(usize, &mut Vec<f32>), filter: &dyn Fn(u32) -> bool| {
        let (mut r100, mut r300, mut c, mut hit100, mut hit300, mut tot) = (0.0, 0.0, 0.0, 0usize, 0usize, 0usize);
        let (mut h100, mut h300, mut hc) = (0.0, 0.0, 0.0);
        let mut sc = vec![0f32; n];
        for u in 0..users {
            let t: Vec<u32> =
                tg[toff[u] as usize..toff[u + 1] as usize].iter().copied().filter(|&i| filter(i)).collect();
            if t.is_empty() {
                continue;
            }
            score(u, &mut sc);
            let it = &items[off[u] as usize..off[u + 1] as usize];
            it.iter().for_each(|&i| sc[i as usize] = f32::NEG_INFINITY);
            (0..n as u32).for_each(|i| {
                if !filter(i) {
                    sc[i as usize] = f32::NEG_INFINITY
                }
            });
            let (mut a, mut b) = (0, 0);
            for &x in &t {
                let rank = sc.iter().filter(|&&y| y > sc[x as usize]).count();
                a += usize::from(rank < 100);
                b += usize::from(rank < 300);
            }
            hit100 += a;
            hit300 += b;
            tot += t.len();
            let (x, y) = (a as f64 / t.len() as f64, b as f64 / t.len() as f64);
            r100 += x;
            r300 += y;
            c += 1.0;
            if !it.is_empty() {
                h100 += x;
                h300 += y;
                hc += 1.0;
            }
        }
        println!(
            "{name}: people {c} R@100 {:.4} R@300 {:.4} | with history {hc} {:.4} {:.4} | pooled {:.4} {:.4}",
            r100 / c,
            r300 / c,
            h100 / hc,
            h300 / hc,
            hit100 as f64 / tot as f64,
            hit300 as f64 / tot as f64
        );
    };
    let all = |_: u32| true;
    if env("BASE", 0.0) > 0.0 {
        let x =
            Interactions::new(n, (0..users).map(|u| items[off[u] as usize..off[u + 1] as usize].to_vec()).collect())
                .unwrap();
        let p = popularity(&x);
        eval("popularity all", &|_, s| s.copy_from_slice(&p), &all);
        eval("popularity long 4 days", &|_, s| s.copy_from_slice(&rlr), &all);
        let t = Instant::now();
        let knn = ItemKnn::fit(&x, &ItemKnnConfig::default(), &Cancel::new(), &mut |_| {}).unwrap();
        println!("knn fit {:.1}s", t.elapsed().as_secs_f64());
        eval("knn", &|u, s| s.copy_from_slice(&knn.scores(x.of_user(u))), &all);
        return;
    }
    let seeds = env("SEEDS", 1.0) as u64;
    for seed in 1..=seeds {
        let c = TwoTowerConfig {
            epochs: env("EPOCHS", d.epochs as f64) as usize,
            dim: env("DIM", d.dim as f64) as usize,
            hidden: env("HIDDEN", d.hidden as f64) as usize,
            pools: env("POOLS", d.pools as f64) as usize,
            batch: env("BATCH", d.batch as f64) as usize,
            targets: env("TARGETS", d.targets as f64) as usize,
            history: env("HIST", d.history as f64) as usize,
            learning_rate: env("LR", d.learning_rate as f64) as f32,
            weight_decay: env("WD", d.weight_decay as f64) as f32,
            dropout: env("DROP", d.dropout as f64) as f32,
            id_dropout: env("IDDROP", d.id_dropout as f64) as f32,
            hide: (env("HIDE0", d.hide.0 as f64) as f32, env("HIDE1", d.hide.1 as f64) as f32),
            hide_all: env("HIDEALL", d.hide_all as f64) as f32,
            softmax: Softmax::Auto {
                full_up_to: env("FULL", 20000.0) as usize,
                negatives: env("NEG", 4096.0) as usize,
            },
            seed,
            ..d.clone()
        };
        let t = Instant::now();
        let model = two_tower::train(&schema, &table, &hist, &c, &Cancel::new(), &mut |p| {
            if env("V", 0.0) > 0.0 {
                eprintln!("{p:?}")
            }
        })
        .unwrap();
        println!("seed {seed} train {:.1}s", t.elapsed().as_secs_f64());
        let mut ids2 = ids.clone();
        let w = schema.id_width();
        for i in 0..n {
            if cold(i as u32) {
                ids2[i * w] = 0;
            }
        }
        let table2 = ItemTable::new(&schema, ids2, content.clone()).unwrap();
        let vecs = model.item_vectors(&table2).unwrap();
        let dim = model.vector_len();
        let t = Instant::now();
        let uv: Vec<Vec<f32>> = (0..users)
            .map(|u| {
                if toff[u] == toff[u + 1] {
                    return vec![];
                }
                let (a, b) = (off[u] as usize, off[u + 1] as usize);
                let hv: Vec<f32> = items[a..b].iter().flat_map(|&i| vecs.row(i as usize).to_vec()).collect();
                model.user_vector(History { items: &hv, actions: &acts[a * aw..b * aw], profile: &[1.0] }).unwrap()
            })
            .collect();
        println!("user vectors {:.2}s", t.elapsed().as_secs_f64());
        let base = |u: usize, s: &mut Vec<f32>| {
            for i in 0..n {
                s[i] = vecs.row(i).iter().zip(&uv[u]).map(|(a, b)| a * b).sum();
            }
        };
        let _ = dim;
        eval("two-tower", &base, &all);
        let pr: Vec<f32> = (0..n).map(|i| prior::recency_prior(prior::recent_count(ri[i], rl[i]), pop[i])).collect();
        eval(
            "two-tower + prior",
            &|u, s| {
                base(u, s);
                s.iter_mut().zip(&pr).for_each(|(a, b)| *a += b)
            },
            &all,
        );
        if env("PRIORS", 0.0) > 0.0 {
            for w in [0.6f32, 0.8, 1.0] {
                for lw in [1.0f32, 3.0] {
                    for undec in [false, true] {
                        for sm in [0.3f32, 1.0] {
                            let pr: Vec<f32> = (0..n)
                                .map(|i| {
                                    w * ((ri[i] + lw * if undec { rlr[i] } else { rl[i] } + sm).ln()
                                        - (pop[i] + 1.0).ln())
                                })
                                .collect();
                            eval(
                                &format!("prior w {w} long {lw} undecayed {undec} smooth {sm}"),
                                &|u, s| {
                                    base(u, s);
                                    s.iter_mut().zip(&pr).for_each(|(a, b)| *a += b)
                                },
                                &all,
                            );
                        }
                    }
                }
            }
        }
        if holdout > 0.0 {
            eval("cold videos among cold", &base, &cold);
            eval("cold by popularity of all", &|_, s| s.copy_from_slice(&pop), &cold);
        }
    }
}
