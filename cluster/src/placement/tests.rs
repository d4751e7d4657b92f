//! Which instance gets which shards.

use std::collections::BTreeSet;

use super::{Instance, Placement, PlacementKind, ShardState};

fn instance(id: &str, group: &str, weight: u32) -> Instance {
    Instance {
        id: id.to_string(),
        isolation_group: group.to_string(),
        weight,
        ..Instance::default()
    }
}

fn init(
    kind: PlacementKind,
    instances: &[Instance],
    shards: i64,
    replicas: i64,
) -> Result<Placement, String> {
    let placement = Placement::init(kind, instances.to_vec(), shards, replicas);
    let placement = placement.map_err(|error| error.to_string())?;
    placement.check().unwrap();
    Ok(placement)
}

#[test]
fn shards_are_spread_by_weight_over_groups() {
    let instances = [
        instance("a1", "a", 100),
        instance("a2", "a", 100),
        instance("b1", "b", 300),
        instance("c1", "c", 100),
        instance("c2", "c", 200),
    ];
    let placement = init(PlacementKind::Sharded, &instances, 1024, 2).unwrap();
    for shard in 0..1024 {
        let owners: Vec<&Instance> = placement
            .instances
            .values()
            .filter(|one| one.shards.iter().any(|held| held.id == shard))
            .collect();
        let groups: BTreeSet<&str> =
            owners.iter().map(|one| one.isolation_group.as_str()).collect();
        assert_eq!((owners.len(), groups.len()), (2, 2), "shard {shard}");
    }
    let held = |id: &str| placement.instances[id].shards.len();
    for (id, share) in [("a1", 256), ("a2", 256), ("b1", 768), ("c1", 256), ("c2", 512)] {
        assert!(held(id).abs_diff(share) <= 2, "{id} holds {} of {share}", held(id));
    }
    let again = init(PlacementKind::Sharded, &instances, 1024, 2).unwrap();
    assert_eq!(placement, again, "the same request gives the same placement");
}

#[test]
fn mirrored_instances_hold_the_same() {
    let instances = [
        instance("a1", "a", 1),
        instance("a2", "a", 1),
        instance("b1", "b", 1),
        instance("c1", "c", 1),
    ];
    let placement = init(PlacementKind::Mirrored, &instances, 64, 2).unwrap();
    assert!(placement.is_mirrored);
    assert_eq!(placement.shard_set_max, 2);
    for set in 1..=2 {
        let members: Vec<&Instance> =
            placement.instances.values().filter(|one| one.shard_set == set).collect();
        assert_eq!(members.len(), 2);
        assert_eq!(members[0].shards, members[1].shards);
        assert_eq!(members[0].shards.len(), 32);
        assert_ne!(members[0].isolation_group, members[1].isolation_group);
    }
}

#[test]
fn what_makes_no_placement_is_refused() {
    let sharded = PlacementKind::Sharded;
    let mirrored = PlacementKind::Mirrored;
    let groups = "not enough isolation groups to take shards, please make sure RF is less than \
                  number of isolation groups";
    let same_group = [instance("a", "g", 1), instance("b", "g", 1)];
    assert_eq!(init(sharded, &same_group, 64, 2).unwrap_err(), groups);
    assert_eq!(init(mirrored, &same_group, 64, 2).unwrap_err(), groups);
    let two = [instance("a", "g", 1), instance("b", "h", 1)];
    assert_eq!(init(sharded, &two, 0, 1).unwrap_err(), "num_shards is 0, expected 1 to 8192");
    assert_eq!(
        init(sharded, &two, 64, -1).unwrap_err(),
        "replication_factor is -1, expected 1 to 1024"
    );
    assert_eq!(init(sharded, &[], 64, 1).unwrap_err(), "a placement needs at least one instance");
    let mut sets = two.clone();
    sets[0].shard_set = 1;
    assert_eq!(
        init(mirrored, &sets, 64, 2).unwrap_err(),
        "either every instance has a shard_set_id, or none"
    );
    sets[1].shard_set = 2;
    assert_eq!(
        init(mirrored, &sets, 64, 2).unwrap_err(),
        "shard set 1 has 1 instances, expected as many as replicas: 2"
    );
}

#[test]
fn only_own_fresh_shards_become_available() {
    let instances = [instance("a", "g", 1), instance("b", "h", 1)];
    let mut placement = init(PlacementKind::Sharded, &instances, 8, 2).unwrap();
    assert_eq!(placement.unavailable(), ["a", "b"]);
    placement.instances.get_mut("a").unwrap().shards[3].source = "b".to_string();
    placement.mark_available("a");
    placement.mark_available("nobody");
    let states: Vec<ShardState> =
        placement.instances["a"].shards.iter().map(|shard| shard.state).collect();
    assert_eq!(states[3], ShardState::Initializing, "it has to be fetched from b");
    assert!(states.iter().enumerate().all(|(i, state)| i == 3 || *state == ShardState::Available));
    assert_eq!(placement.unavailable(), ["a", "b"]);
    assert_eq!(Placement::from_json(&placement.to_json()).unwrap(), placement);
}
