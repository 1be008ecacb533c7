//! Makes room: old records of judges become sums per minute, and the oldest go when that is not enough.
//!
//! A little at a time and after a write was answered, so that only the next write may wait for it, for
//! milliseconds. What was summed is found by looking: a minute that is one record already stays as it is.
//!
//! A sum stands where its last record stood. Whoever reads a rollout page by page meanwhile may meet a
//! minute twice, which a replay refuses, and never misses one.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::sqlite::signed;
use crate::control_plane::clock::unix_ms;
use crate::judge::minutes;
use crate::judge::record::Record;

/// Records looked at in one pass: some minutes of a rollout, a megabyte at most as a rule.
const AT_ONCE: i64 = 1_000;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// When records are summed, and when they go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Records are kept as they are for this long, while there is room.
    pub(super) whole: Duration,
    /// The last records stay as they are even where there is none.
    pub(super) latest: Duration,
    /// Sums are kept for this long.
    pub(super) sums: Duration,
    /// Room: what the state file may use, free pages aside.
    pub(super) file_bytes_max: i64,
}

impl Default for Limits {
    /// 200 MB of records, beside at most 50 MB of the journal.
    fn default() -> Self {
        Self {
            whole: 30 * DAY,
            latest: Duration::from_secs(3_600),
            sums: 365 * DAY,
            file_bytes_max: 250_000_000,
        }
    }
}

/// Goes through the records, oldest first.
#[derive(Debug, Default)]
pub(super) struct Thinning {
    limits: Limits,
    /// The last record that was looked at.
    seen: i64,
}

/// Records that are old enough.
#[derive(Default)]
struct Old {
    /// By service and rollout, in their order.
    records: BTreeMap<(String, i64), Vec<Kept>>,
    /// The last of them.
    last: i64,
    count: i64,
}

/// A kept record.
struct Kept {
    id: i64,
    record: Record,
}

impl Thinning {
    /// Does a little. Tells whether there may be more to do.
    pub(super) fn pass(&mut self, connection: &mut Connection) -> rusqlite::Result<bool> {
        let is_full = used_bytes(connection)? > self.limits.file_bytes_max;
        let age = if is_full { self.limits.latest } else { self.limits.whole };
        // Immediate: a tool that holds the file is met before anything was read in vain.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let forgotten = forget_before(&transaction, before(self.limits.sums))?;
        let old = read(&transaction, self.seen, before(age))?;
        // Less than that is not worth a write; it waits for more to grow old.
        let is_worth_it = old.count == AT_ONCE;
        if is_worth_it {
            for records in old.records.into_values() {
                sum_minutes(&transaction, records)?;
            }
            self.seen = old.last;
        }
        let dropped = if is_full && !is_worth_it { drop_oldest(&transaction)? } else { 0 };
        transaction.commit()?;
        Ok(is_worth_it || forgotten + dropped > 0)
    }
}

/// The moment so long ago, in milliseconds of Unix time.
fn before(age: Duration) -> i64 {
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    signed(unix_ms().saturating_sub(age))
}

fn used_bytes(connection: &Connection) -> rusqlite::Result<i64> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok((number("page_count")? - number("freelist_count")?) * number("page_size")?)
}

/// The next records that are old enough.
fn read(transaction: &Transaction<'_>, after: i64, at_before: i64) -> rusqlite::Result<Old> {
    let mut statement = transaction.prepare_cached(
        "SELECT id, service, rollout, line, at FROM record WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let mut rows = statement.query(params![after, AT_ONCE])?;
    let mut old = Old::default();
    while let Some(row) = rows.next()? {
        // They stand in the order of time: to look for older ones behind it would read the whole table.
        if row.get::<_, i64>(4)? >= at_before {
            break;
        }
        let id: i64 = row.get(0)?;
        (old.last, old.count) = (id, old.count + 1);
        let line: String = row.get(3)?;
        // What another version has written and this one cannot read stays as it is.
        if let Ok(record) = serde_json::from_str(&line) {
            let of_rollout = old.records.entry((row.get(1)?, row.get(2)?)).or_default();
            of_rollout.push(Kept { id, record });
        }
    }
    Ok(old)
}

/// Puts one record in the place of a rollout's records of each minute.
fn sum_minutes(transaction: &Transaction<'_>, records: Vec<Kept>) -> rusqlite::Result<()> {
    let mut minute: Vec<Kept> = Vec::new();
    for kept in records {
        if minute.last().is_some_and(|last| !is_same_minute(&last.record, &kept.record)) {
            put_sum(transaction, std::mem::take(&mut minute))?;
        }
        minute.push(kept);
    }
    put_sum(transaction, minute)
}

fn is_same_minute(a: &Record, b: &Record) -> bool {
    match (a, b) {
        (Record::Tick(a), Record::Tick(b)) => minutes::is_same_minute(a.now, b.now),
        _ => false,
    }
}

fn put_sum(transaction: &Transaction<'_>, minute: Vec<Kept>) -> rusqlite::Result<()> {
    let ids: Vec<i64> = minute.iter().map(|kept| kept.id).collect();
    let [others @ .., last] = ids.as_slice() else { return Ok(()) };
    let sums = minutes::summed(minute.into_iter().map(|kept| kept.record));
    let [sum] = sums.as_slice() else { return Ok(()) };
    if others.is_empty() {
        return Ok(());
    }
    let line = serde_json::to_string(sum).expect("records are plain numbers and words");
    let mut update = transaction.prepare_cached("UPDATE record SET line = ?1 WHERE id = ?2")?;
    update.execute(params![line, last])?;
    let mut delete = transaction.prepare_cached("DELETE FROM record WHERE id = ?1")?;
    others.iter().try_for_each(|id| delete.execute(params![id]).map(drop))
}

fn forget_before(transaction: &Transaction<'_>, at: i64) -> rusqlite::Result<usize> {
    transaction.execute(
        "DELETE FROM record WHERE id IN (
             SELECT id FROM (SELECT id, at FROM record ORDER BY id LIMIT ?1) WHERE at < ?2)",
        params![AT_ONCE, at],
    )
}

/// The first records of the oldest rollout that has any go.
fn drop_oldest(transaction: &Transaction<'_>) -> rusqlite::Result<usize> {
    transaction.execute(
        "DELETE FROM record WHERE id IN (
             SELECT id FROM record
             WHERE (service, rollout) = (SELECT service, rollout FROM record ORDER BY id LIMIT 1)
             ORDER BY id LIMIT ?1)",
        params![AT_ONCE],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::store::sqlite::SqliteStore;
    use crate::control_plane::store::{Line, Store as _, Write};
    use crate::judge::order::Order;
    use crate::judge::record::{Arrivals, Both, Change, Start, TickRecord};
    use crate::judge::tick::Tick;
    use crate::model::name::Name;

    const DAY_MS: u64 = 24 * 3_600 * 1_000;

    fn rollout(id: u64, ticks: u32, at: u64) -> Vec<Line> {
        let start = Record::Start(Box::<Start>::default());
        let change = Record::Change(Change { at: Tick(1), share: 0.1, planned: true });
        let tick = |now: u32| {
            let n = Both { active: 9, candidate: 1 };
            let arrivals = vec![Arrivals { from: Tick(now - 1), until: Tick(now), n }];
            Record::Tick(TickRecord { now: Tick(now), arrivals, ..TickRecord::default() })
        };
        let records = [start, change].into_iter().chain((2..ticks + 2).map(tick));
        let line = |record| Line {
            service: Name::new("chat").unwrap(),
            rollout: id,
            at,
            text: serde_json::to_string(&record).unwrap(),
        };
        records.map(line).collect()
    }

    fn store(lines: Vec<Line>) -> (tempfile::TempDir, SqliteStore) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(dir.path()).unwrap();
        store.commit(&Write { lines, ..Write::default() }, &|| true).unwrap();
        (dir, store)
    }

    fn records(connection: &Connection, rollout: u64) -> Vec<Record> {
        let sql = "SELECT line FROM record WHERE rollout = ?1 ORDER BY id";
        let mut statement = connection.prepare(sql).unwrap();
        let lines = statement.query_map([signed(rollout)], |row| row.get::<_, String>(0)).unwrap();
        lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
    }

    /// They replay, and no request is missing.
    fn assert_whole(records: &[Record], candidate: u32) {
        let mut order = Order::default();
        records.iter().try_for_each(|record| order.hear(record)).expect("they keep the rules");
        let arrived = |record: &Record| match record {
            Record::Tick(tick) => tick.arrivals.iter().map(|a| a.n.candidate).sum(),
            _ => 0,
        };
        assert_eq!(records.iter().map(arrived).sum::<u32>(), candidate);
    }

    fn pass_all(thinning: &mut Thinning, connection: &mut Connection) {
        while thinning.pass(connection).unwrap() {}
    }

    #[test]
    fn old_records_become_sums_and_newer_ones_stay() {
        let lines = [rollout(1, 3_000, unix_ms() - 31 * DAY_MS), rollout(2, 3_000, unix_ms())];
        let (_dir, mut store) = store(lines.concat());
        let mut thinning = Thinning::default();
        pass_all(&mut thinning, store.connection());
        let old = records(store.connection(), 1);
        // Those at the end are too few for a pass of their own: they wait for more.
        assert!(old.len() < 100, "{}", old.len());
        assert_whole(&old, 3_000);
        assert_eq!(records(store.connection(), 2).len(), 3_002);
        pass_all(&mut Thinning::default(), store.connection());
        assert_whole(&records(store.connection(), 1), 3_000);
    }

    #[test]
    fn without_room_all_but_the_latest_are_summed_and_then_the_oldest_go() {
        let lines = [rollout(1, 2_500, unix_ms() - DAY_MS), rollout(2, 2_500, unix_ms())];
        let (_dir, mut store) = store(lines.concat());
        let used = used_bytes(store.connection()).unwrap();
        let with_room = |file_bytes_max| Thinning {
            limits: Limits { file_bytes_max, ..Limits::default() },
            ..Thinning::default()
        };
        pass_all(&mut with_room(used), store.connection());
        assert_eq!(records(store.connection(), 1).len(), 2_502, "there is room");
        pass_all(&mut with_room(used * 3 / 4), store.connection());
        let summed = records(store.connection(), 1);
        assert!(summed.len() < 600, "{}", summed.len());
        assert_whole(&summed, 2_500);
        assert_eq!(records(store.connection(), 2).len(), 2_502, "the last hour stays");
        pass_all(&mut with_room(used / 2), store.connection());
        assert_eq!(records(store.connection(), 1), []);
        assert!(used_bytes(store.connection()).unwrap() <= used / 2);
    }

    #[test]
    fn sums_are_forgotten_after_a_year() {
        let lines = [rollout(1, 10, unix_ms() - 366 * DAY_MS), rollout(2, 10, unix_ms() - DAY_MS)];
        let (_dir, mut store) = store(lines.concat());
        pass_all(&mut Thinning::default(), store.connection());
        let left = [1, 2].map(|id| records(store.connection(), id).len());
        assert_eq!(left, [0, 12]);
    }
}
