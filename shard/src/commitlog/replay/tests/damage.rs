//! Flipped bits and files that are lost, swapped or cut are reported with file and offset, and
//! their samples are never served.

use super::*;

/// A log of several segments, sealed or as a crash leaves it.
async fn log(dir: &Path, sealed: bool) -> Vec<Written> {
    let plan = Plan { segment_bytes: 700, ..Plan::default() };
    let mut node = Cores::start(dir, &plan).await;
    let mut written = Vec::new();
    for request in 0..12 {
        let new = format!("new_{request}");
        let part = samples(&["a", "b", &new], request * 10_000, 3);
        node.write(&part).await;
        written.extend(part);
    }
    if sealed {
        node.stop().await;
    }
    assert!((3..8).contains(&segments(dir).len()), "{}", segments(dir).len());
    written
}

/// Checks that only written samples are found.
#[track_caller]
fn check_subset(found: &Held, written: &Held, case: &str) {
    for (name, samples) in found {
        for (ms, bits) in samples {
            let sent = written.get(name).and_then(|samples| samples.get(ms));
            assert_eq!(sent, Some(bits), "{case}: {name} at {ms} was never sent");
        }
    }
}

/// How many bit flips are tried for each byte.
fn flips() -> u64 {
    std::env::var("M3_SHARD_FLIPS").map_or(1, |text| text.parse().unwrap())
}

#[test]
fn a_flip_of_any_byte_is_never_served_and_is_reported() {
    on_each(|| {
        let mut random = Random::new("flips");
        async move {
            for sealed in [true, false] {
                let dir = TempDir::in_memory("log");
                let written = held(&log(dir.path(), sealed).await);
                let disk = image(dir.path());
                let paths = segments(dir.path());
                let last = frames(paths.last().unwrap()).last().copied().unwrap();
                for path in &paths {
                    let whole = Rc::clone(&disk[path.file_name().unwrap().to_str().unwrap()]);
                    let end = frames(path).last().map(|(at, len, _)| at + len).unwrap();
                    for at in 0..end {
                        for _ in 0..flips() {
                            let mut bytes = whole.to_vec();
                            let flip = (random.below(255) + 1) as u8;
                            bytes[at] ^= flip;
                            restore(dir.path(), &disk);
                            std::fs::write(path, &bytes).unwrap();
                            let (found, stats) = recovered(dir.path()).await;
                            let name = path.file_name().unwrap().to_str().unwrap();
                            let case = format!("{name} byte {at} ^ {flip:#x}, sealed {sealed}");
                            check_subset(&found, &written, &case);
                            let covers = |damage: &Damage| {
                                let within = damage.offset..damage.offset + damage.bytes;
                                damage.file == *path && within.contains(&(at as u64))
                            };
                            let is_reported = stats.damage.iter().any(covers);
                            // Damage to the last frame of an unsealed log looks like a torn frame.
                            // A damaged seal at the end says nothing that a cut file does not say.
                            let is_tail = path == paths.last().unwrap() && at >= last.0;
                            if found != written && !is_tail {
                                assert!(is_reported, "{case}: {:?}", stats.damage);
                            }
                            if is_tail {
                                restore(dir.path(), &disk);
                                let is_whole = sealed || is_padding(path, at);
                                assert_eq!(found == written, is_whole, "{case}");
                                assert_eq!(stats.damage, [], "{case}");
                            } else if !is_reported {
                                assert!(is_padding(path, at), "{case}: not noticed");
                            }
                        }
                    }
                }
            }
        }
    });
}

/// Whether no reader looks at the byte.
fn is_padding(path: &Path, at: usize) -> bool {
    let bytes = std::fs::read(path).unwrap();
    frames(path).iter().any(|(from, len, _)| {
        let payload = u32::from_le_bytes(bytes[from + 4..from + 8].try_into().unwrap()) as usize;
        (from + frame::FRAME_HEADER_BYTES + payload..from + len).contains(&at)
    })
}

#[test]
fn a_damaged_log_is_left_as_it_is_and_still_served_every_time() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let written = held(&log(dir.path(), false).await);
        let paths = segments(dir.path());
        let (at, _, _) = frames(&paths[1])[1];
        let mut bytes = std::fs::read(&paths[1]).unwrap();
        bytes[at + 40] ^= 1;
        std::fs::write(&paths[1], bytes).unwrap();
        let disk = image(dir.path());
        let mut first = None;
        for cores in [1, 1, 2, 3, 1] {
            let plan = Plan { cores, ..Plan::default() };
            let found = replay_all(dir.path(), &plan).await.unwrap();
            assert_eq!(image(dir.path()), disk, "nothing is cut, sealed or given up");
            let damage: Vec<_> = found.iter().flat_map(|(_, s)| s.damage.clone()).collect();
            assert_eq!(damage[0].offset, at as u64);
            assert_eq!(damage[0].file, paths[1]);
            let text = damage[0].to_string();
            assert!(text.contains("-00000001.log at offset") && text.contains("not served"));
            // The frame also defined a new series; its later samples are reported, too.
            assert!(damage.len() <= 2, "{damage:?}");
            let served = read_stores(found.iter().map(|(store, _)| store), NAMESPACE);
            check_subset(&served, &written, "one frame less");
            assert!(served.len() >= written.len() - 1);
            let count: usize = served.values().map(|samples| samples.len()).sum();
            assert_eq!(*first.get_or_insert(count), count);
        }
        // The segment is not given up after everything in it has expired, since someone may want to
        // examine it.
        let later = Plan { now_ns: NOW + 3 * 86_400 * 1_000_000_000, ..Plan::default() };
        drop(Cores::start(dir.path(), &later).await);
        assert_eq!(image(dir.path()), disk);
    });
}

#[test]
fn samples_of_a_series_whose_labels_are_lost_are_counted() {
    on_each(|| async {
        let dir = TempDir::new("log");
        log(dir.path(), true).await;
        let paths = segments(dir.path());
        // The first frame defines a and b.
        let (at, _, _) = frames(&paths[0])[0];
        let mut bytes = std::fs::read(&paths[0]).unwrap();
        bytes[at + 33] ^= 1;
        std::fs::write(&paths[0], bytes).unwrap();
        let (found, stats) = recovered(dir.path()).await;
        assert!(!found.contains_key("a") && found.contains_key("new_11"));
        assert!(stats.damage[0].what.contains("no readable frame, though one follows"));
        let lost: u64 = stats.damage[1..]
            .iter()
            .map(|damage| {
                assert!(damage.what.contains("of series whose labels stood"), "{damage}");
                damage.what.split(' ').next().unwrap().parse::<u64>().unwrap()
            })
            .sum();
        // Eleven more requests with three samples each of a and b.
        assert_eq!(lost, 66);
        assert_eq!(stats.damage.len(), 1 + paths.len(), "once per segment");
    });
}

#[test]
fn a_missing_segment_is_named() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let written = held(&log(dir.path(), true).await);
        let disk = image(dir.path());
        let paths = segments(dir.path());
        for missing in 0..paths.len() - 1 {
            restore(dir.path(), &disk);
            std::fs::remove_file(&paths[missing]).unwrap();
            let (found, stats) = recovered(dir.path()).await;
            check_subset(&found, &written, "missing");
            assert_eq!(stats.damage[0].file, paths[missing + 1]);
            assert!(stats.damage[0].what.contains("the segment before this one is missing"));
            assert!(found.contains_key("new_11"), "what comes after is served");
        }
    });
}

#[test]
fn swapped_copied_and_older_files_are_not_believed() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let written = held(&log(dir.path(), true).await);
        let disk = image(dir.path());
        let paths = segments(dir.path());
        let swap = |from: usize, to: usize| {
            let (a, b) = (std::fs::read(&paths[from]).unwrap(), std::fs::read(&paths[to]).unwrap());
            std::fs::write(&paths[from], b).unwrap();
            std::fs::write(&paths[to], a).unwrap();
        };
        for (from, to) in [(0, 1), (1, 2), (0, paths.len() - 1)] {
            restore(dir.path(), &disk);
            swap(from, to);
            let (found, stats) = recovered(dir.path()).await;
            check_subset(&found, &written, "swapped");
            for swapped in [from, to] {
                let named = stats.damage.iter().any(|damage| damage.file == paths[swapped]);
                assert!(named, "{:?}", stats.damage);
            }
            swap(from, to);
            let (found, stats) = recovered(dir.path()).await;
            assert_eq!((found, stats.damage), (written.clone(), Vec::new()), "nothing was cut");
        }
        // A copy of one segment in the place of another.
        restore(dir.path(), &disk);
        std::fs::copy(&paths[0], &paths[1]).unwrap();
        let (found, stats) = recovered(dir.path()).await;
        check_subset(&found, &written, "copied");
        let name = paths[0].file_name().unwrap().to_str().unwrap();
        assert!(stats.damage[0].what.contains(name), "{:?}", stats.damage);
    });
}

#[test]
fn a_frame_written_in_anothers_place_does_not_bring_old_values_back() {
    on_each(|| async {
        let dir = TempDir::new("log");
        let mut node = Cores::start(dir.path(), &Plan::default()).await;
        let at = NOW_MS - 1000;
        let write = |bits: u64| vec![("a".to_owned(), at, bits)];
        node.write(&samples(&["a"], 0, 1)).await;
        for bits in [0x1111_1111_1111_1111, 0x2222_2222_2222_2222, 0x3333_3333_3333_3333] {
            node.write(&write(bits)).await;
        }
        node.stop().await;
        let path = segments(dir.path()).pop().unwrap();
        let found = frames(&path);
        assert_eq!(found[1].1, found[3].1, "frames of one size");
        let mut bytes = std::fs::read(&path).unwrap();
        let (from, len, _) = found[1];
        bytes.copy_within(from..from + len, found[3].0);
        std::fs::write(&path, &bytes).unwrap();
        let (served, stats) = recovered(dir.path()).await;
        assert_eq!(served["a"][&at], 0x2222_2222_2222_2222, "the last that can be read");
        assert_eq!(stats.damage[0].offset, found[3].0 as u64);
        assert!(stats.damage[0].what.contains("a copy of frame 1"), "{:?}", stats.damage);
    });
}

#[test]
fn cut_extended_and_emptied_files_are_noticed() {
    on_each(|| {
        let mut random = Random::new("cut");
        async move {
            let dir = TempDir::in_memory("log");
            let written = held(&log(dir.path(), true).await);
            let disk = image(dir.path());
            let paths = segments(dir.path());
            for path in &paths {
                let is_last = path == paths.last().unwrap();
                let whole = disk[path.file_name().unwrap().to_str().unwrap()].to_vec();
                for cut in 0..whole.len() {
                    restore(dir.path(), &disk);
                    std::fs::write(path, &whole[..cut]).unwrap();
                    let (found, stats) = recovered(dir.path()).await;
                    check_subset(&found, &written, "cut");
                    let named = stats.damage.iter().any(|damage| damage.file == *path);
                    // The last file of a log may end anywhere after its header. Emptied, it looks
                    // like one that was never written.
                    let excused = is_last && (cut == 0 || cut >= frame::SEGMENT_HEADER_BYTES);
                    assert!(
                        named != excused,
                        "{} cut at {cut}: {:?}",
                        path.display(),
                        stats.damage
                    );
                }
                restore(dir.path(), &disk);
                let mut bytes = whole.clone();
                bytes.extend((0..3000).map(|_| random.next() as u8));
                std::fs::write(path, bytes).unwrap();
                let (found, stats) = recovered(dir.path()).await;
                assert_eq!((found, stats.damage), (written.clone(), Vec::new()), "behind a seal");
                std::fs::write(path, vec![0; whole.len()]).unwrap();
                let (found, stats) = recovered(dir.path()).await;
                check_subset(&found, &written, "zeros");
                let named = stats.damage.iter().any(|damage| damage.file == *path);
                assert_eq!(named, !is_last, "zeros");
            }
        }
    });
}
