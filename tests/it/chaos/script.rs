//! What a request asks of the upstream that gets it, and the bytes that come of it.
//!
//! A script travels in a header of its request, so that an upstream knows nothing beforehand: its answer is a
//! pure function of the script, and the client recomputes every byte and knows how the answer has to end.

use bytes::Bytes;
use fastrand::Rng;

/// The header in which a script travels.
pub const HEADER: &str = "x-chaos";
/// The header in which an upstream repeats the number of the request that it answers.
pub const ANSWERED: &str = "x-chaos-answered";
/// The header that numbers a request; Cyan keeps it and logs it.
pub const NUMBER: &str = "x-request-id";

const PIECE_BYTES_MAX: usize = 4096;
/// Of the payload of a word in a tunnel; short frames have a length of one byte.
const WORD_BYTES: u8 = 100;
const CLOSE_FRAME: [u8; 4] = [0x88, 2, 0x03, 0xE8];

/// How an answer is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// With its length, or over HTTP/2 in one go.
    Sized,
    /// In chunks.
    Chunked,
    /// As the stream of a chat model.
    Stream,
    /// A WebSocket that sends back every word.
    Tunnel,
}

/// What the upstream does on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Answers.
    Finish,
    /// Answers with a pause after each piece.
    Slow,
    /// Answers with one long pause.
    Pause,
    /// Answers with a status of 500.
    Refuse,
    /// Closes in the middle of its answer.
    Cut,
    /// Resets the connection in the middle of its answer.
    Reset,
    /// Resets the connection before its answer.
    Mute,
    /// Answers with what is no HTTP.
    Garbage,
    /// Says nothing, until it is left.
    Silent,
    /// Begins an answer and says nothing more, until it is left.
    Hush,
}

const SHAPES: [Shape; 4] = [Shape::Sized, Shape::Chunked, Shape::Stream, Shape::Tunnel];
const ACTS: [Act; 10] = [
    Act::Finish,
    Act::Slow,
    Act::Pause,
    Act::Refuse,
    Act::Cut,
    Act::Reset,
    Act::Mute,
    Act::Garbage,
    Act::Silent,
    Act::Hush,
];

/// What one upstream is to do for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    /// How the answer is framed.
    pub shape: Shape,
    /// What happens on the way.
    pub act: Act,
    /// Bytes of the answer, or words of a tunnel, after which it happens.
    pub at: usize,
    /// Of all random bytes.
    pub seed: u64,
    /// Bytes of the answer, events of a stream, or words of a tunnel.
    pub length: usize,
    /// Bytes of the request's body.
    pub upload: usize,
}

impl Script {
    /// Some script; `has_tunnels` where the client can open some.
    pub fn draw(random: &mut Rng, has_tunnels: bool) -> Self {
        let shape = match random.u32(0..100) {
            0..35 => Shape::Sized,
            35..65 => Shape::Chunked,
            65..92 => Shape::Stream,
            _ if has_tunnels => Shape::Tunnel,
            _ => Shape::Chunked,
        };
        let act = match random.u32(0..100) {
            0..58 => Act::Finish,
            58..68 => Act::Slow,
            68..73 => Act::Pause,
            73..78 => Act::Refuse,
            78..83 => Act::Cut,
            83..88 => Act::Reset,
            88..92 => Act::Mute,
            92..95 => Act::Garbage,
            95..98 => Act::Silent,
            _ => Act::Hush,
        };
        let length = match shape {
            Shape::Sized | Shape::Chunked if random.u32(0..20) == 0 => random.usize(1..400_000),
            Shape::Sized | Shape::Chunked => random.usize(1..20_000),
            Shape::Stream => random.usize(1..30),
            Shape::Tunnel => random.usize(1..12),
        };
        let uploads = matches!(shape, Shape::Sized | Shape::Chunked)
            && !matches!(act, Act::Silent | Act::Hush)
            && random.u32(0..100) < 30;
        let upload = if uploads { random.usize(1..60_000) } else { 0 };
        let script = Self { shape, act, at: 0, seed: random.u64(..), length, upload };
        let mut script = script.as_possible();
        // Never beyond the middle: a stream that has said its last word is whole, however it is cut.
        script.at = match shape {
            Shape::Tunnel => random.usize(0..length),
            _ => random.usize(0..=script.body().len() / 2),
        };
        script
    }

    /// The same without what its shape does not allow for.
    fn as_possible(mut self) -> Self {
        if self.shape == Shape::Tunnel && matches!(self.act, Act::Refuse | Act::Silent | Act::Hush)
        {
            self.act = Act::Finish;
        }
        if self.act == Act::Refuse {
            self.shape = Shape::Sized;
        }
        if self.act == Act::Hush {
            self.shape = Shape::Chunked;
        }
        self
    }

    /// As the value of [`HEADER`].
    pub fn header(&self) -> String {
        let Self { shape, act, at, seed, length, upload } = *self;
        format!("{} {} {at} {seed} {length} {upload}", shape as u8, act as u8)
    }

    /// Out of the value of [`HEADER`].
    pub fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let mut size = || usize::try_from(number()?).ok();
        let (shape, act, at) = (*SHAPES.get(size()?)?, *ACTS.get(size()?)?, size()?);
        let seed = number()?;
        let mut size = || usize::try_from(number()?).ok();
        Some(Self { shape, act, at, seed, length: size()?, upload: size()? })
    }

    /// The status of the upstream's answer.
    pub fn status(&self) -> u16 {
        match (self.act, self.shape) {
            (Act::Refuse, _) => 500,
            (_, Shape::Tunnel) => 101,
            _ => 200,
        }
    }

    /// Whether the answer comes to its end.
    pub fn finishes(&self) -> bool {
        matches!(self.act, Act::Finish | Act::Slow | Act::Pause | Act::Refuse)
    }

    /// The body of the answer; what comes back through a tunnel.
    pub fn body(&self) -> Vec<u8> {
        match self.shape {
            Shape::Sized | Shape::Chunked => random_bytes(self.seed, self.length),
            Shape::Stream => self.events().concat().into_bytes(),
            Shape::Tunnel => {
                let words = (0..self.length).flat_map(|number| self.word(number).answer());
                words.chain(CLOSE_FRAME).collect()
            }
        }
    }

    /// The same in the pieces in which it is sent.
    pub fn pieces(&self) -> Vec<Bytes> {
        if self.shape == Shape::Stream {
            return self.events().into_iter().map(Bytes::from).collect();
        }
        let mut random = Rng::with_seed(self.seed ^ 1);
        let mut rest = Bytes::from(self.body());
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let length = random.usize(1..=PIECE_BYTES_MAX).min(rest.len());
            pieces.push(rest.split_to(length));
        }
        pieces
    }

    /// The body of the request.
    pub fn upload(&self) -> Vec<u8> {
        match self.shape {
            Shape::Stream => {
                format!("{{\"model\":\"m\",\"stream\":true,\"prompt\":\"{:x}\"}}", self.seed).into()
            }
            _ => random_bytes(self.seed ^ 2, self.upload),
        }
    }

    /// A word that goes through a tunnel.
    pub fn word(&self, number: usize) -> Word {
        Word(random_bytes(self.seed.wrapping_add(number as u64), WORD_BYTES.into()))
    }

    fn events(&self) -> Vec<String> {
        let mut random = Rng::with_seed(self.seed);
        let mut events: Vec<_> = (0..self.length)
            .map(|_| {
                let word = random.u64(..);
                format!(
                    "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word:x}\"}}}}]}}\n\n"
                )
            })
            .collect();
        let last =
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
        events.extend([last.to_owned(), "data: [DONE]\n\n".to_owned()]);
        events
    }
}

/// A word for a tunnel, in a frame of its own. The client's mask is zero, so both sides send the same bytes.
pub struct Word(Vec<u8>);

impl Word {
    /// Length of the client's frame.
    pub const FRAME_BYTES: usize = WORD_BYTES as usize + 6;

    /// As the client sends it.
    pub fn frame(&self) -> Vec<u8> {
        [&[0x82, 0x80 | WORD_BYTES, 0, 0, 0, 0], self.0.as_slice()].concat()
    }

    /// As the upstream sends it back.
    pub fn answer(&self) -> Vec<u8> {
        [&[0x82, WORD_BYTES], self.0.as_slice()].concat()
    }
}

/// The close frame of a client, and of the upstream.
pub fn close_frames() -> (Vec<u8>, Vec<u8>) {
    (vec![0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8], CLOSE_FRAME.to_vec())
}

fn random_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

#[test]
fn a_script_travels_in_a_header() {
    let mut random = Rng::with_seed(1);
    for _ in 0..1000 {
        let script = Script::draw(&mut random, true);
        assert_eq!(Script::read(&script.header()), Some(script));
        assert_eq!(script.pieces().concat(), script.body());
    }
}
