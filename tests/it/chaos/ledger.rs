//! What was done to Cyan, what clients were told, and whether the one explains the other.
//!
//! A request is judged by three witnesses: its client, the upstreams that saw it, and its line in the access
//! log. A failure is explained by the script of its own request, or by what was done meanwhile to the very
//! upstream that failed it; by nothing else.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::line::Line;
use super::script::{Act, Script, Shape};
use super::told::{End, Told};

/// How long after an upstream was hurt a request may still meet a connection that died with it.
const AFTERMATH: Duration = Duration::from_secs(5);
/// How far back deeds are told with a finding.
const SHORTLY: Duration = Duration::from_secs(2);
/// How long an environment may be left for another one, after one of its upstreams has failed: the longest
/// time out, and what it may take until it is tried again.
const OUT: Duration = Duration::from_secs(15);

/// Everything that is written down in a run.
#[derive(Default)]
pub struct Ledger(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    told: Vec<Told>,
    harms: Vec<Harm>,
    visits: HashMap<u64, u32>,
    complaints: Vec<String>,
    takeovers: Vec<Instant>,
    at_work: BTreeSet<u64>,
    deeds: Vec<(Instant, String)>,
}

/// What was done to an upstream, and when.
#[derive(Debug, Clone, Copy)]
struct Harm {
    upstream: SocketAddr,
    what: What,
    from: Instant,
    until: Option<Instant>,
}

/// What is done to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It listens no more, and its connections were reset.
    Killed,
    /// Its connections were reset.
    Reset,
    /// A script had it fail one request before its answer; that may eject it.
    Failed,
}

/// What is told at the end.
#[derive(Debug, Default)]
pub struct Findings {
    /// Requests that were judged.
    pub requests: usize,
    /// Those that were answered as if nothing had been.
    pub well: usize,
    /// Those that were sent a second time.
    pub replayed: usize,
    /// Those that another environment has served.
    pub handed_over: usize,
    /// By verdict.
    pub verdicts: HashMap<String, usize>,
    /// What nothing explains.
    pub unexplained: Vec<String>,
}

impl Ledger {
    /// A client tells of a request.
    pub fn tell(&self, told: Told) {
        self.pages().told.push(told);
    }

    /// An upstream has got the head of this request.
    pub fn visited(&self, number: u64) {
        *self.pages().visits.entry(number).or_default() += 1;
    }

    /// Whether an upstream has got it.
    pub fn was_visited(&self, number: u64) -> bool {
        self.pages().visits.contains_key(&number)
    }

    /// An upstream works on this request, until what is returned is dropped.
    pub fn works_on(self: &Arc<Self>, number: u64) -> AtWork {
        self.pages().at_work.insert(number);
        AtWork { ledger: Arc::clone(self), number }
    }

    /// Whether an upstream works on any request.
    pub fn is_at_work(&self) -> bool {
        !self.pages().at_work.is_empty()
    }

    /// Complains of every request on which an upstream works still.
    pub fn complain_of_work(&self) {
        let pages = &mut *self.pages();
        for number in &pages.at_work {
            let told = pages.told.iter().find(|told| told.ask.number == *number);
            let story = told.map_or_else(|| number.to_string(), ToString::to_string);
            pages.complaints.push(format!("its upstream was never left: {story}"));
        }
    }

    /// Something is wrong, whatever else was done.
    pub fn complain(&self, complaint: String) {
        self.pages().complaints.push(complaint);
    }

    /// Another process is about to take over.
    pub fn takes_over(&self) {
        self.pages().takeovers.push(Instant::now());
    }

    /// Whether one did, since then or shortly before.
    pub fn was_taken_over_since(&self, then: Instant) -> bool {
        self.pages().takeovers.iter().any(|&takeover| then <= takeover + AFTERMATH)
    }

    /// Something is done.
    pub fn note(&self, deed: String) {
        self.pages().deeds.push((Instant::now(), deed));
    }

    /// What is done to an upstream begins.
    pub fn harm(&self, upstream: SocketAddr, what: What) {
        let from = Instant::now();
        let until = Some(from).filter(|_| what != What::Killed);
        self.pages().harms.push(Harm { upstream, what, from, until });
    }

    /// What is done to this upstream is over.
    pub fn heal(&self, upstream: SocketAddr) {
        for harm in &mut self.pages().harms {
            if harm.upstream == upstream && harm.until.is_none() {
                harm.until = Some(Instant::now());
            }
        }
    }

    /// Judges every request by its lines in the access log.
    pub fn judge(&self, log: &str) -> Findings {
        let pages = self.pages();
        let mut lines: HashMap<u64, Vec<Line>> = HashMap::new();
        let mut findings =
            Findings { unexplained: pages.complaints.clone(), ..Findings::default() };
        for text in log.lines() {
            match Line::read(text) {
                Some((number, line)) => lines.entry(number).or_default().push(line),
                None => findings.unexplained.push(format!("a line of no request: {text}")),
            }
        }
        for told in &pages.told {
            let lines = lines.remove(&told.ask.number).unwrap_or_default();
            findings.requests += 1;
            findings.well += usize::from(told.is_well());
            for line in &lines {
                findings.replayed += usize::from(line.was_replayed);
                findings.handed_over += usize::from(line.was_handed_over);
                *findings.verdicts.entry(line.verdict.clone()).or_default() += 1;
            }
            if let Err(problem) = pages.judge(told, &lines) {
                let meanwhile = pages.deeds_around(told);
                findings.unexplained.push(format!(
                    "{problem}: {told}; in the log: {lines:?}; meanwhile: {meanwhile:?}"
                ));
            }
        }
        let strange = lines.keys().map(|number| format!("request {number} was never sent"));
        findings.unexplained.extend(strange);
        findings
    }

    fn pages(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.0.lock().expect("nobody panics with the lock")
    }
}

/// An upstream at work.
pub struct AtWork {
    ledger: Arc<Ledger>,
    number: u64,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.ledger.pages().at_work.remove(&self.number);
    }
}

impl Pages {
    fn judge(&self, told: &Told, lines: &[Line]) -> Result<(), &'static str> {
        if told.wrong_at.is_some() {
            return Err("wrong bytes");
        }
        if told.end == End::Hung {
            return Err("no end");
        }
        let visits = self.visits.get(&told.ask.number).copied().unwrap_or(0);
        let [line] = lines else {
            // Who leaves at once may be gone before anybody has read a word.
            let was_heard = told.status.is_some() || visits > 0;
            return match lines.len() {
                0 if told.end == End::Left && !was_heard => Ok(()),
                0 => Err("a lost verdict"),
                _ => Err("a doubled verdict"),
            };
        };
        if visits > 1 + u32::from(line.was_replayed) {
            return Err("sent twice");
        }
        if told.status.is_some() && told.status != line.status {
            return Err("another status in the log");
        }
        if told.end == End::Left {
            return self.left(told, line);
        }
        if told.is_well() {
            return self.well(told, line);
        }
        self.failed(told, line)
    }

    fn well(&self, told: &Told, line: &Line) -> Result<(), &'static str> {
        let verdict = if told.ask.script.act == Act::Refuse { "http_error" } else { "complete" };
        if line.was_handed_over && line.verdict == "connect_error" {
            return self.was_out(told).then_some(()).ok_or("handed over for nothing");
        }
        if line.was_handed_over || line.verdict != verdict {
            return Err("a good answer with another verdict");
        }
        Ok(())
    }

    fn left(&self, told: &Told, line: &Line) -> Result<(), &'static str> {
        let verdict = line.verdict.as_str();
        let is_right = matches!(verdict, "client_gone" | "complete")
            || told.ask.script.causes(told.ask.is_brisk).contains(&verdict)
            || (told.ask.script.act == Act::Refuse && verdict == "http_error")
            || (line.was_handed_over && verdict == "connect_error" && self.was_out(told))
            || self.was_harmed(told, line);
        is_right.then_some(()).ok_or("a client left, and the verdict says something else")
    }

    fn failed(&self, told: &Told, line: &Line) -> Result<(), &'static str> {
        if told.end == End::Whole && told.is_upstreams {
            return Err("a clean end of what was broken off");
        }
        let script = &told.ask.script;
        let causes = script.causes(told.ask.is_brisk);
        // Who is handed over counts for the environment that failed it first, however it ended then.
        let was_out = line.was_handed_over && line.verdict == "connect_error" && self.was_out(told);
        if was_out && (!causes.is_empty() || self.was_harmed(told, line)) {
            return Ok(());
        }
        let verdict = line.verdict.as_str();
        if causes.contains(&verdict) {
            return Ok(());
        }
        let is_of_upstreams =
            matches!(verdict, "connect_error" | "truncated" | "aborted_by_server" | "http_error");
        // Whoever had said the last word has said it, though the end of the answer did not come any more.
        let has_last_word =
            verdict == "complete" && matches!(script.shape, Shape::Stream | Shape::Tunnel);
        if (is_of_upstreams || has_last_word) && self.was_harmed(told, line) {
            return Ok(());
        }
        Err("not explained by any fault")
    }

    /// Whether the upstream that served it was hurt meanwhile.
    fn was_harmed(&self, told: &Told, line: &Line) -> bool {
        self.harms.iter().any(|harm| {
            harm.what != What::Failed
                && Some(harm.upstream) == line.upstream
                && harm.touches(told, AFTERMATH)
        })
    }

    /// What was done shortly before and while it lasted.
    fn deeds_around(&self, told: &Told) -> Vec<&str> {
        let (from, to) = (told.began.checked_sub(SHORTLY).unwrap_or(told.began), told.ended);
        let around = self.deeds.iter().filter(|(at, _)| (from..=to).contains(at));
        around.map(|(_, deed)| deed.as_str()).collect()
    }

    /// Whether any upstream may have been out meanwhile.
    fn was_out(&self, told: &Told) -> bool {
        self.harms.iter().any(|harm| harm.touches(told, OUT))
    }
}

impl Harm {
    fn touches(&self, told: &Told, aftermath: Duration) -> bool {
        // Whoever leaves does not see when Cyan has noticed.
        let later = if told.end == End::Left { AFTERMATH } else { Duration::ZERO };
        let is_after = self.until.is_none_or(|until| told.began <= until + aftermath);
        is_after && self.from <= told.ended + later
    }
}

impl Script {
    /// The verdicts that it explains.
    fn causes(&self, is_brisk: bool) -> &'static [&'static str] {
        match self.act {
            Act::Cut if self.shape == Shape::Tunnel => &["truncated", "client_gone"],
            Act::Cut | Act::Reset => &["truncated", "aborted_by_server", "connect_error"],
            Act::Mute | Act::Garbage => &["connect_error", "aborted_by_server"],
            Act::Silent | Act::Hush if is_brisk => &["timeout"],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::super::told::Ask;
    use super::*;

    const SERVED_BY: &str = "127.0.0.1:1";

    /// A request of this kind, answered as it should be, and its line in the log.
    fn good(act: Act) -> (Told, String) {
        let mut script = Script::draw(&mut Rng::with_seed(2), false);
        (script.act, script.shape) = (act, Shape::Sized);
        let ask = Ask { number: 7, script, leaves: None, is_slow: false, is_brisk: false, user: 1 };
        let now = Instant::now();
        let told = Told {
            ask,
            via: "HTTP/1.1",
            began: now,
            ended: now + Duration::from_secs(1),
            status: Some(200),
            is_upstreams: true,
            received: script.length,
            wrong_at: None,
            end: End::Whole,
            words: String::new(),
        };
        (told, line("complete"))
    }

    fn line(verdict: &str) -> String {
        format!(
            "{{\"request_id\":\"7\",\"status\":200,\"verdict\":\"{verdict}\",\
             \"upstream\":\"http://{SERVED_BY}\",\"replayed\":false}}\n"
        )
    }

    fn found(ledger: &Ledger, told: Told, log: &str) -> Vec<String> {
        ledger.tell(told);
        let problems = ledger.judge(log).unexplained.into_iter();
        problems.map(|text| text.split(": ").next().unwrap().to_owned()).collect()
    }

    type Case = (&'static str, Act, fn(&mut Told), String);

    #[test]
    fn what_is_wrong_is_found() {
        let broken = |told: &mut Told| told.end = End::Broken;
        let cases: [Case; 8] = [
            ("", Act::Finish, |_| {}, line("complete")),
            ("wrong bytes", Act::Finish, |told| told.wrong_at = Some(3), line("complete")),
            ("no end", Act::Finish, |told| told.end = End::Hung, line("client_gone")),
            ("a lost verdict", Act::Finish, |_| {}, String::new()),
            ("a doubled verdict", Act::Finish, |_| {}, line("complete").repeat(2)),
            ("a good answer with another verdict", Act::Finish, |_| {}, line("client_gone")),
            ("a clean end of what was broken off", Act::Cut, |_| {}, line("truncated")),
            ("not explained by any fault", Act::Finish, broken, line("truncated")),
        ];
        for (expected, act, change, log) in cases {
            let (mut told, _) = good(act);
            change(&mut told);
            let found = found(&Ledger::default(), told, &log);
            assert_eq!(found.join(""), expected);
        }
    }

    #[test]
    fn a_failure_is_explained_by_its_script_or_by_what_was_done_to_its_upstream() {
        for (act, harmed, is_explained) in [
            (Act::Reset, None, true),
            (Act::Finish, None, false),
            (Act::Finish, Some(SERVED_BY), true),
            (Act::Finish, Some("127.0.0.1:2"), false),
        ] {
            let (ledger, (mut told, _)) = (Ledger::default(), good(act));
            told.end = End::Broken;
            if let Some(upstream) = harmed {
                ledger.harm(upstream.parse().unwrap(), What::Reset);
            }
            let found = found(&ledger, told, &line("aborted_by_server"));
            assert_eq!(found.is_empty(), is_explained, "{act:?} {harmed:?}: {found:?}");
        }
    }

    #[test]
    fn a_request_that_an_upstream_got_twice_was_replayed() {
        for (replayed, is_explained) in [("true", true), ("false", false)] {
            let (ledger, (told, log)) = (Ledger::default(), good(Act::Finish));
            ledger.visited(7);
            ledger.visited(7);
            let log = log.replace("\"replayed\":false", &format!("\"replayed\":{replayed}"));
            assert_eq!(found(&ledger, told, &log).is_empty(), is_explained);
        }
    }
}
