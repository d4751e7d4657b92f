//! Signals, which core 0 handles for the whole node.

use crate::message::Message;
use m3_io::mesh::Port;
use m3_io::{oneshot, spawn};
use std::rc::Rc;

/// On SIGTERM or SIGINT, stops all cores: first their servers, and the logs after all have drained,
/// because a write may involve two cores.
pub(super) fn stop_all(port: Rc<Port<Message>>) {
    spawn(async move {
        match m3_io::signal::terminate().await {
            Ok(signal) => tracing::info!(?signal, "stopping"),
            Err(error) => tracing::error!(%error, "cannot wait for signals: stopping"),
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

/// Ignores SIGHUP: a terminal that closes or a tool that asks for a reload must not stop the node.
/// The configuration is read only at the start.
pub(super) fn ignore_hangups() {
    let mut hangups = match m3_io::signal::Hangups::new() {
        Ok(hangups) => hangups,
        Err(error) => return tracing::error!(%error, "cannot ignore SIGHUP: it ends the node"),
    };
    spawn(async move {
        let mut is_told = false;
        while hangups.next().await.is_ok() {
            if !std::mem::replace(&mut is_told, true) {
                tracing::info!("SIGHUP is ignored: restart the node to read the configuration");
            }
        }
    });
}
