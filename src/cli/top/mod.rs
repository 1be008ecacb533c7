//! `cyan top`: a release at a glance, in a terminal, anew each second.
//!
//! Looking and drawing are apart: `look` asks the admin API, `screen` makes lines of what was seen, `desk`
//! knows what keys mean. A Cyan that goes away is said to be away and asked again; the last look stays.

mod axis;
mod desk;
mod evidence;
mod look;
mod screen;
mod table;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use http::Method;
use ratatui::crossterm::event::{self, Event, KeyEvent};
use ratatui::{DefaultTerminal, Frame};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::client::ANSWER_LIMIT;
use super::failure::Failure;
use super::session::Session;
use super::terminal::Terminal;
use crate::admin::api::{Applied, RollBack};
use desk::{Desk, Wish};
use look::Look;

/// From one look to the next.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often the thread that reads keys asks whether it is still wanted.
const KEY_PATIENCE: Duration = Duration::from_millis(200);
/// Keys that were pressed and not taken yet.
const KEYS_MAX: usize = 32;

/// `cyan top [SERVICE]`
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Keys: q quits, r and r again rolls back, Tab chooses the service that r means."
)]
pub struct Args {
    /// Only this service
    service: Option<String>,
    /// With `--json`: end after so many looks
    #[arg(long, value_name = "LOOKS", requires = "json", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

/// Runs the verb until `q`, or with `--json` until nobody reads any more.
pub async fn run(args: &Args, session: &Session) -> Result<ExitCode, Failure> {
    // Whoever cannot be reached at the beginning is an error like everywhere, before the screen is taken.
    let first = Look::take(session, args.service.as_deref()).await?;
    if session.globals.json {
        return lines(args, session, first).await.map(|()| ExitCode::SUCCESS);
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::usage("`cyan top` draws on a terminal, and this is none")
            .hint("cyan top --json prints a line each second, cyan status looks once"));
    }
    let mut taken = Taken::take()?;
    watch(args, session, first, &mut taken.screen).await.map(|()| ExitCode::SUCCESS)
}

/// One object a second.
async fn lines(args: &Args, session: &Session, first: Look) -> Result<(), Failure> {
    let mut look = first;
    let mut left = args.limit;
    loop {
        let shown = session.terminal.next_json(&look)?;
        left = left.map(|left| left - 1);
        if left == Some(0) || shown.is_break() {
            return Ok(());
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
        look = Look::take(session, args.service.as_deref()).await?;
    }
}

/// The terminal while it is ours. Given back however this ends.
struct Taken {
    screen: DefaultTerminal,
}

impl Taken {
    fn take() -> Result<Self, Failure> {
        let screen = ratatui::try_init();
        let screen = screen.map_err(|error| {
            Failure::unexpected(format!("cannot draw on this terminal: {error}"))
        })?;
        Ok(Self { screen })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// What is shown.
struct View {
    look: Look,
    /// Why the last look failed, and since when there is none.
    lost: Option<(Failure, Instant)>,
    desk: Desk,
    terminal: Terminal,
}

impl View {
    fn draw(&self, frame: &mut Frame<'_>) {
        let lost = self.lost.as_ref().map(|(failure, since)| (failure, since.elapsed()));
        let footer = self.desk.footer(&self.look, Instant::now());
        screen::draw(frame, &self.look, lost, &footer, self.desk.selected(), self.terminal);
    }

    fn take(&mut self, look: Result<Look, Failure>) {
        match look {
            Ok(look) => (self.look, self.lost) = (look, None),
            Err(failure) => {
                let since = self.lost.as_ref().map_or_else(Instant::now, |(_, since)| *since);
                self.lost = Some((failure, since));
            }
        }
    }
}

async fn watch(
    args: &Args,
    session: &Session,
    first: Look,
    screen: &mut DefaultTerminal,
) -> Result<(), Failure> {
    let unexpected = |error: io::Error| Failure::unexpected(format!("cannot draw: {error}"));
    let mut keys = keys();
    let mut ends = signal(SignalKind::terminate()).map_err(unexpected)?;
    let desk = Desk::default();
    let mut view = View { look: first, lost: None, desk, terminal: session.terminal };
    let look_later = async || {
        tokio::time::sleep(LOOK_INTERVAL).await;
        Look::take(session, args.service.as_deref()).await
    };
    let mut looking = Box::pin(look_later());
    loop {
        screen.draw(|frame| view.draw(frame)).map_err(unexpected)?;
        tokio::select! {
            look = &mut looking => {
                view.take(look);
                looking = Box::pin(look_later());
            }
            pressed = keys.recv() => match pressed {
                None => return Ok(()),
                Some(Event::Key(key)) => match wish(&mut view, key) {
                    Wish::Nothing => {}
                    Wish::Quit => return Ok(()),
                    Wish::Interrupt => return Err(Failure::interrupted()),
                    Wish::RollBack(service) => view.desk.say(roll_back(session, &service).await),
                },
                Some(_) => {} // another size: it is drawn anew
            },
            _ = ends.recv() => return Ok(()),
        }
    }
}

fn wish(view: &mut View, key: KeyEvent) -> Wish {
    view.desk.press(key, &view.look, Instant::now())
}

/// As `cyan rollback` does; what came of it, in words.
async fn roll_back(session: &Session, service: &str) -> String {
    if session.globals.dry_run {
        return format!("dry run: {service} was not rolled back");
    }
    let body = RollBack { instant: false, reason: session.globals.reason.clone() };
    let path = format!("/v1/services/{service}/rollback");
    let asked: Result<Applied, Failure> =
        session.client.change(Method::POST, &path, &body, ANSWER_LIMIT).await;
    match asked {
        Ok(applied) if applied.lagging_cores.is_empty() => {
            format!("{service} was rolled back, on all cores in {} ms", applied.applied_us / 1000)
        }
        Ok(_) => format!("{service} was rolled back; not every core has it yet"),
        Err(failure) => format!("{service} was not rolled back: {}", failure.message),
    }
}

/// Keys and sizes, read on a thread of their own, because reading them waits.
fn keys() -> mpsc::Receiver<Event> {
    let (pressed, keys) = mpsc::channel(KEYS_MAX);
    std::thread::spawn(move || {
        while !pressed.is_closed() {
            match event::poll(KEY_PATIENCE)
                .and_then(|is_there| is_there.then(event::read).transpose())
            {
                Ok(Some(event)) => drop(pressed.blocking_send(event)),
                Ok(None) => {}
                Err(_) => return, // the terminal has gone
            }
        }
    });
    keys
}
