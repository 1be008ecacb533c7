//! How a bench ends: 0 when its promises held, 1 when they did not or nothing could be measured.

use std::error::Error;
use std::process::ExitCode;

/// The exit code, once the error is told.
pub fn exit_code(held: Result<bool, Box<dyn Error>>) -> ExitCode {
    match held {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
