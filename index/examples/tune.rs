//! Scratch.
use foryou_index::*;
use std::time::Instant;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (file, n, m, efb): (&str, usize, usize, usize) =
        (&a[1], a[2].parse().unwrap(), a[3].parse().unwrap(), a[4].parse().unwrap());
    let (items, priors, queries) = bench::data(n);
    let mut config = IndexConfig::new(64);
    config.exact_below = 0;
    config.graph.neighbours = m;
    config.graph.ef_build = efb;
    config.graph.threads = 2;
    let exact = Index::new(config.clone()).unwrap();
    exact.upsert_all((0..).zip(&items)).unwrap();
    exact.set_priors(priors).unwrap();
    let t = Instant::now();
    let index = match Index::load(file.as_ref(), config) {
        Ok(i) => i,
        Err(e) => {
            println!("{e}");
            exact.rebuild().unwrap();
            exact.save(file.as_ref()).unwrap();
            println!("built {:?}", t.elapsed());
            return;
        }
    };
    println!("loaded {:?}", t.elapsed());
    let truth: Vec<_> = queries.iter().map(|q| exact.search(q, 100, 0, |_| true).unwrap()).collect();
    for ef in [100, 130, 160, 200, 250, 300, 400, 500] {
        let mut best = f64::MAX;
        let mut found = vec![];
        for _ in 0..7 {
            let t = Instant::now();
            found = queries.iter().map(|q| index.search(q, 100, ef, |_| true).unwrap()).collect();
            best = best.min(t.elapsed().as_secs_f64() * 1e6 / queries.len() as f64);
        }
        println!("m {m} efb {efb} ef {ef} recall {:.4} us {best:.1}", bench::recall(&found, &truth));
    }
}
