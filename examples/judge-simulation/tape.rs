//! Writes one run as a record that `cyan replay` reads.

use std::io::{self, Write};

use cyan::judge::decision::Decision;
use cyan::judge::record::{Record, Start};
use cyan::judge::tick::Tick;

use crate::run::{self, Told};
use crate::world::World;

/// Writes the run of `world` with this seed, one JSON object per line. Returns what the judge decided and
/// when, each time that it said something new.
pub fn write(world: &World, seed: u64, to: &mut impl Write) -> io::Result<Vec<(Tick, Decision)>> {
    let mut written = Ok(());
    let (mut said, mut now, mut last) = (vec![], Tick(0), None);
    run::run_telling(world, seed, &mut |told| {
        if let (Ok(()), Some(record)) = (&written, record(&told)) {
            written = line(to, &record);
        }
        match told {
            Told::Start(_) => {}
            Told::Change(_) => last = None,
            Told::Tick(tick) => now = tick.now,
            Told::Decision(decision) => {
                if last.replace(decision) != Some(decision) {
                    said.push((now, decision));
                }
            }
        }
    });
    written.map(|()| said)
}

fn line(to: &mut impl Write, record: &Record) -> io::Result<()> {
    serde_json::to_writer(&mut *to, record)?;
    to.write_all(b"\n")
}

fn record(told: &Told<'_>) -> Option<Record> {
    let [active, candidate] = ["blue", "green"].map(str::to_owned);
    Some(match *told {
        Told::Start(settings) => {
            Record::Start(Box::new(Start { active, candidate, settings: settings.clone() }))
        }
        Told::Change(change) => Record::Change(*change),
        Told::Tick(tick) => Record::Tick(tick.clone()),
        Told::Decision(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use cyan::judge::replay::Replay;

    use super::*;
    use crate::rows;

    fn replayed(file: &[u8]) -> Vec<(Tick, Decision)> {
        let lines = file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mut records = lines.map(|line| serde_json::from_slice::<Record>(line).unwrap());
        let Some(Record::Start(start)) = records.next() else { panic!("it begins with `start`") };
        let mut replay = Replay::new(&start);
        let moments = records.filter_map(|record| replay.hear(&record).unwrap());
        moments.map(|moment| (moment.at, moment.decision)).collect()
    }

    #[test]
    fn a_replay_decides_the_same_at_the_same_ticks() {
        for name in [
            "0 -> 100 % errors, 5 req/s, step start",
            "20 % errors, after 30 min",
            "TTFT x 2, unlike users, 50 req/s, step start",
            "a/a, candidate twice as fast, equal cuts",
        ] {
            let rows = rows::all();
            let row = rows.iter().find(|row| row.name == name).expect("a row of this name");
            let mut file = vec![];
            let live = write(&row.world, 3, &mut file).unwrap();
            assert!(live.len() >= 2, "{name}: {live:?}");
            assert_eq!(replayed(&file), live, "{name}");
        }
    }
}
