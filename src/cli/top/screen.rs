//! Draws a look: per service a band with its state and the evidence, the environments side by side, and
//! their times to first token on one axis. What does not fit below is left out from the least important
//! on; what does not fit to the right is cut, never wrapped.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::super::failure::Failure;
use super::super::local_time;
use super::super::status::release;
use super::super::terminal::{Ink, Terminal};
use super::look::{Look, Measured, WINDOW};
use super::{axis, evidence, table};
use crate::admin::api::Service;

/// Columns from which the evidence stands in the band and not below it.
const WIDE: usize = 76;

/// A line of the screen. Of those that do not fit, the ones with the highest rank go first.
struct Row {
    rank: u8,
    line: Line<'static>,
}

/// What must stay, what should, what may.
const MUST: u8 = 0;
const SHOULD: u8 = 1;
const MAY: u8 = 2;

/// Draws everything. `lost` says why there was no newer look, and for how long.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    look: &Look,
    lost: Option<(&Failure, Duration)>,
    footer: &str,
    selected: usize,
    terminal: Terminal,
) {
    let area = frame.area();
    let width = usize::from(area.width);
    let mut rows = Vec::new();
    for (index, service) in look.status.services.iter().enumerate() {
        let is_selected = index == selected && look.status.services.len() > 1;
        rows.extend(of_service(look, service, is_selected, width, terminal));
    }
    rows.extend(look.status.warnings.iter().map(|warning| Row {
        rank: SHOULD,
        line: Line::styled(format!("! {warning}"), style(Ink::Bold, terminal)),
    }));
    let room = usize::from(area.height).saturating_sub(2);
    let mut lines = vec![clock(look, lost, width, terminal)];
    lines.extend(keep(rows, room).into_iter().map(|row| row.line));
    for (line, y) in lines.into_iter().zip(area.y..area.bottom()) {
        frame.render_widget(line, Rect { y, height: 1, ..area });
    }
    let bottom = Rect { y: area.bottom().saturating_sub(1), height: area.height.min(1), ..area };
    frame.render_widget(
        Line::styled(footer.to_owned(), Style::new().add_modifier(Modifier::REVERSED)),
        bottom,
    );
}

/// Leaves out what does not fit, the least important first, from the end on.
fn keep(mut rows: Vec<Row>, room: usize) -> Vec<Row> {
    for rank in [MAY, SHOULD, MUST] {
        while rows.len() > room {
            let Some(last) = rows.iter().rposition(|row| row.rank == rank) else { break };
            rows.remove(last);
        }
    }
    rows
}

/// `cyan 0.1.0, 15.9 req/s                       live 14:18:02`
fn clock(
    look: &Look,
    lost: Option<(&Failure, Duration)>,
    width: usize,
    terminal: Terminal,
) -> Line<'static> {
    let time = local_time::time_of_day(look.at_unix_ms);
    let (right, ink) = match lost {
        None => (format!("live {time}"), Ink::Plain),
        Some((_, since)) => {
            (format!("no answer for {} s, as of {time}", since.as_secs()), Ink::Red)
        }
    };
    let left = match lost {
        None => format!("cyan {}, last {WINDOW}", look.status.version),
        Some((failure, _)) => failure.message.clone(),
    };
    let room = width.saturating_sub(right.chars().count() + 1);
    let left: String = left.chars().take(room).collect();
    Line::from(vec![Span::raw(format!("{left:room$} ")), Span::styled(right, style(ink, terminal))])
}

fn of_service(
    look: &Look,
    service: &Service,
    is_selected: bool,
    width: usize,
    terminal: Terminal,
) -> Vec<Row> {
    let measured: Vec<_> = look.measured(service).collect();
    let mut rows = band(service, is_selected, width, terminal);
    let explanation = Line::raw(service.explanation.clone());
    rows.push(Row { rank: SHOULD, line: explanation });
    let environments = &service.environments;
    for (ink, name, cells) in table::lines(environments, &measured, width, terminal.ascii) {
        let line = Line::from(vec![Span::styled(name, style(ink, terminal)), Span::raw(cells)]);
        rows.push(Row { rank: MUST, line });
    }
    rows.extend(distributions(service, &measured, width, terminal));
    for (label, fact) in release::facts(service) {
        rows.push(Row { rank: MAY, line: Line::raw(format!("{label}: {fact}")) });
    }
    rows.push(Row { rank: MAY, line: Line::default() });
    rows
}

/// `→ RAMPING chat 25 %  evidence 1.4 of 100  ▕███·····▏100`
fn band(service: &Service, is_selected: bool, width: usize, terminal: Terminal) -> Vec<Row> {
    let (glyph, plain, word) = release::state(service);
    let glyph = if terminal.ascii { plain } else { glyph };
    let rollout = service.rollout.as_deref().filter(|rollout| !rollout.is_over());
    let share = rollout.map(|rollout| format!(" {} %", rollout.share_percent)).unwrap_or_default();
    let state = format!("{glyph} {word} {}{share}", service.name);
    let bold = style(Ink::Bold, terminal);
    let bold = if is_selected { bold.add_modifier(Modifier::UNDERLINED) } else { bold };
    let mut line = Line::from(Span::styled(state, bold));
    let Some(against) = rollout.and_then(evidence::of) else {
        return vec![Row { rank: MUST, line }];
    };
    let ink = if against >= 20.0 { Ink::Red } else { Ink::Plain };
    let said = Span::styled(evidence::words(against), style(ink, terminal));
    let bar = Span::raw(format!("  {}", evidence::bar(against, terminal.ascii)));
    if width >= WIDE {
        line.extend([Span::raw("  "), said, bar]);
        return vec![Row { rank: MUST, line }];
    }
    let below = Line::from(vec![said]);
    vec![
        Row { rank: MUST, line },
        Row { rank: MUST, line: below },
        Row { rank: MAY, line: Line::from(vec![bar]) },
    ]
}

/// Times to first token of each environment that has some.
fn distributions(
    service: &Service,
    measured: &[&Measured],
    width: usize,
    terminal: Terminal,
) -> Vec<Row> {
    let label = table::label_width(&service.environments);
    let cells = width.saturating_sub(label + 1);
    let shares: Vec<_> =
        measured.iter().map(|measured| (*measured, axis::shares(&measured.ttft, cells))).collect();
    let top = shares.iter().flat_map(|(_, shares)| shares).copied().fold(0.0, f64::max);
    if top <= 0.0 {
        return Vec::new();
    }
    let head = format!("{:label$} {}", "TTFT", axis::ticks(cells));
    let mut rows = vec![Row { rank: SHOULD, line: Line::raw(head) }];
    for (index, environment) in service.environments.iter().enumerate() {
        let of = shares.iter().find(|(m, _)| m.stats.environment == environment.name);
        let Some((_, shares)) = of else { continue };
        let (ink, glyph) =
            super::super::status::mark(environment.name.as_str(), index, terminal.ascii);
        let blocks = axis::blocks(shares, top, terminal.ascii);
        let row = format!("{glyph:label$} {blocks}");
        rows.push(Row { rank: SHOULD, line: Line::styled(row, style(ink, terminal)) });
    }
    rows
}

/// 16 colours, never a background, none where nobody wants them.
fn style(ink: Ink, terminal: Terminal) -> Style {
    let colour = match ink {
        Ink::Plain => return Style::new(),
        Ink::Bold => return Style::new().add_modifier(Modifier::BOLD),
        Ink::Blue => Color::Blue,
        Ink::Green => Color::Green,
        Ink::Red => Color::Red,
        Ink::Yellow => Color::Yellow,
    };
    if terminal.colour { Style::new().fg(colour) } else { Style::new() }
}

#[cfg(test)]
pub(super) mod testing {
    use serde_json::json;

    use super::super::look::Look;

    /// A look at services of these names, each at 25 % of a ramp.
    pub(in super::super) fn look(services: &[&str]) -> Look {
        let environment = |name: &str, percent: f64, role: &str| {
            json!({"name": name, "version": "v42", "role": role, "weight_percent": percent,
                   "in_flight": 7, "upstreams": [], "overridden": [], "drain": null})
        };
        let service = |name: &&str| {
            json!({
                "name": name, "generation": 7, "active": "blue", "frozen": null, "state": "ramping",
                "explanation": "Green is holding up at 25 %: 0.9 % failed, blue 1.0 %.",
                "environments": [environment("blue", 75.0, "active"), environment("green", 25.0, "candidate")],
                "rollout": {
                    "schema": 1, "id": 3, "service": name, "generation": 7, "candidate": "green",
                    "base": "blue", "version": "v42", "plan": "default", "steps": [], "stage": "ramp",
                    "place": "25 %, step 3 of 5", "share_percent": 25.0, "next_percent": 50.0,
                    "waits_for": ["3m10s"], "in_stage_s": 1, "observed_s": 1,
                    "started_by": "cli:ana", "started_at": "", "paused": null, "held": null,
                    "needs_somebody": false, "frozen": null, "cause": null, "unarmed": [],
                    "judge": {"text": "Nothing speaks against it.", "requests": 80,
                              "details": {"explanation": {"evidence": 1.4}}},
                },
            })
        };
        let times = json!({"count": 60, "p50_ms": 310.0, "p90_ms": 900.0, "p99_ms": 1310.4,
                           "p999_ms": 2000.0, "max_ms": 2000.0});
        let measured = |service: &str, environment: &str| {
            let stats = json!({
                "schema": 1, "service": service, "environment": environment, "window": "1m",
                "covers_s": 60.0, "requests": 60, "in_flight": 7, "requests_per_s": 1.0,
                "failed_percent": 0.9, "verdicts": {}, "standings": {}, "total": times,
                "response_head": null, "ttft": times, "gap": null, "tpot": null, "connect": null,
                "tunnel": null, "finish": {}, "inspection": {}, "client_retries": 0,
                "tokens": {"input": null, "cached": 0, "output": 9, "output_per_s": 61.0, "outputs_estimated": 0},
                "request_bytes": 0, "response_bytes": 0,
            });
            let ttft = json!({
                "schema": 1, "metric": "ttft", "window": "1m", "covers_s": 60.0, "unit": "us",
                "count": 60, "sum": 1, "buckets": [
                    {"from": 200_000, "to": 200_000, "count": 20},
                    {"from": 310_000, "to": 310_000, "count": 30},
                    {"from": 900_000, "to": 900_000, "count": 10},
                ],
            });
            super::super::look::Measured {
                stats: serde_json::from_value(stats).unwrap(),
                ttft: serde_json::from_value(ttft).unwrap(),
            }
        };
        let status = json!({
            "schema": 1, "version": "0.1.0", "pid": 1, "uptime_s": 60, "readiness": "ready", "role": "operate", "cores": 2,
            "lagging_cores": [], "connections": 3, "requests": 120, "warnings": [],
            "services": services.iter().map(service).collect::<Vec<_>>(),
        });
        let sides = services.iter().flat_map(|s| [measured(s, "blue"), measured(s, "green")]);
        Look::of(serde_json::from_value(status).unwrap(), sides.collect(), 1_700_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use ratatui::backend::TestBackend;

    use super::*;

    fn drawn(look: &Look, (width, height): (u16, u16), lost: Option<&Failure>) -> Vec<String> {
        let terminal = Terminal { colour: true, ascii: false, redraws: true, can_ask: true };
        let mut screen = ratatui::Terminal::new(TestBackend::new(width, height)).unwrap();
        let lost = lost.map(|failure| (failure, Duration::from_secs(3)));
        screen.draw(|frame| draw(frame, look, lost, "q quit", 0, terminal)).unwrap();
        let cells = screen.backend().buffer().content();
        let lines = cells.chunks(usize::from(width));
        lines
            .map(|line| {
                line.iter()
                    .map(ratatui::buffer::Cell::symbol)
                    .collect::<String>()
                    .trim_end()
                    .to_owned()
            })
            .collect()
    }

    /// Of the look, on whatever clock this machine has.
    fn time() -> String {
        local_time::time_of_day(1_700_000_000_000)
    }

    #[test]
    fn eighty_columns_hold_everything() {
        assert_eq!(
            drawn(&testing::look(&["chat"]), (80, 13), None),
            [
                &*format!("cyan 0.1.0, last 1m{:48}live {}", "", time()),
                "→ RAMPING chat 25 %  evidence 1.4 of 100  ▕████████····5···20···▏100",
                "Green is holding up at 25 %: 0.9 % failed, blue 1.0 %.",
                "           share   req/s   failed  TTFT p50      p99  gap p99   run  healthy",
                "● blue      75 %    1.00    0.9 %    310 ms   1.31 s        –     7      0/0",
                "▲ green     25 %    1.00    0.9 %    310 ms   1.31 s        –     7      0/0",
                "TTFT    1 ms           10 ms          100 ms         1 s            10 s   1 min",
                "●       ··································▆··█······▃···························",
                "▲       ··································▆··█······▃···························",
                "rollout: 3 by plan default: 25 %, step 3 of 5, 80 requests",
                "next: 50 %, after 3m10s",
                "why: Nothing speaks against it.",
                "q quit",
            ]
        );
    }

    #[test]
    fn narrow_and_low_screens_keep_what_decides() {
        assert_eq!(
            drawn(&testing::look(&["chat"]), (40, 7), None),
            [
                &*format!("cyan 0.1.0, last 1m{:8}live {}", "", time()),
                "→ RAMPING chat 25 %",
                "evidence 1.4 of 100",
                "           share   failed      p99   run",
                "● blue      75 %    0.9 %   1.31 s     7",
                "▲ green     25 %    0.9 %   1.31 s     7",
                "q quit",
            ]
        );
        for size in [(1, 1), (3, 2), (200, 3), (200, 60)] {
            drawn(&testing::look(&["chat", "embed"]), size, None);
        }
    }

    #[test]
    fn who_does_not_answer_is_said_to_be_away_and_the_last_look_stays() {
        let failure = Failure::unexpected("cannot reach the admin API");
        let lines = drawn(&testing::look(&["chat"]), (80, 13), Some(&failure));
        let first =
            format!("cannot reach the admin API{:21}no answer for 3 s, as of {}", "", time());
        assert_eq!(lines[0], first);
        assert!(lines[1].starts_with("→ RAMPING chat 25 %"), "{lines:?}");
    }
}
