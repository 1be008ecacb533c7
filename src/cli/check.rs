//! `cyan check`: says everything that is wrong with a config file, or that nothing is.

use std::path::PathBuf;

use super::failure::Failure;
use super::session::Globals;
use crate::config;

/// Checks a config file, like a compiler.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The config file
    file: PathBuf,
}

/// Runs the verb.
pub fn run(args: &Args, globals: &Globals) -> Result<(), Failure> {
    let checked = config::load(&args.file, &|name| std::env::var(name).ok());
    if globals.json {
        let errors: Vec<String> = match &checked {
            Ok(_) => Vec::new(),
            Err(errors) => errors.lines().collect(),
        };
        let answer = serde_json::json!({ "schema": 1, "valid": checked.is_ok(), "errors": errors });
        println!("{answer}");
    }
    match checked {
        Ok(config) => {
            if !globals.json {
                let environments: usize =
                    config.services.iter().map(|service| service.environments.len()).sum();
                println!(
                    "{}: valid; {} service(s), {environments} environment(s)",
                    args.file.display(),
                    config.services.len()
                );
            }
            Ok(())
        }
        Err(errors) => Err(Failure::config(errors.render_excerpts())),
    }
}
