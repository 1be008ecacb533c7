//! What is measured of every exchange as a distribution, and not only counted.

/// One measured quantity. The doc comment of each says between which two events it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Measure {
    /// Request head received to last byte of the answer passed on. Tunnels are not among them.
    Total,
    /// Request head received to the end of a tunnel: how long a session was.
    Tunnel,
    /// Request head received to head of the answer.
    ResponseHead,
    /// Request head received to first content event of a stream: text, reasoning, refusal, tool call.
    Ttft,
    /// One content event of a stream to the next.
    Gap,
    /// (Last content − first content) / (output tokens − 1), of a stream with two tokens or more.
    Tpot,
    /// Connecting begun to connection made, TLS included; of exchanges for which one was made.
    Connect,
    /// Bytes of the request body passed on.
    RequestSize,
    /// Bytes of the answer's body passed on.
    ResponseSize,
    /// Tokens of the prompt, of answers whose usage says how many.
    InputTokens,
    /// Tokens generated, of answers that were read.
    OutputTokens,
}

/// What the numbers of a measure are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds.
    Micros,
    /// Bytes.
    Bytes,
    /// Tokens.
    Tokens,
}

impl Measure {
    /// How many there are.
    pub const COUNT: usize = 11;

    /// All of them, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Total,
        Self::Tunnel,
        Self::ResponseHead,
        Self::Ttft,
        Self::Gap,
        Self::Tpot,
        Self::Connect,
        Self::RequestSize,
        Self::ResponseSize,
        Self::InputTokens,
        Self::OutputTokens,
    ];

    /// The name in queries and JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Tunnel => "tunnel",
            Self::ResponseHead => "response_head",
            Self::Ttft => "ttft",
            Self::Gap => "gap",
            Self::Tpot => "tpot",
            Self::Connect => "connect",
            Self::RequestSize => "request_size",
            Self::ResponseSize => "response_size",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
        }
    }

    /// What its numbers are.
    pub const fn unit(self) -> Unit {
        match self {
            Self::Total
            | Self::Tunnel
            | Self::ResponseHead
            | Self::Ttft
            | Self::Gap
            | Self::Tpot
            | Self::Connect => Unit::Micros,
            Self::RequestSize | Self::ResponseSize => Unit::Bytes,
            Self::InputTokens | Self::OutputTokens => Unit::Tokens,
        }
    }
}

impl Unit {
    /// The name in JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Micros => "us",
            Self::Bytes => "bytes",
            Self::Tokens => "tokens",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_list() {
        for (index, measure) in Measure::ALL.iter().enumerate() {
            assert_eq!(*measure as usize, index);
        }
    }
}
