//! Power cuts between any two writes, and barriers that fail: what was reported durable is there,
//! and nothing is half.
//!
//! A run is a store that lives through phases (it grows, drains, is compacted, closed, meets
//! errors) until its power goes; then several of the disks that may be left are opened, and some
//! of those lose their power again while they are. `-- --ignored --nocapture` makes 100,000 disks
//! (`HEADWATER_IMAGES`, `HEADWATER_SEED` say how many and which).
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

#[path = "crash/life.rs"]
mod life;

use std::sync::Arc;
use std::time::Instant;

use headwater_store::Store;
use headwater_store::crash::{CrashDisk, Noise};
use life::{Life, Model, options};

/// Disks made of one cut.
const IMAGES_PER_CUT: u64 = 5;

#[derive(Default, Debug)]
struct Totals {
    images: u64,
    runs: u64,
    /// Runs whose power went before they had ended.
    cut: u64,
    /// Power cuts while a disk was opened.
    cut_again: u64,
    commits: u64,
    compactions: u64,
    failed_barriers: u64,
    file_bytes_max: u64,
}

/// Opens a disk, which may lose its power meanwhile, and checks what is on it.
fn check(image: Vec<u8>, models: &[Model], noise: &mut Noise, totals: &mut Totals) {
    totals.images += 1;
    let disk = Arc::new(CrashDisk::new(image));
    if noise.below(4) == 0 {
        disk.cut_after(noise.below(30));
        let opened = Store::open_disk(disk.clone(), &options());
        if disk.is_cut() {
            totals.cut_again += 1;
        }
        let again = disk.crash_image(noise.bits());
        drop(opened);
        return check_open(Arc::new(CrashDisk::new(again)), models);
    }
    check_open(disk, models);
}

fn check_open(disk: Arc<CrashDisk>, models: &[Model]) {
    let mut store = Store::open_disk(disk, &options()).unwrap_or_else(|error| {
        panic!("does not open: {error}");
    });
    let epoch = store.head().epoch;
    let found = models.iter().find(|model| model.epoch == epoch);
    let epochs = || models.iter().map(|m| m.epoch).collect::<Vec<_>>();
    let mut model = found.unwrap_or_else(|| panic!("{epoch} is there, not {:?}", epochs())).clone();
    model.check(&store);
    let commit = model.next(&mut Noise(epoch), life::Phase::Steady);
    store.commit(&commit).unwrap();
    model.check(&store);
}

fn run(seed: u64, totals: &mut Totals) {
    let mut noise = Noise(seed);
    let mut life = Life::new(seed);
    let planned = 10 + noise.below(1500);
    life.disk.cut_after(planned);
    life.live(&mut noise);
    totals.runs += 1;
    totals.cut += u64::from(life.was_cut);
    totals.commits += life.model.epoch;
    totals.compactions += life.compactions;
    totals.failed_barriers += life.failed_barriers;
    totals.file_bytes_max = totals.file_bytes_max.max(life.disk.live_image().len() as u64);
    let models = life.possible();
    for _ in 0..IMAGES_PER_CUT {
        check(life.disk.crash_image(noise.bits()), &models, &mut noise, totals);
    }
}

fn run_all(seeds: impl Iterator<Item = u64>, images: u64) -> Totals {
    let mut totals = Totals::default();
    for seed in seeds {
        if totals.images >= images {
            break;
        }
        // The seed of a failure is all that is needed to see it again.
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed, &mut totals)));
        if ran.is_err() {
            panic!("seed {seed}: HEADWATER_SEED={seed} shows it again");
        }
    }
    totals
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn a_power_cut_at_any_write_loses_nothing_that_was_reported_durable() {
    let totals = run_all(number("HEADWATER_SEED").unwrap_or(0).., 1000);
    println!("{totals:?}");
    assert!(totals.cut * 2 > totals.runs, "few runs were cut: {totals:?}");
    assert!(totals.cut_again > 50, "few disks lost their power again: {totals:?}");
    assert!(totals.failed_barriers > 20, "few barriers failed: {totals:?}");
    assert!(totals.compactions > 20, "few compactions: {totals:?}");
}

#[test]
#[ignore = "100,000 disks take minutes"]
fn a_hundred_thousand_disks_open_with_every_commit() {
    let images = number("HEADWATER_IMAGES").unwrap_or(100_000);
    let first = number("HEADWATER_SEED").unwrap_or(1_000_000);
    let start = Instant::now();
    let totals = run_all(first.., images);
    let took = start.elapsed();
    println!("{totals:?}");
    println!("{} disks in {took:?}: 0 failures to open, 0 lost commits", totals.images);
}
