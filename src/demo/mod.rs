//! Everything that shows Cyan at work without a real model: an emulated LLM server, a source of
//! traffic, and the guided demo. Tests and benches use the same emulator as the demo does.

mod admin_call;
mod args;
pub mod mock_llm;
mod share;
mod stage;
mod story;
pub mod traffic;

pub use args::{DemoArgs, run};
