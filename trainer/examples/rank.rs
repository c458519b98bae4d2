//! Scratch: ranker speed and quality.
use foryou_trainer::metrics::*;
use foryou_trainer::ranker::{self, *};
use foryou_trainer::{Cancel, Matrix};
use std::time::Instant;
fn main() {
    let b = std::fs::read("/tmp/kr/rank.bin").unwrap();
    let h: Vec<usize> = b[..24].chunks_exact(8).map(|c| i64::from_le_bytes(c.try_into().unwrap()) as usize).collect();
    let (n, f, tr) = (h[0], h[1], h[2]);
    let fl = |at: usize, k: usize| -> Vec<f32> {
        b[at..at + 4 * k].chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect()
    };
    let x = fl(24, n * f);
    let o = 24 + 4 * n * f;
    let lv = fl(o, n);
    let lk = fl(o + 4 * n, n);
    let ms = fl(o + 8 * n, n);
    let us: Vec<u64> = b[o + 12 * n..].chunks_exact(8).map(|c| u64::from_le_bytes(c.try_into().unwrap())).collect();
    let train_x = Matrix::from_vec(tr, f, x[..tr * f].to_vec()).unwrap();
    let test_x = Matrix::from_vec(n - tr, f, x[tr * f..].to_vec()).unwrap();
    let names: Vec<String> = (0..f).map(|i| format!("f{i}")).collect();
    let mk = |c: HeadConfig, l: &[f32]| Head { config: c, labels: l[..tr].to_vec(), weights: None };
    let long = mk(HeadConfig { learning_rate: 0.03, trees: 350, ..HeadConfig::frequent("long") }, &lv);
    let like = mk(HeadConfig { trees: 250, ..HeadConfig::rare("like") }, &lk);
    let watch = mk(HeadConfig::watch_time("watch"), &ms);
    for (name, heads, labels) in [
        ("long", vec![long.clone()], Some(&lv)),
        ("like", vec![like.clone()], Some(&lk)),
        ("watch", vec![watch.clone()], None),
        ("default long", vec![mk(HeadConfig::frequent("long"), &lv)], Some(&lv)),
        ("all three, two threads", vec![long, like, watch], None),
    ] {
        let t = Instant::now();
        let m = ranker::train(
            &train_x,
            &names,
            &heads,
            &RankerConfig { threads: 2, ..Default::default() },
            &Cancel::new(),
            &mut |_| {},
        )
        .unwrap();
        print!("{name}: {:.1}s onnx {} KB", t.elapsed().as_secs_f64(), m.onnx(&[]).len() / 1024);
        let p = m.predict(&test_x).unwrap();
        if let Some(l) = labels {
            println!(
                " AUC {:.4} GAUC {:.4} calib {:.3}",
                auc(p.probabilities.data(), &l[tr..]).unwrap(),
                gauc(&us[tr..], p.probabilities.data(), &l[tr..]).unwrap(),
                calibration_ratio(p.probabilities.data(), &l[tr..]).unwrap()
            );
        } else {
            let s: f32 = p.watch_ms.iter().sum();
            let q: f32 = ms[tr..].iter().sum();
            println!(" watch mean pred/obs {:.3}", s / q);
        }
    }
}
