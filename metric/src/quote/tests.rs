//! What Go and M3 write, recorded: Go 1.26 (`strconv`), M3's `src/query/models` at 2e397f7f.

use super::{is_print, quote, quote_as_time, quote_bytes, quote_char};
use crate::labels::{Labels, write_label};
use crate::murmur3::murmur3_32;

/// A text, `strconv.Quote` of it, and the value in M3's id of the series `{a=<the text>}`.
const VECTORS: &[(&str, &str, &str)] = &[
    ("", "\"\"", "\"\""),
    ("up", "\"up\"", "\"up\""),
    ("a b~!#'`", "\"a b~!#'`\"", "\"a b~!#'`\""),
    ("\u{0}", "\"\\x00\"", "\"\\x00\""),
    ("\u{1}\u{1f}", "\"\\x01\\x1f\"", "\"\\x01\\x1f\""),
    ("\u{7}\u{8}\u{c}\n\r\t\u{b}", "\"\\a\\b\\f\\n\\r\\t\\v\"", "\"\\a\\b\\f\\n\\r\\t\\v\""),
    ("\u{1b}[0m", "\"\\x1b[0m\"", "\"\\x1b[0m\""),
    ("say \"x\"", "\"say \\\"x\\\"\"", "\"say \\\"x\\\"\""),
    ("C:\\dir", "\"C:\\\\dir\"", "\"C:\\dir\""),
    ("C:\\dir\u{e9}", "\"C:\\\\dir\u{e9}\"", "\"C:\\\\dir\u{e9}\""),
    ("it's", "\"it's\"", "\"it's\""),
    ("\u{7f}", "\"\\x7f\"", "\"\\u007f\""),
    ("a\u{7f}\\", "\"a\\x7f\\\\\"", "\"a\\u007f\\\\\""),
    ("\u{80}\u{9f}", "\"\\u0080\\u009f\"", "\"\\u0080\\u009f\""),
    ("\u{a0}", "\"\\u00a0\"", "\"\\u00a0\""),
    ("\u{a1}", "\"\u{a1}\"", "\"\u{a1}\""),
    ("\u{ad}", "\"\\u00ad\"", "\"\\u00ad\""),
    ("\u{e9}", "\"\u{e9}\"", "\"\u{e9}\""),
    ("e\u{301}", "\"e\u{301}\"", "\"e\u{301}\""),
    ("\u{301}", "\"\u{301}\"", "\"\u{301}\""),
    ("\u{e34}", "\"\u{e34}\"", "\"\u{e34}\""),
    ("\u{e01}\u{e34}", "\"\u{e01}\u{e34}\"", "\"\u{e01}\u{e34}\""),
    ("\u{378}", "\"\\u0378\"", "\"\\u0378\""),
    ("\u{379}", "\"\\u0379\"", "\"\\u0379\""),
    ("\u{530}", "\"\\u0530\"", "\"\\u0530\""),
    ("\u{590}", "\"\\u0590\"", "\"\\u0590\""),
    ("\u{70f}", "\"\\u070f\"", "\"\\u070f\""),
    ("\u{2000}", "\"\\u2000\"", "\"\\u2000\""),
    ("\u{200b}", "\"\\u200b\"", "\"\\u200b\""),
    ("\u{200d}", "\"\\u200d\"", "\"\\u200d\""),
    ("\u{2028}", "\"\\u2028\"", "\"\\u2028\""),
    ("\u{202e}", "\"\\u202e\"", "\"\\u202e\""),
    ("\u{2065}", "\"\\u2065\"", "\"\\u2065\""),
    ("\u{3000}", "\"\\u3000\"", "\"\\u3000\""),
    ("\u{3001}", "\"\u{3001}\"", "\"\u{3001}\""),
    ("\u{4e16}\u{754c}", "\"\u{4e16}\u{754c}\"", "\"\u{4e16}\u{754c}\""),
    ("\u{d7fb}", "\"\u{d7fb}\"", "\"\u{d7fb}\""),
    ("\u{d7ff}", "\"\\ud7ff\"", "\"\\ud7ff\""),
    ("\u{e000}", "\"\\ue000\"", "\"\\ue000\""),
    ("\u{f8ff}", "\"\\uf8ff\"", "\"\\uf8ff\""),
    ("\u{fdd0}", "\"\\ufdd0\"", "\"\\ufdd0\""),
    ("\u{fdef}", "\"\\ufdef\"", "\"\\ufdef\""),
    ("\u{feff}", "\"\\ufeff\"", "\"\\ufeff\""),
    ("\u{fffb}", "\"\\ufffb\"", "\"\\ufffb\""),
    ("\u{fffc}", "\"\u{fffc}\"", "\"\u{fffc}\""),
    ("\u{fffd}", "\"\u{fffd}\"", "\"\u{fffd}\""),
    ("\u{fffe}", "\"\\ufffe\"", "\"\\ufffe\""),
    ("\u{ffff}", "\"\\uffff\"", "\"\\uffff\""),
    ("\u{10000}", "\"\u{10000}\"", "\"\u{10000}\""),
    ("\u{1000c}", "\"\\U0001000c\"", "\"\\U0001000c\""),
    ("\u{1f600}", "\"\u{1f600}\"", "\"\u{1f600}\""),
    (
        "\u{1f468}\u{200d}\u{1f469}",
        "\"\u{1f468}\\u200d\u{1f469}\"",
        "\"\u{1f468}\\u200d\u{1f469}\"",
    ),
    ("\u{1fae8}", "\"\u{1fae8}\"", "\"\u{1fae8}\""),
    ("\u{1faea}", "\"\\U0001faea\"", "\"\\U0001faea\""),
    ("\u{1fffe}", "\"\\U0001fffe\"", "\"\\U0001fffe\""),
    ("\u{2a6df}", "\"\u{2a6df}\"", "\"\u{2a6df}\""),
    ("\u{2a6e0}", "\"\\U0002a6e0\"", "\"\\U0002a6e0\""),
    ("\u{323af}", "\"\u{323af}\"", "\"\u{323af}\""),
    ("\u{323b0}", "\"\\U000323b0\"", "\"\\U000323b0\""),
    ("\u{e0001}", "\"\\U000e0001\"", "\"\\U000e0001\""),
    ("\u{e0020}", "\"\\U000e0020\"", "\"\\U000e0020\""),
    ("\u{e0100}", "\"\u{e0100}\"", "\"\u{e0100}\""),
    ("\u{e01ef}", "\"\u{e01ef}\"", "\"\u{e01ef}\""),
    ("\u{f0000}", "\"\\U000f0000\"", "\"\\U000f0000\""),
    ("\u{10fffd}", "\"\\U0010fffd\"", "\"\\U0010fffd\""),
    ("\u{10ffff}", "\"\\U0010ffff\"", "\"\\U0010ffff\""),
];

fn id_of(name: &str, value: &str) -> String {
    let mut block = Vec::new();
    write_label(&mut block, name, value);
    Labels::from_canonical(&block).quoted_id()
}

#[test]
fn quotes_and_ids_are_those_of_go_and_m3() {
    for (text, want, in_id) in VECTORS {
        assert_eq!(quote(text), *want, "{}", text.escape_unicode());
        assert_eq!(id_of("a", text), format!("{{a={in_id}}}"), "{}", text.escape_unicode());
        let bare = &in_id[1..in_id.len() - 1];
        assert_eq!(id_of(text, "v"), format!("{{{bare}=\"v\"}}"), "{}", text.escape_unicode());
    }
}

/// Each character alone, and the hash of what Go and M3 write of them all, one after the other. Of
/// the planes that no version of Unicode has filled yet, only some.
#[test]
fn every_character_is_quoted_as_go_and_m3_quote_it() {
    let (mut texts, mut ids) = (String::new(), String::new());
    let parts = ['\0'..='\u{3ffff}', '\u{e0000}'..='\u{e0fff}', '\u{10ff00}'..=char::MAX];
    for c in parts.into_iter().flatten() {
        let text = c.to_string();
        texts.push_str(&quote(&text));
        ids.push_str(&id_of(&format!("n{c}"), &text));
    }
    assert_eq!(murmur3_32(0, texts.as_bytes()), 0xb515_a2da, "strconv.Quote");
    assert_eq!(murmur3_32(0, ids.as_bytes()), 0x702c_ee9d, "M3's ids");
    let mut empty = ('\u{40000}'..'\u{e0000}').chain('\u{e1000}'..'\u{10ff00}');
    assert!(!empty.any(is_print));
}

#[test]
fn bytes_that_are_no_characters_are_shown_as_bytes() {
    // A broken character, an overlong one, half of a pair, a byte at the end.
    let bytes = b"a\xff\xe2\x98b\xc0\x80\xed\xa0\x80\xef\xbf\xbd\xf0";
    let want = "\"a\\xff\\xe2\\x98b\\xc0\\x80\\xed\\xa0\\x80\u{fffd}\\xf0\"";
    assert_eq!(quote_bytes(bytes), want);
}

#[test]
fn a_character_between_single_quotes() {
    let shown = ['\'', '"', 'c', '\n', '\u{301}', '\u{200b}'].map(quote_char);
    assert_eq!(shown, [r"'\''", "'\"'", "'c'", r"'\n'", "'\u{301}'", r"'\u200b'"]);
}

#[test]
fn durations_are_quoted_byte_by_byte() {
    assert_eq!(quote_as_time("1\u{b5}\"\\\n\x7f"), "\"1\\xc2\\xb5\\\"\\\\\\x0a\x7f\"");
}
