//! Label names and values, of all series or of some.

use crate::Index;
use crate::order::sort_by_text;
use crate::postings::Postings;
use crate::search::Among;

impl Index {
    /// The label names that the series of `among` have, or all series without it; sorted.
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

    /// The values of label `name` that the series of `among` have, or all series without it;
    /// sorted.
    #[must_use]
    pub fn label_values(&self, name: &str, among: Option<&Postings>) -> Vec<String> {
        let dictionary = &self.dictionary;
        let Some(number) = dictionary.find_name(name.as_bytes()) else { return Vec::new() };
        let order = dictionary.names[number as usize].order.borrow();
        let mut pairs = match among {
            None => order.pairs().to_vec(),
            Some(set) => {
                let among = Among::new(&set.0, self.count);
                let meets = |pair: &u32| among.meets(self.tails.parts(dictionary.pair(*pair).list));
                order.pairs().iter().copied().filter(meets).collect()
            }
        };
        sort_by_text(&mut pairs, |pair| dictionary.value(pair));
        pairs.iter().map(|&pair| dictionary.str(dictionary.pair(pair).value).to_owned()).collect()
    }
}
