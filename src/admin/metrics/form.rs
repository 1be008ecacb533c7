//! The two forms of the page, and which one was asked for.

/// How the page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Prometheus' text format 0.0.4.
    Prometheus,
    /// `OpenMetrics` 1.0.
    OpenMetrics,
}

impl Form {
    /// The form that the `Accept` headers prefer. Who says nothing gets the classic one.
    pub(super) fn asked_for<'a>(accept: impl Iterator<Item = &'a str>) -> Self {
        let (mut classic, mut open) = (0.0, 0.0);
        for (media, quality) in accept.flat_map(|header| header.split(',')).map(preference) {
            match media {
                "application/openmetrics-text" => open = quality.max(open),
                "text/plain" | "text/*" | "*/*" => classic = quality.max(classic),
                _ => {}
            }
        }
        if open > 0.0 && open >= classic { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The page's `Content-Type`.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A media type and how much it is wanted, 0 to 1.
fn preference(text: &str) -> (&str, f64) {
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().unwrap_or("");
    let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
    (media, quality.unwrap_or(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_header_decides() {
        let prometheus = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, form) in [
            (prometheus, Form::OpenMetrics),
            ("application/openmetrics-text", Form::OpenMetrics),
            ("text/plain, application/openmetrics-text; q=0.5", Form::Prometheus),
            ("application/openmetrics-text;q=0", Form::Prometheus),
            ("text/html,*/*;q=0.8", Form::Prometheus),
            ("", Form::Prometheus),
        ] {
            assert_eq!(Form::asked_for([accept].into_iter()), form, "{accept}");
        }
        assert_eq!(Form::asked_for([].into_iter()), Form::Prometheus);
    }
}
