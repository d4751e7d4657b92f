//! Multipart forms: what is read, what is skipped, what is refused and why.

use super::*;

fn read(content_type: &str, body: &str) -> Result<Vec<(String, String)>, MultipartError> {
    let mut params = Params::default();
    read_params(content_type, body.as_bytes(), &mut params)?;
    Ok(params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Reads `body` with each bar replaced by a line end, with and without carriage returns; in the
/// result they are bars again.
fn pairs(body: &str) -> Result<Vec<(String, String)>, MultipartError> {
    let [plain, with_returns] = ["\n", "\r\n"].map(|newline| {
        let read = read("multipart/form-data; boundary=b", &body.replace('|', newline));
        let bars = |pairs: Vec<(String, String)>| {
            pairs.into_iter().map(|(name, value)| (name, value.replace(newline, "|"))).collect()
        };
        read.map(bars)
    });
    assert_eq!(plain, with_returns, "{body}");
    plain
}

fn part(name: &str, value: &str) -> String {
    format!("--b|Content-Disposition: form-data; name={name}||{value}|")
}

#[test]
fn parts_are_parameters() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("--b--", &[]),
        ("--b--|", &[]),
        (&(part("query", "up") + "--b--|"), &[("query", "up")]),
        (
            &(part("\"match[]\"", "a") + &part("\"match[]\"", "b") + "--b--"),
            &[("match[]", "a"), ("match[]", "b")],
        ),
        // A value may be empty, even if its line is missing. It may contain line ends, and text
        // that only begins like a boundary.
        (&(part("a", "") + "--b--"), &[("a", "")]),
        ("--b|Content-Disposition: form-data; name=a||--b--", &[("a", "")]),
        (&(part("a", "1||2|") + "--b--"), &[("a", "1||2|")]),
        (
            &(part("a", "x|--bb|--b-|--b--c|--b y|--") + "--b--"),
            &[("a", "x|--bb|--b-|--b--c|--b y|--")],
        ),
        // Blanks after a boundary, text before the first and after the last.
        ("hello|--b \t|Content-Disposition: form-data; name=a||1|--b-- |bye", &[("a", "1")]),
        ("--b|content-disposition:form-data;NAME=\"a;\\\"=b\"|X: y||1|--b--", &[("a;\"=b", "1")]),
        (
            "--b|Content-Disposition: form-data; x; y=\"z\"; name=a|Content-Type: text/plain||\u{fc}|--b--",
            &[("a", "\u{fc}")],
        ),
        (
            "--b|Content-Transfer-Encoding: 8BIT|Content-Disposition: form-data; name=a||1|--b--",
            &[("a", "1")],
        ),
        // A file is not a parameter.
        ("--b|Content-Disposition: form-data; name=a; filename=\"x\"||1|--b--", &[]),
        (
            &("--b|Content-Disposition: form-data; name=a; filename*=UTF-8''x||1|".to_owned()
                + &part("c", "2")
                + "--b--"),
            &[("c", "2")],
        ),
    ];
    for (body, want) in cases {
        let got = pairs(body).unwrap_or_else(|e| panic!("{body}: {e}"));
        let want: Vec<_> = want.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        assert_eq!(got, want, "{body}");
    }
    let body = "--a b\r\nContent-Disposition: form-data; name=q\r\n\r\n1\r\n--a b--\r\n";
    for content_type in [
        "multipart/form-data; boundary=\"a b\"",
        "Multipart/Form-Data;charset=utf-8;BOUNDARY=\"a\\ b\"",
    ] {
        assert_eq!(read(content_type, body), Ok(vec![("q".to_owned(), "1".to_owned())]));
    }
}

#[test]
fn what_is_malformed_is_named() {
    use MultipartError::{
        Boundary, Encoded, NoName, NoParts, NoUtf8, PartHeader, TooMany, Unfinished,
    };
    for content_type in [
        "multipart/form-data",
        "multipart/form-data; charset=utf-8",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"b",
        &format!("multipart/form-data; boundary={}", "b".repeat(71)),
    ] {
        assert_eq!(read(content_type, "--b--"), Err(Boundary), "{content_type}");
    }
    for (body, want) in [
        ("query=up".to_owned(), NoParts),
        ("x--b|".to_owned(), NoParts),
        (part("a", "1"), Unfinished),
        (part("a", "1") + "--b-", Unfinished),
        ("--b|Content-Disposition: form-data; name=a|".to_owned(), Unfinished),
        ("--b||1|--b--".to_owned(), NoName),
        ("--b|Content-Disposition: form-data||1|--b--".to_owned(), NoName),
        ("--b|Content-Disposition: form-data; name=||1|--b--".to_owned(), NoName),
        ("--b|Content-Disposition: form-data; name=\"a||1|--b--".to_owned(), NoName),
        ("--b|Content-Disposition: attachment; name=a||1|--b--".to_owned(), NoName),
        ("--b|no header||1|--b--".to_owned(), PartHeader),
        (format!("--b|{}|1|--b--", "X: y|".repeat(17)), PartHeader),
        (
            "--b|Content-Disposition: form-data; name=a|Content-Transfer-Encoding: base64||MQ==|--b--".to_owned(),
            Encoded("base64".to_owned()),
        ),
        (part("a", "1").repeat(4097) + "--b--", TooMany),
    ] {
        let got = pairs(&body);
        assert_eq!(got, Err(want), "{body:.200}");
        let text = got.unwrap_err().to_string();
        assert!(text.starts_with("malformed multipart/form-data: "), "{text}");
    }
    pairs(&(part("a", "1").repeat(4096) + "--b--")).unwrap();
    let body = b"--b\nContent-Disposition: form-data; name=a\n\n\xff\n--b--";
    let mut params = Params::default();
    assert_eq!(read_params("multipart/form-data; boundary=b", body, &mut params), Err(NoUtf8));
}
