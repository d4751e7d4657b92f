//! What `/api/v1/status/buildinfo` says: as whom the node answers, and what it is.
//!
//! Clients take `version` for the version of the Prometheus they talk to and turn features on and
//! off by it. So it names the Prometheus whose API and language are spoken here; our own name and
//! version stand beside it, where Prometheus has no fields.

use crate::reply::json::{push_key, push_string};

/// The Prometheus whose PromQL and API this node speaks: the query engine is held to the answers
/// that this release gives. A lower version makes clients do without what is there: Grafana asks a
/// server older than 2.24 for all its series where it wants the values of one label.
pub const PROMETHEUS_VERSION: &str = "3.14.0";
/// Our own name, as the command line and the logs say it.
pub const APPLICATION: &str = "m3ring";

/// The data of the answer: `version` is ours, `revision` the commit it was built from, which may be
/// unknown and empty.
pub(super) fn build_info(version: &str, revision: &str) -> String {
    let fields = [
        ("version", PROMETHEUS_VERSION),
        ("revision", revision),
        ("branch", ""),
        ("buildUser", ""),
        ("buildDate", ""),
        ("goVersion", ""),
        ("application", APPLICATION),
        ("applicationVersion", version),
    ];
    let mut json = String::from("{");
    for (index, (name, value)) in fields.into_iter().enumerate() {
        push_key(&mut json, index, name);
        push_string(&mut json, value);
    }
    json.push('}');
    json
}
