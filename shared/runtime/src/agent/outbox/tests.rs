use super::*;

/// A core that takes the beginning of a hole for lost passes it, and the agent takes that mark
/// for one of another copy.
#[test]
fn a_hole_that_grew_after_a_restart_is_no_loss() {
    let mut channel = Channel::new(Kind::Exchange, &ChannelState::starting_at(81));
    channel.restore(&[Hole { from: 51, to: 80, bytes: 100 }], 50, 0);
    assert_eq!(channel.span(), (51, 81));
    for _ in 81..90 {
        let seq = channel.take_seq();
        channel.committed(seq, 100);
    }
    channel.remove(81, 85);
    assert_eq!(channel.span(), (51, 90));
    assert!(channel.never_sent(51) && !channel.never_sent(50));
}

#[test]
fn ranges_beyond_the_limit_are_joined() {
    let dropped: Vec<_> = (0..70).map(|n| (10 * n + 1, 10 * n + 4, 2)).collect();
    let ranges = ranges(&dropped, 1000);
    assert_eq!(ranges.len(), DROPPED_RANGES_MAX - 1);
    assert_eq!(ranges[61], DroppedRange { from: 1611, to: 1614, rows: 2 });
    assert_eq!(ranges[62], DroppedRange { from: 1621, to: 1694, rows: 16 });
}

#[test]
fn what_is_deleted_is_not_transmitted() {
    let mut channel = Channel::new(Kind::Exchange, &ChannelState::default());
    for seq in 1..=3 {
        assert_eq!(channel.take_seq(), seq);
        channel.committed(seq, 100);
    }
    channel.acknowledge(2, 0);
    // A request for the first frame overtakes its acknowledgement.
    channel.cursor = 1;
    let mut commit = Commit::default();
    channel.put_acknowledged(0, 0, 0, &mut commit);
    assert_eq!(commit.outbox_delete, [(0, 2)]);
    assert_eq!(channel.cursor, 3);
}

#[test]
fn what_a_restored_core_lacks_is_dropped_with_its_rows() {
    let mut channel = Channel::new(Kind::Exchange, &ChannelState::default());
    for seq in 1..=3 {
        assert_eq!(channel.take_seq(), seq);
        channel.stored.push_back(Stored { seq, rows: 10, hash: seq });
        channel.committed(seq, 100);
    }
    channel.acknowledge(3, 0);
    // The core is restored from a backup that has the first frame.
    channel.set_mark(1, 1);
    let dropped: Vec<_> = std::iter::from_fn(|| channel.drop_first()).collect();
    assert_eq!(dropped, [(1, 0, 0), (2, 100, 10), (3, 100, 10)]);
}
