use std::collections::BTreeMap;

use crate::{clock::Clock, faults::Past, producer::Producer};

/// What it was like, for people.
pub fn print(sent: &[Producer], faults: &[Past], settled: f64, clock: Clock) {
    let acknowledged = || sent.iter().flat_map(|producer| &producer.people).flat_map(|person| &person.acknowledged);
    println!(
        "\n{:>9}  {:<24}{:>7}  {:>21}  {:>21}  {:>10}",
        "at", "fault", "lasted", "acknowledged (first/", "fresh feed (first/", "taken over"
    );
    println!(
        "{:>9}  {:<24}{:>7}  {:>21}  {:>21}  {:>10}",
        "s", "", "s", "all producers) s", "all viewers) s", "within s"
    );
    let mut worst: BTreeMap<String, f64> = BTreeMap::new();
    for past in faults {
        let after = |producer: &Producer| {
            let times = producer.people.iter().flat_map(|person| &person.acknowledged);
            times.map(|a| a.at).filter(|at| *at >= past.to).fold(f64::INFINITY, f64::min) - past.to
        };
        let (first, all) = sent.iter().map(after).fold((f64::INFINITY, 0.0_f64), |(a, b), x| (a.min(x), b.max(x)));
        let taken_over = past.taken_over.map_or(String::new(), |s| format!("{s:.2}"));
        println!(
            "{:9.1}  {:<24}{:7.1}  {:>21}  {:>21}  {taken_over:>10}",
            past.from,
            past.fault.to_string(),
            past.to - past.from,
            format!("{first:.2} / {all:.2}"),
            format!("{:.2} / {:.2}", past.first_fresh, past.all_fresh),
        );
        let slowest = worst.entry(past.fault.to_string()).or_default();
        *slowest = slowest.max(past.all_fresh);
    }
    let total = |count: fn(&Producer) -> u64| sent.iter().map(count).sum::<u64>();
    let longest = acknowledged().map(|a| a.at - a.sent).fold(0.0, f64::max);
    println!(
        "\n{} events acknowledged in {:.0} s; sent again: {} times after 429, 503, a nack or no confirm, {} times after a broken \
         connection; the longest wait for an acknowledgement {longest:.1} s; settled {settled:.1} s after the last",
        acknowledged().count(),
        clock.now(),
        total(|producer| producer.overloaded),
        total(|producer| producer.away),
    );
    let mut stale: BTreeMap<&str, u64> = BTreeMap::new();
    for (reason, count) in sent.iter().flat_map(Producer::stale) {
        *stale.entry(reason).or_default() += count;
    }
    println!("feeds asked for again because they were not fresh: {stale:?}");
    println!("slowest until all viewers had a fresh feed after the fault's end, s: {worst:.2?}");
}
