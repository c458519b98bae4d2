//! Which deliveries are to be applied, and what becomes of the others.

use std::collections::HashSet;

use foryou_schemas::{Event, EventId, Timestamp};

use super::vouchers::Vouchers;
use crate::{
    live::Live,
    ports::{
        bus::{Delivery, partition_of},
        store::{FeatureStore, StoreError},
    },
    sessions::state::Incoming,
};

/// A delivery that is to be applied.
pub(super) struct Admitted {
    pub tag: u64,
    pub redelivered: u32,
    pub event: Event,
    pub incoming: Incoming,
    /// Whether the store is known not to have it.
    pub is_new: bool,
}

/// A batch of deliveries, sorted out. Each tag is in one list.
#[derive(Default)]
pub(super) struct Admission {
    /// To be applied, in the order of delivery.
    pub admitted: Vec<Admitted>,
    /// Events that were applied before, or are being applied.
    pub duplicates: Vec<u64>,
    /// To be delivered again a little later.
    pub again: Vec<u64>,
    /// Never to be applied, with the reason.
    pub refused: Vec<(u64, String)>,
}

impl Admission {
    /// Parses and resolves deliveries. An event whose video is unknown may be ahead of the catalogue: it is given `retries`
    /// more chances.
    /// `partitions`: how many there are, where an event that came through another than its person's is not this node's to apply.
    pub(super) fn new(
        deliveries: Vec<Delivery>,
        live: &Live,
        now: Timestamp,
        retries: u32,
        partitions: Option<u16>,
    ) -> Self {
        let mut admission = Self::default();
        for delivery in deliveries {
            let event = match parse(&delivery.payload, now) {
                Ok(event) => event,
                Err(reason) => {
                    admission.refused.push((delivery.tag, reason));
                    continue;
                }
            };
            if let Some(home) = partitions.map(|count| partition_of(&event.user, count))
                && home != delivery.partition
            {
                let reason = format!("user: {} is in partition p{home:02}; publish with that routing key", event.user);
                admission.refused.push((delivery.tag, reason));
                continue;
            }
            match live.resolve(&event) {
                Some(incoming) => admission.admitted.push(Admitted {
                    tag: delivery.tag,
                    redelivered: delivery.redelivered,
                    event,
                    incoming,
                    is_new: false,
                }),
                None if delivery.redelivered < retries => admission.again.push(delivery.tag),
                None => {
                    let reason =
                        format!("video: {} is not in the catalogue; publish it before its events", event.video);
                    admission.refused.push((delivery.tag, reason));
                }
            }
        }
        admission
    }

    /// Takes out what comes twice: within the batch, among the events `in_flight`, or known to the store, which is asked about
    /// what has no voucher. Where the edge is asking, its answer is waited for.
    pub(super) async fn dedupe(
        &mut self,
        in_flight: &HashSet<EventId>,
        vouchers: &Vouchers,
        store: &dyn FeatureStore,
    ) -> Result<(), StoreError> {
        let mut met = HashSet::new();
        let duplicates = &mut self.duplicates;
        self.admitted.retain(|each| {
            let fresh = !in_flight.contains(&each.event.id) && met.insert(each.event.id.clone());
            if !fresh {
                duplicates.push(each.tag);
            }
            fresh
        });
        vouchers.answers(self.admitted.iter().map(|each| &each.event.id)).await;
        // Looked at for every delivery: none may leave its voucher to the next.
        self.admitted
            .iter_mut()
            .for_each(|each| each.is_new |= vouchers.redeem(&each.event.id) && each.redelivered == 0);
        let asked: Vec<EventId> =
            self.admitted.iter().filter(|each| !each.is_new).map(|each| each.event.id.clone()).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let mut known = store.known_events(&asked).await?.into_iter();
        self.admitted.retain(|each| {
            let known = !each.is_new && known.next().unwrap_or(false);
            if known {
                duplicates.push(each.tag);
            }
            !known
        });
        Ok(())
    }
}

fn parse(payload: &[u8], now: Timestamp) -> Result<Event, String> {
    let nobody = EventId::new("none")?;
    let mut nameless = false;
    let event = Event::parse(payload, now, || {
        nameless = true;
        nobody.clone()
    });
    match event {
        Ok(_) if nameless => Err("id: is missing; on the bus an event needs one, or it could be applied twice".into()),
        Ok(event) => Ok(event),
        Err(invalid) => Err(invalid.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use foryou_schemas::{Video, VideoId};

    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn an_event_in_anothers_partition_is_refused_where_partitions_have_owners() {
        let (live, mut catalogue, now) = (Live::default(), Catalogue::default(), Timestamp::now());
        let video = Video::parse(br#"{"creator": "c", "category": "k", "duration_ms": 9000}"#).unwrap();
        catalogue.put(&VideoId::new("v").unwrap(), video, now);
        live.publish_catalogue(catalogue);
        let payload = br#"{"id": "e", "user": "ann", "video": "v", "kind": "like"}"#;
        let through = |partition, partitions| {
            let delivery = Delivery { tag: 1, partition, redelivered: 0, payload: payload.to_vec() };
            Admission::new(vec![delivery], &live, now, 0, partitions)
        };
        // "ann" is in p56 of 64.
        assert_eq!(through(56, Some(64)).admitted.len(), 1);
        assert_eq!(through(7, None).admitted.len(), 1);
        let refused = through(7, Some(64));
        assert!(refused.admitted.is_empty() && refused.refused[0].1.contains("p56"), "{:?}", refused.refused);
    }
}
