//! The same again is the same; another seed, another take is not.

use crate::scene::{RING, after_phrase, answer, ask, at, hanging, host, shape, stamps};
use continuo_tests::host::Host;

#[test]
fn the_same_seed_gives_the_same_messages_and_another_seed_others() {
    let [once, again, other] = [3, 3, 4].map(|seed| answer(host(at(120.0)), 2, seed));
    assert!(!once.answered().is_empty());
    assert_eq!(stamps(once.heard()), stamps(again.heard()));
    assert_ne!(shape(&once.answered()), shape(&other.answered()));
}

/// Seeks back to before the answer and hears it again.
fn once_more(host: &mut Host) -> Vec<(u64, Option<u64>, u8, u8)> {
    host.forget();
    host.seek(3.875);
    host.run_to_beat(12.0 + RING).unwrap();
    assert!(hanging(host).is_empty());
    shape(&host.answered())
}

#[test]
fn an_answer_stays_on_the_timeline_and_takes_can_be_compared_there() {
    let mut host = host(at(120.0));
    host.set("takes", "3").unwrap();
    let mut host = answer(host, 2, 7);
    let first = shape(&host.answered());
    assert!(!first.is_empty());
    assert_eq!(once_more(&mut host), first, "the first take, a second time");
    host.set("take", "2").unwrap();
    let second = once_more(&mut host);
    host.set("take", "3").unwrap();
    let third = once_more(&mut host);
    assert!(!second.is_empty() && !third.is_empty());
    assert!(first != second && second != third && first != third);
    host.set("take", "1").unwrap();
    assert_eq!(once_more(&mut host), first, "back to the first take");
}

#[test]
fn a_loop_over_the_answer_repeats_it() {
    let mut host = after_phrase(host(at(240.0)));
    ask(&mut host, 1, "bar");
    host.loop_between(4.0, 8.0);
    host.run_to_beat(4.0).unwrap();
    let mut rounds = Vec::new();
    for _ in 0..3 {
        host.forget();
        // A bar at 240 beats a minute.
        host.run(48_000).unwrap();
        let onsets: Vec<_> = host.answered().iter().map(|note| (note.on.beat.to_bits(), note.key)).collect();
        rounds.push(onsets);
    }
    assert!(!rounds[0].is_empty());
    assert_eq!(rounds[0], rounds[1]);
    assert_eq!(rounds[1], rounds[2]);
}
