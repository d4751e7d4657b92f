//! The clients in a simulated world: writers, readers, and one that creates and deletes a
//! namespace.
//!
//! They do not know when the node ends. A write without an answer may or may not be stored, and a
//! client that cannot connect tries again.

use crate::Report;
use crate::client::{Answer, Client};
use crate::ledger::{Ledger, Place};
use m3_http::api::{ReadQuery, Selection};
use m3_http::proto::read::{decode_response, encode_request};
use m3_http::proto::write::WriteRequestWriter;
use m3_io::sim::{Rng, World};
use m3_io::time;
use m3_metric::labels::iter_canonical;
use m3_metric::{MatchOp, Matcher};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// Most series of each writer in one namespace.
const SERIES_MAX: u64 = 40;
/// Times in milliseconds that no namespace accepts.
const FAR_TIMES_MS: [i64; 7] = [
    i64::MIN,
    -9_223_372_036_855,
    -9_223_372_036_854,
    1_767_225_600_000_000,
    9_223_372_036_854,
    9_223_372_036_855,
    i64::MAX,
];
/// Queries with numbers at the limits, which must be answered in some way.
const EDGE_QUERIES: [&str; 6] = [
    "query?query=simulated&time=-9223372036.854",
    "query?query=simulated%20offset%20292y&time=9223372036.854",
    "query?query=max_over_time(simulated[292y:1y])&lookback=292y",
    "query_range?query=rate(simulated[5m])&start=-9223372036.854&end=9223372036.854&step=1e8",
    "query_range?query=simulated&start=9223372036854775807&end=-Inf&step=NaN",
    "series?match[]=simulated&start=-292273086-05-16T16:47:06Z&end=9223372036854775807",
];
/// Most bytes of an answer after decompression.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The headers that select the second namespace.
const POLICY: [(&str, &str); 2] =
    [("M3-Metrics-Type", "aggregated"), ("M3-Storage-Policy", "1m:48h")];
const CREATE_RAW: &str = r#"{"type":"local","namespaceName":"raw","retentionTime":"48h"}"#;
const CREATE_AGG: &str = r#"{"name":"agg","options":{"bootstrapEnabled":true,"flushEnabled":true,
    "writesToCommitLog":true,"cleanupEnabled":true,"snapshotEnabled":true,
    "retentionOptions":{"retentionPeriodDuration":"48h","blockSizeDuration":"2h",
        "bufferFutureDuration":"10m","bufferPastDuration":"20m"},
    "indexOptions":{"enabled":true,"blockSizeDuration":"2h"},
    "aggregationOptions":{"aggregations":[{"aggregated":true,
        "attributes":{"resolutionDuration":"1m","downsampleOptions":{"all":true}}}]}}}"#;
const NAMESPACE: &str = "/api/v1/services/m3db/namespace";

/// The two namespaces that are written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Space {
    /// The implicit namespace, which a created one adopts at some time.
    Raw,
    /// A namespace that is repeatedly created and deleted.
    Agg,
}

/// State that all clients share.
#[derive(Debug, Default)]
struct Known {
    raw: Ledger,
    agg: Ledger,
    /// The number of times the second namespace was created; its series are named by it.
    incarnation: u32,
    /// Whether the second namespace exists, as far as the clients know.
    is_agg_there: bool,
    /// Requests to it in flight.
    agg_open: u32,
    life: u64,
    value: u64,
    acked: u64,
    read: u64,
    created: u64,
    deleted: u64,
    /// Whether this is the last life: writers stop, and everything is compared once.
    is_last: bool,
    is_compared: bool,
}

impl Known {
    fn ledger(&mut self, space: Space) -> &mut Ledger {
        match space {
            Space::Raw => &mut self.raw,
            Space::Agg => &mut self.agg,
        }
    }
}

type Shared = Rc<RefCell<Known>>;

/// All clients of a world.
pub(crate) struct Clients {
    known: Shared,
    addr: SocketAddr,
}

impl Clients {
    pub(crate) fn start(world: &World, rng: &mut Rng, addr: SocketAddr) -> Self {
        let known: Shared = Rc::default();
        let tool = |rng: &mut Rng| Tool {
            known: Rc::clone(&known),
            client: Client::new(addr),
            rng: Rng::new(rng.next_u64()),
        };
        for number in 0..rng.between(1, 3) as u32 {
            world.spawn(write(tool(rng), number));
        }
        for _ in 0..rng.between(1, 2) {
            world.spawn(read(tool(rng)));
        }
        world.spawn(administer(tool(rng)));
        Self { known, addr }
    }

    /// Adds what the clients have seen.
    pub(crate) fn report(&self, report: Report) -> Report {
        let Known { acked, read, created, deleted, .. } = *self.known.borrow();
        Report { acked, read, created, deleted, ..report }
    }

    /// The node has ended, so requests without an answer can no longer take effect.
    pub(crate) fn node_ended(&self) {
        self.known.borrow_mut().life += 1;
    }

    /// Compares everything as soon as the node answers, then asks it to stop.
    pub(crate) fn compare_and_stop(&self, world: &Rc<World>) {
        self.known.borrow_mut().is_last = true;
        let (known, client) = (Rc::clone(&self.known), Client::new(self.addr));
        let mut tool = Tool { known, client, rng: Rng::new(0) };
        let world_too = Rc::clone(world);
        world.spawn(async move {
            // Clients that still wait for an answer from an earlier life time out first.
            time::sleep(Duration::from_secs(6)).await;
            tool.learn_namespaces().await;
            for space in [Space::Raw, Space::Agg] {
                while !tool.read_all(space, None).await {
                    time::sleep(Duration::from_millis(50)).await;
                }
            }
            tool.known.borrow_mut().is_compared = true;
            world_too.terminate();
        });
    }

    pub(crate) fn has_compared(&self) -> bool {
        self.known.borrow().is_compared
    }
}

/// What each client uses.
struct Tool {
    known: Shared,
    client: Client,
    rng: Rng,
}

impl Tool {
    async fn pause(&mut self, most_ms: u64) {
        let span = Duration::from_micros(self.rng.below(most_ms * 1000));
        time::sleep(span).await;
    }

    fn is_last(&self) -> bool {
        self.known.borrow().is_last
    }

    /// Counts a request to the second namespace, if it exists.
    fn enter_agg(&self) -> bool {
        let mut known = self.known.borrow_mut();
        known.agg_open += u32::from(known.is_agg_there);
        known.is_agg_there
    }

    fn leave(&self, space: Space) {
        if space == Space::Agg {
            self.known.borrow_mut().agg_open -= 1;
        }
    }

    /// Reads a namespace and compares; false if no answer came. `writer` restricts it to one
    /// writer's series.
    async fn read_all(&mut self, space: Space, writer: Option<u32>) -> bool {
        if space == Space::Agg && !self.enter_agg() {
            return true;
        }
        let before = self.known.borrow_mut().ledger(space).before();
        let mut matchers = vec![Matcher::new(MatchOp::Equal, "__name__", "simulated")];
        if let Some(writer) = writer {
            matchers.push(Matcher::new(MatchOp::Equal, "writer", writer.to_string()));
        }
        let now = time::wall_ns() / 1_000_000;
        let (start_ms, end_ms) = (now - 3_600_000, now + 3_600_000);
        let query = ReadQuery { start_ms, end_ms, selection: Selection::Matchers(matchers) };
        let mut headers =
            vec![("Content-Encoding", "snappy"), ("Content-Type", "application/x-protobuf")];
        if space == Space::Agg {
            headers.extend(POLICY);
        }
        let body = encode_request(&[query]);
        let answer = self.client.send("POST", "/api/v1/prom/remote/read", &headers, &body).await;
        let answer = answer.ok().filter(|answer| answer.status < 500);
        if let Some(answer) = &answer {
            assert!(answer.status == 200, "a read: {} {}", answer.status, answer.text());
            let mut known = self.known.borrow_mut();
            let found = found(answer, space, known.incarnation);
            let covers = |series: u32| writer.is_none_or(|writer| series >> 16 == writer);
            match known.ledger(space).judge(&before, &found, covers) {
                Ok(count) => known.read += count,
                Err(text) => panic!("{space:?}: {text}"),
            }
        }
        self.leave(space);
        answer.is_some()
    }

    /// Asks the node for its namespaces until it answers.
    async fn learn_namespaces(&mut self) {
        loop {
            if let Ok(answer) = self.client.send("GET", NAMESPACE, &[], b"").await
                && answer.status == 200
            {
                self.known.borrow_mut().is_agg_there = answer.text().contains("\"agg\"");
                return;
            }
            self.pause(20).await;
        }
    }
}

/// The samples of an answer.
fn found(answer: &Answer, space: Space, incarnation: u32) -> BTreeMap<Place, u64> {
    let decoded = decode_response(&answer.body, ANSWER_BYTES_MAX);
    let mut results = decoded.unwrap_or_else(|e| panic!("a read answers nonsense: {e:?}"));
    let mut found = BTreeMap::new();
    for series in results.remove(0) {
        let mut number = None;
        let mut writer = None;
        for (name, value) in iter_canonical(series.labels.as_bytes()) {
            match name {
                "number" => number = value.parse::<u32>().ok(),
                "writer" => writer = value.parse::<u32>().ok(),
                "incarnation" => {
                    let is_ours = space == Space::Raw || value == incarnation.to_string();
                    assert!(
                        is_ours,
                        "a series of incarnation {value} came back: {:?}",
                        series.labels
                    );
                }
                _ => {}
            }
        }
        let (Some(number), Some(writer)) = (number, writer) else {
            panic!("a series that was never sent: {:?}", series.labels);
        };
        for (ms, value) in series.points {
            let place = (writer << 16 | number, ms);
            let is_new = found.insert(place, value.to_bits()).is_none();
            assert!(is_new, "{place:?} twice in one answer");
        }
    }
    found
}

/// Writes until the last life.
async fn write(mut tool: Tool, writer: u32) {
    let mut newest = BTreeMap::new();
    let mut unanswered = Vec::new();
    while !tool.is_last() {
        tool.pause(8).await;
        if !unanswered.is_empty() && tool.rng.chance(700) {
            repeat(&mut tool, &mut unanswered).await;
            continue;
        }
        let space = if tool.rng.chance(300) { Space::Agg } else { Space::Raw };
        if space == Space::Agg && !tool.enter_agg() {
            continue;
        }
        let places = request(&mut tool, space, writer, &mut newest);
        let is_answered = send(&mut tool, space, &places).await;
        tool.leave(space);
        if !is_answered && space == Space::Raw {
            unanswered = places;
        }
    }
}

/// Repeats writes that got no answer, as Prometheus does; they may be stored already.
async fn repeat(tool: &mut Tool, unanswered: &mut Vec<(Place, u64)>) {
    {
        let mut known = tool.known.borrow_mut();
        unanswered.retain(|(place, bits)| known.ledger(Space::Raw).repeat(*place, *bits));
    }
    if send(tool, Space::Raw, unanswered).await {
        unanswered.clear();
    }
}

/// Chooses what to write: mostly new timestamps, sometimes earlier ones.
fn request(
    tool: &mut Tool,
    space: Space,
    writer: u32,
    newest: &mut BTreeMap<u32, i64>,
) -> Vec<(Place, u64)> {
    let mut chosen: Vec<(Place, u64)> = Vec::new();
    let life = tool.known.borrow().life;
    let wall = time::wall_ns() / 1_000_000;
    for _ in 0..tool.rng.between(1, 25) {
        let series = writer << 16 | tool.rng.below(SERIES_MAX) as u32;
        let newest = newest.entry(series).or_insert(wall - 60_000);
        let ms = match tool.rng.below(20) {
            // One of the last few, some of which were written.
            0..2 => *newest - tool.rng.below(30) as i64,
            2 => *newest - tool.rng.below(300_000) as i64,
            _ => {
                *newest += tool.rng.between(1, 20) as i64;
                *newest
            }
        };
        let mut known = tool.known.borrow_mut();
        known.value += 1;
        let bits = (known.value as f64).to_bits();
        let is_other = chosen.iter().all(|(place, _)| *place != (series, ms));
        if is_other && known.ledger(space).send((series, ms), bits, life) {
            chosen.push(((series, ms), bits));
        }
    }
    chosen
}

/// Sends a write and returns whether an answer came.
async fn send(tool: &mut Tool, space: Space, places: &[(Place, u64)]) -> bool {
    let (life, incarnation) = {
        let known = tool.known.borrow();
        (known.life, known.incarnation)
    };
    let mut body = WriteRequestWriter::default();
    for ((series, ms), bits) in places {
        let (writer, number) = ((series >> 16).to_string(), (series & 0xffff).to_string());
        let incarnation = if space == Space::Agg { incarnation } else { 0 }.to_string();
        let labels = [
            ("__name__", "simulated"),
            ("incarnation", &incarnation),
            ("number", &number),
            ("some_longer_label", "that makes the bytes of a series cross a sector"),
            ("writer", &writer),
        ];
        body.push(&labels, &[(*ms, f64::from_bits(*bits))]);
    }
    // Sometimes with a sample that nobody could store, which must cost the others nothing.
    let is_mixed = tool.rng.chance(100);
    if is_mixed {
        let far = FAR_TIMES_MS[tool.rng.below(FAR_TIMES_MS.len() as u64) as usize];
        body.push(&[("__name__", "simulated"), ("number", "never")], &[(far, 1.0)]);
    }
    let headers: &[_] = if space == Space::Agg { &POLICY } else { &[] };
    let body = body.body();
    let answer = tool.client.send("POST", "/api/v1/prom/remote/write", headers, &body).await;
    let answer = answer.ok().filter(|answer| answer.status < 500);
    if let Some(answer) = &answer {
        let is_good = if is_mixed { answer.status == 400 } else { answer.status == 200 };
        assert!(is_good, "a write to {space:?}: {} {}", answer.status, answer.text());
    }
    let mut known = tool.known.borrow_mut();
    for (place, _) in places {
        match answer {
            Some(_) => known.ledger(space).acked(*place),
            None => known.ledger(space).unknown(*place, life),
        }
    }
    if answer.is_some() {
        known.acked += places.len() as u64;
    }
    drop(known);
    if tool.rng.chance(50) {
        tool.client.close();
    }
    answer.is_some()
}

/// Reads and compares until the last life.
async fn read(mut tool: Tool) {
    while !tool.is_last() {
        tool.pause(60).await;
        if tool.rng.chance(100) {
            let query = EDGE_QUERIES[tool.rng.below(EDGE_QUERIES.len() as u64) as usize];
            let _ = tool.client.send("GET", &format!("/api/v1/{query}"), &[], b"").await;
            continue;
        }
        let space = if tool.rng.chance(300) { Space::Agg } else { Space::Raw };
        let writer = tool.rng.chance(300).then(|| tool.rng.below(3) as u32);
        tool.read_all(space, writer).await;
    }
}

/// Creates and deletes namespaces until the last life.
async fn administer(mut tool: Tool) {
    let mut is_raw_created = false;
    while !tool.is_last() {
        tool.pause(400).await;
        if !is_raw_created && tool.rng.chance(300) {
            let create = ("POST", "/api/v1/database/create", CREATE_RAW);
            let answer = tool.client.send(create.0, create.1, &[], create.2.as_bytes()).await;
            is_raw_created = matches!(answer, Ok(Answer { status: 200 | 409, .. }));
            tool.known.borrow_mut().created += u64::from(is_raw_created);
        } else if tool.known.borrow().is_agg_there {
            delete(&mut tool).await;
        } else {
            tool.known.borrow_mut().incarnation += 1;
            tool.known.borrow_mut().agg = Ledger::default();
            let created = tool.client.send("POST", NAMESPACE, &[], CREATE_AGG.as_bytes()).await;
            let is_refused = matches!(&created, Ok(Answer { status: 400..409, .. }));
            assert!(!is_refused, "create: {}", created.map_or(String::new(), |a| a.text()));
            settle(&mut tool, created.is_ok_and(|answer| answer.status == 200), true).await;
        }
    }
}

async fn delete(tool: &mut Tool) {
    // Nobody begins requests there now. Those in flight end, with or without an answer.
    tool.known.borrow_mut().is_agg_there = false;
    while tool.known.borrow().agg_open > 0 {
        time::sleep(Duration::from_millis(5)).await;
    }
    time::sleep(Duration::from_millis(200)).await;
    let path = format!("{NAMESPACE}/agg");
    let deleted = tool.client.send("DELETE", &path, &[], b"").await;
    settle(tool, deleted.is_ok_and(|answer| answer.status == 200), false).await;
}

/// Finds out whether the namespace exists: from the answer if one came, otherwise by asking the
/// node, in this life or the next.
async fn settle(tool: &mut Tool, is_done: bool, is_there: bool) {
    if is_done {
        let mut known = tool.known.borrow_mut();
        known.is_agg_there = is_there;
        known.created += u64::from(is_there);
        known.deleted += u64::from(!is_there);
        return;
    }
    // The request may still be in flight.
    time::sleep(Duration::from_millis(500)).await;
    tool.learn_namespaces().await;
}
