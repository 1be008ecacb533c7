//! What keys mean. A rollback takes two presses of `r`: the first arms it, any other key or five seconds
//! put it down again, so that a cat on the keyboard changes nothing.

use std::time::{Duration, Instant};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::look::Look;

/// How long the second press may take.
const ARMED_FOR: Duration = Duration::from_secs(5);

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    Quit,
    /// Ctrl-C.
    Interrupt,
    /// This service.
    RollBack(String),
}

/// What was pressed so far.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// The place of the service that is meant.
    selected: usize,
    armed_until: Option<Instant>,
    /// What came of the last wish.
    said: Option<String>,
}

impl Desk {
    /// A key was pressed.
    pub(super) fn press(&mut self, key: KeyEvent, look: &Look, now: Instant) -> Wish {
        if key.kind == KeyEventKind::Release {
            return Wish::Nothing;
        }
        let was_armed = self.is_armed(now);
        self.armed_until = None;
        self.said = None;
        let services = look.status.services.len().max(1);
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Wish::Interrupt,
            KeyCode::Char('q') => Wish::Quit,
            KeyCode::Char('r') if was_armed => {
                self.service(look).map_or(Wish::Nothing, Wish::RollBack)
            }
            KeyCode::Char('r') => {
                self.armed_until = Some(now + ARMED_FOR);
                Wish::Nothing
            }
            KeyCode::Tab | KeyCode::Down => {
                self.selected = (self.selected + 1) % services;
                Wish::Nothing
            }
            KeyCode::BackTab | KeyCode::Up => {
                self.selected = (self.selected + services - 1) % services;
                Wish::Nothing
            }
            _ => Wish::Nothing,
        }
    }

    /// Says what came of a wish, until the next key.
    pub(super) fn say(&mut self, words: String) {
        self.said = Some(words);
    }

    /// The place of the service that is meant.
    pub(super) fn selected(&self) -> usize {
        self.selected
    }

    /// The last line of the screen.
    pub(super) fn footer(&self, look: &Look, now: Instant) -> String {
        let service = self.service(look).unwrap_or_default();
        match &self.said {
            Some(words) => words.clone(),
            None if self.is_armed(now) => {
                format!("press r again: {service} goes back at once; any other key: no")
            }
            None if look.status.services.len() > 1 => {
                format!("q quit   r roll back {service}   Tab another service")
            }
            None => "q quit   r roll back".to_owned(),
        }
    }

    fn is_armed(&self, now: Instant) -> bool {
        self.armed_until.is_some_and(|until| now <= until)
    }

    fn service(&self, look: &Look) -> Option<String> {
        let services = &look.status.services;
        let service = services.get(self.selected).or(services.first())?;
        Some(service.name.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::screen::testing;
    use super::*;

    fn key(code: KeyCode) -> KeyEvent {
        KeyEvent::new(code, KeyModifiers::NONE)
    }

    #[test]
    fn only_two_presses_of_r_roll_back_and_not_too_far_apart() {
        let look = testing::look(&["chat", "embed"]);
        let (r, start) = (key(KeyCode::Char('r')), Instant::now());
        let pressed = |keys: &[(KeyEvent, u64)]| {
            let mut desk = Desk::default();
            let at = |seconds| start + Duration::from_secs(seconds);
            keys.iter().map(|(key, seconds)| desk.press(*key, &look, at(*seconds))).last().unwrap()
        };
        let back = |service: &str| Wish::RollBack(service.to_owned());
        let tab = key(KeyCode::Tab);
        assert_eq!(pressed(&[(r, 0)]), Wish::Nothing);
        assert_eq!(pressed(&[(r, 0), (r, 5)]), back("chat"));
        assert_eq!(pressed(&[(r, 0), (r, 6)]), Wish::Nothing, "too late: armed anew");
        assert_eq!(pressed(&[(r, 0), (key(KeyCode::Char('x')), 1), (r, 2)]), Wish::Nothing);
        assert_eq!(pressed(&[(r, 0), (tab, 1), (r, 2)]), Wish::Nothing, "of another service");
        assert_eq!(pressed(&[(tab, 0), (r, 0), (r, 1)]), back("embed"));
        assert_eq!(pressed(&[(tab, 0), (tab, 0), (r, 0), (r, 1)]), back("chat"));
        assert_eq!(pressed(&[(r, 0), (key(KeyCode::Char('q')), 1)]), Wish::Quit);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(pressed(&[(interrupt, 0)]), Wish::Interrupt);
    }

    #[test]
    fn the_footer_says_what_the_next_key_does() {
        let look = testing::look(&["chat"]);
        let (mut desk, now) = (Desk::default(), Instant::now());
        assert_eq!(desk.footer(&look, now), "q quit   r roll back");
        desk.press(key(KeyCode::Char('r')), &look, now);
        let armed = "press r again: chat goes back at once; any other key: no";
        assert_eq!(desk.footer(&look, now), armed);
        assert_eq!(desk.footer(&look, now + ARMED_FOR * 2), "q quit   r roll back");
        desk.say("it went back".to_owned());
        assert_eq!(desk.footer(&look, now), "it went back");
    }
}
