//! Queries of death: deep, long, wide, endless.

use super::floods::{numbered, write};
use super::{Arena, Bounds, Got, get, post, scaled, shoot};
use crate::harness::{escape, now_ms, setting, until};
use m3_http::proto::write::WriteRequestWriter;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

fn form(text: &str) -> Vec<u8> {
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    post("/api/v1/query", &form, format!("query={}", escape(text)).as_bytes())
}

/// Stores `count` series of 30 samples, one every ten seconds until `now`.
fn store(arena: &Arena, count: usize, now: i64) {
    let mut client = arena.node.client();
    for first in (0..count).step_by(1000) {
        let mut writer = WriteRequestWriter::default();
        for n in first..(first + 1000).min(count) {
            let samples: Vec<_> = (0..30).rev().map(|at| (now - at * 10_000, at as f64)).collect();
            let (n, dozen) = (n.to_string(), (n % 12).to_string());
            writer.push(&[("__name__", "many"), ("dozen", &dozen), ("n", &n)], &samples);
        }
        client.remote_write(&writer.body()).expect(200);
    }
}

#[test]
fn texts() {
    let arena = Arena::start("");
    let now = now_ms();
    store(&arena, 2000, now);
    let count = scaled(4, 500);
    let one = |name: &str, part: &str, text: &str| {
        arena.shots(name, count, &[400], part, &form(text));
    };
    let nested =
        |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    let deep = "nested too deeply";
    one("PromQL: 10,000 parentheses", deep, &nested("(", ")", 10_000));
    one("PromQL: 10,000 open parentheses", deep, &"(".repeat(10_000));
    one("PromQL: 100,000 minuses", deep, &format!("{}1", "-".repeat(100_000)));
    one("PromQL: 5,000 functions", deep, &nested("abs(", ")", 5_000));
    one("PromQL: 5,000 aggregations", deep, &nested("sum(", ")", 5_000));
    one(
        "PromQL: a chain of 10,000 or",
        "too many selectors",
        &format!("a{}", " or a".repeat(10_000)),
    );
    one("PromQL: a chain of 10,001 ^", "too many operators", &format!("2{}", "^2".repeat(10_001)));
    one("PromQL: a chain of 60,000 +", "too many operators", &format!("2{}", "+2".repeat(60_000)));
    one("PromQL: subqueries, 3,000 deep", "", &format!("a{}", "[1m:1s]".repeat(3_000)));
    one("PromQL: 128 KiB + 1", "at most 131072 are allowed", &"1".repeat((128 << 10) + 1));
    one("PromQL: a text without end", "parse error", &format!("a{{b=\"{}", "x".repeat(100_000)));
    let matchers: Vec<_> = (0..5000).map(|n| format!("l{n}=~\".+\"")).collect();
    let many = "too many selectors";
    one("PromQL: 5,000 patterns", "too large together", &format!("a{{{}}}", matchers.join(",")));
    let wide = "many{n=~\"(\\\\pL{1000}){1000}\"}";
    one("regex: 1,000 times 1,000 letters", "", wide);
    let nested = format!("many{{n=~\"{}{}\"}}", "(".repeat(3000), ")".repeat(3000));
    one("regex: 3,000 groups deep", "", &nested);
    let steps = "/api/v1/query_range?query=up&start=0&end=11001&step=1";
    let points = "exceeded maximum resolution of 11,000 points";
    arena.shots("11,001 steps", count, &[400], points, &get(steps));
    let ever = "/api/v1/query_range?query=up&start=-9e15&end=9e15&step=1e14";
    arena.shots("a range of all time", count, &[200, 400], "", &get(ever));
    let step = "/api/v1/query_range?query=up&start=0&end=1e9&step=1e-9";
    arena.shots("a step of a nanosecond", count, &[400], "", &get(step));
    one("a subquery of 3e12 steps", "", "max_over_time(vector(1)[100y:1ms])");
    one("a subquery of 3e12 steps over series", "", "max_over_time(many[100y:1ms])");
    let ok = |name: &str, text: &str| {
        arena.shots(name, count, &[200, 400, 422], "", &form(text));
    };
    ok("regex: catastrophic elsewhere", "many{n=~\"(a+)+b|([0-9]*)*x|(.*)*y\"}");
    let branches: Vec<_> = (0..10_000).map(|n| format!("x{n}.*")).collect();
    ok("regex: 10,000 branches", &format!("many{{n=~\"{}\"}}", branches.join("|")));
    let regexes: Vec<_> = (0..250).map(|n| format!("n!~\"\\\\pL{{100}}{n}\"")).collect();
    let together = "too large together";
    one("regex: 250 of 100 letters", together, &format!("many{{{}}}", regexes.join(",")));
    one("regex: 30,000 classes", together, &format!("many{{n=~\"{}\"}}", "\\\\pL".repeat(30_000)));
    let regexes: Vec<_> = (0..250).map(|n| format!("n!~\"(\\\\pL{{30}}{n}){{10}}\"")).collect();
    ok("regex: 250 large ones", &format!("many{{{}}}", regexes.join(",")));
    let branches: Vec<_> = (0..14).map(|_| "(\\\\pL|\\\\pN|a)").collect();
    ok("regex: products", &format!("many{{n=~\"{}\"}}", branches.concat()));
    one("PromQL: 12,000 selectors, balanced", many, &balanced("many", 12_000));
}

/// A sum of `leaves` terms as a balanced tree.
fn balanced(term: &str, leaves: usize) -> String {
    if leaves <= 1 {
        return term.to_owned();
    }
    let half = leaves / 2;
    format!("({}+{})", balanced(term, half), balanced(term, leaves - half))
}

/// Everything at once, repeatedly, from many clients: the budget holds and the node survives.
#[test]
fn everything_at_once() {
    let is_large = setting("M3RING_HOSTILE_SCALE", 1) > 10;
    let (series, limit) = if is_large { (100_000, 400) } else { (5_000, 120) };
    let config = format!("memory: {{ limit: {} }}\n", limit << 20);
    let arena = Arena::start_through(&[], &config, true);
    let now = now_ms();
    store(&arena, series, now);
    let clients = scaled(8, 200);
    let rounds = scaled(2, 10);
    let (end, start) = (now / 1000, now / 1000 - 300);
    let range = |query: &str, step: &str| {
        format!("/api/v1/query_range?query={}&start={start}&end={end}&step={step}", escape(query))
    };
    let queries = [
        range("many", "1"),
        range("many*2+many", "1"),
        range("rate(many[5m])", "0.1"),
        range("sort(last_over_time(many[5m]))", "0.1"),
        "/api/v1/series?match[]=many".to_owned(),
        "/api/v1/label/n/values".to_owned(),
        "/api/v1/labels?match[]=many".to_owned(),
        "/api/v1/search?query=n:.*".to_owned(),
        format!("/api/v1/query?query={}", escape("{__name__=~\".+\"}[1h]")),
    ];
    let name = format!("everything of {series} series, {clients} clients at once");
    let bounds = Bounds { stays_mib: 120, peak_mib: limit + super::budget::SLACK_MIB };
    arena.case(&name, bounds, |arena| {
        let mut kinds: BTreeMap<u16, usize> = BTreeMap::new();
        let begun = Instant::now();
        let all: Vec<Got> = std::thread::scope(|scope| {
            let ask = |client: usize| {
                let queries = &queries;
                move || {
                    let query = |n: usize| &queries[(n + client) % queries.len()];
                    let one = |n| shoot(arena.addr(), &get(query(n)));
                    (0..rounds).map(one).collect::<Vec<_>>()
                }
            };
            let clients: Vec<_> = (0..clients).map(|n| scope.spawn(ask(n))).collect();
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        });
        for got in &all {
            let Got::Answer(status, text, retry) = got else { panic!("closed, not answered") };
            assert!([200, 400, 429, 504].contains(status), "{status} {text:.300}");
            assert!(*status != 429 || *retry, "a 429 without Retry-After");
            *kinds.entry(*status).or_default() += 1;
        }
        let peak = arena.node.peak_mib();
        assert!(peak < limit + super::budget::SLACK_MIB, "{peak} MiB, the limit is {limit}");
        format!("{kinds:?} in {:.1} s", begun.elapsed().as_secs_f64())
    });
    // Memory of queries is returned, and writes that were refused for it are accepted again.
    until("writes to be taken again", Duration::from_secs(20), || {
        let got = shoot(arena.addr(), &write(&numbered("after", 0, 10)));
        matches!(got, Got::Answer(200, ..)).then_some(())
    });
}
