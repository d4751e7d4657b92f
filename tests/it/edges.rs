//! Extreme numbers: in samples, in parameters, in queries and in documents.

use crate::harness::{Client, Node, escape, now_ms, write_body};

/// Milliseconds around the limits of nanoseconds and of integers, and times in wrong units.
fn edges(now: i64) -> Vec<i64> {
    let mut all = vec![now * 1000, now * 1_000_000, now / 1000 - 62_135_596_800_000];
    for end in [i64::MIN, -9_223_372_036_854, 9_223_372_036_854, i64::MAX] {
        all.extend((-1..=1).filter_map(|off: i64| end.checked_add(off)));
    }
    all
}

fn series_of(client: &mut Client, query: &str, ms: i64) -> Vec<String> {
    let answer = client.query(query, ms as f64 / 1e3).expect(200).json();
    let result = answer["data"]["result"].as_array().unwrap().iter();
    let mut all: Vec<_> =
        result.map(|one| one["metric"]["i"].as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

#[test]
fn a_sample_with_a_time_that_cannot_be_is_refused_alone_and_the_node_lives() {
    for cores in ["0", "0,1"] {
        let mut node = Node::start(&["--cores", cores]);
        let mut client = node.client();
        let now = now_ms();
        for (at, ms) in edges(now).into_iter().enumerate() {
            let name = format!("edge_{at}");
            let labels = |i| [("__name__", name.as_str()), ("i", i)];
            let body = write_body(&[
                (&labels("1"), &[(now, 1.0)]),
                (&labels("2"), &[(ms, 2.0)]),
                (&labels("3"), &[(now, 3.0)]),
            ]);
            let refused = client.remote_write(&body).expect(400).text();
            assert!(refused.contains("bad_request_errors: count=1, last="), "{ms}: {refused}");
            assert!(refused.contains(&format!("{name:?}")) || refused.contains(&name), "{refused}");
            assert_eq!(series_of(&mut client, &name, now), ["1", "3"], "{cores}: {ms}");
            let seconds = format!("{}.{:03}", ms / 1000, (ms % 1000).abs());
            let document = format!(
                "{{\"tags\":{{\"__name__\":\"json\"}},\"timestamp\":\"{seconds}\",\"value\":1}}"
            );
            client.post_json("/api/v1/json/write", &document).expect(400);
        }
        assert_eq!(series_of(&mut client, "json", now), [""; 0]);
        assert!(node.ended().is_none(), "the node lives");
        assert!(node.metrics_text().contains("\nm3ring_request_panics_total 0\n"));
    }
}

#[test]
fn queries_with_numbers_at_the_edge_are_answered() {
    let mut node = Node::start(&["--cores", "0,1"]);
    let mut client = node.client();
    let now = now_ms();
    client.remote_write(&write_body(&[(&[("__name__", "up")], &[(now, 1.0)])])).expect(200);
    let mut times: Vec<String> = edges(now)
        .iter()
        .flat_map(|ms| [ms.to_string(), format!("{}.{:03}", ms / 1000, (ms % 1000).abs())])
        .collect();
    let words = ["1e300", "-1e300", "NaN", "Inf", "-Inf", "-292273086-05-16T16:47:06Z"];
    times.extend(words.map(str::to_owned));
    let durations = ["292y", "9223372036s", "9223372036854ms", "1ms", "1e300", "-292y", "0"];
    let mut targets = Vec::new();
    for time in times.iter().map(|time| escape(time)) {
        targets.push(format!("/api/v1/query?query=up&time={time}"));
        targets.push(format!("/api/v1/query_range?query=up&start={time}&end={time}&step={time}"));
        targets.push(format!("/api/v1/query_range?query=up&start=0&end={time}&step=1e15"));
        targets.push(format!("/api/v1/series?match[]=up&start={time}&end={}", times[0]));
        targets.push(format!("/api/v1/labels?start={}&end={time}&limit={time}", times[1]));
        targets.push(format!("/api/v1/query?query=up%20%40%20{time}&timeout=9223372036854775807"));
    }
    for span in durations {
        for query in ["rate(up[D])", "up offset D", "up offset -D", "max_over_time(up[D:D])"] {
            let query = escape(&query.replace('D', span));
            targets.push(format!("/api/v1/query?query={query}&lookback={span}&timeout={span}"));
            let range = "start=-9223372036.854&end=9223372036.854";
            targets.push(format!("/api/v1/query_range?query={query}&{range}&step={span}"));
        }
    }
    for target in targets {
        let answer = client.get(&target);
        let is_sane = answer.status < 500 || answer.status == 504;
        assert!(is_sane, "{target}: {} {}", answer.status, answer.text());
    }
    // The extreme times that clients send for "no start" and "no end" find all samples.
    for (start, end) in [
        ("-292273086-05-16T16:47:06Z", "292277025-08-18T07:12:54.999999999Z"),
        ("-9223372036854776", "9223372036854776"),
        ("-9223309901257974", "9223309901257974"),
    ] {
        let target = format!("/api/v1/series?match[]=up&start={start}&end={end}");
        let found = client.get(&target).expect(200).json();
        assert_eq!(found["data"].as_array().unwrap().len(), 1, "{target}");
    }
    assert!(node.ended().is_none(), "the node lives");
    assert!(node.metrics_text().contains("\nm3ring_request_panics_total 0\n"));
}
