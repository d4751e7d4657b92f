//! Chunked bodies, cut anywhere, and malformed ones.

use super::*;

fn whole(input: &[u8], step: usize, limit: usize) -> Result<(Vec<u8>, usize), WireError> {
    let mut chunked = Chunked::default();
    let (mut out, mut at) = (Vec::new(), 0);
    loop {
        let end = input.len().min(at + step);
        let (taken, done) = chunked.feed(&input[at..end], &mut out, limit)?;
        at += taken;
        if done {
            return Ok((out, at));
        }
        assert!(end < input.len(), "the body does not end");
    }
}

#[test]
fn chunks_come_together_however_they_are_split() {
    let input = b"5\r\nhello\r\n0006;name=\"v\"\r\n world\r\nA\r\n0123456789\r\n0\r\nX: y\r\nZ: w\r\n\r\nGET";
    for step in 1..input.len() {
        let (out, taken) = whole(input, step, 100).unwrap();
        assert_eq!(out, b"hello world0123456789");
        assert_eq!(&input[taken..], b"GET");
    }
    assert_eq!(whole(b"0\r\n\r\n", 1, 0).unwrap().0, b"");
    assert_eq!(whole(input, 3, 20), Err(WireError::BodyTooLong { limit: 20 }));
}

#[test]
fn odd_chunks_are_refused() {
    for input in [
        &b"\r\n"[..],
        b"g\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b" 1\r\n",
        b"1 \r\n",
        b"0x1\r\n",
        b"1\n",
        b"1\r\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n",
        b"1;a\nb\r\n",
        b"0\r\n\n",
        b"0\r\nA: b\n\r\n",
        b"0\r\n folded\r\n\r\n",
        b"1111111111111111\r\n",
    ] {
        let mut out = Vec::new();
        let result = Chunked::default().feed(input, &mut out, 1000);
        assert!(matches!(result, Err(WireError::BadRequest(_))), "{input:?}: {result:?}");
    }
    let mut endless = b"1;".to_vec();
    endless.resize(CHUNK_EXTRAS_MAX + 10, b'x');
    assert!(Chunked::default().feed(&endless, &mut Vec::new(), 10).is_err());
    let mut trailers = b"0\r\n".to_vec();
    trailers.resize(CHUNK_EXTRAS_MAX + 10, b'x');
    assert!(Chunked::default().feed(&trailers, &mut Vec::new(), 10).is_err());
    // A size that cannot fit is refused before its data comes.
    let result = Chunked::default().feed(b"3e9\r\n", &mut Vec::new(), 1000);
    assert_eq!(result, Err(WireError::BodyTooLong { limit: 1000 }));
}
