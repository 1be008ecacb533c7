//! What the state file keeps of rollouts beside their state: what judges know, and what they were told.

use rusqlite::{Connection, Transaction, params};

use super::sqlite::signed;
use super::{Evidence, Line};
use crate::model::name::Name;

pub(super) fn keep(
    transaction: &Transaction<'_>,
    evidence: &[Evidence],
    lines: &[Line],
) -> rusqlite::Result<()> {
    for Evidence { service, rollout, snapshot } in evidence {
        transaction
            .prepare_cached(
                "INSERT INTO evidence (service, rollout, snapshot) VALUES (?1, ?2, ?3)
                 ON CONFLICT (service) DO UPDATE SET rollout = excluded.rollout,
                     snapshot = excluded.snapshot",
            )?
            .execute(params![service.as_str(), signed(*rollout), snapshot])?;
    }
    for Line { service, rollout, at, text } in lines {
        transaction
            .prepare_cached(
                "INSERT INTO record (service, rollout, at, line) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![service.as_str(), signed(*rollout), signed(*at), text])?;
    }
    Ok(())
}

/// Evidence that cannot be read as a name is nobody's.
pub(super) fn load_evidence(connection: &Connection) -> rusqlite::Result<Vec<Evidence>> {
    let mut statement = connection.prepare("SELECT service, rollout, snapshot FROM evidence")?;
    let rows = statement.query_map([], |row| {
        let service: String = row.get(0)?;
        let rollout: i64 = row.get(1)?;
        Ok((service, rollout, row.get(2)?))
    })?;
    let rows: Vec<(String, i64, String)> = rows.collect::<Result<_, _>>()?;
    let evidence = rows.into_iter().filter_map(|(service, rollout, snapshot)| {
        let rollout = u64::try_from(rollout).ok()?;
        Some(Evidence { service: Name::new(&service).ok()?, rollout, snapshot })
    });
    Ok(evidence.collect())
}
