//! The numbers of a seed, and their bounds.

use super::Random;

#[test]
fn a_seed_gives_the_published_numbers_again() {
    // The reference implementation's first numbers of the seed 1234567.
    let wanted = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
    for _ in 0..2 {
        let mut random = Random::from_seed(1_234_567);
        assert_eq!([(); 3].map(|()| random.next()), wanted);
        assert_eq!(random.seed(), 1_234_567);
    }
}

#[test]
fn numbers_lie_below_their_bound_and_all_of_them_come() {
    let mut random = Random::from_seed(1);
    let mut seen = [false; 7];
    (0..1000).for_each(|_| seen[random.below(seen.len())] = true);
    assert_eq!(seen, [true; 7]);
    assert!((0..1000).all(|_| random.below(3_u32) < 3 && (0..5).contains(&random.below(5_i64))));
    assert!((0..1000).any(|_| random.below(u64::MAX) > u64::MAX / 2));
    assert!((0..100).all(|_| random.below(1) == 0 && random.of(&['a']) == 'a'));
}

#[test]
#[should_panic(expected = "no number")]
fn nothing_is_below_nothing() {
    Random::from_seed(1).below(0);
}
