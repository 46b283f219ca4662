//! How long a musician waits: from the trigger to the first note, of a phrase of 64
//! notes that was read while it was played.
//!
//! `cargo bench -p continuo-engine --bench first_note -- [MODEL]`, a model folder or file;
//! without one the embedded model answers.

use std::path::Path;
use std::time::{Duration, Instant};

use continuo_engine::{
    Engine, EngineError, Instrument, Limits, Meter, Note, Request, Sampling, Score, TakeEvent, Tempo, Window,
};

const NOTES: u32 = 64;
const TICKS: u32 = 480;

/// Eighths, the last key still down.
fn phrase(notes: u32) -> Score {
    let mut score = Score::new(480);
    score.tempos.push(Tempo { tick: 0, micros_per_beat: 500_000 });
    score.meters.push(Meter { tick: 0, numerator: 4, denominator: 4 });
    let line = [60, 62, 64, 65, 67, 65, 64, 62].into_iter().cycle();
    for (n, pitch) in (0..notes).zip(line) {
        let duration = if n + 1 == notes { 31 } else { 200 + n % 7 };
        let velocity = pitch + 10;
        score.notes.push(Note {
            start: n * TICKS / 2,
            instrument: Instrument::PIANO,
            pitch,
            duration,
            velocity,
        });
    }
    score
}

fn request(notes: u32) -> Request {
    let from = f64::from(notes.div_ceil(8) * 4);
    let sampling = Sampling { temperature: 1.0, seed: 3, ..Sampling::default() };
    let window = Window { from, until: from + 16.0 };
    Request { phrase: phrase(notes), window, takes: 1, sampling, limits: Limits::default(), pace: None }
}

fn main() -> Result<(), EngineError> {
    let model = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let engine = model.map_or_else(Engine::embedded, |path| Engine::open(Path::new(&path)))?;
    let mut first = Vec::new();
    let mut read = Vec::new();
    let mut rate = Vec::new();
    for _ in 0..5 {
        let mut reading = engine.reading();
        for notes in 1..=NOTES {
            let since = Instant::now();
            engine.read_ahead(&request(notes), &mut reading, &|| false)?;
            read.push(since.elapsed());
        }
        // The last key is released with the trigger.
        let mut asked = request(NOTES);
        if let Some(last) = asked.phrase.notes.last_mut() {
            last.duration = 220;
        }
        let mut events = Vec::new();
        let mut times = Vec::new();
        let since = Instant::now();
        engine.answer(&asked, &mut reading, &|| false, &mut |event| {
            if let TakeEvent::Note { .. } = event {
                times.push(since.elapsed());
            }
            events.push(event);
        })?;
        let mut anew = Vec::new();
        engine.generate(&asked, &|| false, &mut |event| anew.push(event))?;
        assert_eq!(events, anew, "what was read ahead must not change the answer");
        first.extend(times.first());
        let last = times.last().copied().unwrap_or_default();
        rate.push(times.len() as f64 / last.as_secs_f64());
    }
    first.sort();
    read.sort();
    rate.sort_by(f64::total_cmp);
    let millis = |time: Duration| 1000.0 * time.as_secs_f64();
    println!("{}, {}", engine.name(), engine.encoding_name());
    println!("trigger to first note  {:7.1} ms (median of {})", millis(first[first.len() / 2]), first.len());
    println!(
        "reading a note         {:7.1} ms (median), {:.1} ms at most",
        millis(read[read.len() / 2]),
        millis(read[read.len() - 1])
    );
    println!("notes                  {:7.1} a second", rate[rate.len() / 2]);
    Ok(())
}
