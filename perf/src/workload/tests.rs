//! The workload is what the options say.

use super::Bodies;
use super::encode::{fields, push};
use super::exposition;
use super::model::{Model, SERIES_PER_TARGET};
use super::replay::Capture;
use crate::client::Target;
use crate::options::{Options, Shape};
use m3_http::ingest::remote_write::{DecodeLimits, Decoder, Mode};
use m3_http::proto::write::WriteRequestWriter;
use m3_metric::batch::labels_in;
use m3_metric::labels::read_label;
use m3_metric::{Record, WriteBatch};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const END_MS: i64 = 1_800_000_000_000;

fn options() -> Options {
    Options {
        series: 1_650,
        batch: 200,
        rounds: 6,
        warm: 2,
        connections: 3,
        end_ms: END_MS,
        ..Options::default()
    }
}

fn target() -> Target {
    Target::parse("http://127.0.0.1:9/api/v1/write").unwrap()
}

fn encode(options: &Options) -> Bodies {
    Bodies::encode(options, &target()).unwrap()
}

/// A sample: round, labels, milliseconds, value.
type Sample = (u32, BTreeMap<String, String>, i64, f64);

/// All samples of each lane, decoded strictly.
fn decode(bodies: &Bodies) -> Vec<Vec<Sample>> {
    let mut decoder = Decoder::new(DecodeLimits::default());
    let mut lanes = Vec::new();
    for lane in &bodies.lanes {
        let mut samples = Vec::new();
        for body in lane {
            let mut batch = WriteBatch::default();
            let len = decoder.decompress(body.message(), &mut batch).unwrap();
            decoder.split(len, &mut batch, Mode::Strict).unwrap();
            assert_eq!(batch.records.len(), body.samples as usize);
            samples.extend(batch.records.iter().map(|record| sample(body.round, &batch, record)));
        }
        lanes.push(samples);
    }
    lanes
}

fn sample(round: u32, batch: &WriteBatch, record: &Record) -> Sample {
    let mut rest = labels_in(&batch.buffer, record);
    let mut labels = BTreeMap::new();
    let mut before = String::new();
    while !rest.is_empty() {
        let (name, value) = read_label(&mut rest).unwrap();
        let (name, value) = (
            String::from_utf8_lossy(name).into_owned(),
            String::from_utf8_lossy(value).into_owned(),
        );
        assert!(before < name, "{before} before {name}");
        before.clone_from(&name);
        assert!(labels.insert(name, value).is_none());
    }
    let ms = record.timestamp.0 / 1_000_000;
    (round, labels, ms, f64::from_bits(record.value_bits))
}

#[test]
fn the_same_options_give_the_same_bytes() {
    for shape in [Shape::Cluster, Shape::Plain] {
        let options = Options { shape, churn: 10.0, late: 5.0, ..options() };
        let (one, two) = (encode(&options), encode(&options));
        assert!(one.lanes == two.lanes && one.facts == two.facts);
        let other = encode(&Options { seed: 1, ..options });
        assert!(one.lanes != other.lanes);
    }
}

#[test]
fn bodies_decode_to_what_was_asked_for() {
    for shape in [Shape::Cluster, Shape::Plain] {
        let options = Options { shape, ..options() };
        let bodies = encode(&options);
        let lanes = decode(&bodies);
        let samples: Vec<_> = lanes.iter().flatten().collect();
        assert_eq!(samples.len(), 1_650 * 8);
        assert_eq!(bodies.facts.samples, 1_650 * 8);
        assert_eq!(bodies.samples_before(2), 1_650 * 2);
        for round in 0..8 {
            let of: BTreeSet<_> = samples.iter().filter(|s| s.0 == round).map(|s| &s.1).collect();
            assert_eq!(of.len(), 1_650, "round {round}");
        }
        assert_eq!(bodies.identities, 1_650);
        let names: BTreeSet<_> = samples.iter().map(|s| &s.1["__name__"]).collect();
        assert!(names.iter().copied().eq(bodies.names.iter().collect::<BTreeSet<_>>()));
        let labels = bodies.facts.mean(bodies.facts.labels);
        assert!((labels - 13.0).abs() < 0.3, "{labels} labels");
        let times = samples.iter().map(|s| s.2);
        let (first, last) = (times.clone().min().unwrap(), times.max().unwrap());
        assert!(bodies.start_ms <= first && last < bodies.end_ms && bodies.end_ms == END_MS);
    }
}

#[test]
fn a_series_stays_on_its_connection_and_in_order() {
    let options = Options { churn: 10.0, ..options() };
    let bodies = encode(&options);
    let mut lane_of = HashMap::new();
    for (lane, samples) in decode(&bodies).into_iter().enumerate() {
        let mut newest = HashMap::new();
        for (round, labels, ms, _) in samples {
            assert_eq!(*lane_of.entry(labels.clone()).or_insert(lane), lane);
            let before = newest.insert(labels, (round, ms));
            assert!(before.is_none_or(|(r, t)| r < round && t < ms));
        }
    }
    // Lanes have equally many requests, give or take one.
    let sizes: Vec<_> = bodies.lanes.iter().map(Vec::len).collect();
    assert_eq!(sizes, [24, 24, 24]);
}

#[test]
fn requests_of_all_lanes_have_one_order() {
    let bodies = encode(&options());
    let mut before = 0;
    let mut round = 0;
    for body in bodies.in_order() {
        assert_eq!(body.before, before);
        assert!(body.round >= round);
        round = body.round;
        before += u64::from(body.samples);
        let head = std::str::from_utf8(&body.request[..body.head]).unwrap();
        let length = format!("Content-Length: {}\r\n\r\n", body.message().len());
        assert!(head.starts_with("POST /api/v1/write HTTP/1.1\r\n") && head.ends_with(&length));
    }
    assert_eq!(before, 1_650 * 8);
}

#[test]
fn histograms_are_cumulative_and_a_real_share() {
    let bodies = encode(&options());
    let share = bodies.facts.mean(bodies.facts.histogram);
    assert!((0.35..0.45).contains(&share), "{share}");
    let mut buckets: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
    let mut counts = BTreeMap::new();
    let mut newest = HashMap::new();
    let mut moved = 0;
    for (round, mut labels, _, value) in decode(&bodies).into_iter().flatten() {
        let is_counting = ["_bucket", "_count", "_sum", "_total"];
        if is_counting.iter().any(|end| labels["__name__"].ends_with(end)) {
            let before = newest.insert(labels.clone(), value);
            assert!(before.is_none_or(|before| before <= value), "{labels:?}: {before:?}, {value}");
            moved += usize::from(before.is_some_and(|before| before < value));
        }
        let name = labels.remove("__name__").unwrap();
        if let Some(of) = name.strip_suffix("_bucket") {
            let le = labels.remove("le").unwrap().parse().unwrap();
            buckets.entry((round, of.to_owned(), labels)).or_default().push((le, value));
        } else if let Some(of) = name.strip_suffix("_count") {
            counts.insert((round, of.to_owned(), labels), value);
        }
    }
    assert!(moved > 1000, "{moved}");
    // The last target is incomplete, so a histogram may be cut there.
    let whole = buckets.iter().filter(|(key, _)| counts.contains_key(key));
    let mut checked = 0;
    for (key, buckets) in whole {
        let mut buckets = buckets.clone();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert_eq!(buckets.len(), 12, "{key:?}");
        assert!(buckets.is_sorted_by(|a, b| a.1 <= b.1), "{key:?}: {buckets:?}");
        assert_eq!(buckets[11], (f64::INFINITY, counts[key]), "{key:?}");
        checked += 1;
    }
    assert!(checked >= 3 * 14 * 8, "{checked}");
}

#[test]
fn churn_replaces_its_share_of_the_targets() {
    for shape in [Shape::Cluster, Shape::Plain] {
        let options =
            Options { shape, series: 5_000, churn: 20.0, rounds: 5, warm: 0, ..options() };
        let bodies = encode(&options);
        let mut seen: Vec<BTreeSet<BTreeMap<String, String>>> = vec![BTreeSet::new(); 5];
        let mut reset = 0;
        for (round, labels, _, value) in decode(&bodies).into_iter().flatten() {
            let is_new = round > 0 && !seen[0].contains(&labels);
            reset += usize::from(is_new && labels["__name__"].ends_with("_count") && value < 60.0);
            seen[round as usize].insert(labels);
        }
        // 10 targets, 2 of them replaced in each round, one after another.
        for round in 1..5 {
            let new: Vec<_> = seen[round].difference(&seen[round - 1]).collect();
            assert_eq!(new.len(), 2 * SERIES_PER_TARGET, "round {round}");
            let same_node = |labels: &&&BTreeMap<String, String>| {
                seen[round - 1].iter().any(|old| {
                    old["node"] == labels["node"]
                        && old["pod"] != labels["pod"]
                        && old["instance"] != labels["instance"]
                })
            };
            assert!(new.first().iter().all(same_node));
        }
        let all: BTreeSet<_> = seen.iter().flatten().collect();
        assert_eq!((all.len(), bodies.identities), (9_000, 9_000));
        assert!(reset > 0 || shape == Shape::Plain);
    }
}

#[test]
fn all_targets_are_replaced_in_turn() {
    let model = Model::new(&Options { series: 5_000, churn: 30.0, ..options() });
    for round in 0..40 {
        let replaced: u32 = (0..10).map(|t| model.generation(t * SERIES_PER_TARGET, round)).sum();
        assert_eq!(replaced as usize, round * 3, "round {round}");
    }
}

#[test]
fn late_samples_are_older_than_what_came_before() {
    let bodies = encode(&Options { late: 10.0, rounds: 12, ..options() });
    let mut newest: HashMap<_, i64> = HashMap::new();
    let mut times = BTreeSet::new();
    let (mut late, mut all) = (0, 0);
    for (_, labels, ms, _) in decode(&bodies).into_iter().flatten() {
        assert!(times.insert((labels.clone(), ms)), "a time stands twice");
        let before = newest.entry(labels).or_insert(ms);
        late += usize::from(ms < *before);
        *before = ms.max(*before);
        all += 1;
    }
    let share = late as f64 / f64::from(all);
    assert!((0.07..0.11).contains(&share), "{share}");
    let said = bodies.facts.mean(bodies.facts.late);
    assert!((share - said).abs() < 0.01, "{share} {said}");
}

#[test]
fn the_encoder_writes_what_the_house_does() {
    let labels: Vec<_> = [("__name__", "up"), ("job", "x")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    for (ms, value) in [(END_MS, 1.5), (0, 0.0), (7, -0.0), (END_MS, f64::NAN)] {
        let mut message = Vec::new();
        push(&mut message, &[&fields(&labels)], ms, value);
        let mut writer = WriteRequestWriter::default();
        writer.push(&[("__name__", "up"), ("job", "x")], &[(ms, value)]);
        assert_eq!(message, writer.message(), "{ms} {value}");
    }
}

/// Labels and values of the plain shape, as they were when it was the only one.
#[test]
fn the_plain_shape_does_not_change() {
    let options = Options { shape: Shape::Plain, ..options() };
    let model = Model::new(&options);
    let labels = model.labels(1_503, 0);
    let of = |name: &str| &labels.iter().find(|(n, _)| n == name).unwrap().1;
    assert_eq!(labels.len(), 13);
    assert_eq!(of("__name__"), "container_network_receive_0_total");
    assert_eq!(of("instance"), "10.0.0.3:9100");
    assert_eq!(of("pod"), "payments-daa66d13-00003");
    let mut value = None;
    let mut of = |round| {
        value = Some(model.value(1_505, round, value));
        (model.time_ms(1_505, round) - model.start_ms, value.unwrap())
    };
    assert_eq!([of(0), of(1), of(2)], [(10, 3245.0), (15_005, 6470.0), (30_008, 9908.0)]);
}

#[test]
fn too_much_is_refused_before_it_is_made() {
    let options = Options { series: 1_000_000, rounds: 5_000, memory_mib: 100, ..options() };
    let small = Options { batch: 10, rounds: 2_000, ..options };
    let said = Bodies::encode(&small, &target()).unwrap_err();
    assert!(said.contains("MiB and --memory allows 100"), "{said}");
}

const SCRAPE: &str = r#"# HELP h_seconds How long.
# TYPE h_seconds histogram
h_seconds_bucket{le="0.5"} 3
h_seconds_bucket{le="+Inf"} 5
h_seconds_sum 2.25
h_seconds_count 5
# TYPE odd gauge
odd{path="C:\\a \"b}\" {c",job="own",instance="me"} NaN
odd{path="",} -Inf 1395066363000
bare 1.7560473e+07
"#;

fn capture(rounds: i64) -> Capture {
    let mut capture = Capture::default();
    for round in 0..rounds {
        for (job, late) in [("a", 3), ("b", 70)] {
            let line = serde_json::json!([job, 1_000_000 + round * 5_000 + late, SCRAPE]);
            capture.add(&line.to_string()).unwrap();
        }
    }
    capture
}

#[test]
fn a_capture_is_sent_for_every_target() {
    let options = Options { targets: 3, batch: 5, warm: 1, rounds: 3, ..options() };
    let mut capture = capture(4);
    assert_eq!(capture.rounds.len(), 4);
    let bodies = capture.encode(&options, &target()).unwrap();
    assert_eq!((bodies.series, bodies.identities, bodies.round_ms), (42, 42, 5_022));
    assert_eq!(bodies.selectors, ["{job=\"a\"}", "{job=\"b\"}"]);
    assert_eq!(bodies.names.len(), 5);
    let facts = bodies.facts;
    assert_eq!((facts.samples, facts.histogram), (4 * 42, 4 * 24));
    assert_eq!(facts.unchanged, 3 * 42);
    let lanes = decode(&bodies);
    let samples: Vec<_> = lanes.iter().flatten().collect();
    assert_eq!(samples.len(), 4 * 42);
    let all: BTreeSet<_> = samples.iter().map(|s| (s.1.clone(), s.2)).collect();
    assert_eq!(all.len(), 4 * 42, "no sample twice");
    assert!(all.iter().all(|(_, ms)| (bodies.start_ms..bodies.end_ms).contains(ms)));
    let odd: Vec<_> = samples.iter().filter(|s| s.1.contains_key("exported_job")).collect();
    assert_eq!(odd.len(), 4 * 6);
    assert!(samples.iter().all(|s| s.1.values().all(|value| !value.is_empty())));
    assert_eq!(odd[0].1["path"], "C:\\a \"b}\" {c");
    assert_eq!((&*odd[0].1["exported_instance"], odd[0].3.is_nan()), ("me", true));
    assert!(["10.0.0.0:9100", "10.0.0.1:9100", "10.0.0.2:9100"].contains(&&*odd[0].1["instance"]));
    for (lane, samples) in lanes.iter().enumerate() {
        let targets: BTreeSet<_> =
            samples.iter().map(|s| (&s.1["job"], &s.1["instance"])).collect();
        assert_eq!(targets.len(), 2, "lane {lane}: {targets:?}");
    }
}

#[test]
fn lines_of_an_exposition_are_cut() {
    assert_eq!(exposition::cut("# TYPE x gauge"), None);
    assert_eq!(exposition::cut("x 1 2"), Some(("x", "1 2")));
    assert_eq!(exposition::cut("x{a=\"}\\\"}\"}\t1"), Some(("x{a=\"}\\\"}\"}", "1")));
    assert_eq!(exposition::value("+Inf 7"), Some(f64::INFINITY));
    assert_eq!(exposition::value("x"), None);
    assert_eq!(exposition::labels("x{a=1}"), None);
    let labels = exposition::labels("x{a=\"b\\nc\", d=\"e\"}").unwrap();
    assert_eq!(labels[1..], [("a".into(), "b\nc".into()), ("d".into(), "e".into())]);
}
