//! Everything that shows Cyan at work without a real model: an emulated LLM server, a source of
//! traffic, and the guided demo. Tests and benches use the same emulator as the demo does.

pub mod mock_llm;
pub mod traffic;
