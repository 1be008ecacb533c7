//! Everything that shows Cyan at work without a real model: an emulated LLM server, a source of
//! traffic, and the guided demo. Tests and benches use the same emulator as the demo does.

mod admin_call;
mod args;
mod ending;
mod evaluation;
mod fault;
pub mod mock_llm;
mod pace;
mod settings;
mod share;
mod stage;
mod story;
mod teller;
pub mod traffic;

pub use args::{DemoArgs, run};
