//! Random harm to everything that keeps Pods, and `kill -9` of sampan itself amid it: no rule is broken on
//! the way, nothing that was acknowledged is lost, and in the end all is as it should be and nothing is left
//! over. Some 20 s; `CHAOS_SECONDS=600 CHAOS_SEED=2` makes it ten minutes of other harm.

mod disturb;
mod judge;
mod judge_tests;
mod ledger;
mod objects;
mod rest;
mod views;
mod watcher;
mod world;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::support::Home;
use disturb::Disturber;
use ledger::Ledger;
use watcher::{Record, Watcher};

/// Disturbances in a life between two kills: the least, and the most of a short run and of a long one, which
/// has time for what takes longer to go wrong.
const LIFE: (usize, usize, usize) = (15, 60, 250);
/// In seconds.
const LONG: u64 = 60;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn what_is_disturbed_at_random_heals_and_breaks_no_rule() {
    let (seed, seconds) = (setting("CHAOS_SEED", 1), setting("CHAOS_SECONDS", 12));
    println!("CHAOS_SEED={seed} CHAOS_SECONDS={seconds}");
    let home = Home::new();
    let record = Arc::<Mutex<Record>>::default();
    let mut disturber = Disturber::new(&home, seed, record.clone());
    let mut ledger = Ledger::default();

    let cluster = home.up();
    let mut watcher = Watcher::start(&home, &record);
    cluster.kubectl(&format!("apply -f {}", home.file("world.yaml", world::MANIFEST)));
    rest::wait(&cluster);
    let before = rest::Holdings::of(&home, &cluster);
    disturber.cluster = Some(cluster);
    let end = Instant::now() + Duration::from_secs(seconds);
    let life_max = if seconds < LONG { LIFE.1 } else { LIFE.2 };
    let mut kills = 0;
    while Instant::now() < end {
        let life = LIFE.0 + disturber.chance.below(life_max - LIFE.0);
        for _ in 0..life {
            if Instant::now() >= end {
                break;
            }
            disturber.disturb();
        }
        watcher::assert_whole(&record);
        ledger.write_and_kill(&home, disturber.cluster.take().unwrap());
        watcher.finish();
        kills += 1;
        let cluster = home.up();
        watcher = Watcher::start(&home, &record);
        ledger.check(&cluster);
        disturber.cluster = Some(cluster);
    }
    let cluster = disturber.cluster.take().unwrap();
    println!(
        "killed {kills} times, {} writes acknowledged; done and refused:",
        ledger.acknowledged
    );
    disturber.counts.iter().for_each(|(name, counts)| println!("    {name}: {counts:?}"));
    let calm = Instant::now();
    rest::settle(&cluster);
    println!("as wanted {:?} after the last disturbance", calm.elapsed());
    let after = rest::Holdings::of(&home, &cluster);
    println!("before: {before:?}\nafter: {after:?}");
    rest::check(&home, &cluster);
    watcher::assert_whole(&record);
    rest::clear(&home, &cluster);
    cluster.kill();
    watcher.finish();

    let history = &record.lock().history;
    println!("{} changes seen in {} lives", history.changes.len(), history.whole_after.len());
    let mut violations = disturber.faults;
    violations.extend(judge::judge(history, &disturber.disturbed));
    assert!(violations.is_empty(), "{violations:#?}");
    after.assert_like(&before);
}
