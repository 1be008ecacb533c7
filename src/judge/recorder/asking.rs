//! Whether requests tell how they want their answers: in one piece, or as a stream.
//!
//! Who tells can be called late as soon as it is; who does not must be waited for. Which of the two a reading
//! goes by is settled before its requests come, by what the active side's requests did until then.

use super::super::record::Side;
use super::cohort::Cohort;

/// Requests without which nothing is learnt.
const REQUESTS_MIN: u32 = 100;
/// Of a hundred requests so many have to tell.
const TELL_MIN: u32 = 95;

/// How many tell, and what was made of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asking {
    began: u32,
    told: u32,
    are_told: bool,
}

impl Asking {
    /// Counts the active side's requests of a tick, late enough for their bodies to have come.
    pub fn see(&mut self, cohort: &Cohort) {
        for (_, request) in cohort.times.iter().filter(|(_, r)| r.side == Side::Active) {
            self.began += 1;
            self.told += u32::from(request.is_told());
        }
    }

    /// Makes something of what was seen, once it is enough; answers whether that is news.
    pub fn learn(&mut self) -> bool {
        if self.began < REQUESTS_MIN {
            return false;
        }
        let before = self.are_told;
        let are_told = u64::from(self.told) * 100 >= u64::from(self.began) * u64::from(TELL_MIN);
        *self = Self { are_told, ..Self::default() };
        are_told != before
    }

    /// Whether requests are known to tell.
    pub fn are_told(&self) -> bool {
        self.are_told
    }
}
