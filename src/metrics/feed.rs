//! Single exchanges, live, for whoever watches them.
//!
//! Nobody watches most of the time, and then a core looks at one number. A watcher says what it wants to
//! see, so that the few requests of a candidate are not lost among the many of the active environment.
//! What it wants is handed to it by the core that ended the exchange, without a lock and without
//! waiting: beyond a rate, and when the watcher is too slow, records are left out and counted.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use super::exchange_record::ExchangeRecord;
use crate::model::name::Name;
use crate::model::verdict::Verdict;

/// Watchers at once. Every one costs the cores a comparison per exchange.
pub const WATCHERS_MAX: usize = 16;
/// Records a watcher may have unread: a second's worth.
const UNREAD_MAX: usize = 1024;
/// Records whose traces have not been pushed yet: two seconds' worth at 4 000 requests/s.
const UNREAD_TRACES_MAX: usize = 8192;
/// The rate is kept in slices of this length, so that a watcher sees something of every moment.
const SLICE: Duration = Duration::from_millis(50);
/// Records in a slice: 1 000 a second. More is for the access log; nobody can read it.
const SLICE_RECORDS_MAX: u32 = 50;

/// Which exchanges a watcher wants to see; everything by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this service.
    pub service: Option<Name>,
    /// Of this environment, or served by it.
    pub environment: Option<Name>,
    /// That ended in one of these ways; empty for every way.
    pub verdicts: Vec<Verdict>,
    /// Whose trace is recorded.
    pub is_traced: bool,
}

/// Records that a watcher wanted and did not get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Because there were more than 1 000 a second.
    pub over_rate: u64,
    /// Because it had not read those before.
    pub unread: u64,
}

/// Where exchanges are told to watchers. Clones tell to the same ones.
#[derive(Debug, Clone, Default)]
pub struct Feed {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// How many watch. Relaxed: a core may see a watcher an exchange too late.
    count: AtomicUsize,
    watchers: ArcSwap<Vec<Arc<Watcher>>>,
    /// Held by those who come and go, never by a core.
    changing: Mutex<()>,
}

#[derive(Debug)]
struct Watcher {
    filter: Filter,
    records: mpsc::Sender<Arc<ExchangeRecord>>,
    began: Instant,
    /// `None` for one that takes what comes.
    pace: Option<Pace>,
    over_rate: AtomicU64,
    unread: AtomicU64,
}

impl Feed {
    /// Whether anybody watches.
    pub fn is_watched(&self) -> bool {
        self.inner.count.load(Ordering::Relaxed) > 0
    }

    /// Tells every watcher that wants it. Never waits.
    pub fn tell(&self, record: &Arc<ExchangeRecord>) {
        for watcher in self.inner.watchers.load().iter() {
            watcher.take(record);
        }
    }

    /// Watches from now on; `None` when 16 do already.
    pub fn watch(&self, filter: Filter) -> Option<Watch> {
        let (watcher, unread) = Watcher::new(filter, Some(Pace::default()), UNREAD_MAX);
        let is_taken = self.change(|watchers| {
            let has_room = watchers.iter().filter(|w| w.pace.is_some()).count() < WATCHERS_MAX;
            if has_room {
                watchers.push(Arc::clone(&watcher));
            }
            has_room
        });
        is_taken.then(|| Watch { records: unread, watcher, feed: self.clone() })
    }

    /// Collects every exchange whose trace is recorded, from now on, at whatever rate they come.
    pub fn collect_traces(&self) -> Watch {
        let filter = Filter { is_traced: true, ..Filter::default() };
        let (watcher, unread) = Watcher::new(filter, None, UNREAD_TRACES_MAX);
        self.change(|watchers| watchers.push(Arc::clone(&watcher)));
        Watch { records: unread, watcher, feed: self.clone() }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Arc<Watcher>>) -> T) -> T {
        let _alone = self.inner.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut watchers = self.inner.watchers.load().to_vec();
        let changed = change(&mut watchers);
        self.inner.count.store(watchers.len(), Ordering::Relaxed);
        self.inner.watchers.store(Arc::new(watchers));
        changed
    }
}

impl Filter {
    fn lets_pass(&self, record: &ExchangeRecord) -> bool {
        let is = |wanted: &Option<Name>, found: &[&Option<Name>]| {
            wanted.is_none() || found.contains(&wanted)
        };
        is(&self.service, &[&record.service])
            && is(&self.environment, &[&record.environment, &record.served_by])
            && (self.verdicts.is_empty() || self.verdicts.contains(&record.verdict))
            && (!self.is_traced || record.trace.is_some_and(|trace| trace.is_sampled))
    }
}

impl Watcher {
    fn new(
        filter: Filter,
        pace: Option<Pace>,
        unread_max: usize,
    ) -> (Arc<Self>, mpsc::Receiver<Arc<ExchangeRecord>>) {
        let (records, unread) = mpsc::channel(unread_max);
        let watcher = Self {
            filter,
            records,
            began: Instant::now(),
            pace,
            over_rate: AtomicU64::new(0),
            unread: AtomicU64::new(0),
        };
        (Arc::new(watcher), unread)
    }

    fn take(&self, record: &Arc<ExchangeRecord>) {
        if !self.filter.lets_pass(record) {
            return;
        }
        // Relaxed: counts that order nothing.
        let admits = |pace: &Pace| pace.admits(self.began.elapsed());
        if !self.pace.as_ref().is_none_or(admits) {
            self.over_rate.fetch_add(1, Ordering::Relaxed);
        } else if self.records.try_send(Arc::clone(record)).is_err() {
            self.unread.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Lets so many records pass in each slice of time, whichever cores they come from.
#[derive(Debug, Default)]
struct Pace {
    /// The number of the slice, above the count of what passed in it.
    slice: AtomicU64,
}

impl Pace {
    fn admits(&self, since_begin: Duration) -> bool {
        let now = u64::try_from(since_begin.as_millis() / SLICE.as_millis()).unwrap_or(u64::MAX);
        let now = now << 32;
        let pass = |seen: u64| match seen ^ now {
            passed if passed < u64::from(SLICE_RECORDS_MAX) => Some(seen + 1),
            passed if passed >> 32 == 0 => None,
            _ => Some(now + 1),
        };
        self.slice.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pass).is_ok()
    }
}

/// Somebody who watches; ends when dropped.
#[derive(Debug)]
pub struct Watch {
    records: mpsc::Receiver<Arc<ExchangeRecord>>,
    watcher: Arc<Watcher>,
    feed: Feed,
}

impl Watch {
    /// Waits for records and puts up to `most` of them into `records`. Cancel safe.
    pub async fn next(&mut self, records: &mut Vec<Arc<ExchangeRecord>>, most: usize) {
        // Zero would say that the sender is gone, and the watcher holds it.
        self.records.recv_many(records, most).await;
    }

    /// Puts up to `most` records that are there into `records`; does not wait.
    pub fn take(&mut self, records: &mut Vec<Arc<ExchangeRecord>>, most: usize) {
        while records.len() < most
            && let Ok(record) = self.records.try_recv()
        {
            records.push(record);
        }
    }

    /// What was left out since this was last asked.
    pub fn left_out(&self) -> LeftOut {
        LeftOut {
            over_rate: self.watcher.over_rate.swap(0, Ordering::Relaxed),
            unread: self.watcher.unread.swap(0, Ordering::Relaxed),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let own = Arc::clone(&self.watcher);
        self.feed.change(|watchers| watchers.retain(|watcher| !Arc::ptr_eq(watcher, &own)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange_record::specimen;
    use super::*;

    fn record(environment: &str, verdict: Verdict) -> Arc<ExchangeRecord> {
        let environment = Some(Name::new(environment).unwrap());
        Arc::new(ExchangeRecord { environment, served_by: None, verdict, ..specimen() })
    }

    fn of(environment: &str) -> Filter {
        Filter { environment: Some(Name::new(environment).unwrap()), ..Filter::default() }
    }

    fn unread(watch: &mut Watch) -> Vec<Verdict> {
        std::iter::from_fn(|| watch.records.try_recv().ok()).map(|record| record.verdict).collect()
    }

    #[test]
    fn a_watcher_sees_what_it_wants_and_nothing_after_it_left() {
        let feed = Feed::default();
        assert!(!feed.is_watched());
        let mut green = feed.watch(of("green")).unwrap();
        let failed = Filter { verdicts: vec![Verdict::Stalled, Verdict::Empty], ..of("blue") };
        let mut failed = feed.watch(failed).unwrap();
        assert!(feed.is_watched());
        for environment in ["blue", "green"] {
            for verdict in [Verdict::Complete, Verdict::Stalled] {
                feed.tell(&record(environment, verdict));
            }
        }
        assert_eq!(unread(&mut green), [Verdict::Complete, Verdict::Stalled]);
        assert_eq!(unread(&mut failed), [Verdict::Stalled]);
        drop(green);
        assert!(feed.is_watched());
        drop(failed);
        assert!(!feed.is_watched());
    }

    #[test]
    fn who_serves_for_another_is_seen_too() {
        let feed = Feed::default();
        let mut green = feed.watch(of("green")).unwrap();
        let served_by = Some(Name::new("green").unwrap());
        let environment = Some(Name::new("blue").unwrap());
        feed.tell(&Arc::new(ExchangeRecord { environment, served_by, ..specimen() }));
        assert_eq!(unread(&mut green).len(), 1);
    }

    #[test]
    fn there_is_room_for_sixteen() {
        let feed = Feed::default();
        let mut watches: Vec<_> =
            (0..WATCHERS_MAX).map(|_| feed.watch(Filter::default()).unwrap()).collect();
        assert!(feed.watch(Filter::default()).is_none());
        watches.pop();
        assert!(feed.watch(Filter::default()).is_some());
    }

    #[test]
    fn the_rate_is_kept_in_every_slice() {
        let pace = Pace::default();
        for slice in [0, 1, 2, 40, 41] {
            let at = SLICE * slice;
            let passed = (0..200).filter(|_| pace.admits(at)).count();
            assert_eq!(passed, SLICE_RECORDS_MAX as usize, "slice {slice}");
        }
    }

    #[test]
    fn a_slow_watcher_is_told_what_it_lost_and_nobody_waits() {
        let feed = Feed::default();
        let watch = feed.watch(Filter::default()).unwrap();
        let told = 5000;
        for _ in 0..told {
            feed.tell(&record("blue", Verdict::Complete));
        }
        let left_out = watch.left_out();
        let kept = watch.records.len() as u64;
        assert!(kept <= UNREAD_MAX as u64);
        assert_eq!(left_out.over_rate + left_out.unread + kept, told);
        assert_eq!(watch.left_out(), LeftOut::default());
    }
}
