//! Cuts bytes into pieces, as a network does.

/// How bytes are cut into pieces.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// Not at all.
    Whole,
    /// Into single bytes.
    Bytes,
    /// Into pieces of 1 to 16 bytes; the number determines their lengths.
    Pieces(u64),
}

impl Cut {
    /// The three ways for `data`; the lengths of pieces depend on all of its bytes.
    #[must_use]
    pub fn all(data: &[u8]) -> [Self; 3] {
        let mix = |sum: u64, &byte: &u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let seed = data.iter().fold(0xcbf2_9ce4_8422_2325, mix);
        [Self::Whole, Self::Bytes, Self::Pieces(seed)]
    }

    /// The ends of the pieces of `len` bytes, ascending; the last is `len`.
    #[must_use]
    pub fn ends(self, len: usize) -> Vec<usize> {
        let mut ends = Vec::new();
        let (mut at, mut state) = (0, 0);
        while at < len {
            at += match self {
                Self::Whole => len,
                Self::Bytes => 1,
                Self::Pieces(seed) => {
                    if state == 0 {
                        state = seed;
                    }
                    let size = 1 + (state & 15) as usize;
                    state >>= 4;
                    size
                }
            };
            at = at.min(len);
            ends.push(at);
        }
        ends
    }
}
