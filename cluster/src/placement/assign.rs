//! The first placement of a service: which instance gets which shards.
//!
//! Each shard goes to the instances with the lowest load for their weight, each in another
//! isolation group. Ties are decided by id, so the same request gives the same placement.

use std::collections::{BTreeMap, BTreeSet};

use super::{BadPlacement, Instance, Placement, PlacementKind, Shard};
use crate::limits::{INSTANCES_MAX, SHARDS_MAX};

impl Placement {
    /// Creates the first placement of a service with `instances`.
    ///
    /// # Errors
    /// Instances, shards or replicas that allow no placement.
    pub fn init(
        kind: PlacementKind,
        instances: Vec<Instance>,
        shards: i64,
        replicas: i64,
    ) -> Result<Self, BadPlacement> {
        let mut instances = by_id(instances)?;
        if instances.is_empty() {
            return Err(bad("a placement needs at least one instance"));
        }
        for instance in instances.values_mut() {
            instance.shards = Vec::new();
        }
        if kind == PlacementKind::Stateless {
            return Ok(Self { instances, replicas: 1, ..Self::default() });
        }
        let shards = within("num_shards", shards, SHARDS_MAX)?;
        let instances_max = u32::try_from(INSTANCES_MAX).expect("the limit is small");
        let replicas = within("replication_factor", replicas, instances_max)?;
        let mut placement =
            Self { instances, replicas, shards, is_sharded: true, ..Self::default() };
        match kind {
            PlacementKind::Mirrored => placement.assign_mirrored()?,
            _ => placement.assign_sharded()?,
        }
        Ok(placement)
    }

    fn assign_sharded(&mut self) -> Result<(), BadPlacement> {
        let mut candidates: Vec<Candidate> = self
            .instances
            .values()
            .map(|one| Candidate::new(&one.id, &one.isolation_group, one.weight))
            .collect();
        let groups: BTreeSet<&str> =
            candidates.iter().map(|candidate| candidate.group.as_str()).collect();
        check_groups(groups.len(), self.replicas)?;
        for shard in 0..self.shards {
            for id in take_shard(&mut candidates, self.replicas) {
                let instance = self.instances.get_mut(&id).expect("candidates come from instances");
                instance.shards.push(Shard::initializing(shard));
            }
        }
        Ok(())
    }

    fn assign_mirrored(&mut self) -> Result<(), BadPlacement> {
        self.is_mirrored = true;
        let sets = self.shard_sets()?;
        self.shard_set_max = sets.keys().copied().max().unwrap_or(0);
        // A shard set counts as one candidate, and a shard needs only one: its members are the
        // replicas.
        let mut candidates: Vec<Candidate> = sets
            .iter()
            .map(|(set, members)| {
                let weight = self.instances[&members[0]].weight;
                Candidate::new(&format!("{set:010}"), &set.to_string(), weight)
            })
            .collect();
        for shard in 0..self.shards {
            for padded in take_shard(&mut candidates, 1) {
                let set: u32 = padded.parse().expect("the id is the padded set");
                for member in &sets[&set] {
                    let instance = self.instances.get_mut(member).expect("members are instances");
                    instance.shard_set = set;
                    instance.shards.push(Shard::initializing(shard));
                }
            }
        }
        for (set, members) in &sets {
            for member in members {
                self.instances.get_mut(member).expect("members are instances").shard_set = *set;
            }
        }
        Ok(())
    }

    /// The members of each shard set: as the instances say, or grouped here.
    fn shard_sets(&self) -> Result<BTreeMap<u32, Vec<String>>, BadPlacement> {
        let mut sets: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for instance in self.instances.values() {
            sets.entry(instance.shard_set).or_default().push(instance.id.clone());
        }
        if sets.contains_key(&0) {
            if sets.len() > 1 {
                return Err(bad("either every instance has a shard_set_id, or none"));
            }
            return self.grouped_sets();
        }
        for (set, members) in &sets {
            self.check_set(*set, members)?;
        }
        Ok(sets)
    }

    fn check_set(&self, set: u32, members: &[String]) -> Result<(), BadPlacement> {
        if members.len() != self.replicas as usize {
            return Err(BadPlacement(format!(
                "shard set {set} has {} instances, expected as many as replicas: {}",
                members.len(),
                self.replicas
            )));
        }
        let of = |id: &String| &self.instances[id];
        let groups: BTreeSet<&str> =
            members.iter().map(|id| of(id).isolation_group.as_str()).collect();
        check_groups(groups.len(), self.replicas)?;
        if members.iter().any(|id| of(id).weight != of(&members[0]).weight) {
            return Err(BadPlacement(format!(
                "the instances of shard set {set} have different weights"
            )));
        }
        Ok(())
    }

    /// Groups instances of equal weight from different isolation groups. The largest groups come
    /// first, so that as few instances as possible are left over.
    fn grouped_sets(&self) -> Result<BTreeMap<u32, Vec<String>>, BadPlacement> {
        let mut by_weight: BTreeMap<u32, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
        for instance in self.instances.values().rev() {
            let groups = by_weight.entry(instance.weight).or_default();
            groups.entry(&instance.isolation_group).or_default().push(&instance.id);
        }
        let mut sets = BTreeMap::new();
        let mut set = 0;
        for groups in by_weight.values_mut() {
            loop {
                groups.retain(|_, ids| !ids.is_empty());
                if groups.is_empty() {
                    break;
                }
                check_groups(groups.len(), self.replicas)?;
                let mut fullest: Vec<&mut Vec<&str>> = groups.values_mut().collect();
                fullest.sort_by_key(|ids| std::cmp::Reverse(ids.len()));
                let members = fullest.iter_mut().take(self.replicas as usize);
                let members: Vec<String> =
                    members.filter_map(|ids| ids.pop()).map(str::to_string).collect();
                set += 1;
                sets.insert(set, members);
            }
        }
        Ok(sets)
    }
}

/// A candidate for shards, with the number it has.
struct Candidate {
    id: String,
    group: String,
    weight: u64,
    load: u64,
}

impl Candidate {
    fn new(id: &str, group: &str, weight: u32) -> Self {
        let weight = u64::from(weight.max(1));
        Self { id: id.to_string(), group: group.to_string(), weight, load: 0 }
    }
}

/// Gives one shard to `replicas` candidates in different groups and returns their ids. There must
/// be that many groups.
fn take_shard(candidates: &mut [Candidate], replicas: u32) -> Vec<String> {
    let mut takers: Vec<String> = Vec::with_capacity(replicas as usize);
    let mut groups: Vec<String> = Vec::with_capacity(replicas as usize);
    for _ in 0..replicas {
        let least = candidates
            .iter_mut()
            .filter(|candidate| !groups.contains(&candidate.group))
            // (load + 1) / weight, compared without dividing.
            .min_by(|left, right| {
                let left_share = (left.load + 1) * right.weight;
                let right_share = (right.load + 1) * left.weight;
                left_share.cmp(&right_share).then_with(|| left.id.cmp(&right.id))
            });
        if let Some(candidate) = least {
            candidate.load += 1;
            takers.push(candidate.id.clone());
            groups.push(candidate.group.clone());
        }
    }
    takers
}

/// The instances by id.
pub(super) fn by_id(instances: Vec<Instance>) -> Result<BTreeMap<String, Instance>, BadPlacement> {
    if instances.len() > INSTANCES_MAX {
        return Err(BadPlacement(format!("a placement has at most {INSTANCES_MAX} instances")));
    }
    let mut named = BTreeMap::new();
    for instance in instances {
        if instance.id.trim().is_empty() {
            return Err(bad("every instance needs an id"));
        }
        if let Some(twin) = named.insert(instance.id.clone(), instance) {
            return Err(BadPlacement(format!("instance {} is named twice", twin.id)));
        }
    }
    Ok(named)
}

fn check_groups(groups: usize, replicas: u32) -> Result<(), BadPlacement> {
    if groups < replicas as usize {
        return Err(bad(
            "not enough isolation groups to take shards, please make sure RF is less than number \
             of isolation groups",
        ));
    }
    Ok(())
}

fn within(name: &str, value: i64, max: u32) -> Result<u32, BadPlacement> {
    u32::try_from(value)
        .ok()
        .filter(|value| (1..=max).contains(value))
        .ok_or_else(|| BadPlacement(format!("{name} is {value}, expected 1 to {max}")))
}

fn bad(words: &str) -> BadPlacement {
    BadPlacement(words.to_string())
}
