//! `cyan mock-llm`: the emulated server on the command line.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use super::distribution::{Delay, TokenCount, parse_duration};
use super::faults::{Faults, FaultsError};
use super::options::MockOptions;
use super::server::MockLlm;

/// Emulate an LLM server: the `OpenAI` and Anthropic APIs, realistic timing, faults on demand.
///
/// Faults can be changed while it runs: `POST /mock/faults` replaces them, `GET` shows them, and
/// `GET /mock/stats` tells what arrived.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Delays: `20ms`, `uniform:10ms..30ms` or `lognormal:20ms,0.5` (median, sigma).\n\
    Faults, as shares of requests: status (with status_code), error_first, error_midway, cut, reset,\n\
    truncate, stall (with stall_for), empty, no_answer, slow (with slow_factor). Further:\n\
    connections=accept|refuse|close, health=ok|loading|hang, close_after_stream=true, freeze=true."
)]
pub struct MockLlmArgs {
    /// Address to listen on; port 0 for a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8001")]
    listen: SocketAddr,
    /// Further address for `/mock/…` that stays open while connections are refused
    #[arg(long, value_name = "ADDRESS")]
    control: Option<SocketAddr>,
    /// First word of each answer, and the value of `x-mock-upstream`
    #[arg(long, default_value = "mock")]
    name: String,
    /// Second word of each answer
    #[arg(long = "answer-version", value_name = "VERSION", default_value = "mock-1.0")]
    version: String,
    /// The model that `/v1/models` names
    #[arg(long, default_value = "mock-llm")]
    model: String,
    /// Time from a request to its first token
    #[arg(long, value_name = "DELAY", default_value = "lognormal:200ms,0.4")]
    ttft: Delay,
    /// How many times as long the first token of a user's first request takes, as where no prefix is cached
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = factor)]
    cold_factor: f64,
    /// Time between two tokens
    #[arg(long, value_name = "DELAY", default_value = "lognormal:25ms,0.3")]
    gap: Delay,
    /// Tokens of an answer: `64`, `uniform:10..30` or `lognormal:64,0.5`
    #[arg(long, value_name = "LENGTH", default_value = "lognormal:64,0.5")]
    tokens: TokenCount,
    /// What all randomness starts from; the same seed repeats a run
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Draw a request's randomness from its `x-request-id` instead of its number
    #[arg(long)]
    seed_by_request_id: bool,
    /// Begin each event of a stream with `: sent NANOSECONDS`
    #[arg(long)]
    stamp: bool,
    /// A fault, e.g. `cut=0.1`; may be repeated
    #[arg(long = "fault", value_name = "NAME=VALUE")]
    faults: Vec<String>,
    /// Header that identifies a user in the statistics; may be repeated
    #[arg(long = "sticky-header", value_name = "NAME", default_values = ["x-session-id", "x-user-id"])]
    sticky_headers: Vec<String>,
    /// Close connections that rest this long, unannounced (uvicorn: 5s)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    idle_close: Option<Duration>,
    /// Threads
    #[arg(long, default_value_t = 1)]
    workers: usize,
}

/// Runs an emulated server until Ctrl-C or SIGTERM. Its address is the only line on standard output.
pub fn run(args: MockLlmArgs) -> ExitCode {
    let options = match args.into_options() {
        Ok(options) => options,
        Err(problem) => return refused(2, &problem.to_string()),
    };
    let (name, version) = (options.name.clone(), options.version.clone());
    let server = match MockLlm::start(options) {
        Ok(server) => server,
        Err(problem) => return refused(1, &problem.to_string()),
    };
    println!("{name} {version} listens on {}", server.url());
    if let Some(control) = server.control_address() {
        println!("control on http://{control}/mock/faults");
    }
    match wait_for_end() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => refused(1, &format!("cannot wait for signals: {problem}")),
    }
}

impl MockLlmArgs {
    fn into_options(self) -> Result<MockOptions, FaultsError> {
        Ok(MockOptions {
            faults: Faults::from_pairs(&self.faults)?,
            name: self.name,
            version: self.version,
            model: self.model,
            listen: self.listen,
            control: self.control,
            workers: self.workers,
            ttft: self.ttft,
            cold_factor: self.cold_factor,
            gap: self.gap,
            tokens: self.tokens,
            seed: self.seed,
            seed_by_request_id: self.seed_by_request_id,
            stamp: self.stamp,
            sticky_headers: self.sticky_headers,
            idle_close: self.idle_close,
        })
    }
}

fn refused(code: u8, problem: &str) -> ExitCode {
    eprintln!("error: {problem}");
    ExitCode::from(code)
}

fn wait_for_end() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| format!("`{text}` is no duration; write `500ms` or `5s`"))
}

/// At most a thousand, so that no first token takes longer than anybody waits.
fn factor(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|factor| (0.0..=1000.0).contains(factor));
    factor.ok_or_else(|| format!("`{text}` is no factor; write a number from 0 to 1000, e.g. 1.5"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: MockLlmArgs,
    }

    #[test]
    fn arguments_become_options() {
        let line = "mock --name green --ttft uniform:1ms..2ms --tokens 5 --cold-factor 1.5 \
                    --fault cut=0.5 --stamp";
        let command = Command::try_parse_from(line.split(' ')).unwrap();
        let options = command.args.into_options().unwrap();
        assert_eq!(options.name, "green");
        assert_eq!(options.tokens, TokenCount::fixed(5));
        assert!(options.stamp && (options.cold_factor - 1.5).abs() < f64::EPSILON);
        assert_eq!(options.faults, Faults { cut: 0.5, ..Faults::default() });
    }

    #[test]
    fn a_wrong_delay_is_refused_with_the_form() {
        let problem = Command::try_parse_from(["mock", "--gap", "soon"]).err().unwrap().to_string();
        assert!(problem.contains("`soon` is no"), "{problem}");
        let problem = Command::try_parse_from(["mock", "--cold-factor=-1"]).err().unwrap();
        assert!(problem.to_string().contains("`-1` is no factor; write a number"), "{problem}");
    }
}
