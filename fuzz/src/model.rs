//! The words in which that is written.

#[path = "../../src/model/answer.rs"]
pub mod answer;
#[path = "../../src/model/api.rs"]
pub mod api;
#[path = "../../src/model/body_end.rs"]
pub mod body_end;
#[path = "../../src/model/media_type.rs"]
pub mod media_type;
#[path = "../../src/model/verdict.rs"]
pub mod verdict;
