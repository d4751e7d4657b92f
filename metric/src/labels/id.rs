//! M3's series id in its default scheme `quoted`: `{name="value",…}`, names ascending.
//!
//! The id decides the shard of a series, here and in M3, so it is M3's byte for byte
//! (`src/query/models` there). M3 escapes a name or value only if it holds a double quote or a byte
//! that is no printable ASCII; so a backslash stands for itself in a text that needs no escapes,
//! and is doubled in one that does. A name is escaped like a value and gets no quotes. The escapes
//! are Go's ([`crate::quote`]), but for DEL, which M3 writes as `\u007f`.

use super::iter_canonical;
use crate::quote::push_escaped;

/// Changes whenever a series' id would be written in another way than before, so that the shards
/// that stand in a commit log are told from those of today. 0 was the id with the escapes of
/// Rust's `{:?}`.
pub const QUOTED_ID_VERSION: u32 = 1;

/// M3's quoted series id of a canonical block.
#[must_use]
pub fn quoted_id(canonical: &[u8]) -> String {
    let mut id = String::with_capacity(canonical.len() + 2);
    id.push('{');
    for (i, (name, value)) in iter_canonical(canonical).enumerate() {
        if i > 0 {
            id.push(',');
        }
        push_literal(&mut id, name);
        id.push_str("=\"");
        push_literal(&mut id, value);
        id.push('"');
    }
    id.push('}');
    id
}

fn push_literal(id: &mut String, text: &str) {
    let is_plain = |byte| matches!(byte, b' '..=b'~') && byte != b'"';
    if text.bytes().all(is_plain) {
        return id.push_str(text);
    }
    for c in text.chars() {
        match c {
            '\x7f' => id.push_str("\\u007f"),
            c => push_escaped(id, c, '"'),
        }
    }
}
