use std::collections::{BTreeMap, HashMap};

use foryou::{config::Config, engines::open_store};
use foryou_actors::{
    live::Live,
    ports::store::FeatureStore,
    services::catalogue,
    statistics::{Count, Entity},
    tallies,
};
use foryou_testing::{Ground, Node};

use crate::{
    clock::Clock,
    faults::{Past, until},
    people::Person,
    producer::Producer,
};

/// What a red run shows of each kind, at most.
const SHOWN: usize = 20;

/// What is in the store.
pub struct Stored {
    /// Of each person: number and id of each event, by number.
    people: BTreeMap<String, Vec<(u64, String)>>,
    /// How many views the counts of all nodes come to.
    counted: f64,
}

/// Waits until each person's latest event is applied and written; gives how long that took, in seconds.
pub fn wait_until_applied(node: &Node, sent: &[Producer], clock: Clock) -> f64 {
    let began = clock.now();
    for person in sent.iter().flat_map(|producer| &producer.people) {
        let (name, n) = (&person.id, person.acknowledged.len());
        if n == 0 {
            continue;
        }
        let feed = format!("/v1/users/{name}/feed?limit=1&after={name}%2F{n}&wait_ms=2000");
        until(&format!("{name}/{n} is applied"), std::time::Duration::from_secs(60), || {
            node.get(&feed).is_ok_and(|answer| answer.status == 200 && answer.behind().is_empty())
        });
    }
    clock.now() - began
}

/// Reads the store; no node runs.
pub fn read(ground: &Ground) -> Stored {
    let config = Config::read(ground.settings(), "the soak", []).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = open_store(&config).await.unwrap();
        let mut people: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
        store
            .scan_activity(&mut |activity| {
                let event = &activity.event;
                let of = people.entry(event.user.as_str().to_owned()).or_default();
                of.push((activity.seq, event.id.as_str().to_owned()));
                Ok(())
            })
            .await
            .unwrap();
        Stored { people, counted: counted(store.as_ref()).await }
    })
}

async fn counted(store: &dyn FeatureStore) -> f64 {
    let live = Live::default();
    catalogue::load(store, &live).await.unwrap();
    tallies::restore(store, &live).await.unwrap();
    f64::from(live.statistics.read().tally(Entity::All).total(Count::Views))
}

/// What is wrong, one line each.
pub fn judge<'a>(sent: impl Iterator<Item = &'a Person>, stored: &Stored, faults: &[Past]) -> Vec<String> {
    let mut wrong = Vec::new();
    let before = |at: f64| match faults.iter().rev().find(|past| past.from <= at) {
        Some(past) => format!("after {}, {:.1}–{:.1} s", past.fault, past.from, past.to),
        None => "before any fault".to_owned(),
    };
    let (mut lost, mut doubled, mut out_of_order, mut unknown) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut people = HashMap::new();
    for person in sent {
        people.insert(person.id.as_str(), person);
        let none = Vec::new();
        let rows = stored.people.get(&person.id).unwrap_or(&none);
        let mut found: HashMap<&str, Vec<u64>> = HashMap::new();
        rows.iter().for_each(|(seq, id)| found.entry(id).or_default().push(*seq));
        for (n, acknowledged) in (1..).zip(&person.acknowledged) {
            let id = person.event_id(n);
            let when = || {
                format!(
                    "sent at {:.3}, acknowledged at {:.3} s, {}",
                    acknowledged.sent,
                    acknowledged.at,
                    before(acknowledged.at)
                )
            };
            match found.get(id.as_str()).map(Vec::as_slice) {
                None => lost.push(format!("lost: {id}, {}", when())),
                Some([_]) => {}
                Some(numbers) => doubled.push(format!("doubled: {id} as numbers {numbers:?}, {}", when())),
            }
        }
        let number = |id: &str| id.rsplit('/').next().and_then(|n| n.parse::<usize>().ok());
        for pair in rows.windows(2) {
            if number(&pair[0].1) >= number(&pair[1].1) {
                let at = number(&pair[1].1).and_then(|n| person.acknowledged.get(n.checked_sub(1)?)).map(|a| a.at);
                let after = at.map(before).unwrap_or_default();
                out_of_order.push(format!(
                    "out of order: {:?} before {:?}, acknowledged at {at:?} s, {after}",
                    pair[0], pair[1]
                ));
            }
            if pair[0].0 + 1 != pair[1].0 {
                out_of_order.push(format!("numbers with a gap or twice: {:?} before {:?}", pair[0], pair[1]));
            }
        }
    }
    for (name, rows) in &stored.people {
        for (seq, id) in rows {
            let known = people.get(name.as_str()).is_some_and(|person| {
                let n = id.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix('/')?.parse::<usize>().ok());
                n.is_some_and(|n| (1..=person.acknowledged.len()).contains(&n))
            });
            if !known {
                unknown.push(format!("unknown: {id} of {name} as number {seq}"));
            }
        }
    }
    for kind in [lost, doubled, out_of_order, unknown] {
        let more = kind.len().saturating_sub(SHOWN);
        wrong.extend(kind.into_iter().take(SHOWN));
        if more > 0 {
            wrong.push(format!("  and {more} more like this"));
        }
    }
    let rows: usize = stored.people.values().map(Vec::len).sum();
    if stored.counted as usize != rows {
        wrong.push(format!("{rows} events are stored, {} are counted", stored.counted));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{faults::Fault, people::Acknowledged};

    #[test]
    fn what_is_wrong_is_told_with_ids_times_and_the_fault_before() {
        let mut ann = Person::new("ann".into());
        ann.acknowledged = (0..5).map(|n| Acknowledged { sent: f64::from(n), at: f64::from(n) + 0.5 }).collect();
        let fault =
            Past { fault: Fault::KillRabbitmq, from: 2.0, to: 3.0, first_fresh: 0.0, all_fresh: 0.0, taken_over: None };
        let faults = [fault];
        let judged = |ids: &[&str], counted| {
            let rows = (1..).zip(ids).map(|(seq, id)| (seq, (*id).to_owned())).collect();
            let stored = Stored { people: BTreeMap::from([("ann".to_owned(), rows)]), counted };
            judge([&ann].into_iter(), &stored, &faults)
        };
        let all = ["ann/1", "ann/2", "ann/3", "ann/4", "ann/5"];
        assert_eq!(judged(&all, 5.0), Vec::<String>::new());
        assert_eq!(
            judged(&["ann/1", "ann/2", "ann/3", "ann/5"], 4.0),
            ["lost: ann/4, sent at 3.000, acknowledged at 3.500 s, after RabbitMQ killed, 2.0–3.0 s"]
        );
        assert_eq!(
            judged(&["ann/1", "ann/1", "ann/2", "ann/3", "ann/4", "ann/5"], 6.0)[0],
            "doubled: ann/1 as numbers [1, 2], sent at 0.000, acknowledged at 0.500 s, before any fault"
        );
        let swapped = judged(&["ann/2", "ann/1", "ann/3", "ann/4", "ann/5"], 5.0);
        assert!(
            matches!(&swapped[..], [one] if one.starts_with("out of order: (1, \"ann/2\") before (2, \"ann/1\")")),
            "{swapped:?}"
        );
        assert_eq!(
            judged(&["ann/1", "ann/2", "ann/3", "ann/4", "ann/5", "ann/6"], 6.0),
            ["unknown: ann/6 of ann as number 6"]
        );
        assert_eq!(judged(&all, 6.0), ["5 events are stored, 6 are counted"]);
    }
}
