//! `cyan completions`: what a shell needs to complete verbs, flags and values, out of the command tree.

use clap_complete::Shell;

use super::failure::Failure;
use super::terminal::Terminal;

/// `cyan completions SHELL`
#[derive(Debug, clap::Args)]
#[command(after_help = "bash: cyan completions bash > /etc/bash_completion.d/cyan\n\
    zsh: cyan completions zsh > \"${fpath[1]}/_cyan\"\n\
    fish: cyan completions fish > ~/.config/fish/completions/cyan.fish")]
pub struct Args {
    /// For which shell
    shell: Shell,
}

/// Prints the completions.
pub fn run(args: &Args, terminal: Terminal) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "cyan", &mut script);
    terminal.print(&String::from_utf8_lossy(&script))
}
