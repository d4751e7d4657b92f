//! A node for scripted tests: it runs on one disk without faults, one life per conversation.
//!
//! It is for tests that tell a story rather than search with seeds: a request, its answer, and the
//! state of the node afterwards.

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

/// A disk, and the node that runs on it from time to time.
pub struct Session {
    world: Rc<World>,
    settings: Settings,
}

impl Session {
    /// Runs `inside` with an empty disk; `seed` determines the world and the node's settings.
    pub fn with<T>(seed: u64, inside: impl FnOnce(&mut Self) -> T) -> T {
        let world = World::new(seed);
        let mut rng = Rng::new(seed);
        world.enter(|| {
            let settings = settings(&mut rng);
            inside(&mut Self { world: Rc::clone(&world), settings })
        })
    }

    /// The simulated world, to make things happen in it.
    #[must_use]
    pub fn world(&self) -> &Rc<World> {
        &self.world
    }

    /// The settings of the next life.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Starts the node on `cores` cores, runs `talk` to its end, then asks the node to stop.
    /// Returns how the node ended.
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
        let mut client = Client::new(self.settings.config.http_listen);
        let talk = talk(Client::new(self.settings.config.http_listen));
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
        // If the node ended early, the conversation must still end before the next life.
        self.world.run(|| !talked.get());
        end
    }
}
