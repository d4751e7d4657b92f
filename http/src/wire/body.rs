//! Decodes chunked bodies as they arrive.
//!
//! Always holds: sizes are hexadecimal digits and nothing else, lines end in CR LF, extensions and
//! trailers are skipped within a bound, and the body stays within its limit.

use super::WireError;

/// Bytes of extensions and trailers of one body.
pub const CHUNK_EXTRAS_MAX: usize = 16 << 10;

/// Decodes one chunked body.
#[derive(Clone, Debug, Default)]
pub struct Chunked {
    state: State,
    /// Bytes left of this chunk's data, or its size while it is read.
    left: u64,
    /// Digits of this chunk's size.
    digits: u8,
    /// Bytes of extensions and trailers so far.
    extras: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataEnd,
    /// At the first byte of a trailer line, or of the empty line that ends the body.
    TrailerStart,
    Trailer,
    TrailerEnd,
    LastEnd,
    Done,
}

impl Chunked {
    /// Takes bytes from `input` and appends data to `out`. Returns how many bytes it took and
    /// whether the body is complete; the rest of `input` then belongs to the next request.
    ///
    /// # Errors
    /// The input breaks the grammar or a limit; `limit` bounds the length of `out`.
    pub fn feed(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(usize, bool), WireError> {
        let mut at = 0;
        while at < input.len() && self.state != State::Done {
            if self.state == State::Data {
                let left = usize::try_from(self.left).unwrap_or(usize::MAX);
                let take = left.min(input.len() - at);
                if out.len() + take > limit {
                    return Err(WireError::BodyTooLong { limit });
                }
                out.extend_from_slice(&input[at..at + take]);
                at += take;
                self.left -= take as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            self.state = self.step(input[at])?;
            at += 1;
            // A chunk that cannot fit is refused before its data is sent.
            if self.state == State::Data && self.left > (limit - out.len().min(limit)) as u64 {
                return Err(WireError::BodyTooLong { limit });
            }
        }
        Ok((at, self.state == State::Done))
    }

    fn step(&mut self, byte: u8) -> Result<State, WireError> {
        let bad = |why| Err(WireError::BadRequest(why));
        Ok(match (self.state, byte) {
            (State::Size, b'\r') if self.digits > 0 => State::SizeEnd,
            (State::Size, b';') if self.digits > 0 => State::Extension,
            (State::Size, _) => return self.digit(byte),
            (State::Extension, b'\r') => State::SizeEnd,
            (State::Extension | State::Trailer, _) if byte != b'\n' && byte != b'\r' => {
                self.extra()?;
                self.state
            }
            (State::SizeEnd, b'\n') => {
                self.digits = 0;
                if self.left == 0 { State::TrailerStart } else { State::Data }
            }
            (State::DataCr, b'\r') => State::DataEnd,
            (State::DataEnd, b'\n') => State::Size,
            (State::TrailerStart, b'\r') => State::LastEnd,
            (State::TrailerStart, b'\n' | b' ' | b'\t') => return bad("a trailer is malformed"),
            (State::TrailerStart, _) => {
                self.extra()?;
                State::Trailer
            }
            (State::Trailer, b'\r') => State::TrailerEnd,
            (State::TrailerEnd, b'\n') => State::TrailerStart,
            (State::LastEnd, b'\n') => State::Done,
            (State::DataCr | State::DataEnd, _) => {
                return bad("a chunk's data is longer than its size");
            }
            _ => return bad("a chunk's line is malformed"),
        })
    }

    fn digit(&mut self, byte: u8) -> Result<State, WireError> {
        let digit = char::from(byte)
            .to_digit(16)
            .ok_or(WireError::BadRequest("a chunk's size is not a hexadecimal number"))?;
        if self.digits == 0 {
            self.left = 0;
        }
        self.digits += 1;
        if self.digits > 15 {
            return Err(WireError::BadRequest("a chunk's size has too many digits"));
        }
        self.left = self.left << 4 | u64::from(digit);
        Ok(State::Size)
    }

    fn extra(&mut self) -> Result<(), WireError> {
        self.extras += 1;
        if self.extras > CHUNK_EXTRAS_MAX {
            return Err(WireError::BadRequest("chunk extensions or trailers are too long"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
