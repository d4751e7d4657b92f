//! Every query of Prometheus' records and test scripts, where those lie beside the checkout
//! (`m3_testing::outside`): what Prometheus reads we read, what it refuses we refuse in
//! its words.

use super::super::parse;
use super::shape;
use m3_testing::outside::{shared, shared_text};

/// The first JSON string behind `key` in `line`.
fn json_string(line: &str, key: &str) -> Option<String> {
    let at = line.find(key)? + key.len();
    let mut out = String::new();
    let mut rest = line[at..].chars();
    loop {
        match rest.next()? {
            '"' => return Some(out),
            '\\' => match rest.next()? {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'u' => {
                    let digits: String = rest.by_ref().take(4).collect();
                    out.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
                }
                other => out.push(other),
            },
            c => out.push(c),
        }
    }
}

/// Whether a text uses what m3ring says that it does not have yet.
fn not_had(error: &str) -> bool {
    error.contains("m3ring does not have")
}

#[test]
fn recorded_queries_are_read_or_refused_as_prometheus_did() {
    let Some(lines) = shared_text("promql-answers/answers.jsonl.zst") else { return };
    let (mut read, mut refused, mut missing) = (0, 0, 0);
    for line in lines.lines() {
        let query = json_string(line, "\"query\": \"").expect("a record has a query");
        let error =
            json_string(line, "\"status\": \"error\", \"errorType\": \"bad_data\", \"error\": \"");
        let wanted = error.as_deref().filter(|error| error.contains(": parse error: "));
        match (parse(&query), wanted) {
            (Ok(_), None) => read += 1,
            (Err(error), Some(wanted)) => {
                refused += 1;
                let got = format!("invalid parameter \"query\": {error}");
                assert_eq!(got, wanted, "the message about {query}");
            }
            (Err(error), None) if not_had(&error.message) => missing += 1,
            (got, wanted) => panic!("{query}: {:?}, wanted {wanted:?}", got.map(|e| e.to_string())),
        }
    }
    println!("recorded: {read} read, {refused} refused in the same words, {missing} not had");
    assert!(read > 1000 && refused > 100, "the records are whole");
}

/// The query of a script's `eval` line.
fn eval_query(line: &str) -> Option<&str> {
    let mut words = line.trim_start().split(' ');
    if !words.next()?.starts_with("eval") {
        return None;
    }
    // `instant at T`, `instant` or `range from A to B step S`, then the query.
    let skipped = match words.next()? {
        "instant" if line.contains(" instant at ") => 4,
        "instant" => 2,
        _ => 8,
    };
    let mut rest = line.trim_start();
    for _ in 0..skipped {
        rest = rest.split_once(' ')?.1.trim_start();
    }
    Some(rest)
}

#[test]
fn queries_of_the_test_scripts_are_read() {
    let Some(folder) = shared("promqltest") else { return };
    let (mut read, mut failing, mut missing) = (0, 0, 0);
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "test")) {
        let text = std::fs::read_to_string(path).expect("a script can be read");
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(query) = eval_query(line) else { continue };
            let fails = line.trim_start().starts_with("eval_fail")
                || lines.peek().is_some_and(|next| next.trim_start().starts_with("expect fail"));
            match parse(query) {
                Ok(expr) => {
                    read += 1;
                    let again = parse(&expr.to_string()).expect("what is written can be read");
                    assert_eq!(shape(&again), shape(&expr), "{query}");
                }
                Err(error) if not_had(&error.message) => missing += 1,
                Err(_) if fails => failing += 1,
                Err(error) => panic!("{}: {query}: {error}", path.display()),
            }
        }
    }
    println!("scripts: {read} read, {failing} refused as they should be, {missing} not had");
    assert!(read > 1000, "the scripts are whole");
}
