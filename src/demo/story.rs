//! The demo's story: a version is released step by step, becomes the active one, and is taken back.
//!
//! It only claims what it has measured. This first form has no judge: the story itself moves the
//! weights, through the admin API, as an operator would.

use std::time::{Duration, SystemTime};

use hyper::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::admin_call::call;
use super::share::{Bound, percent_of};
use super::stage::Stage;
use super::traffic::Tally;

/// The ramp, in percent of users.
const RAMP: [f64; 5] = [1.0, 5.0, 25.0, 50.0, 100.0];

/// How long each part is watched at normal speed.
const WATCHED: Duration = Duration::from_secs(9);

const SERVICE: &str = "/v1/services/chat";

/// A part of the story, and what green should have got in it.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) green_percent: f64,
    /// The phase of the traffic that ran wholly under these weights.
    pub(super) phase: usize,
}

/// The story while it is told.
pub(super) struct Story<'a> {
    stage: &'a Stage,
    watched: Duration,
    say: fn(&str),
    started: Instant,
    steps: Vec<Step>,
}

impl<'a> Story<'a> {
    pub(super) fn new(stage: &'a Stage, speed: f64, say: fn(&str)) -> Self {
        let watched = WATCHED.div_f64(speed);
        Self { stage, watched, say, started: Instant::now(), steps: Vec::new() }
    }

    pub(super) fn into_steps(self) -> Vec<Step> {
        self.steps
    }

    /// Tells it from beginning to end.
    ///
    /// # Errors
    /// A sentence, when the admin API refuses or does not answer.
    pub(super) async fn tell(&mut self) -> Result<(), String> {
        let Stage { public, admin, rate, .. } = self.stage;
        (self.say)(&format!(
            "Clients  http://{public}/v1/chat/completions\nAdmin    http://{admin}{SERVICE}\n\
             Two emulated LLM servers, one proxy, {rate} requests/s, all local; Ctrl-C ends everything."
        ));
        self.begin("deploy", 0.0, "● blue mock-1.0 active 100 %   ▲ green mock-1.1 candidate 0 %");
        self.watch().await;
        for percent in RAMP {
            self.ramp_to(percent).await?;
        }
        let back = users_who_came_back(&self.stage.traffic.tally(), &self.steps);
        self.line("", &format!("{back} users went from green back to blue during the ramp"));
        self.switch().await?;
        self.roll_back().await
    }

    async fn ramp_to(&mut self, percent: f64) -> Result<(), String> {
        let weights = json!({"weights": {"blue": 100.0 - percent, "green": percent}});
        let applied = self.change(Method::PUT, "weights", &weights).await?;
        self.begin(&format!("ramp {percent} %"), percent, &applied);
        self.watch().await;
        Ok(())
    }

    async fn switch(&mut self) -> Result<(), String> {
        let applied = self.change(Method::POST, "switch", &json!({"to": "green"})).await?;
        self.begin("switch", 100.0, &format!("green is the active environment; {applied}"));
        let switched = SystemTime::now();
        self.watch().await;
        let late = self.requests_at_blue_since(switched);
        self.line("", &format!("{late} requests reached blue after that; it stays ready"));
        Ok(())
    }

    async fn roll_back(&mut self) -> Result<(), String> {
        let applied = self.change(Method::POST, "rollback", &json!({})).await?;
        self.begin("rollback", 0.0, &format!("everybody is back on blue; {applied}"));
        self.watch().await;
        Ok(())
    }

    /// Asks for a change while requests that start meanwhile belong to no step; says how it went.
    async fn change(&mut self, method: Method, what: &str, body: &Value) -> Result<String, String> {
        self.stage.traffic.begin_phase();
        let path = format!("{SERVICE}/{what}");
        let applied = call(self.stage.admin, method, &path, body).await?;
        let lagging = applied["lagging_cores"].as_array().map_or(0, Vec::len);
        if lagging > 0 {
            return Err(format!("{what}: {lagging} cores have not taken the change"));
        }
        let micros = applied["applied_us"].as_u64();
        let micros = micros.ok_or_else(|| format!("{what}: the answer has no `applied_us`"))?;
        Ok(format!("on all cores after {micros} µs"))
    }

    fn begin(&mut self, name: &str, green_percent: f64, text: &str) {
        let phase = self.stage.traffic.begin_phase();
        self.steps.push(Step { name: name.to_owned(), green_percent, phase });
        self.line(name, text);
    }

    /// Lets traffic run, then says what the latest step brought.
    async fn watch(&self) {
        sleep(self.watched).await;
        let Some(step) = self.steps.last() else { return };
        let tally = self.stage.traffic.tally();
        let phase = &tally.phases[step.phase];
        let (green, all) = (phase.requests_of("green"), phase.requests());
        let bound = Bound::of(step.green_percent, phase.users(), all);
        let expected = if bound.low_percent < bound.high_percent {
            format!(", by chance {:.1} to {:.1}", bound.low_percent, bound.high_percent)
        } else {
            String::new()
        };
        self.line(
            "",
            &format!(
                "green got {green} of {all} requests ({:.1} %{expected}), from {} of {} users; {} lost",
                percent_of(green, all),
                phase.users_of("green"),
                phase.users(),
                tally.lost(),
            ),
        );
    }

    fn requests_at_blue_since(&self, when: SystemTime) -> usize {
        let since = when.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let stats = self.stage.blue.stats();
        let is_late = |a: &&super::mock_llm::Arrival| {
            a.path.starts_with("/v1/") && u128::from(a.first_byte_unix_ns) > since
        };
        stats.arrivals.iter().filter(is_late).count()
    }

    fn line(&self, name: &str, text: &str) {
        let seconds = self.started.elapsed().as_secs();
        let time = if name.is_empty() {
            String::new()
        } else {
            format!("{}:{:02}", seconds / 60, seconds % 60)
        };
        (self.say)(&format!("{time:>5} {name:<10} {text}"));
    }
}

/// Users who got green and later blue, up to the last step that raised green.
pub(super) fn users_who_came_back(tally: &Tally, steps: &[Step]) -> u64 {
    let last = steps.iter().rfind(|step| step.green_percent > 0.0).map_or(0, |step| step.phase);
    let back = ("green".to_owned(), "blue".to_owned());
    tally.phases[..=last].iter().filter_map(|phase| phase.moves.get(&back)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::stage::StageOptions;

    #[test]
    fn the_story_ends_well_and_loses_nothing() {
        let options = StageOptions { port: 18080, admin_port: 19901, users: 200, rate: 80.0 };
        let stage = Stage::open(&options).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut story = Story::new(&stage, 12.0, |_| {});
        runtime.block_on(story.tell()).unwrap();
        let steps = story.into_steps();
        assert_eq!(steps.len(), 1 + RAMP.len() + 2);
        let ending = stage.close(&steps);
        assert!(ending.is_good, "{}", ending.text);
    }
}
