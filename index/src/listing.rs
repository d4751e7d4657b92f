//! Label names and values of all series or of some.

use crate::Index;
use crate::order::by_text;
use crate::postings::Postings;
use crate::search::Among;

impl Index {
    /// The label names of the series in `among`, or of all series if it is `None`; sorted.
    #[must_use]
    pub fn label_names(&self, among: Option<&Postings>) -> Vec<String> {
        let among = among.map(|set| Among::new(&set.0, self.count));
        let mut names: Vec<String> = self
            .dictionary
            .names
            .iter()
            .filter(|name| {
                among.as_ref().is_none_or(|among| among.meets(self.tails.parts(name.present)))
            })
            .map(|name| self.dictionary.str(name.text).to_owned())
            .collect();
        names.sort_unstable();
        names
    }

    /// The number of values that label `name` has ever had.
    #[must_use]
    pub fn label_values_max(&self, name: &str) -> u64 {
        let dictionary = &self.dictionary;
        let Some(number) = dictionary.find_name(name.as_bytes()) else { return 0 };
        dictionary.names[number as usize].order.borrow().pairs().len() as u64
    }

    /// The values of label `name` of the series in `among`, or of all series if it is `None`;
    /// sorted.
    #[must_use]
    pub fn label_values(&self, name: &str, among: Option<&Postings>) -> Vec<String> {
        let dictionary = &self.dictionary;
        let Some(number) = dictionary.find_name(name.as_bytes()) else { return Vec::new() };
        let order = dictionary.names[number as usize].order.borrow();
        let texts: Vec<&[u8]> = match among {
            None => order.pairs().iter().map(|&pair| dictionary.value(pair)).collect(),
            Some(set) => {
                let among = Among::new(&set.0, self.count);
                let pairs = order.pairs().iter().map(|&pair| dictionary.pair(pair));
                let met = pairs.filter(|pair| {
                    !among.surely_misses(pair.list) && among.meets(self.tails.parts(pair.list))
                });
                met.map(|pair| dictionary.bytes(pair.value)).collect()
            }
        };
        let string =
            |text: &[u8]| std::str::from_utf8(text).expect("a canonical block is UTF-8").to_owned();
        by_text(&texts).map(|place| string(texts[place as usize])).collect()
    }
}
