//! Changes over the admin API, on a connection and a thread of their own: nothing that the load does
//! delays the moment at which a call is seen to return.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock;
use crate::http;
use crate::upstream::NAMES;

/// The API answers within a few seconds in every case.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);

/// A connection to the admin API.
pub(crate) struct Admin {
    stream: TcpStream,
}

/// What a call asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    /// Green's weight in hundredths of a percent; blue has the rest.
    Weights(u16),
    /// Everything to the environment of this number.
    Switch(usize),
}

/// A call that was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    /// What it was.
    pub(crate) change: Change,
    /// Right before it was written.
    pub(crate) began_ns: u64,
    /// When its answer had been read.
    pub(crate) returned_ns: u64,
    /// From the swap of the table to the last core's ack, as the answer says.
    pub(crate) applied_us: u64,
    /// Cores that had not changed when it returned.
    pub(crate) lagging: usize,
}

impl Change {
    /// The weights that it leaves, in hundredths of a percent.
    pub(crate) fn weights(self) -> [u16; 2] {
        match self {
            Self::Weights(green) => [10_000 - green, green],
            Self::Switch(0) => [10_000, 0],
            Self::Switch(_) => [0, 10_000],
        }
    }

    fn request(self) -> (&'static str, &'static str, Value) {
        match self {
            Self::Weights(_) => {
                let [blue, green] = self.weights().map(|weight| f64::from(weight) / 100.0);
                let weights = json!({ NAMES[0]: blue, NAMES[1]: green });
                ("PUT", "/v1/services/llm/weights", json!({ "weights": weights }))
            }
            Self::Switch(to) => ("POST", "/v1/services/llm/switch", json!({ "to": NAMES[to] })),
        }
    }
}

impl Admin {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
        Ok(Self { stream })
    }

    /// Makes a change, which has to be taken.
    pub(crate) fn change(&mut self, change: Change) -> io::Result<Call> {
        let (method, path, body) = change.request();
        let began_ns = clock::now_ns();
        let answer = self.call(method, path, &body.to_string())?;
        let returned_ns = clock::now_ns();
        let answered = |field: &str| answer[field].as_u64();
        let lagging = answer["lagging_cores"].as_array().map(Vec::len);
        let (Some(applied_us), Some(lagging)) = (answered("applied_us"), lagging) else {
            return Err(io::Error::other(format!("{change:?}: {answer}")));
        };
        Ok(Call { change, began_ns, returned_ns, applied_us, lagging })
    }

    /// Exchanges in flight in both environments.
    pub(crate) fn in_flight(&mut self) -> io::Result<u64> {
        let service = self.call("GET", "/v1/services/llm", "")?;
        let environments = service["environments"].as_array().into_iter().flatten();
        Ok(environments.filter_map(|environment| environment["in_flight"].as_u64()).sum())
    }

    fn call(&mut self, method: &str, path: &str, body: &str) -> io::Result<Value> {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        while !http::is_whole(&answer) {
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => answer.extend_from_slice(&bytes[..count]),
            }
        }
        let head = http::head_end(&answer).expect("a whole answer has a head");
        if !answer.starts_with(b"HTTP/1.1 200 ") {
            return Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned()));
        }
        serde_json::from_slice(&answer[head..]).map_err(io::Error::other)
    }
}
