//! Signals, which core 0 hears for the whole node.

use crate::message::Message;
use m3_io::mesh::Port;
use m3_io::{oneshot, spawn};
use std::rc::Rc;

/// Once SIGTERM or SIGINT comes, stops all cores: their servers first, and the logs when all have
/// drained, since a write may concern two cores.
pub(super) fn stop_all(port: Rc<Port<Message>>) {
    spawn(async move {
        match m3_io::signal::terminate().await {
            Ok(signal) => tracing::info!(?signal, "stopping"),
            Err(error) => tracing::error!(%error, "signals cannot be heard; stopping"),
        }
        let mut drained = Vec::new();
        for core in port.peers() {
            let (reply_to, reply) = oneshot();
            if port.send(core, Message::Drain(reply_to)).await.is_ok() {
                drained.push(reply);
            }
        }
        for reply in drained {
            let _ = reply.await;
        }
        for core in port.peers() {
            let _ = port.send(core, Message::Close).await;
        }
    });
}

/// SIGHUP ends nothing: a terminal that closes or a tool that asks for a reload must not stop the
/// node, whose configuration is read at the start only.
pub(super) fn ignore_hangups() {
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
