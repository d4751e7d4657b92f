//! Bounded channels from every core to every core.
//!
//! Each core has one inbox, and every port can send to every inbox. Messages of one sender arrive
//! in order. A full inbox makes [`Port::send`] wait, which is how a busy core slows down its
//! senders. So a task that empties an inbox must never wait in `send`: two such tasks with full
//! inboxes would wait for each other for ever. Let it spawn a task, or use [`Port::try_send`].

#[cfg(test)]
mod tests;

use crate::CoreId;
use crate::error::Gone;

/// A core's access to all cores. Ports are created on one thread, then moved to their cores.
#[derive(Debug)]
pub struct Port<M> {
    core: CoreId,
    inbox: flume::Receiver<M>,
    peers: Vec<flume::Sender<M>>,
}

/// Why a message was not taken; contains the message.
#[derive(Debug, PartialEq, Eq)]
pub enum NotSent<M> {
    /// The inbox is full.
    Full(M),
    /// The core has stopped, or there is no such core.
    Gone(M),
}

/// Creates one port for each of `cores` cores. Every inbox holds at most `capacity` messages (at
/// least 1).
pub fn mesh<M: Send>(cores: usize, capacity: usize) -> Vec<Port<M>> {
    let (senders, inboxes): (Vec<_>, Vec<_>) =
        (0..cores).map(|_| flume::bounded(capacity.max(1))).unzip();
    let ids = (0..=u16::MAX).map(CoreId);
    let port = |(core, inbox)| Port { core, inbox, peers: senders.clone() };
    ids.zip(inboxes).map(port).collect()
}

impl<M> Port<M> {
    /// The core this port belongs to.
    pub fn core(&self) -> CoreId {
        self.core
    }

    /// All cores of the mesh, including this one.
    pub fn peers(&self) -> impl ExactSizeIterator<Item = CoreId> + use<M> {
        // `mesh` creates at most as many ports as a CoreId can number.
        (0..self.peers.len()).map(|i| CoreId(i as u16))
    }

    /// The number of messages waiting in this core's inbox.
    pub fn backlog(&self) -> usize {
        self.inbox.len()
    }

    /// Sends to a core, waiting while its inbox is full. If the future is dropped before it is
    /// done, nothing is sent.
    ///
    /// # Errors
    /// [`Gone`] if that core has stopped or does not exist.
    pub async fn send(&self, to: CoreId, message: M) -> Result<(), Gone> {
        let peer = self.peers.get(to.index()).ok_or(Gone)?;
        // In the common case this needs no future.
        match peer.try_send(message) {
            Ok(()) => Ok(()),
            Err(flume::TrySendError::Disconnected(_)) => Err(Gone),
            Err(flume::TrySendError::Full(message)) => {
                peer.send_async(message).await.map_err(|_| Gone)
            }
        }
    }

    /// Sends to a core if there is room in its inbox.
    ///
    /// # Errors
    /// The message, and why it was not taken.
    pub fn try_send(&self, to: CoreId, message: M) -> Result<(), NotSent<M>> {
        let Some(peer) = self.peers.get(to.index()) else {
            return Err(NotSent::Gone(message));
        };
        peer.try_send(message).map_err(|e| match e {
            flume::TrySendError::Full(message) => NotSent::Full(message),
            flume::TrySendError::Disconnected(message) => NotSent::Gone(message),
        })
    }

    /// Waits for a message, then takes further ones that are already there, up to `max` in all, and
    /// appends them to `out`. Returns the number appended, which is at least 1 unless `max` is 0.
    /// Dropping the future loses nothing.
    pub async fn recv_batch(&self, out: &mut Vec<M>, max: usize) -> usize {
        if max == 0 {
            return 0;
        }
        // The port holds a sender to its own inbox, so the inbox cannot close.
        let first = match self.inbox.try_recv() {
            Ok(first) => first,
            Err(_) => self.inbox.recv_async().await.expect("a port keeps its own inbox open"),
        };
        out.push(first);
        let before = out.len();
        out.extend(self.inbox.try_iter().take(max - 1));
        1 + out.len() - before
    }
}
