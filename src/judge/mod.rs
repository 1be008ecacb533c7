//! The judge: is the candidate worse than the active environment?
//!
//! Each time a request ends badly it asks whose it was. If the candidate is no worse, the chance that it
//! is the candidate's is the candidate's share of the requests that began at that moment. The judge bets
//! against that, one coin per rollout, and rolls back when it has made a hundred (`docs/judge.md`).
//!
//! Pure: no clock, no randomness, no I/O. What it is told (`record`) is kept, so that every decision can
//! be replayed; what it knows is a value that survives a restart.

pub mod absolute;
pub mod average;
pub mod blame_gate;
pub mod by_age;
pub mod chosen_judge;
pub mod comparison;
pub mod confirmation;
pub mod decision;
pub mod e_process;
pub mod epoch_weights;
pub mod evidence;
pub mod evidence_judge;
pub mod explanation;
pub mod hold;
pub mod interval;
pub mod joint_slowness;
pub mod key_evidence;
pub mod key_set;
pub mod likelihood;
pub mod metric;
pub mod minutes;
pub mod order;
pub mod quality;
pub mod record;
pub mod recorder;
pub mod replay;
pub mod seconds;
pub mod settings;
pub mod slowness;
pub mod split_check;
pub mod start_weights;
pub mod strata;
pub mod tick;
pub mod window;
