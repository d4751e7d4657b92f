//! The start of a core: from its first message until it may serve.
//!
//! Core 0 leads. It opens the KV, sends every core the catalog, replays its own log, waits until
//! all have replayed, and sends `Serve`. The others wait for the catalog, replay, report that, and
//! wait for `Serve`. A core that serves already may send a request to one that has not received
//! `Serve` yet; such messages are kept and handled once it serves. `Close` at any time means that
//! some core could not start, and that core reports why.

use super::CorePlan;
use super::keeper::Keeper;
use crate::catalog::Catalog;
use crate::dbnode::DbNode;
use crate::message::Message;
use crate::shared::Shared;
use m3_cluster::Admin;
use m3_io::{CoreId, PendingReply, ReplyTo, oneshot, time};
use m3_shard::CoreStore;
use m3_shard::commitlog::replay::{self, ReplayOptions, ReplayStats};
use m3_shard::commitlog::{self, CommitLog, writer};
use std::sync::Arc;
use std::time::Duration;

/// The state of a core that may serve.
pub(super) struct Begun {
    pub(super) node: DbNode,
    /// The KV; only on core 0.
    pub(super) keeper: Option<Keeper>,
    pub(super) replay: ReplayStats,
    /// Messages from cores that serve already.
    pub(super) early: Vec<Message>,
}

/// Why a core does not serve.
pub(super) enum NotBegun {
    /// Another core could not start, or the node is stopping.
    Closed,
    /// This core could not start; the text says why.
    Failed(String),
}

impl From<String> for NotBegun {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

/// Starts core `id` up to the point where it may serve.
pub(super) async fn begin(id: CoreId, plan: &CorePlan) -> Result<Begun, NotBegun> {
    if id == CoreId(0) { lead(plan).await } else { follow(id, plan).await }
}

async fn lead(plan: &CorePlan) -> Result<Begun, NotBegun> {
    let settings = &plan.settings;
    let admin = Admin {
        host_id: settings.config.host.id.clone(),
        port: settings.config.node_listen.port(),
    };
    let keeper = Keeper::open(&settings.config.data_dir, admin).await.map_err(|e| e.to_string())?;
    let catalog = Arc::new(keeper.catalog());
    let replies = send_catalog(plan, &catalog).await?;
    let (store, replay) = replay(plan, &catalog, keeper.numbers_below()).await?;
    for reply in replies {
        // A core that drops its reply has reported the reason itself.
        reply.await.map_err(|_| NotBegun::Closed)?;
    }
    for core in followers(plan) {
        plan.port.send(core, Message::Serve).await.map_err(|_| NotBegun::Closed)?;
    }
    let node = open(plan, store, catalog, &replay).await?;
    Ok(Begun { node, keeper: Some(keeper), replay, early: Vec::new() })
}

async fn follow(id: CoreId, plan: &CorePlan) -> Result<Begun, NotBegun> {
    let (catalog, reply_to) = receive_catalog(id, plan).await?;
    let (store, replay) = replay(plan, &catalog, 0).await?;
    reply_to.send(());
    let early = wait_for_serve(plan).await?;
    let node = open(plan, store, catalog, &replay).await?;
    Ok(Begun { node, keeper: None, replay, early })
}

/// All cores but core 0.
fn followers(plan: &CorePlan) -> impl Iterator<Item = CoreId> + use<> {
    plan.port.peers().skip(1)
}

async fn send_catalog(
    plan: &CorePlan,
    catalog: &Arc<Catalog>,
) -> Result<Vec<PendingReply<()>>, NotBegun> {
    let mut replies = Vec::new();
    for core in followers(plan) {
        let (reply_to, reply) = oneshot();
        let message = Message::Catalog(Arc::clone(catalog), reply_to);
        plan.port.send(core, message).await.map_err(|_| NotBegun::Closed)?;
        replies.push(reply);
    }
    Ok(replies)
}

/// Receives the first message of a core that follows.
async fn receive_catalog(
    id: CoreId,
    plan: &CorePlan,
) -> Result<(Arc<Catalog>, ReplyTo<()>), NotBegun> {
    match next(plan).await {
        Message::Catalog(catalog, reply_to) => Ok((catalog, reply_to)),
        Message::Close => Err(NotBegun::Closed),
        other => {
            Err(format!("core {id} began with the message {:?}, not a catalog", other.name())
                .into())
        }
    }
}

/// Waits for `Serve` and returns the messages that arrived before it.
async fn wait_for_serve(plan: &CorePlan) -> Result<Vec<Message>, NotBegun> {
    let mut early = Vec::new();
    loop {
        match next(plan).await {
            Message::Serve => return Ok(early),
            Message::Close => return Err(NotBegun::Closed),
            other => early.push(other),
        }
    }
}

async fn next(plan: &CorePlan) -> Message {
    let mut inbox = Vec::with_capacity(1);
    plan.port.recv_batch(&mut inbox, 1).await;
    inbox.pop().unwrap_or(Message::Close)
}

/// Replays the commit log into memory.
async fn replay(
    plan: &CorePlan,
    catalog: &Catalog,
    namespaces_below: u32,
) -> Result<(CoreStore, ReplayStats), NotBegun> {
    let id = plan.port.core();
    let mut store = CoreStore::new(m3_metric::CoreId(id.0), plan.shared.shards);
    store.set_namespaces(&catalog.storage());
    let begun = time::now();
    let options = ReplayOptions {
        dir: plan.log_dir.clone(),
        core: id.0,
        shards: plan.shared.shards,
        now_ns: time::wall_ns(),
        namespaces_below,
    };
    let stats = replay::replay(&options, &plan.listing, &mut store)
        .await
        .map_err(|e| format!("core {id} cannot read the commit log: {e}"))?;
    // Set only after the replay: samples that were acknowledged are served, whatever the limit is
    // today.
    store.set_series_max(series_per_core(&plan.shared));
    store.set_label_limits(plan.settings.config.labels);
    report(id, &stats, time::now().since(begun));
    Ok((store, stats))
}

/// Opens the core's storage, with a log that accepts writes.
async fn open(
    plan: &CorePlan,
    store: CoreStore,
    catalog: Arc<Catalog>,
    replayed: &ReplayStats,
) -> Result<DbNode, NotBegun> {
    let id = plan.port.core();
    replay::recycle(&plan.log_dir, &replayed.recyclable)
        .await
        .map_err(|e| format!("core {id} cannot give up old segments: {e}"))?;
    let log = CommitLog::new(commitlog::Options {
        dir: plan.log_dir.clone(),
        epoch: plan.listing.next_epoch(),
        core: id.0,
        shards: plan.shared.shards,
        ack: plan.settings.config.ack,
        direct: plan.settings.config.direct,
        segment_bytes: plan.settings.segment_bytes,
        pending_bytes_max: writer::PENDING_BYTES_MAX,
    });
    Ok(DbNode::new(store, log, catalog, Arc::clone(&plan.shared)))
}

/// Most series of one namespace on one core: its share of the node's limit, because the hash
/// spreads series evenly.
fn series_per_core(shared: &Shared) -> u32 {
    match shared.series_per_namespace_max {
        0 => u32::MAX,
        limit => {
            let share = limit.div_ceil(u64::from(shared.shards.core_count));
            u32::try_from(share).unwrap_or(u32::MAX)
        }
    }
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
