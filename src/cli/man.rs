//! `cyan man`: the manual pages, out of the command tree: one for `cyan`, one for each verb.

use std::path::{Path, PathBuf};

use clap_mangen::Man;

use super::failure::Failure;
use super::terminal::Terminal;

/// `cyan man [DIRECTORY]`
#[derive(Debug, clap::Args)]
#[command(after_help = "Read it at once: cyan man | man -l -")]
pub struct Args {
    /// Where to write a page for `cyan` and for each verb, e.g. `/usr/local/share/man/man1`; without it,
    /// the page of `cyan` is printed
    #[arg(value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

/// Prints one page, or writes all of them.
pub fn run(args: &Args, terminal: Terminal) -> Result<(), Failure> {
    match &args.directory {
        None => terminal.print(&page()?),
        Some(directory) => write_all(directory, terminal),
    }
}

fn page() -> Result<String, Failure> {
    let mut page = Vec::new();
    let written = Man::new(super::command()).render(&mut page);
    written.map_err(|error| Failure::unexpected(format!("cannot make the page: {error}")))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

fn write_all(directory: &Path, terminal: Terminal) -> Result<(), Failure> {
    let written = std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(super::command(), directory));
    written.map_err(|error| {
        let message = format!("cannot write manual pages to {}: {error}", directory.display());
        Failure::usage(message).hint("name a directory that this user may write to")
    })?;
    terminal.line(&format!("wrote the pages of cyan(1) and its verbs to {}", directory.display()))
}
