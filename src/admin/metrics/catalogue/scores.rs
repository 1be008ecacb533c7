//! Quality scores that were sent to `POST /v1/scores`.

use super::{Kind, Metric, Unit};
use crate::admin::metrics::page::Samples;
use crate::admin::metrics::seen::Seen;
use crate::control_plane::scores::ScoreSums;
use crate::metrics::scores::ScoreWindow;

const OF_SCORE: &[&str] = &["service", "environment", "score"];

pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "cyan_scores",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: OF_SCORE,
        help: "Quality scores counted, by their name.",
        between: "when a score comes in, however late",
        read: |seen, samples| {
            each(seen, samples, |samples, labels, score| {
                samples.number(&labels, score.of(ScoreWindow::Start).count());
            });
        },
    },
    Metric {
        name: "cyan_score_points",
        kind: Kind::Counter,
        unit: Unit::None,
        labels: OF_SCORE,
        help: "The sum of these scores, each 0 to 1; divided by their number it is the mean.",
        between: "as `cyan_scores_total`",
        read: |seen, samples| {
            each(seen, samples, |samples, labels, score| {
                samples.number(&labels, score.of(ScoreWindow::Start).sum());
            });
        },
    },
    Metric {
        name: "cyan_score_mean_ratio",
        kind: Kind::Gauge,
        unit: Unit::Ratio,
        labels: &["service", "environment", "score", "window"],
        help: "Mean of the scores of the last 5 minutes, the last hour and the step, 0 to 1; there is no sample without a score.",
        between: "`5m` and `1h` by when a score came in, `step` by when its exchange began",
        read: |seen, samples| {
            each(seen, samples, |samples, [service, environment, name], score| {
                for window in [ScoreWindow::Minutes5, ScoreWindow::Hour, ScoreWindow::Step] {
                    if let Some(mean) = score.of(window).mean() {
                        samples.number(&[service, environment, name, window.label()], mean);
                    }
                }
            });
        },
    },
];

fn each(
    seen: &Seen,
    samples: &mut Samples<'_>,
    write: impl Fn(&mut Samples<'_>, [&str; 3], &ScoreSums),
) {
    for (service, environment, scores) in &seen.scores {
        for score in scores {
            write(samples, [service.as_str(), environment.as_str(), score.name.as_str()], score);
        }
    }
}
