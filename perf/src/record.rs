//! The record of a run: one line of JSON, with fields in the order they were added.

use std::fmt::Write;

/// A record under construction.
#[derive(Debug, Default)]
pub(crate) struct Record {
    text: String,
}

impl Record {
    /// Adds a text.
    pub(crate) fn text(&mut self, name: &str, value: &str) -> &mut Self {
        let value = serde_json::Value::from(value);
        self.raw(name, &value.to_string())
    }

    /// Adds a whole number.
    pub(crate) fn count(&mut self, name: &str, value: u64) -> &mut Self {
        self.raw(name, &value.to_string())
    }

    /// Adds a number with this many decimals; NaN and infinities become null.
    pub(crate) fn number(&mut self, name: &str, value: f64, decimals: usize) -> &mut Self {
        if value.is_finite() {
            self.raw(name, &format!("{value:.decimals$}"))
        } else {
            self.raw(name, "null")
        }
    }

    /// Adds a value that is JSON already.
    pub(crate) fn raw(&mut self, name: &str, json: &str) -> &mut Self {
        let separator = if self.text.is_empty() { "" } else { "," };
        // Writing into a string cannot fail.
        let _ = write!(self.text, "{separator}\"{name}\":{json}");
        self
    }

    /// The line.
    pub(crate) fn line(&self) -> String {
        format!("{{{}}}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::Record;

    #[test]
    fn a_record_is_json_in_its_order() {
        let mut record = Record::default();
        record.text("name", "a \"b\"").count("n", 7).number("x", 1.25, 1).number("y", f64::NAN, 2);
        assert_eq!(record.line(), r#"{"name":"a \"b\"","n":7,"x":1.2,"y":null}"#);
    }
}
