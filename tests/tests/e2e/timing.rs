//! Answers start where they were asked to, to the sample.

use crate::scene::{RATE, after_phrase, ask, at, four_notes, host, host_in_blocks, stamps};
use continuo_tests::host::{Host, Pacing, Render, Settings};
use continuo_tests::notes::Played;
use continuo_tests::timeline::Timeline;

const BLOCKS: [&[u32]; 7] = [&[1], &[7], &[64], &[333], &[4096], &[8192], &[1, 512, 64, 4096, 7, 333]];

fn first(host: &Host) -> Played {
    *host.answered().first().expect("there is no answer")
}

/// Half a sample, and what a tie may be nudged by.
fn assert_on(host: &Host, beat: f64) {
    let exact = host.timeline().sample_at(beat);
    let clock = u32::try_from(first(host).on.clock).unwrap();
    assert!((f64::from(clock) - exact).abs() < 0.51, "heard at {clock}, asked for beat {beat} = {exact}");
}

#[test]
fn an_answer_starts_on_the_next_bar_line_in_blocks_of_any_size() {
    for timeline in [at(240.0), Timeline::new(44_100.0).with_tempo(0.0, 211.0)] {
        let mut answers = BLOCKS.map(|blocks| {
            let mut host = after_phrase(host_in_blocks(blocks, timeline.clone()));
            ask(&mut host, 1, "bar");
            host.run_to_beat(8.5).unwrap();
            assert_on(&host, 4.0);
            stamps(host.heard())
        });
        // Nothing depends on the blocks but the order of simultaneous events.
        answers.iter_mut().for_each(|stamps| stamps.sort_unstable());
        for (blocks, answer) in BLOCKS.iter().zip(&answers) {
            assert_eq!(answer, &answers[0], "blocks of {blocks:?}");
        }
    }
}

#[test]
fn an_answer_starts_on_the_next_beat_in_blocks_of_any_size() {
    for blocks in BLOCKS {
        let mut host = host_in_blocks(blocks, at(240.0));
        host.play();
        four_notes(&mut host, 0.0);
        host.run_to_beat(3.875).unwrap();
        // Over the next beat, which is a bar line, to one that is not.
        host.run_to_beat(4.3).unwrap();
        ask(&mut host, 1, "beat");
        host.run_to_beat(7.0).unwrap();
        assert_on(&host, 5.0);
    }
}

#[test]
fn an_answer_has_as_many_bars_as_were_asked_for() {
    for (bars, numerator) in [(1u8, 4u8), (3, 4), (5, 3)] {
        let mut host = after_phrase(host(at(120.0).with_meter(0.0, u16::from(numerator), 4)));
        let line = host.timeline().bar_line_from(host.beat());
        ask(&mut host, bars, "bar");
        let end = line + f64::from(bars) * f64::from(numerator);
        host.run_to_beat(end + 8.0).unwrap();
        let onsets: Vec<_> = host.answered().iter().map(|note| note.on.beat).collect();
        assert!(
            onsets.iter().all(|&beat| (line - 1e-3..end - 1e-3).contains(&beat)),
            "{line} {end} {onsets:?}"
        );
        // A model may rest, but not through most of what it was asked for.
        let last = onsets.iter().copied().fold(line, f64::max);
        assert!(last >= line + (end - line) / 4.0, "{bars} bars from {line}: the last note is at {last}");
    }
}

#[test]
fn an_answer_now_starts_at_once_when_rendering_offline() {
    let mut host = after_phrase(host_in_blocks(&[64], at(120.0)));
    let pressed = host.clock();
    ask(&mut host, 1, "now");
    host.run_to_beat(8.0).unwrap();
    let clock = first(&host).on.clock;
    // No later than the next step of the grid of 24 a beat, 1,000 samples.
    assert!((pressed..=pressed + 1000).contains(&clock), "pressed at {pressed}, heard at {clock}");
}

#[test]
fn a_trigger_inside_a_block_counts_from_there() {
    let mut host = host_in_blocks(&[4096], at(240.0));
    host.play();
    four_notes(&mut host, 0.0);
    host.set("bars", "1").unwrap();
    host.choose("start", "bar").unwrap();
    // A block that holds the bar line at 48,000 begins at 45,056; press behind the line.
    host.press_at("trigger", 48_500).unwrap();
    host.run_to_beat(14.0).unwrap();
    assert_on(&host, 8.0);
}

#[test]
fn bar_lines_are_those_of_the_meter() {
    for (numerator, denominator, line) in [(7, 8, 7.0), (3, 4, 6.0), (5, 4, 5.0), (6, 8, 6.0), (9, 16, 4.5)] {
        let timeline = at(200.0).with_meter(0.0, numerator, denominator);
        let mut host = after_phrase(host(timeline));
        host.run_to_beat(line - 0.1).unwrap();
        ask(&mut host, 1, "bar");
        host.run_to_beat(line + 8.0).unwrap();
        assert_on(&host, line);
    }
}

#[test]
fn bar_lines_are_the_hosts_after_the_meter_changed() {
    let timeline = at(200.0).with_meter(0.0, 7, 8).with_meter(3.5, 4, 4);
    let mut host = after_phrase(host(timeline));
    host.run_to_beat(6.9).unwrap();
    ask(&mut host, 1, "bar");
    host.run_to_beat(16.0).unwrap();
    assert_on(&host, 7.5);
}

#[test]
fn the_timeline_is_followed_through_tempo_changes() {
    let timeline = at(120.0).with_tempo(5.0, 90.0).with_tempo(6.0, 177.0).with_tempo(7.0, 60.0);
    let mut host = after_phrase(host(timeline.clone()));
    ask(&mut host, 1, "bar");
    host.run_to_beat(12.0).unwrap();
    let even = {
        let mut host = after_phrase(crate::scene::host(at(120.0)));
        ask(&mut host, 1, "bar");
        host.run_to_beat(12.0).unwrap();
        host.answered()
    };
    let changing = host.answered();
    assert_eq!(changing.len(), even.len());
    for (changing, even) in changing.iter().zip(&even) {
        let clock = f64::from(u32::try_from(changing.on.clock).unwrap());
        // Both are rounded to samples, the even one of 24,000 a beat.
        let exact = timeline.sample_at(even.on.beat);
        assert!((clock - exact).abs() <= 2.1, "beat {}: {clock} against {exact}", even.on.beat);
    }
}

#[test]
fn an_answer_in_real_time_is_on_a_bar_line_however_late() {
    let settings = Settings { render: Render::Realtime, pacing: Pacing::Realtime, ..Settings::default() };
    let host = crate::scene::bundle().host(settings, at(240.0)).unwrap();
    let mut host = after_phrase(host);
    ask(&mut host, 1, "bar");
    let minute = 60 * 48_000;
    assert!(host.run_until(minute, |host| !host.answered().is_empty()).unwrap(), "no answer in a minute");
    let clock = first(&host).on.clock;
    let bar = host.timeline().sample_at(4.0);
    let bars = f64::from(u32::try_from(clock).unwrap()) / bar;
    assert!((bars - bars.round()).abs() * bar < 0.51, "{clock} is no bar line (a bar has {bar} samples)");
    assert_eq!(RATE, host.timeline().sample_rate());
}
