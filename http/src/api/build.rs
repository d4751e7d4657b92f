//! The answer of `/api/v1/status/buildinfo`: the Prometheus version that the node is compatible
//! with, and its own name and version.
//!
//! Clients take `version` for the version of the Prometheus they talk to and turn features on and
//! off by it. So it names the Prometheus whose API and language are spoken here. Our own name and
//! version are in fields that Prometheus does not have.

use crate::reply::json::{push_key, push_string};

/// The Prometheus whose PromQL and API this node speaks: the query engine is tested against the
/// answers of this release. With a lower version clients would avoid features that exist here: for
/// the values of one label, Grafana asks a server older than 2.24 for all its series.
pub const PROMETHEUS_VERSION: &str = "3.14.0";
/// Our own name, as in the command line and the logs.
pub const APPLICATION: &str = "m3ring";

/// The data of the answer. `version` is our own; `revision` is the commit of the build, or empty if
/// unknown.
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
