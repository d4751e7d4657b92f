//! The index: new series in, matchers to postings.

use m3_benches::{case, criterion, labels, size};
use m3_index::{Index, Matchers};
use m3_metric::{MatchOp, Matcher, SeriesOrdinal};

fn main() {
    let mut criterion = criterion();
    let count = size(200_000);
    let all: Vec<_> = (0..count).map(labels).collect();
    let fill = || {
        let mut index = Index::default();
        for (ordinal, labels) in (0u32..).zip(&all) {
            index.insert(SeriesOrdinal(ordinal), labels.as_bytes());
        }
        index
    };
    let mut group = criterion.benchmark_group("index");
    case(&mut group, "insert", count, || fill().series_count());
    group.finish();
    let index = fill();
    let mut group = criterion.benchmark_group("search");
    let searches = [
        ("=", MatchOp::Equal, "job", "kubernetes-nodes-cadvisor"),
        ("= of few", MatchOp::Equal, "pod", "payments-00000000"),
        ("!=", MatchOp::NotEqual, "zone", "eu-west-1a"),
        ("=~ set", MatchOp::Regex, "namespace", "team-1|team-7|team-9"),
        ("=~ prefix", MatchOp::Regex, "pod", "payments-0.*"),
        ("=~ contains", MatchOp::Regex, "node", ".*-7-.*"),
        ("=~ automaton", MatchOp::Regex, "pod", "payments-[0-9]+[a-f]{2}.*"),
    ];
    for (name, op, label, value) in searches {
        let matchers =
            Matchers::compile(&[Matcher::new(op, label, value)]).expect("valid matchers");
        case(&mut group, name, 1, || index.search(&matchers).len());
    }
    group.finish();
    criterion.final_summary();
}
