//! Headers and parameters of a query: what they set and how they are refused.

use super::*;

fn with(headers: &[(&str, &str)], params: &[(&str, &str)]) -> Result<QueryOptions, String> {
    options_of(LimitParam::Fetch, headers, params)
}

fn options_of(
    limit: LimitParam,
    headers: &[(&str, &str)],
    params: &[(&str, &str)],
) -> Result<QueryOptions, String> {
    let mut request = Request::default();
    headers.iter().for_each(|(name, value)| request.headers.push(name, value.as_bytes()));
    params.iter().for_each(|(n, v)| request.query.push((*n).to_owned(), (*v).to_owned()));
    query_options(&request, None, Duration::from_secs(30), limit).map_err(|e| {
        assert_eq!(e.kind.status(), 400);
        e.message
    })
}

#[test]
fn timeouts_have_m3_s_bounds_and_words() {
    let timeout =
        |headers: &[_], params: &[_]| with(headers, params).map(|o| o.timeout.as_millis());
    assert_eq!(timeout(&[], &[]), Ok(30_000));
    assert_eq!(timeout(&[("M3-Timeout", "1m")], &[("timeout", "20m")]), Ok(60_000));
    assert_eq!(timeout(&[], &[("timeout", "2.5")]), Ok(2_500));
    let long = "could not parse timeout: err=invalid 'timeout': 20m0s greater than max 10m0s";
    assert_eq!(timeout(&[("M3-Timeout", "20m")], &[]), Err(long.to_owned()));
    assert_eq!(timeout(&[], &[("timeout", "20m")]), Err(long.to_owned()));
    assert!(timeout(&[], &[("timeout", "0")]).unwrap_err().ends_with("or equal to zero 0s"));
    let bare = timeout(&[("M3-Timeout", "5")], &[]).unwrap_err();
    assert!(bare.ends_with("time: missing unit in duration \"5\""), "{bare}");
    assert!(
        timeout(&[], &[("timeout", "soon")]).unwrap_err().contains("invalid duration \"soon\"")
    );
}

#[test]
fn storage_is_restricted_in_m3_s_words() {
    let storage = |headers: &[_]| with(headers, &[]).map(|o| o.storage);
    assert_eq!(storage(&[]), Ok(None));
    let kind = |kind| ("M3-Metrics-Type", kind);
    let policy = ("M3-Storage-Policy", "1m:14d");
    assert_eq!(storage(&[kind("unaggregated")]), Ok(Some(StorageRestriction::Unaggregated)));
    let aggregated = StoragePolicy {
        resolution_ns: 60_000_000_000,
        retention_ns: 14 * 86_400_000_000_000,
        text: "1m:14d".to_owned(),
    };
    assert_eq!(
        ApiError::no_such_policy(&aggregated).message,
        "could not find namespace for storage policy: 1m:14d"
    );
    assert_eq!(
        storage(&[kind("aggregated"), policy]),
        Ok(Some(StorageRestriction::Aggregated(aggregated)))
    );
    for (headers, want) in [
        (
            vec![kind("foo")],
            "could not parse metrics type: input=foo, err=unrecognized metrics type: foo",
        ),
        (
            vec![kind("unaggregated"), policy],
            "could not validate restrict options: err=expected no storage policy for unaggregated \
             metrics type, instead got: 1m:14d",
        ),
        (
            vec![kind("aggregated")],
            "could not validate restrict options: err=expected positive resolution window, instead got: 0s",
        ),
    ] {
        assert_eq!(storage(&headers), Err(want.to_owned()));
    }
    let bad = storage(&[("M3-Storage-Policy", "14d")]).unwrap_err();
    assert!(bad.ends_with("input=14d, err=invalid storage policy string"), "{bad}");
    let alone = storage(&[policy]).unwrap_err();
    assert_eq!(alone, "could not validate restrict options: err=unknown metrics type: unknown");
    for (given, shown) in [("60s:48h", "1m:2d"), ("90s:8760h", "1m30s:1y"), ("1m:336h", "1m:14d")] {
        assert_eq!(storage_policy(given).unwrap().text, shown);
    }
}

#[test]
fn tags_are_restricted_and_stripped() {
    let tags = |text: &str| with(&[("M3-Restrict-By-Tags-JSON", text)], &[]).map(|o| o.tags);
    let b = Matcher::new(MatchOp::Equal, "instance", "b");
    let restricted = |strip: &[&str]| {
        let strip = strip.iter().map(|name| (*name).to_owned()).collect();
        Ok(Some(TagRestriction { matchers: vec![b.clone()], strip }))
    };
    let one = r#"{"name":"instance","type":"EQUAL","value":"b"}"#;
    assert_eq!(tags(&format!("{{\"match\":[{one}]}}")), restricted(&["instance"]));
    assert_eq!(tags(&format!("{{\"match\":[{one}],\"strip\":[]}}")), restricted(&[]));
    assert_eq!(tags(&format!("{{\"match\":[{one}],\"strip\":[\"x\"]}}")), restricted(&["x"]));
    assert_eq!(tags("{}"), Ok(None));
    let ops = [
        ("NOTEQUAL", MatchOp::NotEqual, "v"),
        ("REGEXP", MatchOp::Regex, "v"),
        ("NOTREGEXP", MatchOp::NotRegex, "v"),
        ("EXISTS", MatchOp::NotEqual, ""),
        ("NOTEXISTS", MatchOp::Equal, ""),
    ];
    for (kind, op, value) in ops {
        let text = format!(r#"{{"match":[{{"name":"a","type":"{kind}","value":"v"}}]}}"#);
        let matchers = tags(&text).unwrap().unwrap().matchers;
        assert_eq!(matchers, [Matcher::new(op, "a", value)]);
    }
    let all = r#"{"match":[{"name":"a","type":"ALL"}]}"#;
    assert_eq!(tags(all), Err("ALL type not supported as a tag matcher restriction".to_owned()));
    for text in [
        "{\"match\":",
        "[]",
        r#"{"match":{}}"#,
        r#"{"match":[{"type":"EQUAL"}]}"#,
        r#"{"strip":[1]}"#,
    ] {
        assert!(tags(text).is_err(), "{text}");
    }
}

#[test]
fn limits_are_read_from_headers_and_parameters() {
    let limits = with(
        &[("M3-Limit-Max-Series", "1"), ("M3-Limit-Require-Exhaustive", "false")],
        &[("limit", "7"), ("docsLimit", "9"), ("rangeLimit", "1m"), ("returnedSeriesLimit", "0")],
    )
    .unwrap()
    .limits;
    assert_eq!((limits.series, limits.docs, limits.range_ms), (Some(1), Some(9), Some(60_000)));
    assert_eq!((limits.returned_series, limits.require_exhaustive), (Some(0), Some(false)));
    assert_eq!(
        with(&[("M3-Limit-Max-Series", "x")], &[]).unwrap_err(),
        "could not parse value: input=x, err=strconv.Atoi: parsing \"x\": invalid syntax"
    );
    assert!(with(&[], &[("requireExhaustive", "maybe")]).unwrap_err().contains("ParseBool"));
    assert!(with(&[], &[("docsLimit", "-1")]).unwrap_err().contains("negative"));
    for (text, why) in [
        ("60", "time: missing unit in duration \"60\""),
        ("1d", "time: unknown unit \"d\" in duration \"1d\""),
        ("-1m", "it is negative, and a range is not"),
    ] {
        let wanted = format!("could not parse duration limit: input={text}, err={why}");
        assert_eq!(with(&[], &[("rangeLimit", text)]).unwrap_err(), wanted);
    }
}

/// On routes that Prometheus has, `limit` means what it means in Prometheus; on those that only M3
/// has, what it means in M3.
#[test]
fn the_limit_of_an_answer_is_not_that_of_a_fetch() {
    let limits = |limit, headers: &[_], text: &str| {
        options_of(limit, headers, &[("limit", text)]).map(|o| (o.truncate, o.limits.series))
    };
    let header = ("M3-Limit-Max-Series", "3");
    assert_eq!(limits(LimitParam::Answer, &[], "7"), Ok((Some(7), None)));
    assert_eq!(limits(LimitParam::Answer, &[header], "7"), Ok((Some(7), Some(3))));
    assert_eq!(limits(LimitParam::Answer, &[], ""), Ok((None, None)));
    assert_eq!(limits(LimitParam::Answer, &[], "0"), Ok((Some(0), None)));
    assert_eq!(limits(LimitParam::Fetch, &[], "7"), Ok((None, Some(7))));
    assert_eq!(limits(LimitParam::Fetch, &[header], "7"), Ok((None, Some(3))));
    for (text, why) in [
        ("-1", "limit must be non-negative"),
        ("x", "strconv.Atoi: parsing \"x\": invalid syntax"),
        ("-x", "strconv.Atoi: parsing \"-x\": invalid syntax"),
        ("1.5", "strconv.Atoi: parsing \"1.5\": invalid syntax"),
        (
            "99999999999999999999",
            "strconv.Atoi: parsing \"99999999999999999999\": value out of range",
        ),
    ] {
        let refused = limits(LimitParam::Answer, &[], text).unwrap_err();
        assert_eq!(refused, format!("invalid parameter \"limit\": {why}"));
        let refused = limits(LimitParam::Fetch, &[], text).unwrap_err();
        assert!(refused.starts_with("could not parse value: input="), "{refused}");
    }
}

#[test]
fn engines_and_lookback() {
    assert_eq!(with(&[("M3-Engine", "m3query")], &[]).unwrap().engine, EngineName::M3Query);
    assert_eq!(with(&[], &[("engine", "thanos")]).unwrap().engine, EngineName::Prometheus);
    assert_eq!(with(&[], &[("lookback", "2m")]).unwrap().lookback_ms, Some(120_000));
    assert_eq!(
        with(&[], &[("lookback", "step"), ("step", "15")]).unwrap().lookback_ms,
        Some(15_000)
    );
    assert_eq!(with(&[], &[("lookback_delta", "1s")]).unwrap().lookback_ms, Some(1_000));
    assert!(with(&[], &[("lookback", "0")]).is_err());
    assert!(with(&[], &[("lookback", "step")]).is_err());
}
