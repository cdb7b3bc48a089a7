//! Properties of checkpoints: a restart after every row changes neither rows nor later bytes.

use alloc::{vec, vec::Vec};
use proptest::prelude::*;

use crate::{fragment::*, limits::Limits, testkit::*};

#[derive(Clone, Debug)]
enum Action {
    /// Key, time before the newest, value.
    Row(u8, i64, i64),
    Watermark(i64),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let row = (0..5_u8, 0..12_i64, 0..6_i64).prop_map(|(k, back, v)| Action::Row(k, back, v));
    let action = prop_oneof![4 => row, 1 => (0..9_i64).prop_map(Action::Watermark)];
    prop::collection::vec(action, 0..50)
}

fn fragments() -> Vec<Fragment> {
    let texts = || vec![call("COUNT", None), call("AVG", Some(VALUE)), call("MAX", Some(TEXT))];
    let window = |window, phase| aggregate_step(aggregate(window, phase, texts()));
    let dedup = |spec| (OperatorSpec::DedupFirst(spec), readings());
    let forgetful = DedupSpec { ttl_ms: Some(4), ..super::dedup(&[KEY, INT]) };
    vec![
        chain(vec![dedup(super::dedup(&[KEY])), window(tumble(6), Phase::Complete)]),
        chain(vec![dedup(super::dedup(&[KEY, TIME])), window(hop(12, 4), Phase::Complete)]),
        chain(vec![dedup(forgetful.clone()), window(hop(12, 4), Phase::Partial)]),
        chain(vec![dedup(DedupSpec { key_holds_time: true, ..super::dedup(&[TEXT, TIME]) })]),
        chain(vec![dedup(forgetful)]),
        chain(vec![dedup(super::dedup(&[TEXT, TIME])), window(tumble(6), Phase::Partial)]),
    ]
}

fn act(run: &mut Run, newest: &mut i64, action: &Action) {
    match action {
        Action::Row(key, back, value) => {
            #[expect(clippy::cast_precision_loss, reason = "small test values")]
            let mut row = reading(
                ["a", "b", "c", "d", "e"][usize::from(*key)],
                *newest - back,
                *value as f64,
            );
            if *key == 4 {
                (row[KEY], row[TEXT]) = (V::Null, V::Null);
            }
            run.row(&row);
            *newest += value / 2;
        }
        Action::Watermark(behind) => {
            run.watermark(*newest - behind);
        }
    }
}

fn run_all(fragment: &Fragment, limits: &Limits, all: &[Action], room: u32, restarts: bool) -> Run {
    let mut run = Run::with(fragment.clone(), limits.clone());
    run.log.room = room;
    let mut newest = 0;
    for (index, action) in all.iter().enumerate() {
        act(&mut run, &mut newest, action);
        if index % 3 != 2 {
            run.checkpoint(index % 7 == 0);
            if restarts {
                run.restart();
            }
        }
    }
    run.checkpoint(false);
    if restarts {
        run.restart();
    }
    run.end();
    run.checkpoint(false);
    run
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_restart_after_every_checkpoint_changes_nothing(
        all in actions(),
        which in 0..6_usize,
        room in 0..3_u32,
        entries in 2..9_usize,
        bounded in any::<bool>(),
    ) {
        let fragment = &fragments()[which];
        let mut limits = Limits::default();
        if bounded {
            limits.dedup_entries_max = entries;
            limits.panes_max = entries;
        }
        let mut straight = run_all(fragment, &limits, &all, room, false);
        let mut restarted = run_all(fragment, &limits, &all, room, true);
        prop_assert_eq!(&straight.log.events, &restarted.log.events);
        prop_assert_eq!(&straight.disk, &restarted.disk);
        let (left, right) = (straight.pipeline.context(), restarted.pipeline.context());
        prop_assert_eq!(left.symbols.len(), right.symbols.len());
        if fragment.steps.len() == 2 && which == 1 {
            prop_assert!(left.symbols.is_empty(), "nothing refers to a text after the end");
        }
    }

    #[test]
    fn the_whole_state_is_the_sum_of_its_changes(all in actions(), which in 0..6_usize) {
        let fragment = &fragments()[which];
        let mut run = Run::new(fragment.clone());
        let mut newest = 0;
        for action in &all {
            act(&mut run, &mut newest, action);
            run.checkpoint(false);
        }
        let mut whole = Disk::default();
        run.pipeline.checkpoint(true, &mut whole);
        run.restart();
        let mut from_changes = Disk::default();
        run.pipeline.checkpoint(true, &mut from_changes);
        prop_assert_eq!(&whole, &from_changes);
        run.disk = whole.clone();
        run.restart();
        let mut from_whole = Disk::default();
        run.pipeline.checkpoint(true, &mut from_whole);
        prop_assert_eq!(whole, from_whole);
    }
}
