//! The values of one label name, sorted as far as searches asked for it.
//!
//! Values stand in order of arrival in blocks; within a block they may be permuted. A search for
//! a prefix sorts a bounded number of blocks and scans the others, so no search pays for sorting
//! a million values, yet after a few searches every block is sorted. A block that is full and
//! sorted stays so, since new values go to the last block only.
//!
//! Always holds: the first `sorted[i]` numbers of block `i` are sorted by their texts.

/// Values of one block: sorting it takes one or two milliseconds.
const BLOCK: usize = 16_384;
/// Blocks that one search may sort.
const BLOCKS_SORTED_PER_SEARCH: usize = 2;
/// A last block's unsorted values that a search scans rather than sorts.
const UNSORTED_MAX: usize = 256;

/// The numbers of one name's pairs.
#[derive(Default)]
pub(crate) struct Order {
    pairs: Vec<u32>,
    sorted: Vec<u32>,
}

impl Order {
    pub(crate) fn push(&mut self, pair: u32) {
        if self.pairs.len().is_multiple_of(BLOCK) {
            self.sorted.push(0);
        }
        self.pairs.push(pair);
    }

    /// Every pair, in no particular order.
    pub(crate) fn pairs(&self) -> &[u32] {
        &self.pairs
    }

    /// Calls `each` with every pair whose text begins with `prefix`.
    pub(crate) fn with_prefix<'a>(
        &self,
        prefix: &[u8],
        text: impl Fn(u32) -> &'a [u8],
        mut each: impl FnMut(u32),
    ) {
        for (block, &sorted) in self.pairs.chunks(BLOCK).zip(&self.sorted) {
            let (sorted, unsorted) = block.split_at(sorted as usize);
            let first = sorted.partition_point(|&pair| text(pair) < prefix);
            for &pair in &sorted[first..] {
                if !text(pair).starts_with(prefix) {
                    break;
                }
                each(pair);
            }
            for &pair in unsorted {
                if text(pair).starts_with(prefix) {
                    each(pair);
                }
            }
        }
    }

    /// Sorts some of what is not sorted yet, within the bound of one search.
    pub(crate) fn sort_some<'a>(&mut self, text: impl Fn(u32) -> &'a [u8]) {
        let mut budget = BLOCKS_SORTED_PER_SEARCH;
        for (block, sorted) in self.pairs.chunks_mut(BLOCK).zip(&mut self.sorted) {
            let unsorted = block.len() - *sorted as usize;
            let worth = if block.len() == BLOCK { 0 } else { UNSORTED_MAX + block.len() / 8 };
            if unsorted > worth {
                sort_by_text(block, &text);
                *sorted = u32::try_from(block.len()).expect("a block is small");
                budget -= 1;
                if budget == 0 {
                    return;
                }
            }
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        (self.pairs.capacity() + self.sorted.capacity()) * size_of::<u32>()
    }
}

/// Sorts `numbers` by their texts. The eight bytes after what all texts share are taken out
/// first: comparing texts in place misses the cache twice a comparison.
pub(crate) fn sort_by_text<'a>(numbers: &mut [u32], text: impl Fn(u32) -> &'a [u8]) {
    let Some(&first) = numbers.first() else { return };
    let first = text(first);
    let shared = numbers.iter().fold(first.len(), |shared, &number| {
        first[..shared].iter().zip(text(number)).take_while(|(a, b)| a == b).count()
    });
    let mut keyed: Vec<(u64, u32)> =
        numbers.iter().map(|&number| (key(&text(number)[shared..]), number)).collect();
    // Equal keys leave the order to what follows, a zero byte or an end included.
    keyed.sort_unstable_by(|a, b| {
        a.0.cmp(&b.0).then_with(|| text(a.1)[shared..].cmp(&text(b.1)[shared..]))
    });
    for (number, (_, sorted)) in numbers.iter_mut().zip(keyed) {
        *number = sorted;
    }
}

/// The first eight bytes as a number that compares as they do; zeros stand for missing bytes.
fn key(text: &[u8]) -> u64 {
    if let Some(head) = text.first_chunk() {
        return u64::from_be_bytes(*head);
    }
    let mut head = [0; 8];
    head[..text.len()].copy_from_slice(text);
    u64::from_be_bytes(head)
}
