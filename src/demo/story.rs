//! The demo's story: a version is released by a rollout, and goes on to all users or back.
//!
//! It claims nothing that was not measured. Cyan decides; the story starts the rollout, breaks the new
//! version when a fault is to be shown, sends what graders say, and tells what the journal says.

use std::time::{Duration, SystemTime};

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::admin_call::call;
use super::fault::Fault;
use super::pace::Pace;
use super::share::{Bound, percent_of};
use super::stage::Stage;
use super::teller::Teller;
use super::traffic::Tally;

const SERVICE: &str = "/v1/services/chat";

/// How often the story looks at what Cyan has written down.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Longest time of a rollout without a fault.
const ROLLOUT_MAX: Duration = Duration::from_secs(6 * 60);
/// Longest time from a fault to the decision.
const DECISION_MAX: Duration = Duration::from_secs(60);
/// Scores in one request, as many as Cyan takes.
const SCORES_MAX: usize = 1_000;

/// A part of the story, and what green should have got in it.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) green_percent: f64,
    /// The phase of the traffic that began under these weights.
    pub(super) phase: usize,
}

/// What became of the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Green has all users.
    Released,
    /// Blue has them again.
    RolledBack,
    /// Neither, within the time.
    Undecided,
}

/// The story while it is told.
pub(super) struct Story<'a> {
    stage: &'a Stage,
    pace: &'a Pace,
    teller: Teller,
    fault: Option<Fault>,
    fault_due: Option<Instant>,
    trouble: Option<Trouble>,
    steps: Vec<Step>,
    last_entry: i64,
    ends_by: Instant,
}

/// The fault, since it began.
struct Trouble {
    began: Instant,
    at: SystemTime,
    phase: usize,
}

/// What the story reads of an entry of the journal.
#[derive(Debug, Deserialize)]
struct Entry {
    id: i64,
    kind: String,
    text: String,
    details: Value,
}

impl<'a> Story<'a> {
    pub(super) fn new(
        stage: &'a Stage,
        pace: &'a Pace,
        fault: Option<Fault>,
        say: fn(&str),
    ) -> Self {
        Self {
            stage,
            pace,
            teller: Teller::new(say),
            fault,
            fault_due: None,
            trouble: None,
            steps: Vec::new(),
            last_entry: 0,
            ends_by: Instant::now() + ROLLOUT_MAX,
        }
    }

    pub(super) fn into_steps(self) -> Vec<Step> {
        self.steps
    }

    /// Tells it from beginning to end.
    ///
    /// # Errors
    /// A sentence, when the admin API refuses or does not answer.
    pub(super) async fn tell(&mut self) -> Result<End, String> {
        let Stage { public, admin, rate, .. } = self.stage;
        self.teller.plain(&format!(
            "Dashboard  http://{admin}/     open it now; Ctrl-C ends everything\n\
             Clients    http://{public}/v1/chat/completions\n\
             Two emulated LLM servers, one proxy, {rate} requests/s, all local."
        ));
        let text = "● blue mock-1.0 active 100 %   ▲ green mock-1.1 candidate 0 %";
        self.begin_step("deploy", 0.0, text);
        self.follow_until(Instant::now() + self.pace.alone).await?;
        // What ends from here on may have begun at 0 % or at the first step: it belongs to neither.
        self.stage.traffic.begin_phase();
        let start = json!({ "candidate": "green" });
        call(self.stage.admin, Method::POST, &format!("{SERVICE}/rollout"), &start).await?;
        let end = self.follow().await?;
        if end == End::RolledBack {
            self.tell_what_it_cost().await?;
        }
        Ok(end)
    }

    /// Tells what happens until the rollout is over.
    async fn follow(&mut self) -> Result<End, String> {
        while Instant::now() < self.ends_by {
            if let Some(end) = self.look().await? {
                return Ok(end);
            }
            self.begin_fault_when_due().await?;
            sleep(LOOK_EVERY).await;
        }
        self.teller.tell("undecided", "no decision in time; this is not as it should be");
        Ok(End::Undecided)
    }

    async fn follow_until(&mut self, until: Instant) -> Result<(), String> {
        while Instant::now() < until {
            self.look().await?;
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Sends what graders say and tells what is new; the end, if that is new.
    async fn look(&mut self) -> Result<Option<End>, String> {
        self.send_scores().await?;
        for entry in self.new_entries().await? {
            if let Some(end) = self.happened(&entry).await? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    async fn send_scores(&self) -> Result<(), String> {
        let grades = self.stage.traffic.take_grades();
        for grades in grades.chunks(SCORES_MAX) {
            let score = |grade: &super::traffic::Grade| {
                let value = u8::from(grade.is_right);
                json!({ "exchange": grade.exchange, "key": format!("user-{}", grade.user), "value": value })
            };
            let scores: Vec<Value> = grades.iter().map(score).collect();
            call(self.stage.admin, Method::POST, "/v1/scores", &json!(scores)).await?;
        }
        Ok(())
    }

    async fn new_entries(&mut self) -> Result<Vec<Entry>, String> {
        let path = "/v1/journal?service=chat&limit=50";
        let page = call(self.stage.admin, Method::GET, path, &Value::Null).await?;
        let entries: Vec<Entry> = serde_json::from_value(page["entries"].clone())
            .map_err(|error| format!("{path}: {error}"))?;
        let last = self.last_entry;
        let new: Vec<Entry> = entries.into_iter().rev().filter(|entry| entry.id > last).collect();
        self.last_entry = new.last().map_or(last, |entry| entry.id);
        Ok(new)
    }

    async fn happened(&mut self, entry: &Entry) -> Result<Option<End>, String> {
        let word = match entry.kind.as_str() {
            "rollout_started" => "rollout",
            "candidate_ready" => "ready",
            "gate_passed" => "gate",
            "rollout_stepped" => "ramp",
            "rollout_switched" => "switch",
            "rollout_held" => "hold",
            "rollout_let_go" => "goes on",
            "rollout_stepped_back" => "step back",
            "rollout_rolling_back" => "breach",
            "rollout_rolled_back" | "rollout_failed" => "rollback",
            "rollout_done" => "done",
            _ => return Ok(None),
        };
        let text = entry.text.strip_prefix("chat: ").unwrap_or(&entry.text);
        match entry.kind.as_str() {
            "rollout_stepped" => {
                let percent = entry.details["share_percent"].as_f64().unwrap_or_default();
                self.tell_measured().await?;
                self.begin_step(word, percent, text);
                if self.fault.is_some() && self.pace.shows_fault_at(percent) {
                    self.fault_due = Some(Instant::now() + self.pace.fault_after);
                }
            }
            "rollout_switched" => {
                self.tell_measured().await?;
                self.begin_step(word, 100.0, text);
            }
            "rollout_rolled_back" | "rollout_failed" => {
                self.begin_step(word, 0.0, text);
                return Ok(Some(End::RolledBack));
            }
            "rollout_done" => {
                self.tell_measured().await?;
                self.teller.tell(word, text);
                return Ok(Some(End::Released));
            }
            _ => self.teller.tell(word, text),
        }
        Ok(None)
    }

    async fn begin_fault_when_due(&mut self) -> Result<(), String> {
        let Some(fault) =
            self.fault.filter(|_| self.fault_due.is_some_and(|due| due <= Instant::now()))
        else {
            return Ok(());
        };
        self.fault_due = None;
        let phase = self.stage.traffic.begin_phase();
        let faults = self.stage.green.set_faults(fault.faults()).await;
        faults.map_err(|error| format!("green cannot act this fault: {error}"))?;
        let began = Instant::now();
        self.trouble = Some(Trouble { began, at: SystemTime::now(), phase });
        self.ends_by = began + DECISION_MAX;
        self.teller.tell("fault", fault.sentence());
        Ok(())
    }

    fn begin_step(&mut self, name: &str, green_percent: f64, text: &str) {
        let phase = self.stage.traffic.begin_phase();
        self.steps.push(Step { name: name.to_owned(), green_percent, phase });
        self.teller.tell(name, text);
    }

    /// What the latest step brought: its share, and what the judge has to say.
    async fn tell_measured(&self) -> Result<(), String> {
        let Some(step) = self.steps.last() else { return Ok(()) };
        let tally = self.stage.traffic.tally();
        let phase = &tally.phases[step.phase];
        let (green, all) = (phase.requests_of("green"), phase.requests());
        let bound = Bound::of(step.green_percent, phase.users(), all);
        let expected = if bound.low_percent < bound.high_percent {
            format!(", by chance {:.1} to {:.1}", bound.low_percent, bound.high_percent)
        } else {
            String::new()
        };
        let path = format!("{SERVICE}/rollout");
        let rollout = call(self.stage.admin, Method::GET, &path, &Value::Null).await?;
        let judge = rollout["judge"]["text"].as_str().unwrap_or_default();
        self.teller.tell(
            "",
            &format!(
                "green got {green} of {all} requests ({:.1} %{expected}), from {} of {} users; {} lost. {judge}",
                percent_of(green, all),
                phase.users_of("green"),
                phase.users(),
                tally.lost(),
            ),
        );
        Ok(())
    }

    /// Waits until what green was asked is answered, and tells what the fault has done.
    async fn tell_what_it_cost(&mut self) -> Result<(), String> {
        let ended = Instant::now();
        self.follow_until(ended + self.pace.alone).await?;
        let Some(trouble) = &self.trouble else { return Ok(()) };
        let tally = self.stage.traffic.tally();
        let users = tally.phases[trouble.phase].users_of("green");
        self.teller.tell(
            "",
            &format!(
                "all users are on blue, {:.1} s and {} green requests of {users} users after the fault \
                 began; {} requests were lost by the rollback itself",
                (ended - trouble.began).as_secs_f64(),
                self.requests_at_green_since(trouble.at),
                tally.lost_beside("green"),
            ),
        );
        Ok(())
    }

    fn requests_at_green_since(&self, when: SystemTime) -> usize {
        let since = when.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let stats = self.stage.green.stats();
        let is_later = |a: &&super::mock_llm::Arrival| {
            a.path.starts_with("/v1/") && u128::from(a.first_byte_unix_ns) > since
        };
        stats.arrivals.iter().filter(is_later).count()
    }
}

/// Users who got green and later blue, up to the last step that raised green.
pub(super) fn users_who_came_back(tally: &Tally, steps: &[Step]) -> u64 {
    let last = steps.iter().rfind(|step| step.green_percent > 0.0).map_or(0, |step| step.phase);
    let back = ("green".to_owned(), "blue".to_owned());
    tally.phases[..=last].iter().filter_map(|phase| phase.moves.get(&back)).sum()
}
