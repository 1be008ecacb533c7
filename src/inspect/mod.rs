//! Reads what passes, without holding it: values in request bodies, the words of answers.
//!
//! Nothing here delays or changes a byte. Memory is bounded whatever comes, and what is found does not
//! depend on how the bytes were cut into pieces.

pub mod answer;
pub mod json_key;
pub mod websocket;
