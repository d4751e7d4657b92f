//! What a text that is no PromQL is told: Prometheus 3.14's answers, place and words.

use super::super::parse;

const REFUSED: &[(&str, &str)] = &[
    ("metric @ 11 @ 5 ", "1:1: parse error: @ <timestamp> may not be set multiple times"),
    (
        "5@ 50",
        "1:1: parse error: @ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
    ),
    ("1_", r#"1:1: parse error: bad number or duration syntax: "1_""#),
    (
        "0/`z`",
        "1:3: parse error: binary expression must contain only scalar and instant vector types",
    ),
    ("foo +bool 10", "1:5: parse error: bool modifier can only be used on comparison operators"),
    ("1 < 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
    ("foo[5s/0d:", "1:7: parse error: division by zero"),
    ("e[0s]", "1:3: parse error: duration must be greater than 0"),
    ("999y", "1:1: parse error: duration out of range"),
    (
        "0x",
        r#"1:1: parse error: error parsing number: strconv.ParseFloat: parsing "0x": invalid syntax"#,
    ),
    (
        "5e0755-3",
        r#"1:1: parse error: error parsing number: strconv.ParseFloat: parsing "5e0755": value out of range"#,
    ),
    (
        "ceil(fill_right{__name__=~'testmetric1|*'}*",
        "1:17: parse error: error parsing regexp: missing argument to repetition operator: `*`",
    ),
    (r#"e{job=~"("}"#, "1:3: parse error: error parsing regexp: missing closing ): `(`"),
    (
        "ceiltestmetric2{__name__=~'0('} !  'y' )",
        "1:17: parse error: error parsing regexp: missing closing ): `0(`",
    ),
    ("\"\\u0", "1:1: parse error: escape sequence not terminated"),
    ("ln()", r#"1:1: parse error: expected 1 argument(s) in call to "ln", got 0"#),
    ("info()", r#"1:1: parse error: expected at least 1 argument(s) in call to "info", got 0"#),
    (
        "hour(0x1f, some_metric, some_metric)",
        r#"1:1: parse error: expected at most 1 argument(s) in call to "hour", got 3"#,
    ),
    (r#"info(0,+{data=~".*"})"#, "1:8: parse error: expected label selectors only"),
    (
        r#"info(metric,  avg {__name__="histogram"})"#,
        "1:15: parse error: expected label selectors only, got vector selector instead",
    ),
    (
        "group by (code) (ratio [5m:] )",
        "1:18: parse error: expected type instant vector in aggregation expression, got range vector",
    ),
    (
        "group(1_0)",
        "1:7: parse error: expected type instant vector in aggregation expression, got scalar",
    ),
    (
        r#"MIN("x") BY (job)"#,
        "1:5: parse error: expected type instant vector in aggregation expression, got string",
    ),
    (
        "ln(1e3)",
        r#"1:4: parse error: expected type instant vector in call to function "ln", got scalar"#,
    ),
    (
        "rad(atan2up[5m])",
        r#"1:5: parse error: expected type instant vector in call to function "rad", got range vector"#,
    ),
    (
        "round('y')",
        r#"1:7: parse error: expected type instant vector in call to function "round", got string"#,
    ),
    (
        "rate(up1)",
        r#"1:6: parse error: expected type range vector in call to function "rate", got instant vector"#,
    ),
    (
        "rate(step())",
        r#"1:6: parse error: expected type range vector in call to function "rate", got scalar"#,
    ),
    (
        "topk((start), (http_requests))",
        "1:6: parse error: expected type scalar in aggregation parameter, got instant vector",
    ),
    (
        "histogram_fraction( BY[1h:5m], 6, histogram_fraction_2)",
        r#"1:21: parse error: expected type scalar in call to function "histogram_fraction", got range vector"#,
    ),
    (
        "max_of(\"\\u00e9\", NaN)",
        r#"1:8: parse error: expected type scalar in call to function "max_of", got string"#,
    ),
    (
        "min_of(4, or)",
        r#"1:11: parse error: expected type scalar in call to function "min_of", got instant vector"#,
    ),
    (
        "count_values(step, some_metric)",
        "1:14: parse error: expected type string in aggregation parameter, got instant vector",
    ),
    (
        "count_values(1, uprate)",
        "1:14: parse error: expected type string in aggregation parameter, got scalar",
    ),
    (
        r#"label_replace(up, "job", "", "", (1))"#,
        r#"1:34: parse error: expected type string in call to function "label_replace", got scalar"#,
    ),
    (
        "sort_by_label(step, or)",
        r#"1:21: parse error: expected type string in call to function "sort_by_label", got instant vector"#,
    ),
    (
        "other + fill_left(0) 1e3",
        "1:1: parse error: filling in missing series only allowed between instant vectors",
    ),
    (
        "timestamp\"(metric_missing [5m:]\\10)",
        "1:10: parse error: illegal character U+0029 ')' in escape sequence",
    ),
    ("\"\\x.\"b", "1:1: parse error: illegal character U+002E '.' in escape sequence"),
    ("\"\\1e3seriesmin_of", "1:1: parse error: illegal character U+0065 'e' in escape sequence"),
    (
        "{\"http.requests\" \" \\xx}\t\t : 0+50x2",
        "1:18: parse error: illegal character U+0078 'x' in escape sequence",
    ),
    (
        r#"foo or on(""bar) group_left(baz) bar"#,
        r#"1:11: parse error: invalid label name for grouping: """#,
    ),
    (r#"foo{"a"}"#, r#"1:1: parse error: metric name must not be set twice: "foo" or "a""#),
    (r#"foo{"foo"}"#, r#"1:1: parse error: metric name must not be set twice: "foo" or "foo""#),
    (
        r#"foo{__name__="x"}"#,
        r#"1:1: parse error: metric name must not be set twice: "foo" or "x""#,
    ),
    (
        r#"sum(foo{a="b",__name__=~"x"}[5m])"#,
        r#"1:5: parse error: metric name must not be set twice: "foo" or "x""#,
    ),
    // Prometheus takes the following, and selects nothing by them.
    (r#"{"up","x"}"#, r#"1:1: parse error: metric name must not be set twice: "up" or "x""#),
    (r#"{"up","up"}"#, r#"1:1: parse error: metric name must not be set twice: "up" or "up""#),
    (
        r#"1 + {"up",__name__="x"}"#,
        r#"1:5: parse error: metric name must not be set twice: "up" or "x""#,
    ),
    (
        r#"{__name__="x",a="b","up"}"#,
        r#"1:1: parse error: metric name must not be set twice: "up" or "x""#,
    ),
    (
        r#"{"up",__name__!~"x"} offset 5m"#,
        r#"1:1: parse error: metric name must not be set twice: "up" or "x""#,
    ),
    (
        r#"rate({"\xff",__name__="x"}[5m])"#,
        r#"1:6: parse error: metric name must not be set twice: "\xff" or "x""#,
    ),
    (r#"a{b=~"\xff"}"#, "1:3: parse error: error parsing regexp: invalid UTF-8: `\u{fffd}`"),
    (r#"sum by ("\xff") (a)"#, r#"1:9: parse error: invalid label name for grouping: "\xff""#),
    ("foo[5s%0d]AVG(", "1:7: parse error: modulo by zero"),
    ("(increase@ 5[90s]))", "1:13: parse error: no @ modifiers allowed before range"),
    ("max()", "1:1: parse error: no arguments for aggregate expression provided"),
    ("\n", "1:1: parse error: no expression found in input"),
    (
        "foo and on() group_left(baz) bar",
        r#"1:1: parse error: no grouping allowed for "and" operation"#,
    ),
    ("foo OFFSET 1h30m[5m]", "1:17: parse error: no offset modifiers allowed before range"),
    (".1.5s", r#"1:1: parse error: not a valid duration string: ".1.5s""#),
    ("foo offset 1s offset 2s 1", "1:1: parse error: offset may not be set multiple times"),
    (
        "1d offset 1",
        "1:1: parse error: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
    ),
    ("08[1m]", "1:3: parse error: ranges only allowed for vector selectors"),
    ("1 or  1", r#"1:1: parse error: set operator "or" not allowed in binary scalar expression"#),
    (
        "foo[10m:][5m:]",
        "1:1: parse error: subquery is only allowed on instant vector, got matrix instead",
    ),
    (
        "0xc[5m:]",
        "1:1: parse error: subquery is only allowed on instant vector, got scalar instead",
    ),
    (
        "upsumbool==\"\\u00e9\"[5m:]",
        "1:12: parse error: subquery is only allowed on instant vector, got string instead",
    ),
    ("foo @ Inf", "1:1: parse error: timestamp out of bounds for @ modifier: +Inf"),
    ("foo@ -Inf", "1:1: parse error: timestamp out of bounds for @ modifier: -Inf"),
    (
        "some_metric offset 1m @1e123, [10m:5s",
        "1:1: parse error: timestamp out of bounds for @ modifier: 999999999999999977709969731404129670057984297594921577392083322662491290889839886077866558841507631684757522070951350501376.000000",
    ),
    ("foo @NaN", "1:1: parse error: timestamp out of bounds for @ modifier: NaN"),
    ("topk(3, )", "1:7: parse error: trailing commas not allowed in function call args"),
    (
        r#"+"x""#,
        r#"1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got "string""#,
    ),
    ("up[5", "1:5: parse error: unclosed left bracket"),
    ("(_", "1:3: parse error: unclosed left parenthesis"),
    (" up@ ()", r#"1:6: parse error: unexpected "(" in @, expected timestamp"#),
    (
        "sum by  (foo()",
        r#"1:13: parse error: unexpected "(" in grouping opts, expected "," or ")""#,
    ),
    ("bottomk by(()", r#"1:12: parse error: unexpected "(" in grouping opts, expected label"#),
    (
        "((up offset) ",
        r#"1:12: parse error: unexpected ")" in offset, expected number, duration, step(), or range()"#,
    ),
    (
        "resets(cumulative[5m:)",
        r#"1:22: parse error: unexpected ")" in subquery selector, expected number, duration, step(), range(), or "]""#,
    ),
    ("1_0 >on  = ", r#"1:10: parse error: unexpected "=" in grouping opts, expected "(""#),
    (
        r#"{"foo", a="bc" == }"#,
        r#"1:16: parse error: unexpected "=" in label matching, expected "," or "}""#,
    ),
    ("{=", r#"1:2: parse error: unexpected "=" in label matching, expected identifier or "}""#),
    ("up[5m=", r#"1:6: parse error: unexpected "=" in subquery or range, expected ":" or "]""#),
    ("foo[10m:6s=]  ", r#"1:11: parse error: unexpected "=" in subquery selector, expected "]""#),
    ("[", r#"1:1: parse error: unexpected "[""#),
    ("avg([)", r#"1:5: parse error: unexpected "[" in aggregation"#),
    (
        "up[]",
        r#"1:4: parse error: unexpected "]" in subquery or range selector, expected number, duration, step(), or range()"#,
    ),
    (
        r#"{x}""="#,
        r#"1:3: parse error: unexpected "}" in label matching, expected label matching operator"#,
    ),
    ("{x=~}", r#"1:5: parse error: unexpected "}" in label matching, expected string"#),
    ("test[1000ms]BY ", "1:13: parse error: unexpected <BY>"),
    (
        "SUM(http_requests_total@ BY (job) % 3",
        "1:26: parse error: unexpected <BY> in @, expected timestamp",
    ),
    ("SUM(http_requests BY (job)", "1:19: parse error: unexpected <BY> in aggregation"),
    (
        "sum by (canary BY () (op_duration_seconds_sum @ start())",
        r#"1:16: parse error: unexpected <BY> in grouping opts, expected "," or ")""#,
    ),
    (
        " 1767227400   <= - SUM(http_requests_total) offset  BY (job)",
        "1:53: parse error: unexpected <BY> in offset, expected number, duration, step(), or range()",
    ),
    (" AND IGNORING (gro", "1:6: parse error: unexpected <IGNORING>"),
    (
        r#"last_over_time({job="cart",__name__=~"queue.*|up"}[13m] @SUM(http_r"#,
        "1:58: parse error: unexpected <aggr:SUM> in @, expected timestamp",
    ),
    (
        "1000 < ignoring  SUM(http_requests_total) BY (job)",
        r#"1:18: parse error: unexpected <aggr:SUM> in grouping opts, expected "(""#,
    ),
    (
        "1000 <on (job SUM(http_requests_total) BY (job)",
        r#"1:15: parse error: unexpected <aggr:SUM> in grouping opts, expected "," or ")""#,
    ),
    (
        "-  range - queue_length offset - SUM(http_requests_total)BY (job)",
        "1:34: parse error: unexpected <aggr:SUM> in offset, expected number, duration, step(), or range()",
    ),
    ("topk(up1 avg )foo", "1:10: parse error: unexpected <aggr:avg> in aggregation"),
    (
        "bottomk by avg(code) (1.5s100, ratio)",
        r#"1:12: parse error: unexpected <aggr:avg> in grouping opts, expected "(""#,
    ),
    (
        "foo unless on(!=start) bar",
        "1:15: parse error: unexpected <op:!=> in grouping opts, expected label",
    ),
    (
        r#"queue_length{canary="yes"!=}"#,
        r#"1:26: parse error: unexpected <op:!=> in label matching, expected "," or "}""#,
    ),
    (
        "{!=",
        r#"1:2: parse error: unexpected <op:!=> in label matching, expected identifier or "}""#,
    ),
    (
        "some_metric{a=!=b}",
        "1:15: parse error: unexpected <op:!=> in label matching, expected string",
    ),
    (
        "predict_linear(ratio[2 *!= 5m ] 1.5s], -30)",
        "1:25: parse error: unexpected <op:!=> in subquery or range selector, expected number, duration, step(), or range()",
    ),
    (
        "some_metric[5m!= @",
        r#"1:15: parse error: unexpected <op:!=> in subquery or range, expected ":" or "]""#,
    ),
    (
        "absent_over_time(rate(http_requests_histogram[5m])[5m:1m!=])",
        r#"1:57: parse error: unexpected <op:!=> in subquery selector, expected "]""#,
    ),
    (
        r#"my_metric{a="b"!~ -3 _-;"#,
        r#"1:16: parse error: unexpected <op:!~> in label matching, expected "," or "}""#,
    ),
    (
        r#"{!~".+"}"#,
        r#"1:2: parse error: unexpected <op:!~> in label matching, expected identifier or "}""#,
    ),
    (
        r#"avg(data{test=!~""#,
        "1:15: parse error: unexpected <op:!~> in label matching, expected string",
    ),
    ("sum by (%insta", "1:9: parse error: unexpected <op:%> in grouping opts, expected label"),
    (
        "up[%",
        "1:4: parse error: unexpected <op:%> in subquery or range selector, expected number, duration, step(), or range()",
    ),
    (
        "foo[5s<=0d]",
        r#"1:7: parse error: unexpected <op:<=> in subquery or range, expected ":" or "]""#,
    ),
    (
        "foo[10m:6s <= ] \"\\u00e9\"  @min_of start()",
        r#"1:12: parse error: unexpected <op:<=> in subquery selector, expected "]""#,
    ),
    (
        r#"(foo + bar{nm="val"})[5m:<]"#,
        r#"1:26: parse error: unexpected <op:<> in subquery selector, expected number, duration, step(), range(), or "]""#,
    ),
    (
        r#"min_over_time(rate(foo{bar="baz"}[2s])[5m: @ -160377509)[4m:3s]"#,
        r#"1:44: parse error: unexpected <op:@> in subquery selector, expected number, duration, step(), range(), or "]""#,
    ),
    ("some{ ! ", "1:7: parse error: unexpected character after '!' inside braces: ' '"),
    (
        r#"http_requests_total{foo!!~"bar"}"#,
        "1:24: parse error: unexpected character after '!' inside braces: '!'",
    ),
    (r#"{x!"a"}"#, r#"1:3: parse error: unexpected character after '!' inside braces: '"'"#),
    (
        r#"scalar(http_requests_total{code!'y'~"2.*",path!="/"})"#,
        "1:32: parse error: unexpected character after '!' inside braces: '\\''",
    ),
    (" ! ", "1:2: parse error: unexpected character after '!': ' '"),
    ("http_requests_histogram @ !!~= 80", "1:27: parse error: unexpected character after '!': '!'"),
    (r#" !"x"by= metric2step"#, r#"1:2: parse error: unexpected character after '!': '"'"#),
    ("1!'y'= bool ", "1:2: parse error: unexpected character after '!': '\\''"),
    (
        "days_in_month( nothing_here !\n )-2m (1) ",
        "1:29: parse error: unexpected character after '!': '\\n'",
    ),
    ("foo[!]", "1:5: parse error: unexpected character in duration expression: '!'"),
    (r#"foo[""#, r#"1:5: parse error: unexpected character in duration expression: '"'"#),
    ("foo[#", "1:5: parse error: unexpected character in duration expression: '#'"),
    ("test['y'", "1:6: parse error: unexpected character in duration expression: '\\''"),
    ("test[ \\ 1001ms]", "1:7: parse error: unexpected character in duration expression: '\\\\'"),
    ("ceil({%", "1:7: parse error: unexpected character inside braces: '%'"),
    ("{(", "1:2: parse error: unexpected character inside braces: '('"),
    ("{)jo", "1:2: parse error: unexpected character inside braces: ')'"),
    ("start({\\empty_bucket)", "1:8: parse error: unexpected character inside braces: '\\\\'"),
    (".%", "1:1: parse error: unexpected character: '.'"),
    (";", "1:1: parse error: unexpected character: ';'"),
    (
        "+ + (stdvar_over_time(ratio[1m NaN 30s]))",
        "1:32: parse error: unexpected character: 'N', expected ':'",
    ),
    ("test[5d OFFSET 10s", "1:9: parse error: unexpected character: 'O', expected ':'"),
    ("\\", "1:1: parse error: unexpected character: '\\\\'"),
    (
        "changes(http_requests[30m1s-30m1s % _])",
        "1:37: parse error: unexpected character: '_', expected ':'",
    ),
    ("testmetric1|testmetric2'end()", "1:12: parse error: unexpected character: '|'"),
    ("up[5m:1m:1s", "1:9: parse error: unexpected colon ':'"),
    ("foo10m[:]", "1:9: parse error: unexpected colon before duration in duration expression"),
    ("(sum(foo1.5s))", r#"1:10: parse error: unexpected duration ".5s" in aggregation"#),
    (
        "foo[min_of0m ] ]",
        r#"1:11: parse error: unexpected duration "0m" in subquery or range selector, expected number, duration, step(), or range()"#,
    ),
    (
        "up[(1)0s]",
        r#"1:7: parse error: unexpected duration "0s" in subquery or range, expected ":" or "]""#,
    ),
    (
        "rate(sum_over_time(unlessmetric3_total[30s:10s])[50s:10s 1.5s ]`z`",
        r#"1:58: parse error: unexpected duration "1.5s" in subquery selector, expected "]""#,
    ),
    (
        "a:boffset  17672274003m) atan2 -",
        r#"1:12: parse error: unexpected duration "1767227400"..."#,
    ),
    (
        r#"{"half"} @ start(30s]))"#,
        r#"1:18: parse error: unexpected duration "30s" in @, expected timestamp"#,
    ),
    (r#""x"5m"#, r#"1:4: parse error: unexpected duration "5m""#),
    (
        "sum by 5m(group) (",
        r#"1:8: parse error: unexpected duration "5m" in grouping opts, expected "(""#,
    ),
    (
        "stddev by (offset 5m) (",
        r#"1:19: parse error: unexpected duration "5m" in grouping opts, expected "," or ")""#,
    ),
    (
        "up + on ( 5m 1_01m)a) gro",
        r#"1:11: parse error: unexpected duration "5m" in grouping opts, expected label"#,
    ),
    (
        "metric1_total offset step(5m",
        r#"1:27: parse error: unexpected duration "5m" in offset, expected number, duration, step(), or range()"#,
    ),
    ("-", "1:2: parse error: unexpected end of input"),
    ("1@", "1:3: parse error: unexpected end of input in @, expected timestamp"),
    ("sum by (job)", "1:13: parse error: unexpected end of input in aggregation"),
    ("up[", "1:4: parse error: unexpected end of input in duration expression"),
    ("1-on", r#"1:5: parse error: unexpected end of input in grouping opts, expected "(""#),
    (
        "1 offset ",
        "1:10: parse error: unexpected end of input in offset, expected number, duration, step(), or range()",
    ),
    ("{ ", "1:3: parse error: unexpected end of input inside braces"),
    (r#""="a"#, r#"1:4: parse error: unexpected identifier "a""#),
    (
        "\n step  unless on(bar baz",
        r#"2:22: parse error: unexpected identifier "baz" in grouping opts, expected "," or ")""#,
    ),
    (
        r#"{x=""bla}"#,
        r#"1:6: parse error: unexpected identifier "bla" in label matching, expected "," or "}""#,
    ),
    ("up @en", r#"1:5: parse error: unexpected identifier "en" in @, expected timestamp"#),
    (
        "1 offset foo",
        r#"1:10: parse error: unexpected identifier "foo" in offset, expected number, duration, step(), or range()"#,
    ),
    ("sum by i", r#"1:8: parse error: unexpected identifier "i" in grouping opts, expected "(""#),
    (
        r#"{a or  ("b"#,
        r#"1:4: parse error: unexpected identifier "or" in label matching, expected label matching operator"#,
    ),
    ("sum(sum wi", r#"1:9: parse error: unexpected identifier "wi" in aggregation"#),
    (
        r#"{""=x}"#,
        r#"1:5: parse error: unexpected identifier "x" in label matching, expected string"#,
    ),
    ("{{1}", "1:2: parse error: unexpected left brace '{'"),
    ("foo[2[^2]", "1:6: parse error: unexpected left bracket '['"),
    (" 0:=", r#"1:3: parse error: unexpected metric identifier ":""#),
    ("foo @ :", r#"1:7: parse error: unexpected metric identifier ":" in @, expected timestamp"#),
    (
        "sum (some_metric) by :",
        r#"1:22: parse error: unexpected metric identifier ":" in grouping opts, expected "(""#,
    ),
    (
        "build_info(path - on (job : )  up",
        r#"1:27: parse error: unexpected metric identifier ":" in grouping opts, expected "," or ")""#,
    ),
    (
        "foo offset (:step(),5s",
        r#"1:13: parse error: unexpected metric identifier ":step" in offset, expected number, duration, step(), or range()"#,
    ),
    (
        r#"avg(data{test="big"}a:b"#,
        r#"1:21: parse error: unexpected metric identifier "a:b" in aggregation"#,
    ),
    ("max by  08", r#"1:9: parse error: unexpected number "08" in grouping opts, expected "(""#),
    (
        "increase(h[40m:9m 0x1f ])",
        r#"1:19: parse error: unexpected number "0x1f" in subquery selector, expected "]""#,
    ),
    ("0 1", r#"1:3: parse error: unexpected number "1""#),
    ("avg({} 1 2 3", r#"1:8: parse error: unexpected number "1" in aggregation"#),
    ("h_test 1.4142135624/ <", r#"1:8: parse error: unexpected number "1.41421356"..."#),
    (
        "avg(topk 1767229600.5(11, foo)) == 52",
        r#"1:10: parse error: unexpected number "1767229600"... in aggregation"#,
    ),
    (
        "sum (some_metric) without ( 1767229600.5 offsettest) by (test",
        r#"1:29: parse error: unexpected number "1767229600"... in grouping opts, expected label"#,
    ),
    (
        "NaN + (stdvar_over_time(ratio[1m 1767229600.5 + 30s]))",
        r#"1:34: parse error: unexpected number "1767229600"... in subquery or range, expected ":" or "]""#,
    ),
    (
        "foo == on(bar 1e3 ) 10",
        r#"1:15: parse error: unexpected number "1e3" in grouping opts, expected "," or ")""#,
    ),
    (
        "foo offset -(1\n2)",
        r#"2:1: parse error: unexpected number "2" in offset, expected number, duration, step(), or range()"#,
    ),
    (
        "sum_over_time(metric1_total[29s+1s:((((8   2) /-3) * 7s) fill 4)",
        r#"1:44: parse error: unexpected number "2" in subquery selector, expected number, duration, step(), range(), or "]""#,
    ),
    (
        "foo[step 3()]",
        r#"1:10: parse error: unexpected number "3" in subquery or range selector, expected number, duration, step(), or range()"#,
    ),
    (
        "sum () by (5",
        r#"1:12: parse error: unexpected number "5" in grouping opts, expected label"#,
    ),
    (
        "up[5m 5 ]",
        r#"1:7: parse error: unexpected number "5" in subquery or range, expected ":" or "]""#,
    ),
    ("up @ start(inf", r#"1:12: parse error: unexpected number "inf" in @, expected timestamp"#),
    ("]", "1:1: parse error: unexpected right bracket ']'"),
    (")", "1:2: parse error: unexpected right parenthesis ')'"),
    ("1'y'", r#"1:2: parse error: unexpected string "'y'""#),
    (
        "sum without (up'y'",
        r#"1:16: parse error: unexpected string "'y'" in grouping opts, expected "," or ")""#,
    ),
    (
        r#"avg by "  (group) (data{test="pos_inf"})"#,
        "1:8: parse error: unexpected string \"\\\"  (group)\"... in grouping opts, expected \"(\"",
    ),
    (r#"avg"$1-value-$2""#, "1:4: parse error: unexpected string \"\\\"$1-value-\"..."),
    (
        r#"mad_over_timeop_duration_seconds_sum[5m] offset"127.0.0.1"}[5m] 3m)"#,
        "1:48: parse error: unexpected string \"\\\"127.0.0.1\"... in offset, expected number, duration, step(), or range()",
    ),
    (
        r#"{x"""#,
        "1:3: parse error: unexpected string \"\\\"\\\"\" in label matching, expected label matching operator",
    ),
    (
        r#"info(metric @"api-server", group= 0)"#,
        "1:14: parse error: unexpected string \"\\\"api-serve\"... in @, expected timestamp",
    ),
    (
        r#"topk(3,{a="b"}"api-server"{job=http_re"#,
        "1:15: parse error: unexpected string \"\\\"api-serve\"... in aggregation",
    ),
    (
        r#"{job"app-server"} == ==80"#,
        "1:5: parse error: unexpected string \"\\\"app-serve\"... in label matching, expected label matching operator",
    ),
    (
        r#"ratefood[1m"build_info")[1h] offset 1h"#,
        "1:12: parse error: unexpected string \"\\\"build_inf\"... in subquery or range, expected \":\" or \"]\"",
    ),
    (
        "scalar({type= \"\\u00e9\" \"histogram\"})",
        "1:24: parse error: unexpected string \"\\\"histogram\"... in label matching, expected \",\" or \"}\"",
    ),
    (
        r#"sum by ("foo bar""some.metric"({)})"#,
        "1:18: parse error: unexpected string \"\\\"some.metr\"... in grouping opts, expected \",\" or \")\"",
    ),
    (
        r#"up @"x" foo"#,
        "1:5: parse error: unexpected string \"\\\"x\\\"\" in @, expected timestamp",
    ),
    (r#"stddev(series "x" )"#, "1:15: parse error: unexpected string \"\\\"x\\\"\" in aggregation"),
    (
        r#"{x="""x""#,
        "1:6: parse error: unexpected string \"\\\"x\\\"\" in label matching, expected \",\" or \"}\"",
    ),
    (
        r#"test[5 "x" ]"#,
        "1:8: parse error: unexpected string \"\\\"x\\\"\" in subquery or range, expected \":\" or \"]\"",
    ),
    (
        r#"absent(deriv((queue_length{zone!="a"})[90s: "x" 1e3] @ offset()))"#,
        "1:45: parse error: unexpected string \"\\\"x\\\"\" in subquery selector, expected number, duration, step(), range(), or \"]\"",
    ),
    (
        "1 /on  `z`  start() ",
        r#"1:8: parse error: unexpected string "`z`" in grouping opts, expected "(""#,
    ),
    (
        "up offset`z`",
        r#"1:10: parse error: unexpected string "`z`" in offset, expected number, duration, step(), or range()"#,
    ),
    (
        "foo[5s%`z`!",
        r#"1:8: parse error: unexpected string "`z`" in subquery or range selector, expected number, duration, step(), or range()"#,
    ),
    (
        "some_metric OFFSET 1m [10m:5s `z` ]",
        r#"1:31: parse error: unexpected string "`z`" in subquery selector, expected "]""#,
    ),
    ("\"\\ } ", "1:1: parse error: unknown escape sequence U+0020 ' '"),
    (
        "'\\)a\\b\\ = f`z`n\\r\\t\\v\\\\\\' - \\xFF\\37",
        "1:1: parse error: unknown escape sequence U+0029 ')'",
    ),
    (
        "\" without () (.25, bottomk) by (job) (1 build_info offset\\-2m))",
        "1:1: parse error: unknown escape sequence U+002D '-'",
    ),
    (
        "{'foo\\[5m:]'bar', 'a\\\\dos\\\\path}='boo\\\\urns''",
        "1:2: parse error: unknown escape sequence U+005B '['",
    ),
    (
        "{'foo\\'bar', 'a\\\\dos\\_path'==boo\\\\'}",
        "1:14: parse error: unknown escape sequence U+005F '_'",
    ),
    ("\"\\c\"+", "1:1: parse error: unknown escape sequence U+0063 'c'"),
    (
        "{'foo\\' 0755 :', 'a\\\\dos\\or\\path'=1_0boo\\ -\\urns'}",
        "1:18: parse error: unknown escape sequence U+006F 'o'",
    ),
    (
        "{'foo\\}[15s]'bar', 'a\\\\dos\\\\path'='boo\\\\urns'}",
        "1:2: parse error: unknown escape sequence U+007D '}'",
    ),
    ("ab()", r#"1:1: parse error: unknown function with name "ab""#),
    ("1.5s", r#"1:1: parse error: unknown unit "." in duration "1.5s""#),
    (r#"""#, "1:1: parse error: unterminated quoted string"),
    ("`", "1:1: parse error: unterminated raw string"),
    ("1 -on (a)-1", "1:1: parse error: vector matching only allowed between instant vectors"),
    ("{} ", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
    (
        r#" topk ("")"#,
        "1:2: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1",
    ),
];

#[test]
fn refusals_read_as_prometheus_words_them() {
    for (text, wanted) in REFUSED {
        let got = parse(text).map(|expr| expr.to_string());
        assert_eq!(got, Err(parse_error(text)), "{text:?} is no PromQL");
        assert_eq!(parse_error(text).to_string(), *wanted, "the message about {text:?}");
    }
}

fn parse_error(text: &str) -> super::super::ParseError {
    parse(text).expect_err("it is no PromQL")
}

#[test]
fn an_empty_text_has_no_position() {
    let wanted = "unknown position: parse error: no expression found in input";
    assert_eq!(parse_error("").to_string(), wanted);
}

#[test]
fn lines_and_columns_count_from_one() {
    let wanted = "3:3: parse error: unexpected <op:*>";
    assert_eq!(parse_error("sum(a) # all\n+\n  *b").to_string(), wanted);
}

#[test]
fn what_prometheus_has_and_we_do_not_is_named() {
    for (text, word) in [
        ("rate(a[5m] smoothed)", "the smoothed modifier"),
        ("a anchored", "the anchored modifier"),
        ("a </ 3", "\"</\" trims native histograms"),
        ("a >/ 3", "\">/\" trims native histograms"),
    ] {
        let error = parse_error(text).to_string();
        assert!(error.contains(word) && error.contains("m3ring does not have"), "{error}");
    }
}
