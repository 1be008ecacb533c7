//! What the end of a warm-up request says: its verdict, and whether the candidate has answered. Pure.

use crate::control_plane::quote::{Secrets, quote};
use crate::control_plane::trial::{Broke, Seen, Unanswered};
use crate::model::plan::LatencySignal;
use crate::model::standing::Standing;
use crate::model::verdict::Verdict;
use crate::rollout::warm_up::{Ended, Source};

/// As the data plane would have it.
pub(super) fn verdict(seen: &Result<Seen, Unanswered>) -> Verdict {
    match seen {
        Err(Unanswered::Broken(_)) => Verdict::ConnectError,
        Ok(seen) if seen.api.is_failed_by(seen.status.as_u16()) => Verdict::HttpError,
        Err(Unanswered::Late(_)) | Ok(Seen { broke: Some(Broke::Late(_)), .. }) => Verdict::Timeout,
        Ok(Seen { words: Some(words), .. }) => words.verdict,
        Ok(Seen { broke: Some(_), .. }) => Verdict::Truncated,
        Ok(seen) if seen.is_page && seen.api.generates() => Verdict::Empty,
        Ok(_) => Verdict::Complete,
    }
}

/// Tokens of the prompt and the answer, as far as they are known.
pub(super) fn tokens(seen: &Seen) -> u64 {
    let tokens = seen.words.as_ref().map(|words| words.tokens).unwrap_or_default();
    tokens.input.unwrap_or(0) + tokens.output.unwrap_or(0)
}

/// Whether it was answered, how fast, or what was seen instead. Words of an upstream are not quoted to a
/// user's request: they may be the user's.
pub(super) fn ended(
    source: Source,
    verdict: Verdict,
    seen: &Result<Seen, Unanswered>,
    signal: LatencySignal,
    secrets: &Secrets,
) -> Ended {
    let seen = match seen {
        Ok(seen) => seen,
        Err(unanswered) => return Ended::Failed(unanswered.to_string()),
    };
    let status = seen.status.as_u16();
    let said = || match source {
        Source::Synthetic => quote(&seen.body, secrets),
        Source::Mirror => None,
    };
    let said = || said().map_or_else(String::new, |text| format!(" \"{text}\""));
    match verdict {
        // A redirect is no user's mistake.
        Verdict::HttpError
            if source == Source::Mirror
                && status >= 400
                && Standing::of(verdict, status) == Standing::Refused =>
        {
            Ended::Refused
        }
        Verdict::Complete | Verdict::Empty
            if source == Source::Synthetic && seen.words.is_none() =>
        {
            Ended::Failed(format!("{status}{}, which is no answer of a model", said()))
        }
        Verdict::Complete | Verdict::Length | Verdict::Filtered => {
            let is_measured = !seen.is_stream || signal == LatencySignal::Total;
            Ended::Answered((is_measured && signal != LatencySignal::Ttft).then_some(seen.total))
        }
        Verdict::HttpError => Ended::Failed(format!("{status}{}", said())),
        verdict => match &seen.broke {
            Some(broke) => Ended::Failed(broke.to_string()),
            None => {
                Ended::Failed(format!("{status}, which counts as {}{}", verdict.label(), said()))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::inspect::answer::Conclusion;
    use crate::model::answer::{Inspection, Tokens};
    use crate::model::api::Api;

    fn seen(status: u16, verdict: Option<Verdict>, broke: Option<Broke>) -> Seen {
        Seen {
            api: Api::Chat,
            is_page: false,
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: b"{\"error\":\"no such model\"}".to_vec(),
            first: None,
            total: Duration::from_secs(3),
            is_stream: false,
            words: verdict.map(|verdict| Conclusion {
                verdict,
                finish: None,
                tokens: Tokens::default(),
                inspection: Inspection::Read,
            }),
            broke,
        }
    }

    fn end(source: Source, seen: &Result<Seen, Unanswered>) -> (Verdict, String) {
        let verdict = verdict(seen);
        let ended = ended(source, verdict, seen, LatencySignal::Auto, &Secrets::default());
        let words = match ended {
            Ended::Answered(total) => format!("answered {total:?}"),
            Ended::Failed(saw) => saw,
            Ended::Refused => "refused".to_owned(),
        };
        (verdict, words)
    }

    #[test]
    fn every_end_has_its_verdict_and_its_words() {
        let late = Duration::from_secs(60);
        let (mirror, synthetic) = (Source::Mirror, Source::Synthetic);
        let of = |status, verdict, broke| Ok(seen(status, verdict, broke));
        for (source, seen, verdict, words) in [
            (synthetic, Err(Unanswered::Late(late)), Verdict::Timeout, "no answer within 60s"),
            (
                synthetic,
                Err(Unanswered::Broken("connection refused".to_owned())),
                Verdict::ConnectError,
                "connection refused",
            ),
            (synthetic, of(404, None, None), Verdict::HttpError, "404 \"no such model\""),
            (mirror, of(404, None, None), Verdict::HttpError, "refused"),
            (mirror, of(302, None, None), Verdict::HttpError, "302"),
            (mirror, of(304, None, None), Verdict::Complete, "answered Some(3s)"),
            (
                mirror,
                Ok(Seen { is_page: true, ..seen(200, None, None) }),
                Verdict::Empty,
                "200, which counts as empty",
            ),
            (
                mirror,
                Ok(Seen { is_page: true, api: Api::Other, ..seen(200, None, None) }),
                Verdict::Complete,
                "answered Some(3s)",
            ),
            (mirror, of(429, None, None), Verdict::HttpError, "429"),
            (mirror, of(503, None, None), Verdict::HttpError, "503"),
            (synthetic, of(200, Some(Verdict::Length), None), Verdict::Length, "answered Some(3s)"),
            (
                synthetic,
                of(200, None, None),
                Verdict::Complete,
                "200 \"no such model\", which is no answer of a model",
            ),
            (mirror, of(200, None, None), Verdict::Complete, "answered Some(3s)"),
            (
                mirror,
                of(200, Some(Verdict::Empty), None),
                Verdict::Empty,
                "200, which counts as empty",
            ),
            (
                mirror,
                of(200, Some(Verdict::Truncated), Some(Broke::Off("reset".to_owned()))),
                Verdict::Truncated,
                "the answer broke off: reset",
            ),
            (
                mirror,
                of(200, Some(Verdict::Truncated), Some(Broke::Late(late))),
                Verdict::Timeout,
                "not whole within 60s",
            ),
        ] {
            assert_eq!(end(source, &seen), (verdict, words.to_owned()));
        }
    }
}
