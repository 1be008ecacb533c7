//! Finds the close frame in one direction of a WebSocket (RFC 6455, section 5).
//!
//! Payloads are counted off, never looked at, but for the two bytes of a close frame's code.

/// Longest head of a frame: two bytes, eight of length, four of mask.
const HEAD_BYTES_MAX: usize = 14;
/// The code of a close frame without one (RFC 6455, section 7.1.5).
const NO_CODE: u16 = 1005;
const OPCODE_CLOSE: u8 = 0x8;

/// Reads frames as their bytes pass.
#[derive(Debug, Clone, Default)]
pub struct CloseScan {
    head: [u8; HEAD_BYTES_MAX],
    held: usize,
    payload_left: u64,
    code: Option<u16>,
}

impl CloseScan {
    /// The next bytes of this direction.
    pub fn push(&mut self, mut piece: &[u8]) {
        while self.code.is_none() {
            let skipped = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(piece.len());
            self.payload_left -= skipped as u64;
            piece = &piece[skipped..];
            let Some((byte, rest)) = piece.split_first() else { return };
            self.head[self.held] = *byte;
            self.held += 1;
            piece = rest;
            if self.held == self.wanted() {
                self.on_head();
            }
        }
    }

    /// The code of the close frame, once there was one.
    pub fn code(&self) -> Option<u16> {
        self.code
    }

    /// Bytes of the head before the frame is understood: of a close frame, those of its code too.
    fn wanted(&self) -> usize {
        if self.held < 2 {
            return 2;
        }
        let (head, is_close) = (self.head_bytes(), self.is_close());
        let code = if is_close && self.head[1] & 0x7f >= 2 { 2 } else { 0 };
        (head + code).min(HEAD_BYTES_MAX)
    }

    fn head_bytes(&self) -> usize {
        let length = match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.head[1] & 0x80 == 0 { 0 } else { 4 };
        2 + length + mask
    }

    fn is_close(&self) -> bool {
        self.head[0] & 0x0f == OPCODE_CLOSE && self.head[1] & 0x7f < 126
    }

    fn on_head(&mut self) {
        let start = self.head_bytes();
        if self.is_close() {
            let mut code = [0; 2];
            if self.held == start + 2 {
                code.copy_from_slice(&self.head[start..start + 2]);
                if self.head[1] & 0x80 != 0 {
                    code[0] ^= self.head[start - 4];
                    code[1] ^= self.head[start - 3];
                }
                self.code = Some(u16::from_be_bytes(code));
            } else {
                self.code = Some(NO_CODE);
            }
        }
        self.payload_left = match self.head[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes([self.head[2], self.head[3]])),
            127 => {
                let mut length = [0; 8];
                length.copy_from_slice(&self.head[2..10]);
                u64::from_be_bytes(length)
            }
            short => u64::from(short),
        };
        self.held = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(opcode: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
        let masked = if mask.is_some() { 0x80 } else { 0 };
        let mut bytes = vec![0x80 + opcode];
        match payload.len() {
            short @ ..126 => bytes.push(masked + u8::try_from(short).unwrap()),
            medium @ ..65_536 => {
                bytes.push(masked + 126);
                bytes.extend(u16::try_from(medium).unwrap().to_be_bytes());
            }
            long => {
                bytes.push(masked + 127);
                bytes.extend((long as u64).to_be_bytes());
            }
        }
        bytes.extend(mask.iter().flatten());
        let mask = mask.unwrap_or_default();
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    #[test]
    fn the_close_frame_is_found_wherever_the_bytes_are_cut() {
        for mask in [None, Some([7, 77, 177, 250])] {
            for (payload, code) in [
                (&[][..], NO_CODE),
                (&1000_u16.to_be_bytes(), 1000),
                (&[0x03, 0xf3, b'b', b'u', b's', b'y'], 1011),
            ] {
                let mut bytes = frame(1, mask, b"hello");
                bytes.extend(frame(2, mask, &vec![0x88; 300]));
                bytes.extend(frame(2, mask, &vec![0x88; 70_000]));
                bytes.extend(frame(9, mask, b""));
                bytes.extend(frame(OPCODE_CLOSE, mask, payload));
                for size in [1, 2, 3, 7, 1000, bytes.len()] {
                    let mut scan = CloseScan::default();
                    bytes.chunks(size).for_each(|piece| scan.push(piece));
                    assert_eq!(scan.code(), Some(code), "in pieces of {size}");
                }
                let mut cut = CloseScan::default();
                cut.push(&bytes[..bytes.len() - payload.len().max(1)]);
                assert_eq!(cut.code(), None);
            }
        }
    }

    #[test]
    fn frames_that_make_no_sense_are_counted_off() {
        let mut scan = CloseScan::default();
        (0..100_u8).for_each(|byte| scan.push(&[byte, 0xff, byte, 0xff]));
        assert!(scan.held <= HEAD_BYTES_MAX);
    }
}
