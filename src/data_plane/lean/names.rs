//! Which header names in a head are known by number.
//!
//! Every line of a head is looked up once, while it is parsed; from then on a look-up compares small
//! numbers. A name is found by its length and its first and last letter, so that most lines cost one
//! comparison or none.

use crate::model::header_id::HeaderId;

/// Places of the table; a power of two, far above the few dozen names that are known.
const PLACES: usize = 256;

/// The known names of one core.
pub struct Names {
    places: Vec<Vec<(&'static str, HeaderId)>>,
    known: usize,
}

impl Default for Names {
    fn default() -> Self {
        let mut names = Self { places: vec![Vec::new(); PLACES], known: 0 };
        names.refresh();
        names
    }
}

impl Names {
    /// Takes in what a config has added since the last time.
    pub fn refresh(&mut self) {
        while self.known < HeaderId::known() {
            let Ok(number) = u16::try_from(self.known) else { return };
            let name = HeaderId(number).name();
            self.places[place(name.as_bytes())].push((name, HeaderId(number)));
            self.known += 1;
        }
    }

    /// The number of a name, whatever its case.
    pub fn id(&self, name: &[u8]) -> Option<HeaderId> {
        let candidates = &self.places[place(name)];
        let found =
            candidates.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        found.map(|(_, id)| *id)
    }
}

fn place(name: &[u8]) -> usize {
    let (Some(first), Some(last)) = (name.first(), name.last()) else { return 0 };
    let letters = usize::from(first | 0x20) * 31 + usize::from(last | 0x20);
    (letters * 7 + name.len()) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_found_in_any_case_and_others_are_not() {
        let mut names = Names::default();
        assert_eq!(names.id(b"X-Forwarded-For"), Some(HeaderId::X_FORWARDED_FOR));
        assert_eq!(names.id(b"host"), Some(HeaderId::HOST));
        assert_eq!(names.id(b""), None);
        assert_eq!(names.id(b"x-of-the-lean-engines-test"), None);
        let own = HeaderId::intern("x-of-the-lean-engines-test").unwrap();
        names.refresh();
        assert_eq!(names.id(b"X-Of-The-Lean-Engines-Test"), Some(own));
    }

    #[test]
    fn no_place_holds_many_names() {
        assert!(Names::default().places.iter().all(|place| place.len() <= 4));
    }
}
