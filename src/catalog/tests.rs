//! Namespace numbers: adoption, deletion, and the document in the KV.

use super::*;
use m3_cluster::namespace::{NamespaceMetadata, NamespaceOptions as Registered};

fn registered(name: &str, aggregated: bool) -> NamespaceMetadata {
    let mut options = Registered::default();
    if aggregated {
        options.aggregations = Some(vec![Aggregation::Aggregated {
            resolution_ns: 60_000_000_000,
            downsample_all: true,
        }]);
    }
    NamespaceMetadata { name: name.to_owned(), options }
}

#[test]
fn the_first_unaggregated_namespace_adopts_the_implicit_one() {
    let mut numbers = Numbers::default();
    assert!(!numbers.reconcile(&[]));
    assert_eq!(Catalog::new(&[], &numbers).unaggregated().name, IMPLICIT_NAME);

    let all = [registered("agg", true), registered("default", false), registered("more", false)];
    assert!(numbers.reconcile(&all));
    assert_eq!(numbers.implicit, None);
    assert_eq!(
        (numbers.by_name["default"], numbers.by_name["agg"], numbers.by_name["more"]),
        (0, 1, 2)
    );
    let catalog = Catalog::new(&all, &numbers);
    assert_eq!(catalog.unaggregated().name, "default");
    assert_eq!(catalog.namespaces.len(), 3);
}

#[test]
fn a_number_is_never_given_twice() {
    let mut numbers = Numbers::default();
    numbers.reconcile(&[registered("default", false)]);
    assert!(numbers.reconcile(&[]));
    assert_eq!(numbers.implicit, Some(1));
    assert!(numbers.reconcile(&[registered("default", false)]));
    assert_eq!(numbers.by_name["default"], 1);
    assert_eq!(numbers.next, 2);
}

#[test]
fn numbers_come_back_from_the_kv() {
    let mut numbers = Numbers::default();
    numbers.reconcile(&[registered("a b", false), registered("agg", true)]);
    assert_eq!(Numbers::decode(&numbers.encode()), Some(numbers));
    assert_eq!(Numbers::decode(b"next x"), None);
    assert_eq!(Numbers::decode(b""), None);
}
