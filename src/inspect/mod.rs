//! Reads what passes, without holding it: values in request bodies, later the words of answers.

pub mod json_key;
