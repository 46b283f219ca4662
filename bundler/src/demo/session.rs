//! The session: the phrase is played into the plugin, the trigger pressed when its
//! last note ends, and every take heard from there.

use super::phrase::{Phrase, SAMPLE_RATE};
use super::{Args, Start};
use anyhow::Result;
use continuo_codec::{Instrument, Note, Score};
use continuo_tests::host::{Bundle, Host, Pacing, Render, Settings};
use continuo_tests::message::Message;
use continuo_tests::notes::{Heard, Played, answered, played};
use continuo_tests::phrase::{Rig, messages};
use std::time::Duration;

/// A longer phrase is played from its last this many seconds on: no model looks
/// further back, and a file may claim to be days long.
const MOST_SECONDS: f64 = 1200.0;
/// How many beats past its end an answer's last note may ring.
const RING_BEATS: f64 = 40.0;
/// How many bars a late answer may take to begin when time is real.
const LATE_BARS: f64 = 16.0;

/// An answer, as heard.
pub(crate) struct Take {
    /// In ticks of the phrase's score.
    pub(crate) notes: Vec<Note>,
    /// The beat of the first note.
    pub(crate) first: Option<f64>,
    /// How many notes never ended.
    pub(crate) hanging: usize,
}

/// What happened.
pub(crate) struct Session {
    /// Where the transport began to roll, in beats.
    pub(crate) from: f64,
    /// Where the trigger was pressed, in beats.
    pub(crate) trigger: f64,
    /// Where the answers were to be over, in beats.
    pub(crate) until: f64,
    /// Wall-clock time from the trigger to the first note.
    pub(crate) latency: Option<Duration>,
    /// All answers.
    pub(crate) takes: Vec<Take>,
}

impl Session {
    /// Plays it all.
    pub(crate) fn play(bundle: &Bundle, phrase: &Phrase, args: &Args) -> Result<Self> {
        let mut host = bundle.host(settings(args), phrase.timeline.clone())?;
        for (name, value) in [
            ("takes", args.takes.to_string()),
            ("bars", args.bars.to_string()),
            ("seed", args.seed.to_string()),
            ("take", "1".to_owned()),
        ] {
            host.set(name, &value)?;
        }
        host.choose("start", args.start.word())?;
        let mut rig = Rig::default();
        let from = play_phrase(&mut host, phrase, args.start, &mut rig)?;
        let trigger = host.beat();
        host.press("trigger")?;
        let mut takes = vec![hear(&mut host, phrase, args, &mut rig)?];
        let latency = host.press_to_answer();
        for take in 2..=args.takes {
            host.forget();
            host.seek(trigger);
            host.set("take", &take.to_string())?;
            takes.push(hear(&mut host, phrase, args, &mut rig)?);
        }
        let answer = takes.iter().filter_map(|take| take.first).min_by(f64::total_cmp).unwrap_or(trigger);
        let until = answer + f64::from(args.bars) * phrase.timeline.bar_at(answer).length;
        Ok(Self { from, trigger, until, latency, takes })
    }

    /// The beat of the answers' first note.
    pub(crate) fn answer(&self) -> Option<f64> {
        self.takes.iter().filter_map(|take| take.first).min_by(f64::total_cmp)
    }
}

fn settings(args: &Args) -> Settings {
    let (render, pacing) =
        if args.realtime { (Render::Realtime, Pacing::Realtime) } else { (Render::Offline, Pacing::Free) };
    Settings { render, pacing, ..Settings::default() }
}

/// Rolls through the phrase to where the answer is asked for; tells from where.
fn play_phrase(host: &mut Host, phrase: &Phrase, start: Start, rig: &mut Rig) -> Result<f64> {
    let timeline = &phrase.timeline;
    let latest = timeline.sample_at(phrase.end()) - MOST_SECONDS * SAMPLE_RATE;
    let from = if latest > 0.0 { timeline.bar_line_from(timeline.beat_at(latest)) } else { 0.0 };
    host.seek(from);
    host.play();
    for (beat, message) in messages(&phrase.score) {
        rig.follow(message);
        if beat >= from {
            host.send_at_beat(beat, message);
        } else if !matches!(message, Message::On { .. } | Message::Off { .. }) {
            // What was set up before we join still holds.
            host.send_at_beat(from, message);
        }
    }
    host.run_to_beat(phrase.trigger(start))?;
    Ok(from)
}

/// Rolls on until the answer is over and its last note has ended.
fn hear(host: &mut Host, phrase: &Phrase, args: &Args, rig: &mut Rig) -> Result<Take> {
    let timeline = &phrase.timeline;
    let bar = timeline.bar_at(host.beat()).length;
    let wait = bar * if args.realtime { LATE_BARS } else { 1.0 };
    let samples = |beats: f64, host: &Host| host.clock_at_beat(host.beat() + beats) - host.clock();
    host.run_until(samples(wait + bar, host), |host| first_answer(host.heard()).is_some())?;
    let begun = first_answer(host.heard()).map_or(host.beat(), |first| first.beat);
    host.run_to_beat(begun + f64::from(args.bars) * bar)?;
    let limit = samples(RING_BEATS, host);
    host.run_until(limit, |host| answered(host.heard()).iter().all(|note| note.off.is_some()))?;
    Ok(take(host.heard(), &phrase.score, rig))
}

fn first_answer(heard: &[Heard]) -> Option<Heard> {
    heard.iter().copied().find(|heard| !heard.thru && matches!(heard.message, Message::On { .. }))
}

/// Writes down what was heard on the phrase's grid.
fn take(heard: &[Heard], score: &Score, rig: &mut Rig) -> Take {
    let mut instruments = Vec::new();
    for heard in heard {
        rig.follow(heard.message);
        if let Message::On { channel, .. } = heard.message {
            instruments.push(rig.instrument(channel));
        }
    }
    let answers: Vec<(Played, Instrument)> =
        played(heard).into_iter().zip(instruments).filter(|(note, _)| !note.on.thru).collect();
    Take {
        notes: answers.iter().map(|(note, instrument)| written(note, *instrument, score)).collect(),
        first: answers.first().map(|(note, _)| note.on.beat),
        hanging: answers.iter().filter(|(note, _)| note.off.is_none()).count(),
    }
}

fn written(note: &Played, instrument: Instrument, score: &Score) -> Note {
    let start = tick(note.on.beat, score);
    let end = note.off.map_or(start, |off| tick(off.beat, score));
    let duration = end.saturating_sub(start).max(1);
    Note { start, instrument, pitch: note.key, duration, velocity: note.velocity.max(1) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, as wanted")]
fn tick(beat: f64, score: &Score) -> u32 {
    (beat * f64::from(score.ticks_per_beat)).round() as u32
}

/// How far, in samples, `beat` is from the nearest line that `start` asks for.
pub(crate) fn off_the_line(phrase: &Phrase, start: Start, beat: f64) -> f64 {
    let timeline = &phrase.timeline;
    let bar = timeline.bar_at(beat + 0.01);
    let line = match start {
        Start::Bar => bar.start,
        Start::Beat => bar.start + (beat - bar.start).round(),
        Start::Now => beat,
    };
    timeline.sample_at(beat) - timeline.sample_at(line)
}
