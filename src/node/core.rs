//! One core of the node, from its first message to its last.

use super::CorePlan;
use super::keeper::Keeper;
use crate::catalog::Catalog;
use crate::coordinator::Coordinator;
use crate::dbnode::DbNode;
use crate::door::Door;
use crate::message::Message;
use crate::settings::Settings;
use crate::shared::Shared;
use m3_cluster::Admin;
use m3_http::api::{Api, ApiSettings, Listener};
use m3_http::server::{self, ServerLimits, ServerStats};
use m3_io::budget::Budget;
use m3_io::mesh::Port;
use m3_io::net::{Options, TcpListener};
use m3_io::{CoreId, Gate, ReplyTo, oneshot, spawn, time};
use m3_metric::FingerprintKey;
use m3_shard::CoreStore;
use m3_shard::commitlog::replay::{self, ReplayOptions, ReplayStats};
use m3_shard::commitlog::segment::Listing;
use m3_shard::commitlog::{self, CommitLog, writer};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Messages taken from the inbox at once.
const BATCH: usize = 64;
/// How long requests in progress may take when the node stops.
const DRAIN: Duration = Duration::from_millis(1200);

/// Runs core `id` until the node stops. The error says why the core could not begin.
pub(super) async fn run(id: CoreId, plan: CorePlan) -> Result<(), String> {
    let port = Rc::new(plan.port);
    let result = begin(id, &port, &plan.settings, &plan.shared, &plan.listing, &plan.log_dir).await;
    let begun = match result {
        Ok(begun) => begun,
        Err(text) => {
            // The others wait for this core: tell them that it will not come.
            for core in port.peers().filter(|core| *core != id) {
                let _ = port.send(core, Message::Close).await;
            }
            return Err(text);
        }
    };
    let Some(begun) = begun else { return Ok(()) };
    let fingerprints = Arc::new(FingerprintKey::random());
    let has_router = plan.shared.shards.core_count > 1;
    let api = Rc::new(Api::new(ApiSettings {
        query_timeout: plan.settings.query.timeout,
        body_decoded_bytes_max: plan.settings.body_decoded_bytes_max,
        budget: Arc::clone(plan.shared.memory.budget()),
        fingerprints: has_router.then(|| Arc::clone(&fingerprints)),
        labels_need_range: plan.settings.query.labels_need_range,
        series_need_range: plan.settings.query.series_need_range,
        version: env!("CARGO_PKG_VERSION"),
        revision: option_env!("M3RING_REVISION").unwrap_or(""),
    }));
    let node = Rc::new(begun.node);
    let coordinator = Rc::new(Coordinator::new(
        Rc::clone(&node),
        Rc::clone(&port),
        Arc::clone(&plan.shared),
        Rc::clone(&api),
        fingerprints,
    ));
    let core = Rc::new(Core {
        port,
        node,
        coordinator,
        keeper: begun.keeper.map(Rc::new),
        replay: begun.replay,
        stop: Gate::new(),
        served: Gate::new(),
        api_stats: Rc::new(ServerStats::default()),
        metrics_stats: Rc::new(ServerStats::default()),
        closed: RefCell::new(None),
    });
    let limits = ServerLimits { drain_timeout: DRAIN, ..plan.settings.server };
    let budget = plan.shared.memory.budget();
    core.listen(plan.api_addr, limits, &api, Listener::Api, budget)?;
    let shared = Arc::clone(&plan.shared);
    spawn(async move { crate::memory::give_back(&shared.memory).await });
    if id == CoreId(0) {
        core.listen(plan.metrics_addr, limits, &api, Listener::Metrics, budget)?;
        core.clone().wait_for_stop();
        ignore_hangups();
        tracing::info!("serving");
    }
    core.serve().await;
    Ok(())
}

/// SIGHUP ends nothing: a terminal that closes or a tool that asks for a reload must not stop the
/// node, whose configuration is read at the start only.
fn ignore_hangups() {
    let mut hangups = match m3_io::signal::Hangups::new() {
        Ok(hangups) => hangups,
        Err(error) => return tracing::error!(%error, "SIGHUP cannot be heard and ends the node"),
    };
    spawn(async move {
        let mut is_told = false;
        while hangups.next().await.is_ok() {
            if !std::mem::replace(&mut is_told, true) {
                tracing::info!("SIGHUP: the configuration is read at the start only");
            }
        }
    });
}

/// What a core has once it has replayed.
struct Begun {
    node: DbNode,
    keeper: Option<Keeper>,
    replay: ReplayStats,
}

/// Replays, with the namespaces that core 0 says. `None`: the node ends before it began.
async fn begin(
    id: CoreId,
    port: &Rc<Port<Message>>,
    settings: &Settings,
    shared: &Arc<Shared>,
    listing: &Listing,
    log_dir: &std::path::Path,
) -> Result<Option<Begun>, String> {
    let keeper = if id == CoreId(0) {
        let admin = Admin { host_id: settings.host_id.clone(), port: settings.node_port };
        Some(Keeper::open(&settings.data_dir, admin).await.map_err(|e| e.to_string())?)
    } else {
        None
    };
    let mut replies = Vec::new();
    let (catalog, back): (Arc<Catalog>, Option<ReplyTo<()>>) = match &keeper {
        Some(keeper) => {
            let catalog = Arc::new(keeper.catalog());
            for core in port.peers().filter(|core| *core != id) {
                let (reply_to, reply) = oneshot();
                let message = Message::Catalog(Arc::clone(&catalog), reply_to);
                port.send(core, message).await.map_err(|_| "a core is gone".to_owned())?;
                replies.push(reply);
            }
            (catalog, None)
        }
        None => match next(port).await {
            Message::Catalog(catalog, reply_to) => (catalog, Some(reply_to)),
            _ => return Ok(None),
        },
    };
    let core = m3_metric::CoreId(id.0);
    let mut store = CoreStore::new(core, shared.shards);
    store.set_namespaces(&catalog.storage()).map_err(|_| "an empty store changed".to_owned())?;
    // Set once the log is replayed: what was acknowledged is served, whatever the limit says now.
    let series_max = series_per_core(shared);
    let begun = time::now();
    let options = ReplayOptions {
        dir: log_dir.to_owned(),
        core: id.0,
        shards: shared.shards,
        now_ns: time::wall_ns(),
        namespaces_below: keeper.as_ref().map_or(0, Keeper::numbers_below),
    };
    let replay = replay::replay(&options, listing, &mut store)
        .await
        .map_err(|e| format!("core {id} cannot read the commit log: {e}"))?;
    store.set_series_max(series_max);
    store.set_label_limits(settings.labels);
    report(id, &replay, time::now().since(begun));
    match back {
        Some(reply_to) => {
            reply_to.send(());
            if !matches!(next(port).await, Message::Serve) {
                return Ok(None);
            }
        }
        None => {
            for reply in replies {
                if reply.await.is_err() {
                    return Ok(None);
                }
            }
            for core in port.peers().filter(|core| *core != id) {
                port.send(core, Message::Serve).await.map_err(|_| "a core is gone".to_owned())?;
            }
        }
    }
    replay::recycle(log_dir, &replay.recyclable)
        .await
        .map_err(|e| format!("core {id} cannot give up old segments: {e}"))?;
    let log = CommitLog::new(commitlog::Options {
        dir: log_dir.to_owned(),
        epoch: listing.next_epoch(),
        core: id.0,
        shards: shared.shards,
        ack: settings.ack,
        direct: settings.direct,
        segment_bytes: settings.segment_bytes,
        pending_bytes_max: writer::PENDING_BYTES_MAX,
    });
    let node = DbNode::new(store, log, catalog, Arc::clone(shared));
    Ok(Some(Begun { node, keeper, replay }))
}

/// Series of one namespace on one core: its share of the node's limit, which murmur spreads evenly.
fn series_per_core(shared: &Shared) -> u32 {
    match shared.series_per_namespace_max {
        0 => u32::MAX,
        limit => {
            let share = limit.div_ceil(u64::from(shared.shards.core_count));
            u32::try_from(share).unwrap_or(u32::MAX)
        }
    }
}

async fn next(port: &Port<Message>) -> Message {
    let mut inbox = Vec::with_capacity(1);
    port.recv_batch(&mut inbox, 1).await;
    inbox.pop().unwrap_or(Message::Close)
}

fn report(id: CoreId, replay: &ReplayStats, took: Duration) {
    if replay.segments == 0 {
        return;
    }
    tracing::info!(
        core = id.0,
        segments = replay.segments,
        megabytes = replay.bytes >> 20,
        series = replay.series,
        samples = replay.samples,
        torn_bytes_cut = replay.cut_bytes,
        damaged_places = replay.damage.len(),
        took_ms = took.as_millis() as u64,
        "replayed the commit log"
    );
}

struct Core {
    port: Rc<Port<Message>>,
    node: Rc<DbNode>,
    coordinator: Rc<Coordinator>,
    keeper: Option<Rc<Keeper>>,
    replay: ReplayStats,
    /// Closed when the servers are to stop.
    stop: Gate,
    /// Entered by each server; empty when all have drained.
    served: Gate,
    api_stats: Rc<ServerStats>,
    metrics_stats: Rc<ServerStats>,
    closed: RefCell<Option<()>>,
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

    /// On core 0: a signal stops all cores.
    fn wait_for_stop(self: Rc<Self>) {
        spawn(async move {
            match m3_io::signal::terminate().await {
                Ok(signal) => tracing::info!(?signal, "stopping"),
                Err(error) => tracing::error!(%error, "signals cannot be heard; stopping"),
            }
            let mut drained = Vec::new();
            for core in self.port.peers() {
                let (reply_to, reply) = oneshot();
                if self.port.send(core, Message::Drain(reply_to)).await.is_ok() {
                    drained.push(reply);
                }
            }
            for reply in drained {
                let _ = reply.await;
            }
            for core in self.port.peers() {
                let _ = self.port.send(core, Message::Close).await;
            }
        });
    }

    /// Handles messages until the node closes, then closes the log.
    async fn serve(self: &Rc<Self>) {
        let log = self.node.log().clone();
        let writing = log.clone();
        spawn(async move {
            if let Err(failed) = writing.run().await {
                // What the log could not write must not be served as if it had been: the node ends.
                panic!("{failed}");
            }
        });
        let node = Rc::clone(&self.node);
        spawn(async move { node.tick().await });
        let mut inbox = Vec::with_capacity(BATCH);
        'life: loop {
            if self.port.recv_batch(&mut inbox, BATCH).await == 0 {
                break;
            }
            for message in inbox.drain(..) {
                if matches!(message, Message::Close) {
                    break 'life;
                }
                self.handle(message);
            }
        }
        match log.close().await {
            Ok(()) => tracing::info!(core = self.port.core().0, "closed"),
            Err(failed) => tracing::error!(core = self.port.core().0, %failed, "not closed"),
        }
        *self.closed.borrow_mut() = Some(());
    }

    fn handle(self: &Rc<Self>, message: Message) {
        let node = Rc::clone(&self.node);
        match message {
            Message::Write(job) => spawn(async move { node.write(job).await }),
            Message::Fragment(job) => spawn(async move { node.fragment(job).await }),
            Message::Read(job) => spawn(async move { node.read(job).await }),
            Message::Metadata(job) => spawn(async move { node.metadata(job).await }),
            Message::Catalog(catalog, back) => {
                self.coordinator.forget_deleted(&catalog);
                node.set_catalog(catalog);
                back.send(());
            }
            Message::Stats(back) => back.send(Box::new(self.stats())),
            Message::Admin(request, back) => {
                let Some(keeper) = self.keeper.clone() else {
                    tracing::error!("an admin request reached a core that keeps no KV");
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
            Message::Serve | Message::Close => {}
        }
    }

    fn stats(&self) -> crate::telemetry::CoreStats {
        let mut stats = self.coordinator.core_stats();
        stats.replay = self.replay.clone();
        stats.api = self.api_stats.snapshot();
        stats.metrics = self.metrics_stats.snapshot();
        stats.backlog = self.port.backlog() as u64;
        stats
    }
}
