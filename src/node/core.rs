//! One core of the node, from its first message to its last.

use super::CorePlan;
use super::keeper::Keeper;
use super::signals;
use super::start::{self, NotBegun};
use crate::coordinator::Coordinator;
use crate::dbnode::DbNode;
use crate::door::Door;
use crate::engine::Engine;
use crate::message::Message;
use crate::telemetry::CoreStats;
use m3_http::api::{Api, ApiSettings, Listener};
use m3_http::server::{self, ServerLimits, ServerStats};
use m3_io::budget::Budget;
use m3_io::mesh::Port;
use m3_io::net::{Options, TcpListener};
use m3_io::{CoreId, Gate, spawn};
use m3_metric::FingerprintKey;
use m3_shard::commitlog::ReplayStats;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Messages taken from the inbox at once.
const BATCH: usize = 64;
/// How long requests in progress may take when the node stops.
const DRAIN: Duration = Duration::from_millis(1200);

/// Runs core `id` until the node stops. The error says why the core could not start.
pub(super) async fn run(id: CoreId, plan: CorePlan) -> Result<(), String> {
    let begun = match start::begin(id, &plan).await {
        Ok(begun) => begun,
        Err(NotBegun::Closed) => return Ok(()),
        Err(NotBegun::Failed(text)) => {
            // The others wait for this core: tell them that it will not start.
            for core in plan.port.peers().filter(|core| *core != id) {
                let _ = plan.port.send(core, Message::Close).await;
            }
            return Err(text);
        }
    };
    let port = Rc::new(plan.port);
    let fingerprints = Arc::new(FingerprintKey::random());
    let has_router = plan.shared.shards.core_count > 1;
    let api = Rc::new(Api::new(ApiSettings {
        query_timeout: plan.settings.config.query.timeout,
        body_decoded_bytes_max: plan.settings.config.body_decoded_bytes_max,
        budget: Arc::clone(plan.shared.memory.budget()),
        fingerprints: has_router.then(|| Arc::clone(&fingerprints)),
        metric_stats_max: plan.settings.config.query.metric_stats_max,
        labels_need_range: plan.settings.config.query.labels_need_range,
        series_need_range: plan.settings.config.query.series_need_range,
        version: env!("CARGO_PKG_VERSION"),
        revision: option_env!("M3RING_REVISION").unwrap_or(""),
    }));
    let node = Rc::new(begun.node);
    let shared = Arc::clone(&plan.shared);
    let engine = Engine::new(Rc::clone(&node), Rc::clone(&port), Arc::clone(&shared), fingerprints);
    let engine = Rc::new(engine);
    let coordinator = Coordinator::new(Rc::clone(&engine), shared, Rc::clone(&api));
    let coordinator = Rc::new(coordinator);
    let core = Rc::new(Core {
        port,
        node,
        engine,
        coordinator,
        keeper: begun.keeper.map(Rc::new),
        replay: begun.replay,
        stop: Gate::new(),
        served: Gate::new(),
        api_stats: Rc::new(ServerStats::default()),
        metrics_stats: Rc::new(ServerStats::default()),
    });
    let limits = ServerLimits { drain_timeout: DRAIN, ..plan.settings.config.http };
    let budget = plan.shared.memory.budget();
    core.listen(plan.api_addr, limits, &api, Listener::Api, budget)?;
    let shared = Arc::clone(&plan.shared);
    spawn(async move { crate::memory::give_back(&shared.memory).await });
    if id == CoreId(0) {
        core.listen(plan.metrics_addr, limits, &api, Listener::Metrics, budget)?;
        signals::stop_all(Rc::clone(&core.port));
        signals::ignore_hangups();
        tracing::info!("serving");
    }
    core.serve(begun.early).await;
    Ok(())
}

struct Core {
    port: Rc<Port<Message>>,
    node: Rc<DbNode>,
    engine: Rc<Engine>,
    coordinator: Rc<Coordinator>,
    keeper: Option<Rc<Keeper>>,
    replay: ReplayStats,
    /// Closed when the servers are to stop.
    stop: Gate,
    /// Entered by each server; drained when all servers have stopped.
    served: Gate,
    api_stats: Rc<ServerStats>,
    metrics_stats: Rc<ServerStats>,
}

impl Core {
    fn listen(
        self: &Rc<Self>,
        addr: std::net::SocketAddr,
        limits: ServerLimits,
        api: &Rc<Api>,
        listener: Listener,
        budget: &Arc<Budget>,
    ) -> Result<(), String> {
        let options = Options { reuse_port: true, ..Options::default() };
        let socket = TcpListener::bind(addr, options).map_err(|e| e.to_string())?;
        let stats = match listener {
            Listener::Api => Rc::clone(&self.api_stats),
            Listener::Metrics => Rc::clone(&self.metrics_stats),
        };
        let (api, coordinator) = (Rc::clone(api), Rc::clone(&self.coordinator));
        let handler = Rc::new(Door::new(listener, api, coordinator));
        let pass = self.served.enter().ok_or("the core is closing")?;
        let (budget, stop) = (Arc::clone(budget), self.stop.clone());
        spawn(async move {
            let served = server::serve(socket, limits, handler, stats, budget, stop).await;
            drop(pass);
            if let Err(error) = served {
                panic!("the listener on {addr} broke: {error}");
            }
        });
        Ok(())
    }

    /// Handles messages, the `early` ones first, until the node closes; then closes the log.
    async fn serve(self: &Rc<Self>, early: Vec<Message>) {
        let log = self.node.log().clone();
        let writing = log.clone();
        spawn(async move {
            if let Err(failed) = writing.run().await {
                // Samples that the log could not write must not be served as if they were stored:
                // the node ends.
                panic!("{failed}");
            }
        });
        let node = Rc::clone(&self.node);
        spawn(async move { node.tick().await });
        let mut inbox = early;
        'life: loop {
            for message in inbox.drain(..) {
                if matches!(message, Message::Close) {
                    break 'life;
                }
                self.handle(message);
            }
            if self.port.recv_batch(&mut inbox, BATCH).await == 0 {
                break;
            }
        }
        match log.close().await {
            Ok(()) => tracing::info!(core = self.port.core().0, "closed"),
            Err(failed) => tracing::error!(core = self.port.core().0, %failed, "not closed"),
        }
    }

    fn handle(self: &Rc<Self>, message: Message) {
        let node = Rc::clone(&self.node);
        match message {
            Message::Write(job) => spawn(async move { node.write(job).await }),
            Message::Fragment(job) => spawn(async move { node.fragment(job).await }),
            Message::Read(job) => spawn(async move { node.read(job).await }),
            Message::Metadata(job) => spawn(async move { node.metadata(job).await }),
            Message::Catalog(catalog, back) => {
                self.engine.forget_deleted(&catalog);
                node.set_catalog(catalog);
                back.send(());
            }
            Message::Stats(back) => back.send(Box::new(self.stats())),
            Message::Admin(request, back) => {
                let Some(keeper) = self.keeper.clone() else {
                    tracing::error!("an admin request reached a core that has no KV");
                    return;
                };
                let port = Rc::clone(&self.port);
                spawn(async move { back.send(keeper.admin(&port, request).await) });
            }
            Message::Drain(back) => {
                self.coordinator.set_stopping();
                self.stop.close();
                self.served.close();
                let served = self.served.clone();
                spawn(async move {
                    served.drained().await;
                    back.send(());
                });
            }
            Message::Serve | Message::Close => {
                tracing::error!(
                    message = message.name(),
                    "a serving core received an unexpected message"
                );
            }
        }
    }

    fn stats(&self) -> CoreStats {
        let mut stats = CoreStats::gather(&self.node, self.engine.stats());
        stats.replay = self.replay.clone();
        stats.api = self.api_stats.snapshot();
        stats.metrics = self.metrics_stats.snapshot();
        stats.backlog = self.port.backlog() as u64;
        stats
    }
}
