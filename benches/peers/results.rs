//! All samples of a run, and what can be said about them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::machine::Machine;
use crate::subject::Subject;
use crate::workload::Figures;

/// One subject under one workload, once.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Sample {
    /// Name of the workload.
    pub(crate) workload: String,
    /// Whom.
    pub(crate) subject: Subject,
    /// From 0; in odd rounds the subjects come in reverse order.
    pub(crate) round: usize,
    /// What came out.
    pub(crate) figures: Figures,
}

/// The samples in the order in which they were taken.
#[derive(Debug, Default, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Samples(Vec<Sample>);

/// Median and range over the rounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    /// The middle one, or the mean of the two in the middle.
    pub(crate) median: f64,
    /// Least and most.
    pub(crate) range: (f64, f64),
}

impl Samples {
    /// One more.
    pub(crate) fn push(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    /// A figure as it was measured.
    pub(crate) fn absolute(
        &self,
        workload: &str,
        subject: Subject,
        figure: &str,
    ) -> Option<Spread> {
        Spread::of(self.by_round(workload, subject, figure).map(|(_, value)| value))
    }

    /// A figure above that of the direct way in the same round.
    pub(crate) fn added(&self, workload: &str, subject: Subject, figure: &str) -> Option<Spread> {
        self.paired(workload, subject, Subject::Direct, figure, |own, direct| own - direct)
    }

    /// A figure over that of a peer in the same round: what disturbs a whole round cancels out.
    pub(crate) fn ratio(
        &self,
        workload: &str,
        (subject, peer): (Subject, Subject),
        figure: &str,
    ) -> Option<Spread> {
        self.paired(workload, subject, peer, figure, |own, peer| own / peer)
    }

    /// Sum or maximum of a figure over everything measured.
    pub(crate) fn fold(&self, figure: &str, fold: fn(f64, f64) -> f64) -> f64 {
        self.0.iter().filter_map(|sample| sample.figures.value(figure)).fold(0.0, fold)
    }

    fn paired(
        &self,
        workload: &str,
        subject: Subject,
        other: Subject,
        figure: &str,
        combine: fn(f64, f64) -> f64,
    ) -> Option<Spread> {
        let pair = |(round, own): (usize, f64)| {
            let of_other = self.by_round(workload, other, figure).find(|&(at, _)| at == round);
            of_other.map(|(_, value)| combine(own, value))
        };
        Spread::of(self.by_round(workload, subject, figure).filter_map(pair))
    }

    fn by_round(
        &self,
        workload: &str,
        subject: Subject,
        figure: &str,
    ) -> impl Iterator<Item = (usize, f64)> {
        let of_subject =
            move |sample: &&Sample| sample.workload == workload && sample.subject == subject;
        let samples = self.0.iter().filter(of_subject);
        samples.filter_map(|sample| Some((sample.round, sample.figures.value(figure)?)))
    }

    /// Writes everything as JSON; answers where.
    pub(crate) fn keep(&self, dir: &Path, label: &str, machine: &Machine) -> io::Result<PathBuf> {
        let document = serde_json::json!({ "schema": 1, "machine": machine, "samples": self });
        let path = dir.join(format!("{label}.json"));
        fs::create_dir_all(dir)?;
        fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&document)?))?;
        Ok(path)
    }
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let range = (*values.first()?, *values.last()?);
        let (middle, is_odd) = (values.len() / 2, values.len() % 2 == 1);
        let median =
            if is_odd { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
        Some(Self { median, range })
    }
}
