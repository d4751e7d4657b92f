//! Blocks stay where they are, and full pieces are the same on every core.

use super::*;

fn block(number: usize) -> Vec<u8> {
    let len = if number % 500 == 7 { 131_071 } else { 5 + number * 31 % 900 };
    (0..len).map(|i| (number * 7 + i) as u8).collect()
}

#[test]
fn blocks_of_every_size_are_found_again_here_and_where_pieces_were_given_to() {
    let mut arena = LabelArena::default();
    let mut there = FullPieces::default();
    let mut places = Vec::new();
    for number in 0..2500 {
        places.push(arena.push(&block(number)));
        if number % 100 == 0 {
            // Two requests under way at once bring the same pieces.
            let first = there.count();
            for _ in 0..2 {
                there.extend(first, arena.full_pieces(first).to_vec());
            }
        }
    }
    let mut full = 0;
    for (number, place) in places.iter().enumerate() {
        let want = block(number);
        let len = want.len() as u32;
        assert_eq!(arena.block(*place, len), want, "block {number}");
        match there.block(*place, len) {
            Some(found) => assert_eq!(found, want, "block {number}"),
            None => assert!(number > 2000, "block {number} is not known"),
        }
        full += usize::from(arena.is_full(*place));
    }
    assert!(full > 2000 && !arena.is_full(places[2499]), "{full}");
    assert!(arena.memory_bytes() < 4 << 20);
}

#[test]
fn a_small_arena_takes_little() {
    let mut arena = LabelArena::default();
    arena.push(b"a");
    assert!(arena.memory_bytes() <= 4096, "{}", arena.memory_bytes());
    assert!(arena.full_pieces(0).is_empty());
}

#[test]
fn what_is_not_known_is_not_found() {
    let pieces = FullPieces::default();
    assert_eq!(pieces.block(Place(0), 1), None);
    let mut arena = LabelArena::default();
    let place = arena.push(&[7; 4096]);
    arena.push(&[8; 4096]);
    let mut pieces = FullPieces::default();
    pieces.extend(0, arena.full_pieces(0).to_vec());
    assert_eq!(pieces.block(place, 4096), Some(&[7; 4096][..]));
    assert_eq!(pieces.block(place, 4097), None);
    assert_eq!(pieces.block(Place(PIECE_BYTES as u32 / 8), 1), None);
}
