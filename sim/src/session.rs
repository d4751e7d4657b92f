//! A node to talk to: lives on one disk, without faults, each as long as a given conversation.
//!
//! For what is told as a story rather than found by a seed: a request, its answer, what the node is
//! after it.

use crate::client::Client;
use crate::settings;
use m3_io::sim::{End, NodeEnded, Rng, World};
use m3_io::time;
use m3ring::node;
use m3ring::settings::Settings;
use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

/// A disk, and the node that lives on it now and then.
pub struct Session {
    world: Rc<World>,
    settings: Settings,
}

impl Session {
    /// Runs `inside` with an empty disk; the world and the node's settings come from `seed`.
    pub fn with<T>(seed: u64, inside: impl FnOnce(&mut Self) -> T) -> T {
        let world = World::new(seed);
        let mut rng = Rng::new(seed);
        world.enter(|| {
            let settings = settings(&mut rng);
            inside(&mut Self { world: Rc::clone(&world), settings })
        })
    }

    /// The world, to make things happen in.
    #[must_use]
    pub fn world(&self) -> &Rc<World> {
        &self.world
    }

    /// What the next life is started with.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Starts the node on `cores` cores and has `talk` talk to it; when that has ended, the node is
    /// asked to stop. Says how the node ended.
    ///
    /// # Panics
    /// If the node does not start.
    pub fn life<F>(&mut self, cores: usize, talk: impl FnOnce(Client) -> F) -> End
    where
        F: Future<Output = ()> + 'static,
    {
        self.settings.cpus = (0..cores).collect();
        let talked = Rc::new(Cell::new(false));
        let (done, world) = (Rc::clone(&talked), Rc::clone(&self.world));
        let mut client = Client::new(self.settings.http_listen);
        let talk = talk(Client::new(self.settings.http_listen));
        self.world.spawn(async move {
            while client.send("GET", "/ready", &[], b"").await.is_err() {
                time::sleep(Duration::from_micros(20)).await;
            }
            talk.await;
            done.set(true);
            world.terminate();
        });
        match catch_unwind(AssertUnwindSafe(|| node::run(&self.settings, |_| {}))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => panic!("the node did not start: {error}"),
            Err(payload) if payload.is::<NodeEnded>() => {}
            Err(payload) => resume_unwind(payload),
        }
        let end = self.world.end();
        // A node that ended early leaves a conversation, which must not reach into the next life.
        self.world.run(|| !talked.get());
        end
    }
}
