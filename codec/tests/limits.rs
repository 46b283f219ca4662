//! Limits on answers, in every encoding: whatever is drawn keeps them all, and
//! there is always something to draw.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "beat/random.rs"]
#[expect(dead_code, reason = "the part for whole pieces")]
mod random;

use continuo_codec::limits::{Density, Limits, Placement, Rhythm, Scale};
use continuo_codec::{
    Anticipation, Beat, Clock, Encoding, EncodingError, Event, IdSet, Instrument, MidiLike, Note, Score,
    Stream, Text, TimedNote, Window,
};
use random::Random;

/// How an encoding rounds times, in quarter notes at 120 a minute.
struct Rounding {
    /// How far off a note's times may be.
    slack: f64,
    /// How much earlier than named a stretch of the density may begin: half of the
    /// encoding's step.
    early: f64,
    /// Steps a quarter note where the grids asked for here need not be among them:
    /// an onset goes to the nearest.
    steps: Option<f64>,
}

impl Rounding {
    fn of(encoding: &dyn Encoding) -> Self {
        match (encoding.clock(), encoding.name()) {
            (Clock::Seconds, _) => Self { slack: 0.011, early: 0.01, steps: None },
            (_, "midilike") => Self { slack: 1e-9, early: 1.0 / 16.0, steps: Some(8.0) },
            _ => Self { slack: 1e-9, early: 1.0 / 48.0, steps: None },
        }
    }

    /// Where an onset is to be looked for.
    fn onset(&self, beats: f64) -> f64 {
        self.steps.map_or(beats, |steps| (beats * steps).round() / steps)
    }
}

fn encodings() -> Vec<Box<dyn Encoding>> {
    vec![Box::new(Beat), Box::new(Text), Box::new(Anticipation), Box::new(MidiLike::default())]
}

/// A phrase of four bars that begins at tick 0.
fn phrase(random: &mut Random, players: &[Instrument]) -> Score {
    let mut score = Score::new(480);
    for step in 0..64 {
        if step == 0 || random.below(3) == 0 {
            let player = players[random.below(u32::try_from(players.len()).unwrap()) as usize];
            score.notes.push(Note {
                start: step * 120,
                instrument: player,
                pitch: 40 + u8::try_from(random.below(40)).unwrap(),
                duration: 60 + random.below(8) * 60,
                velocity: 20 + u8::try_from(random.below(100)).unwrap(),
            });
        }
    }
    score.normalize();
    score
}

const PLAYERS: &[&[u8]] = &[&[0], &[128], &[0, 128], &[33, 0, 48], &[40, 128, 41, 42]];

fn players(random: &mut Random) -> Vec<Instrument> {
    let indices = PLAYERS[random.below(5) as usize];
    indices.iter().map(|&i| Instrument::program(i).unwrap_or(Instrument::DRUMS)).collect()
}

/// Each limit on in half of the cases.
fn some_limits(random: &mut Random, phrase: &Score) -> Limits {
    let mut limits = Limits::default();
    let names = ["C major", "F# minor pentatonic", "Eb dorian", "B chromatic"];
    if random.below(2) == 0 {
        limits.scale = Some(names[random.below(4) as usize].parse::<Scale>().unwrap());
    }
    if random.below(2) == 0 {
        let low = u8::try_from(random.below(100)).unwrap();
        limits.range = low..=low + 12;
    }
    if random.below(2) == 0 {
        limits.polyphony = Some(1 + u8::try_from(random.below(4)).unwrap());
    }
    if random.below(2) == 0 {
        limits.grid = Some([1, 2, 3, 4, 6, 8, 12, 24][random.below(8) as usize]);
    }
    if random.below(2) == 0 {
        limits.density = Density::per_beat([0.3, 1.0, 2.5, 8.0][random.below(4) as usize]);
    }
    if random.below(2) == 0 {
        limits.rhythm = Some(Rhythm::of(phrase, 0.0, 16.0).unwrap());
    }
    if random.below(2) == 0 {
        limits.placement = Placement::Over;
    }
    limits
}

struct Answer {
    notes: Vec<TimedNote>,
    drawn: usize,
}

/// Draws an answer to its end, shortening the history now and then as a model's
/// window would.
fn draw(random: &mut Random, mut stream: Box<dyn Stream>, prompt: &[u32], max: usize, case: &str) -> Answer {
    let mut set = IdSet::default();
    let (mut events, mut history, mut drawn) = (Vec::new(), prompt.to_vec(), 0);
    let kinds = random.below(2) == 0;
    while !stream.finished() {
        stream.allowed(&mut set);
        assert!(
            !set.is_empty(),
            "{case}: nothing may follow {:?}",
            &history[history.len().saturating_sub(12)..]
        );
        let id = random.next(&*stream, kinds);
        stream.push(id, &mut events).unwrap();
        history.push(id);
        drawn += 1;
        assert!(drawn < 400_000, "the answer does not end");
        if history.len() > max {
            history = stream.shorten(&history, max / 2);
        }
    }
    stream.allowed(&mut set);
    assert!(set.is_empty(), "a finished answer goes on");
    let notes = events.into_iter().filter_map(|e| if let Event::Note(n) = e { Some(n) } else { None });
    Answer { notes: notes.collect(), drawn }
}

/// The notes in quarter notes. All phrases here are at 120 a minute.
fn in_beats(encoding: &dyn Encoding, notes: &[TimedNote]) -> Vec<TimedNote> {
    let scale = if encoding.clock() == Clock::Seconds { 2.0 } else { 1.0 };
    notes.iter().map(|n| TimedNote { start: n.start * scale, duration: n.duration * scale, ..*n }).collect()
}

#[track_caller]
fn check(
    limits: &Limits,
    window: Window,
    phrase: &Score,
    notes: &[TimedNote],
    rounding: &Rounding,
    case: &str,
) {
    let slack = rounding.slack;
    let melodic: Vec<_> = notes.iter().filter(|n| !n.instrument.is_drums()).collect();
    for note in notes {
        assert!(note.start >= window.from - slack && note.start < window.until, "{case}: {note:?}");
        assert!(note.duration > 0.0 && (1..=127).contains(&note.velocity), "{case}: {note:?}");
    }
    for note in &melodic {
        assert!(limits.range.contains(&note.pitch), "{case}: {note:?} leaves the range");
        assert!(limits.scale.is_none_or(|s| s.contains(note.pitch)), "{case}: {note:?} leaves the scale");
    }
    if let Some(most) = limits.polyphony {
        for note in &melodic {
            let at = note.start + slack;
            let sounding = melodic.iter().filter(|n| n.start <= note.start && n.start + n.duration > at);
            assert!(sounding.count() <= usize::from(most), "{case}: too many at {}", note.start);
        }
    }
    if let Some(density) = limits.density {
        let early = rounding.early + 1e-9;
        let stretch = |n: &TimedNote| ((n.start - window.from + early) / density.beats).floor();
        for note in notes {
            let same = notes.iter().filter(|n| stretch(n) == stretch(note)).count();
            assert!(same <= density.notes as usize, "{case}: {same} notes in the stretch at {}", note.start);
        }
    }
    if let Some(rhythm) = &limits.rhythm {
        let on_grid =
            |beats: f64| limits.grid.map_or(beats, |g| (beats * f64::from(g)).round() / f64::from(g));
        let snapped = |beats: f64| rounding.onset(on_grid(beats));
        let mut rounds = 0.0;
        let mut onsets = Vec::new();
        while rounds < window.until - window.from {
            onsets.extend(rhythm.beats().iter().map(|b| (snapped(window.from + rounds + b.at), b.duration)));
            rounds += rhythm.period();
        }
        for note in notes {
            let near = |&&(at, _): &&(f64, f64)| (at - note.start).abs() < 1e-6;
            assert!(onsets.iter().any(|o| near(&o)), "{case}: {note:?} is not in the rhythm");
        }
        if limits.polyphony.is_none() && limits.density.is_none() {
            for &(at, _) in onsets.iter().filter(|&&(at, _)| at < window.until - slack) {
                let along = limits.placement == Placement::Over;
                let played = along && phrase.notes.iter().any(|n| (phrase.beats(n.start) - at).abs() < 0.021);
                let found = played || notes.iter().any(|n| (n.start - at).abs() < 1e-6);
                assert!(found, "{case}: the rhythm's onset at {at} is left out");
            }
        }
    } else if let Some(grid) = limits.grid {
        for note in notes {
            let on_grid = rounding.onset((note.start * f64::from(grid)).round() / f64::from(grid));
            let off = (on_grid - note.start).abs() * f64::from(grid);
            assert!(off < 1e-6, "{case}: {note:?} is off the grid");
        }
    }
}

#[test]
fn whatever_is_drawn_keeps_every_limit_and_there_is_always_more_to_draw() {
    for encoding in encodings() {
        let mut drawn = 0;
        for seed in 0.. {
            if drawn >= 100_000 {
                break;
            }
            let mut random = Random::new(seed);
            let players = players(&mut random);
            let phrase = phrase(&mut random, &players);
            let limits = some_limits(&mut random, &phrase);
            let from = if limits.placement == Placement::Over { 0.0 } else { 16.0 };
            let window = Window { from, until: from + f64::from(1 + random.below(24)) };
            let case = format!("{} seed {seed} {limits:?} {window:?}", encoding.name());
            let answer = encoding.continuation_within(&phrase, window, &limits, 400);
            let answer = match answer {
                // A rhythm or a grid may have no onset in a short window.
                Err(EncodingError::Limits(_)) if limits.rhythm.is_some() => continue,
                answer => answer.unwrap_or_else(|error| panic!("{case}: {error}")),
            };
            let given = draw(&mut random, answer.stream, &answer.ids, 600, &case);
            drawn += given.drawn;
            let notes = in_beats(&*encoding, &given.notes);
            check(&limits, window, &phrase, &notes, &Rounding::of(&*encoding), &case);
            assert!(limits.placement == Placement::Over || !notes.is_empty(), "{case}: nothing was played");
            assert!(notes.iter().all(|n| players.contains(&n.instrument)), "{case}: somebody else plays");
        }
    }
}
