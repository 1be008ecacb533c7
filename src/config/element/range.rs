//! Ranges of client addresses: `10.0.0.0/8`, or a single address.

use ipnet::IpNet;

use super::super::reader::Section;

/// The ranges in the list `key`.
pub(super) fn read_list(section: &Section<'_>, key: &str) -> Vec<IpNet> {
    let mut ranges = Vec::new();
    for (place, text) in section.texts(key) {
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
