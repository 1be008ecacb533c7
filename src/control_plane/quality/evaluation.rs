//! One run of an evaluation: a program, what it is told, and what it leaves behind.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::timeout;

use super::QualityContext;
use crate::control_plane::program::{Ended, Program, STDOUT_BYTES_MAX};
use crate::model::force_token;
use crate::model::plan::quality::{EvaluationSpec, ResultFormat};
use crate::model::service::HostPattern;
use crate::rollout::evaluation::{self, BYTES_MAX, Evaluation};
use crate::rollout::quality::Evaluated;

/// How much longer than the evaluation its requests may name their environment.
const TOKEN_LEEWAY: Duration = Duration::from_secs(60);
/// How long a file may take to be read: it may lie on a disk that hangs.
const FILE_LIMIT: Duration = Duration::from_secs(10);

/// What tells one state of a file from another: when it was written, which file it is, how long it is.
type Stamp = (SystemTime, u64, u64);

/// Runs it and reads its result.
pub(super) async fn run(spec: &EvaluationSpec, context: &QualityContext) -> Evaluated {
    let began = Instant::now();
    let result = result(spec, context).await;
    Evaluated { result, took: began.elapsed() }
}

async fn result(spec: &EvaluationSpec, context: &QualityContext) -> Result<Evaluation, String> {
    let variables = variables(spec, context)?;
    let before = spec.result_file.as_deref().and_then(stamp);
    let kept = if spec.result_file.is_some() { STDOUT_BYTES_MAX } else { BYTES_MAX };
    let program = Program { stdout_bytes_max: kept, ..Program::new(&spec.exec, spec.timeout) };
    let program = variables.into_iter().fold(program, |p, (name, value)| p.variable(name, value));
    let ended = program.run().await.map_err(|error| error.to_string())?;
    let read = match &spec.result_file {
        Some(path) => written(path, before).await,
        None if ended.stdout_was_cut => {
            Err(format!("it printed more than {} MiB; print only the result", BYTES_MAX >> 20))
        }
        None => Ok(ended.stdout.clone()),
    };
    let result = read
        .and_then(|bytes| evaluation::read(&bytes, spec.format).map_err(|error| error.to_string()));
    judged(spec, &ended, result)
}

/// The result, if the program's end does not speak against it. A test runner says by exit code 1 that
/// tests failed, which is what is to be found out.
fn judged(
    spec: &EvaluationSpec,
    ended: &Ended,
    result: Result<Evaluation, String>,
) -> Result<Evaluation, String> {
    let of_tests = |read: &Evaluation| read.format != ResultFormat::Json;
    let is_well = match (ended.status.code(), &result) {
        (Some(0), _) => true,
        (Some(1), Ok(read)) => of_tests(read),
        _ => false,
    };
    if is_well {
        return result;
    }
    let why = result.err().map_or_else(String::new, |problem| format!("; {problem}"));
    Err(format!("`{}` ended with {}{why}", spec.exec.program(), ended.sentence()))
}

/// What the program is told. What is not known is there too and empty, so that nothing that Cyan was
/// started with shows through.
fn variables(
    spec: &EvaluationSpec,
    context: &QualityContext,
) -> Result<Vec<(&'static str, String)>, String> {
    let service = &context.service;
    let environment = context.environment.name();
    let entrance = context.entrance().ok_or(
        "there is no listener that it could reach; add an address with a port to listen.http",
    )?;
    let rule = service.force.as_ref().ok_or_else(|| {
        format!("its requests may not name an environment; write [service.{}.force]", service.name)
    })?;
    let pass = match &rule.secret {
        Some(secret) => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let expiry = (now + spec.timeout + TOKEN_LEEWAY).as_secs();
            force_token::sign(secret.expose(), environment.as_str(), expiry)
        }
        // From our own address, since that is where it comes from.
        None if rule.trusted.iter().any(|range| range.contains(&entrance.address.ip())) => {
            environment.to_string()
        }
        None => {
            return Err(format!(
                "its requests come from {} and may not name an environment; add that to \
                 force.trusted, or write force.secret",
                entrance.address.ip()
            ));
        }
    };
    let file = spec.result_file.as_ref().map(|path| path.display().to_string());
    Ok(vec![
        ("CYAN_BASE_URL", entrance.to_string()),
        ("CYAN_HOST", service.hosts.first().map(host).unwrap_or_default()),
        ("CYAN_SERVICE", service.name.to_string()),
        ("CYAN_ENVIRONMENT", environment.to_string()),
        ("CYAN_VERSION", context.environment.spec.version.as_deref().unwrap_or("").to_owned()),
        ("CYAN_ROLLOUT", context.rollout.map(|number| number.to_string()).unwrap_or_default()),
        ("CYAN_FORCE_HEADER", rule.header.name().to_owned()),
        ("CYAN_FORCE_VALUE", pass),
        ("CYAN_RESULT_FILE", file.unwrap_or_default()),
    ])
}

/// A host that the service answers to.
fn host(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Exact(name) => name.to_string(),
        HostPattern::Below(suffix) => format!("evaluation{suffix}"),
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.ino(), found.len()))
}

/// What the program has written into its file, other than what stood there before.
async fn written(path: &Path, before: Option<Stamp>) -> Result<Vec<u8>, String> {
    let name = path.display().to_string();
    let path = path.to_owned();
    // On a thread of its own, because disks may take their time.
    let reading = tokio::task::spawn_blocking(move || read_file(&path, before));
    match timeout(FILE_LIMIT, reading).await {
        Ok(Ok(read)) => read.map_err(|problem| format!("result_file `{name}` {problem}")),
        Ok(Err(_)) => Err(format!("result_file `{name}` could not be read")),
        Err(_) => Err(format!("result_file `{name}` was not read within 10 s")),
    }
}

fn read_file(path: &Path, before: Option<Stamp>) -> Result<Vec<u8>, String> {
    let found = std::fs::metadata(path)
        .map_err(|error| format!("cannot be read: {error}; the program has to write it"))?;
    if !found.is_file() {
        return Err("is no plain file; let the program write one".to_owned());
    }
    if before.is_some() && stamp(path) == before {
        return Err("is as old as before; the program has not written it".to_owned());
    }
    let mut bytes = Vec::new();
    let limit = BYTES_MAX as u64 + 1;
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() > BYTES_MAX {
        return Err(format!("is longer than {} MiB; leave out what tests print", BYTES_MAX >> 20));
    }
    Ok(bytes)
}
