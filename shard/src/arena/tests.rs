//! Blocks of any size stay where they are.

use super::*;

fn block(number: usize) -> Vec<u8> {
    let len = if number % 500 == 7 { PIECE_BYTES - 1 } else { 5 + number * 31 % 900 };
    (0..len).map(|i| (number * 7 + i) as u8).collect()
}

#[test]
fn blocks_of_every_size_are_found_again() {
    let mut arena = LabelArena::default();
    let places: Vec<_> = (0..2500).map(|number| arena.push(&block(number))).collect();
    for (number, place) in places.iter().enumerate() {
        let want = block(number);
        assert_eq!(arena.block(*place, want.len() as u32), want, "block {number}");
    }
    assert!(arena.memory_bytes() < 4 << 20);
}

#[test]
fn a_small_arena_takes_little() {
    let mut arena = LabelArena::default();
    arena.push(b"a");
    assert!(arena.memory_bytes() <= 4096, "{}", arena.memory_bytes());
}
