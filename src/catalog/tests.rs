//! Namespace numbers: adoption, deletion, and the document in the KV.

use super::*;
use m3_cluster::kv::memory::MemoryKv;
use m3_cluster::{AdminRequest, AdminRoute, Registry, handle};
use m3_io::driver::Driver;
use m3_io::runtime::run_here;

/// A registry's namespaces after these were added; true is aggregated.
fn registered(wanted: &[(&str, bool)]) -> Vec<NamespaceMetadata> {
    run_here(Driver::Epoll, async {
        let kv = MemoryKv::default();
        for (name, aggregated) in wanted {
            let kind = if *aggregated {
                r#"{"aggregated":true,"attributes":{"resolutionDuration":"1m"}}"#
            } else {
                r#"{"aggregated":false}"#
            };
            let mut request = AdminRequest::new(AdminRoute::NamespaceAdd);
            request.body = format!(
                r#"{{"name":"{name}","options":{{"retentionOptions":{{
                "retentionPeriodDuration":"48h","blockSizeDuration":"2h","bufferFutureDuration":"2m",
                "bufferPastDuration":"10m"}},"aggregationOptions":{{"aggregations":[{kind}]}}}}}}"#
            )
            .into_bytes();
            let reply = handle(&kv, request, 0).await;
            assert_eq!(reply.status, 200, "{}", reply.body);
        }
        Registry::load(&kv).await.unwrap()
    })
    .unwrap()
}

#[test]
fn the_first_unaggregated_namespace_adopts_the_implicit_one() {
    let mut numbers = Numbers::default();
    assert!(!numbers.reconcile(&[]));
    assert_eq!(Catalog::new(&[], &numbers).unaggregated().name, IMPLICIT_NAME);

    let all = registered(&[("agg", true), ("default", false), ("more", false)]);
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
    numbers.reconcile(&registered(&[("default", false)]));
    assert!(numbers.reconcile(&[]));
    assert_eq!(numbers.implicit, Some(1));
    assert!(numbers.reconcile(&registered(&[("default", false)])));
    assert_eq!(numbers.by_name["default"], 1);
    assert_eq!(numbers.next, 2);
}

#[test]
fn numbers_come_back_from_the_kv() {
    let mut numbers = Numbers::default();
    numbers.reconcile(&registered(&[("a b", false), ("agg", true)]));
    assert_eq!(Numbers::decode(&numbers.encode()), Some(numbers));
    assert_eq!(Numbers::decode(b"next x"), None);
    assert_eq!(Numbers::decode(b""), None);
}
