//! Request targets: paths, parameters, escapes.

use super::*;

fn split_ok(target: &str) -> (String, Vec<(String, String)>) {
    let (mut path, mut query) = (String::new(), Params::default());
    split(target, &mut path, &mut query).unwrap();
    (path, query.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
}

#[test]
fn targets_are_split_and_decoded() {
    let pairs = |list: &[(&str, &str)]| {
        list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(split_ok("/"), ("/".to_owned(), vec![]));
    assert_eq!(
        split_ok("/api/v1/labels?match[]=a%7Bb%3D%22c%22%7D&match[]=d&&x"),
        (
            "/api/v1/labels".to_owned(),
            pairs(&[("match[]", "a{b=\"c\"}"), ("match[]", "d"), ("x", "")])
        )
    );
    assert_eq!(split_ok("/a+b%2Fc?q=a+b=c").0, "/a+b/c");
    assert_eq!(split_ok("/a?q=a+b=c").1, pairs(&[("q", "a b=c")]));
    assert_eq!(split_ok("http://host:1/x?y=z"), ("/x".to_owned(), pairs(&[("y", "z")])));
    assert_eq!(split_ok("http://host"), ("/".to_owned(), vec![]));
    assert_eq!(split_ok("*").0, "*");
}

/// A request from a client whose base URL ends in a slash finds its route.
#[test]
fn slashes_that_follow_each_other_are_one() {
    for target in
        ["//api/v1/query?a=b//c", "/api//v1///query?a=b//c", "http://h//api/v1//query?a=b//c"]
    {
        let (path, query) = split_ok(target);
        assert_eq!(path, "/api/v1/query");
        assert_eq!(query, [("a".to_owned(), "b//c".to_owned())], "parameters stay as they are");
    }
    assert_eq!(split_ok("//").0, "/");
    assert_eq!(split_ok("/a//").0, "/a/");
    // An escaped slash belongs to a name.
    assert_eq!(split_ok("//label/a%2F%2Fb//values").0, "/label/a//b/values");
    assert_eq!(split_ok("/label/\u{fc}//values").0, "/label/\u{fc}/values");
}

#[test]
fn what_cannot_be_decoded_is_named() {
    let (mut path, mut query) = (String::new(), Params::default());
    let mut refuse = |target: &str| split(target, &mut path, &mut query).unwrap_err().to_string();
    assert_eq!(refuse("/a?b=%zz"), "invalid URL escape \"%zz\"");
    assert_eq!(refuse("/a%2"), "invalid URL escape \"%2\"");
    assert!(refuse("/a?b=%ff").starts_with("invalid URL escape"));
    assert!(refuse("ftp://x").contains("neither a path nor a URL"));
    let many = format!("/a?{}", "b&".repeat(PARAMS_MAX + 1));
    assert!(refuse(&many).contains("4096"));
}
