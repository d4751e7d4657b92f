//! The KV and what follows from it, on core 0: all other cores are told of changes.

use crate::catalog::{Catalog, Numbers};
use crate::message::Message;
use m3_cluster::admin::{Admin, AdminReply, AdminRequest};
use m3_cluster::kv::file::FileKv;
use m3_cluster::{Error, Kv, NamespaceMetadata, Registry};
use m3_io::mesh::Port;
use m3_io::{CoreId, Semaphore, failpoint, oneshot, panics, time};
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

/// The key of the namespace numbers.
const NUMBERS_KEY: &str = "_m3ring/namespace-numbers";

/// The KV of a node.
pub(super) struct Keeper {
    kv: FileKv,
    admin: Admin,
    numbers: RefCell<Numbers>,
    registered: RefCell<Vec<NamespaceMetadata>>,
    /// The KV may be ahead of the numbers, the catalog and the cores.
    is_behind: Cell<bool>,
    /// Admits one admin request at a time, so that each sees the effects of the one before it.
    turn: Semaphore,
}

impl Keeper {
    /// Opens the KV of the data directory and loads the namespaces.
    pub(super) async fn open(data_dir: &Path, admin: Admin) -> Result<Self, Error> {
        let kv = FileKv::open(data_dir.join("kv").join("store.kv")).await?;
        let numbers = match kv.get(NUMBERS_KEY).await? {
            Some(found) => Numbers::decode(&found.value).ok_or_else(|| Error::BadDocument {
                key: NUMBERS_KEY.to_owned(),
                reason: "it does not hold namespace numbers".to_owned(),
            })?,
            None => Numbers::default(),
        };
        let keeper = Self {
            kv,
            admin,
            numbers: RefCell::new(numbers),
            registered: RefCell::default(),
            is_behind: Cell::new(false),
            turn: Semaphore::new(1),
        };
        keeper.reload().await?;
        Ok(keeper)
    }

    /// The current namespaces.
    pub(super) fn catalog(&self) -> Catalog {
        Catalog::new(&self.registered.borrow(), &self.numbers.borrow())
    }

    /// All namespace numbers below this have been assigned.
    pub(super) fn numbers_below(&self) -> u32 {
        self.numbers.borrow().next
    }

    async fn reload(&self) -> Result<(), Error> {
        let registered = Registry::load(&self.kv).await?;
        let mut numbers = self.numbers.borrow().clone();
        if numbers.reconcile(&registered) {
            self.kv.set(NUMBERS_KEY, numbers.encode()).await?;
        }
        *self.numbers.borrow_mut() = numbers;
        *self.registered.borrow_mut() = registered;
        Ok(())
    }

    /// Answers an admin request. If namespaces changed, all cores are told before the client is.
    pub(super) async fn admin(&self, port: &Port<Message>, request: AdminRequest) -> AdminReply {
        let _turn = self.turn.acquire(1).await;
        // An earlier change that could not be applied is applied first: otherwise a namespace that
        // is created under the name of a deleted one would get its number, and with it its data.
        if let Err(error) = self.follow(port).await {
            return AdminReply::failed(&error);
        }
        let handled = pin!(async {
            failpoint("admin", b"");
            self.admin.handle(&self.kv, request, time::wall_ns()).await
        });
        let handled = panics::catch_future(handled);
        let reply =
            handled.await.unwrap_or_else(|panicked| AdminReply::failed(&panicked.to_string()));
        self.is_behind.set(reply.changed || reply.status >= 500);
        match self.follow(port).await {
            Err(error) => AdminReply::failed(&error),
            Ok(()) => reply,
        }
    }

    /// Applies the KV to this node, if it may have changed since.
    async fn follow(&self, port: &Port<Message>) -> Result<(), String> {
        if !self.is_behind.get() {
            return Ok(());
        }
        self.reload().await.map_err(|error| error.to_string())?;
        let catalog = Arc::new(self.catalog());
        let mut waiting = Vec::new();
        for core in port.peers() {
            let (reply_to, told) = oneshot();
            let message = Message::Catalog(Arc::clone(&catalog), reply_to);
            port.send(core, message).await.map_err(|_| not_told(core))?;
            waiting.push((core, told));
        }
        for (core, told) in waiting {
            told.await.map_err(|_| not_told(core))?;
        }
        self.is_behind.set(false);
        Ok(())
    }
}

/// Only a core of a node that is about to end accepts no messages.
fn not_told(core: CoreId) -> String {
    format!("core {core} has stopped and was not told of the change; it holds after a restart")
}
