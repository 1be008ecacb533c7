//! Whether records are what a recorder owes the judge (`record` says what that is).
//!
//! Live, the recorder keeps the rules. A file may have been cut, joined or written by another program,
//! and the judge would believe whatever it is told: a reading that spans a step mixes two shares, an
//! overlap counts requests twice. So the first record that breaks a rule ends a replay.

use std::fmt;

use super::record::{
    Arrivals, Both, Change, ErrorCounts, ErrorReading, HITS_MAX, Hit, LimitReading, REQUESTS_MAX,
    Record, Score, SlowCounts, SlowReading, TickRecord,
};
use super::settings::SettingsError;
use super::tick::Tick;

/// What is wrong with a record: value, rule, remedy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OrderError {
    /// Rules that come too late would have been another rollout's.
    #[error("`start` is not the first record; put it first, or leave it out")]
    LateStart,
    /// The rules themselves.
    #[error("settings: {0}")]
    Settings(#[from] SettingsError),
    /// No share was set.
    #[error("the rollout has no share yet; a `change` must come first")]
    NoChange,
    /// Time goes backwards.
    #[error("tick {at} comes after tick {after}; records stand in the order of time")]
    Backwards {
        /// Of this record.
        at: u32,
        /// Of an earlier one.
        after: u32,
    },
    /// No share.
    #[error("`share` is {0}; write the candidate's share, 0 to 1")]
    Share(f64),
    /// From, until and the record's time do not fit.
    #[error("{what}: ticks {from} to {until} are not {rule}")]
    Span {
        /// Which count.
        what: What,
        /// First tick.
        from: u32,
        /// The tick after the last.
        until: u32,
        /// What they must be.
        rule: SpanRule,
    },
    /// A part that is larger than the whole.
    #[error(
        "{what}: {part} of {n} requests; a count is never above `n`, nor `n` above {REQUESTS_MAX}"
    )]
    Count {
        /// Which count.
        what: What,
        /// Those that were hit.
        part: u64,
        /// Those that were asked.
        n: u64,
    },
    /// More hits than a reading may have.
    #[error("{what}: {0} hits; a reading has {HITS_MAX} at most, drawn at random", hits)]
    Hits {
        /// Which count.
        what: What,
        /// How many.
        hits: usize,
    },
    /// No score.
    #[error(
        "score {value} at tick {arrived}; a score is 0 to 1, of a request that began before `now`"
    )]
    Score {
        /// What it was.
        value: f64,
        /// When its request began.
        arrived: u32,
    },
}

/// A count in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// `arrivals`
    Arrivals,
    /// `errors`, by the number of the age.
    Errors(usize),
    /// `slow`, by the number of measure and quantile.
    Slow(usize),
    /// `limit`
    Limit,
}

/// What a span must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanRule {
    /// Forwards, and over by the record's `now`.
    Past,
    /// Behind those of the same question before.
    Next,
    /// On one side of every change.
    OneShare,
}

/// What was heard so far, as far as the rules need it.
#[derive(Debug, Clone, Default)]
pub struct Order {
    has_begun: bool,
    now: Tick,
    changes: Vec<Tick>,
    /// Until where each count was read.
    read: [Tick; What::COUNT],
    /// Requests that the present record counts, by count.
    counted: [u64; What::COUNT],
}

impl Order {
    /// Checks the next record.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn hear(&mut self, record: &Record) -> Result<(), OrderError> {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        match record {
            Record::Start(start) if is_first => Ok(start.settings.check()?),
            Record::Start(_) => Err(OrderError::LateStart),
            Record::Change(change) => self.change(change),
            Record::Resume(_) | Record::Tick(_) if self.changes.is_empty() => {
                Err(OrderError::NoChange)
            }
            Record::Resume(resume) => not_before(resume.at, self.now),
            Record::Tick(tick) => self.tick(tick),
        }
    }

    fn change(&mut self, change: &Change) -> Result<(), OrderError> {
        let last = self.changes.last().copied().unwrap_or_default();
        not_before(change.at, last.max(self.now))?;
        if !(0.0..=1.0).contains(&change.share) {
            return Err(OrderError::Share(change.share));
        }
        self.changes.push(change.at);
        Ok(())
    }

    fn tick(&mut self, tick: &TickRecord) -> Result<(), OrderError> {
        // A later `now` each time: a record is a moment at which the judge is asked.
        not_before(tick.now, Tick(self.now.0.saturating_add(1)))?;
        self.now = tick.now;
        self.counted = [0; What::COUNT];
        tick.arrivals.iter().try_for_each(|arrivals| self.arrivals(arrivals))?;
        tick.errors.iter().try_for_each(|reading| self.errors(reading))?;
        tick.slow.iter().try_for_each(|reading| self.slow(reading))?;
        tick.limit.iter().try_for_each(|reading| self.limit(reading))?;
        tick.scores.iter().try_for_each(|score| self.score(score))
    }

    fn arrivals(&mut self, arrivals: &Arrivals) -> Result<(), OrderError> {
        let Arrivals { from, until, n } = *arrivals;
        self.span(What::Arrivals, from, until)?;
        let is_old = self.changes.last().is_some_and(|change| from < *change);
        if is_old {
            let rule = SpanRule::OneShare;
            return Err(OrderError::Span {
                what: What::Arrivals,
                from: from.0,
                until: until.0,
                rule,
            });
        }
        self.count(What::Arrivals, n.map(|n| (n, 0)))
    }

    fn errors(&mut self, reading: &ErrorReading) -> Result<(), OrderError> {
        let what = What::Errors(reading.age as usize);
        self.span(what, reading.from, reading.until)?;
        let parts = |c: ErrorCounts| {
            [c.early, c.late, c.refused, c.watched].into_iter().map(u64::from).sum::<u64>()
        };
        self.count(what, reading.counts.map(|c| (c.n, parts(c))))?;
        hits(what, &reading.hits)
    }

    fn slow(&mut self, reading: &SlowReading) -> Result<(), OrderError> {
        let what = What::Slow(3 * reading.measure as usize + reading.quantile as usize);
        self.span(what, reading.from, reading.until)?;
        let slow = |c: SlowCounts| c.slow.max(c.slow_by_tenth);
        self.count(what, reading.counts.map(|c| (c.n, slow(c).into())))?;
        hits(what, &reading.hits)
    }

    fn limit(&mut self, reading: &LimitReading) -> Result<(), OrderError> {
        let what = What::Limit;
        self.span(what, reading.from, reading.until)?;
        let Both { active, candidate } = reading.over;
        let parts = Both {
            active: (reading.n.active, active.into()),
            candidate: (reading.n.candidate, candidate.into()),
        };
        self.count(what, parts)?;
        hits(what, &reading.hits)
    }

    fn score(&self, score: &Score) -> Result<(), OrderError> {
        let Score { value, arrived, .. } = *score;
        let is_score = (0.0..=1.0).contains(&value) && arrived < self.now;
        if is_score { Ok(()) } else { Err(OrderError::Score { value, arrived: arrived.0 }) }
    }

    fn span(&mut self, what: What, from: Tick, until: Tick) -> Result<(), OrderError> {
        let error = |rule| OrderError::Span { what, from: from.0, until: until.0, rule };
        if from >= until || until > self.now {
            return Err(error(SpanRule::Past));
        }
        let read = &mut self.read[what.number()];
        if from < *read {
            return Err(error(SpanRule::Next));
        }
        *read = until;
        let next_change = self.changes.partition_point(|change| *change <= from);
        if self.changes.get(next_change).is_some_and(|change| *change < until) {
            return Err(error(SpanRule::OneShare));
        }
        Ok(())
    }

    fn count(&mut self, what: What, sides: Both<(u32, u64)>) -> Result<(), OrderError> {
        let sum = &mut self.counted[what.number()];
        for (n, part) in [sides.active, sides.candidate] {
            *sum += u64::from(n);
            if part > u64::from(n) || *sum > u64::from(REQUESTS_MAX) {
                return Err(OrderError::Count { what, part, n: *sum });
            }
        }
        Ok(())
    }
}

fn not_before(at: Tick, earlier: Tick) -> Result<(), OrderError> {
    let error = OrderError::Backwards { at: at.0, after: earlier.0 };
    if at >= earlier { Ok(()) } else { Err(error) }
}

fn hits(what: What, hits: &[Hit]) -> Result<(), OrderError> {
    let hits = hits.len();
    if hits <= HITS_MAX { Ok(()) } else { Err(OrderError::Hits { what, hits }) }
}

impl What {
    /// Arrivals, four ages, two measures at three quantiles, the limit.
    const COUNT: usize = 12;

    fn number(self) -> usize {
        match self {
            Self::Arrivals => 0,
            Self::Errors(age) => 1 + age,
            Self::Slow(question) => 5 + question,
            Self::Limit => 11,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Arrivals => "`arrivals`",
            Self::Errors(_) => "`errors`",
            Self::Slow(_) => "`slow`",
            Self::Limit => "`limit`",
        })
    }
}

impl fmt::Display for SpanRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Past => "in the past; `from` lies before `until`, and `until` not after `now`",
            Self::Next => "new; each tick is read once per question, in the order of arrival",
            Self::OneShare => {
                "of one share; no reading spans a `change`, and arrivals before it stand before it"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Resume, Start};
    use super::*;

    fn record(json: &str) -> Record {
        serde_json::from_str(json).unwrap()
    }

    /// Arrivals of one tick, told at `now`.
    fn arrivals(now: u32, from: u32, until: u32) -> Record {
        record(&format!(
            r#"{{"record":"tick","now":{now},"arrivals":[{{"from":{from},"until":{until},"n":{{"active":9,"candidate":1}}}}]}}"#
        ))
    }

    fn failed(n: u32, early: u32, late: u32) -> Record {
        record(&format!(
            r#"{{"record":"tick","now":8,"errors":[{{"age":"second","from":0,"until":4,"counts":{{"active":{{"n":9}},"candidate":{{"n":{n},"early":{early},"late":{late}}}}}}}]}}"#
        ))
    }

    fn change(at: u32, share: f64) -> Record {
        Record::Change(Change { at: Tick(at), share, planned: true })
    }

    fn refusal(records: &[Record]) -> Option<String> {
        let mut order = Order::default();
        records.iter().find_map(|record| order.hear(record).err()).map(|error| error.to_string())
    }

    #[test]
    fn records_in_order_pass() {
        let records = [
            Record::Start(Box::<Start>::default()),
            change(0, 0.1),
            arrivals(4, 0, 4),
            failed(1, 1, 0),
            change(9, 0.5),
            Record::Resume(Resume { at: Tick(9) }),
            arrivals(16, 9, 16),
        ];
        assert_eq!(refusal(&records), None);
    }

    #[test]
    fn each_broken_rule_is_named() {
        let start = || Record::Start(Box::<Start>::default());
        let begun = || change(0, 0.1);
        for (records, expected) in [
            (vec![begun(), start()], "`start` is not the first record"),
            (vec![arrivals(4, 0, 4)], "the rollout has no share yet"),
            (vec![begun(), arrivals(4, 0, 4), arrivals(4, 4, 4)], "tick 4 comes after tick 5"),
            (vec![begun(), arrivals(4, 0, 4), change(3, 0.5)], "tick 3 comes after tick 4"),
            (vec![change(0, 10.0)], "`share` is 10"),
            (vec![begun(), arrivals(4, 0, 5)], "`arrivals`: ticks 0 to 5 are not in the past"),
            (
                vec![begun(), arrivals(4, 0, 4), arrivals(8, 3, 8)],
                "`arrivals`: ticks 3 to 8 are not new",
            ),
            (
                vec![begun(), change(2, 0.5), arrivals(4, 0, 2)],
                "`arrivals`: ticks 0 to 2 are not of one",
            ),
            (
                vec![begun(), change(2, 0.5), failed(1, 0, 0)],
                "`errors`: ticks 0 to 4 are not of one",
            ),
            (vec![begun(), failed(1, 1, 1)], "`errors`: 2 of 10 requests"),
            (vec![begun(), failed(20_000_000, 1, 1)], "`errors`: 2 of 20000009 requests"),
        ] {
            let refusal = refusal(&records).expect(expected);
            assert!(refusal.starts_with(expected), "{refusal}");
        }
    }
}
