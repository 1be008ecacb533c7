//! Scores of the last hour in the state file, as sums of ten seconds.
//!
//! A sum is added to the one that stands there: the same ten seconds may be written twice, by two processes
//! or because a score came late to them.

use rusqlite::{Connection, Row, Transaction, params};

use super::ScoreSlot;
use super::sqlite::signed;
use crate::metrics::scores::{ScoreOrigin, ScoreSum};
use crate::model::name::Name;

/// Seconds for which scores matter to anybody, and a slot more.
const SECONDS_MAX: u64 = 3_610;

pub(super) fn keep(transaction: &Transaction<'_>, scores: &[ScoreSlot]) -> rusqlite::Result<()> {
    for ScoreSlot { service, environment, version, name, origin, at_s, sum } in scores {
        transaction
            .prepare_cached(
                "INSERT INTO score
                     (service, environment, version, name, origin, at, n, sum, squares)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT DO UPDATE SET n = n + excluded.n, sum = sum + excluded.sum,
                     squares = squares + excluded.squares",
            )?
            .execute(params![
                service.as_str(),
                environment.as_str(),
                version,
                name.as_str(),
                origin.label(),
                signed(*at_s),
                signed(sum.count()),
                sum.sum(),
                sum.squares(),
            ])?;
    }
    Ok(())
}

/// What is older than any window goes.
pub(super) fn forget_old(transaction: &Transaction<'_>, now_s: u64) -> rusqlite::Result<()> {
    let oldest = now_s.saturating_sub(SECONDS_MAX);
    transaction.execute("DELETE FROM score WHERE at < ?1", params![signed(oldest)]).map(|_| ())
}

/// The scores of the last hour, the oldest first. What cannot be read as a name is nobody's.
pub(super) fn load(connection: &Connection, now_s: u64) -> rusqlite::Result<Vec<ScoreSlot>> {
    let oldest = now_s.saturating_sub(SECONDS_MAX);
    let mut statement = connection.prepare(
        "SELECT service, environment, version, name, origin, at, n, sum, squares FROM score
         WHERE at >= ?1 ORDER BY at",
    )?;
    let rows = statement.query_map(params![signed(oldest)], slot)?;
    let rows: Vec<Option<ScoreSlot>> = rows.collect::<rusqlite::Result<_>>()?;
    Ok(rows.into_iter().flatten().collect())
}

fn slot(row: &Row<'_>) -> rusqlite::Result<Option<ScoreSlot>> {
    let name = |column: &str| row.get::<_, String>(column).map(|text| Name::new(&text).ok());
    let number = |column: &str| row.get::<_, i64>(column).map(|n| u64::try_from(n).unwrap_or(0));
    let origin: String = row.get("origin")?;
    let origin = ScoreOrigin::ALL.into_iter().find(|known| known.label() == origin);
    let names = (name("service")?, name("environment")?, name("name")?, origin);
    let (Some(service), Some(environment), Some(name), Some(origin)) = names else {
        return Ok(None);
    };
    let sum = ScoreSum::of(number("n")?, row.get("sum")?, row.get("squares")?);
    let (version, at_s) = (row.get("version")?, number("at")?);
    Ok(Some(ScoreSlot { service, environment, version, name, origin, at_s, sum }))
}
