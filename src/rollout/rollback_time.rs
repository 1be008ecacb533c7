//! How long a way back took, from what decided it to the last core.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The two parts of a way back, and to how many cores it led.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackTime {
    /// From the last arrival that the deciding evidence includes, or from the command, to the new table
    /// in the store. Asking the environment that it leads to is part of it, and so is every step of a
    /// staged way back.
    pub until_stored: Duration,
    /// From the new table in the store to the ack of the last core.
    pub until_acked: Duration,
    /// How many cores have it.
    pub cores: usize,
}

impl RollbackTime {
    /// All of it.
    pub fn total(&self) -> Duration {
        self.until_stored + self.until_acked
    }
}

/// `back after 0.7 s, on all 8 cores 0.4 ms later`
impl fmt::Display for RollbackTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { until_stored, until_acked, cores } = self;
        let cores = if *cores == 1 { "its core".to_owned() } else { format!("all {cores} cores") };
        write!(f, "back after {}, on {cores} {} later", short(*until_stored), short(*until_acked))
    }
}

/// Two digits are enough to compare with what was promised.
fn short(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..0.01 => format!("{:.1} ms", seconds * 1e3),
        ..0.1 => format!("{:.0} ms", seconds * 1e3),
        ..10.0 => format!("{seconds:.1} s"),
        _ => format!("{seconds:.0} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_are_said_in_their_own_unit() {
        for (stored_us, acked_us, cores, said) in [
            (700_000, 400, 8, "back after 0.7 s, on all 8 cores 0.4 ms later"),
            (20_000, 9_949, 2, "back after 20 ms, on all 2 cores 9.9 ms later"),
            (45_400_000, 100_000, 1, "back after 45 s, on its core 0.1 s later"),
        ] {
            let time = RollbackTime {
                until_stored: Duration::from_micros(stored_us),
                until_acked: Duration::from_micros(acked_us),
                cores,
            };
            assert_eq!(time.to_string(), said);
            assert_eq!(time.total(), Duration::from_micros(stored_us + acked_us));
        }
    }
}
