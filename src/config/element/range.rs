//! Ranges of client addresses: `10.0.0.0/8`, or a single address.

use ipnet::IpNet;

use super::super::reader::Section;
use super::super::source::Place;

/// Stands for whoever comes by a unix socket, and has no address.
pub(super) const UNIX: &str = "unix";

/// The ranges in the list `key`.
pub(super) fn read_list(section: &Section<'_>, key: &str) -> Vec<IpNet> {
    read(section, section.texts(key))
}

/// The same of a list that may have `unix` in it; whether it has.
pub(super) fn read_list_with_unix(section: &Section<'_>, key: &str) -> (Vec<IpNet>, bool) {
    let (unix, ranges): (Vec<_>, Vec<_>) =
        section.texts(key).into_iter().partition(|(_, text)| text == UNIX);
    (read(section, ranges), !unix.is_empty())
}

fn read(section: &Section<'_>, texts: Vec<(Place, String)>) -> Vec<IpNet> {
    let mut ranges = Vec::new();
    for (place, text) in texts {
        match parse(&text) {
            Some(range) => ranges.push(range),
            None => section.reader.error(
                &place,
                format!(
                    "`{text}` is no address range; write for example 10.0.0.0/8, ::1 or 192.168.1.7"
                ),
            ),
        }
    }
    ranges
}

/// A range is kept without the bits that it does not look at.
fn parse(text: &str) -> Option<IpNet> {
    let range = text.parse::<IpNet>().map(|range| range.trunc());
    range.or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_smallest_range() {
        for (text, range) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("127.0.0.1", Some("127.0.0.1/32")),
            ("::1", Some("::1/128")),
            ("10.0.0.0/33", None),
            ("localhost", None),
            ("", None),
        ] {
            assert_eq!(parse(text).map(|range| range.to_string()).as_deref(), range, "{text}");
        }
    }
}
