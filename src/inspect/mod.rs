//! Reads what passes, without holding it: values in request bodies, the words of answers.
//!
//! Nothing here delays a byte, and only `model_edit` says which ones to change. Memory is bounded
//! whatever comes, and what is found does not depend on how the bytes were cut into pieces.

pub mod answer;
pub mod asked;
pub mod json_key;
mod json_text;
pub mod model_edit;
pub mod websocket;
