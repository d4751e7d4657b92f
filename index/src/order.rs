//! The values of one label name, sorted lazily as searches need it.
//!
//! Values are kept in order of arrival, which is also the order of their texts in memory, so a scan
//! reads forward. They are divided into blocks. A block may also have its values sorted by text. A
//! search for a prefix sorts a bounded number of blocks and scans the others. So no search has to
//! sort a million values, but after a few searches every block is sorted. A full block stays
//! sorted, since new values only go to the last block.
//!
//! Always holds: the order of block `i` contains its first `sorted[i].len()` pairs, each once.

/// Values in a block. Sorting it takes one or two milliseconds, and places fit into 16 bits.
const BLOCK: usize = 16_384;
/// Most blocks that one search sorts.
const BLOCKS_SORTED_PER_SEARCH: usize = 2;
/// Most unsorted values in the last block that a search scans instead of sorting them.
const UNSORTED_MAX: usize = 256;

/// At most one in this many pairs of a block is visited in text order. Visiting more would jump
/// through memory for longer than a scan over all of them takes.
const SCATTERED_SHARE: usize = 8;

/// The numbers of one name's pairs.
#[derive(Default)]
pub(crate) struct Order {
    pairs: Vec<u32>,
    /// For each block, the places of its pairs in text order.
    sorted: Vec<Box<[u16]>>,
}

impl Order {
    #[inline]
    pub(crate) fn push(&mut self, pair: u32) {
        self.pairs.push(pair);
    }

    /// Every pair, in order of arrival.
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
        for (index, block) in self.pairs.chunks(BLOCK).enumerate() {
            let sorted = self.sorted.get(index).map_or(&[][..], |sorted| sorted);
            let pair = |place: &u16| block[usize::from(*place)];
            let first = sorted.partition_point(|place| text(pair(place)) < prefix);
            let found = leading(&sorted[first..], |place| text(pair(place)).starts_with(prefix));
            if found.len() > block.len() / SCATTERED_SHARE {
                each_with_prefix(block, prefix, &text, &mut each);
                continue;
            }
            found.iter().for_each(|place| each(pair(place)));
            each_with_prefix(&block[sorted.len()..], prefix, &text, &mut each);
        }
    }

    /// Sorts some of the unsorted values, within the bound of one search.
    pub(crate) fn sort_some<'a>(&mut self, text: impl Fn(u32) -> &'a [u8]) {
        self.sorted.resize_with(self.pairs.len().div_ceil(BLOCK), Box::default);
        let mut budget = BLOCKS_SORTED_PER_SEARCH;
        for (block, sorted) in self.pairs.chunks(BLOCK).zip(&mut self.sorted) {
            let unsorted = block.len() - sorted.len();
            let worth = if block.len() == BLOCK { 0 } else { UNSORTED_MAX + block.len() / 8 };
            if unsorted > worth {
                let texts: Vec<&[u8]> = block.iter().map(|&pair| text(pair)).collect();
                let place = |place| u16::try_from(place).expect("a block is small");
                *sorted = by_text(&texts).map(place).collect();
                budget -= 1;
                if budget == 0 {
                    return;
                }
            }
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let orders: usize = self.sorted.iter().map(|sorted| size_of_val(&**sorted)).sum();
        self.pairs.capacity() * size_of::<u32>()
            + self.sorted.capacity() * size_of::<Box<[u16]>>()
            + orders
    }
}

fn each_with_prefix<'a>(
    pairs: &[u32],
    prefix: &[u8],
    text: impl Fn(u32) -> &'a [u8],
    each: impl FnMut(u32),
) {
    pairs.iter().copied().filter(|&pair| text(pair).starts_with(prefix)).for_each(each);
}

/// The leading `places` for which `is` holds; it holds for none after them. Checks few places if
/// the result is short.
fn leading(places: &[u16], is: impl Fn(&u16) -> bool) -> &[u16] {
    let mut bound = 1;
    while bound <= places.len() && is(&places[bound - 1]) {
        bound *= 2;
    }
    let known = bound / 2;
    let rest = &places[known..places.len().min(bound)];
    &places[..known + rest.partition_point(is)]
}

/// The places of `texts`, fewer than 2^32, in text order. First it extracts the eight bytes after
/// the common prefix, because comparing the texts in place would miss the cache twice for each
/// comparison.
pub(crate) fn by_text(texts: &[&[u8]]) -> impl Iterator<Item = u32> {
    let first = texts.first().copied().unwrap_or_default();
    let shared = texts.iter().fold(first.len(), |shared, text| {
        if text.starts_with(&first[..shared]) {
            return shared;
        }
        first[..shared].iter().zip(*text).take_while(|(a, b)| a == b).count()
    });
    let mut keyed: Vec<(u64, u32)> =
        texts.iter().zip(0..).map(|(text, place)| (key(&text[shared..]), place)).collect();
    // If the keys are equal, the rest decides, including zero bytes and the end.
    let rest = |place: u32| &texts[place as usize][shared..];
    keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| rest(a.1).cmp(rest(b.1))));
    keyed.into_iter().map(|(_, place)| place)
}

/// The first eight bytes as a number that orders like them; missing bytes count as zeros.
fn key(text: &[u8]) -> u64 {
    if let Some(head) = text.first_chunk() {
        return u64::from_be_bytes(*head);
    }
    let mut head = [0; 8];
    head[..text.len()].copy_from_slice(text);
    u64::from_be_bytes(head)
}
