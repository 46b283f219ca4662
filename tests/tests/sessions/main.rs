//! A thousand random sessions against the built plugin, in processes of their own: a plugin
//! that aborts its host must not end the test, but fail it. What fails is shrunk.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::path::{Path, PathBuf};
use std::process::Command;

use continuo_tests::locate;
use continuo_tests::session::script;

/// Sessions played, unless `CONTINUO_SESSIONS` says otherwise.
const SESSIONS: u64 = 1000;
/// Processes at a time.
const PROCESSES: u64 = 2;
/// Notes the plugin must have added over all sessions, each: silence would pass otherwise.
const NOTES_EACH: usize = 3;

/// What a process said.
struct Said {
    failed: bool,
    /// The seed it was at.
    seed: u64,
    words: String,
    added: usize,
    judged: usize,
}

fn program() -> PathBuf {
    // Beside the test: target/debug/deps/sessions-…, target/debug/examples/session.
    let test = std::env::current_exe().unwrap();
    let name = format!("session{}", std::env::consts::EXE_SUFFIX);
    test.parent().unwrap().parent().unwrap().join("examples").join(name)
}

fn said(plugin: &Path, args: &[String]) -> Said {
    let output = Command::new(program())
        .args(args)
        .env("CONTINUO_BUNDLE", plugin)
        .env("NICE_LOG", "/dev/null")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = |line: &str, at: usize| line.split(' ').nth(at).and_then(|n| n.parse().ok()).unwrap_or(0);
    let last = |prefix: &str| {
        text.lines().rev().find(|line| line.starts_with(prefix)).unwrap_or_default().to_owned()
    };
    let (seed, sum) = (last("seed "), last("added "));
    let mut words = last("error ");
    if !output.status.success() && words.is_empty() {
        words = format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Said {
        failed: !output.status.success(),
        seed: seed.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0),
        words,
        added: number(&sum, 1),
        judged: number(&sum, 3),
    }
}

/// What kind of failure it is: an error's words without the values in them.
fn kind(words: &str) -> String {
    let words = words.rsplit_once("): ").map_or(words, |(_, reason)| reason);
    words.split(|c: char| c.is_ascii_digit() || c == ':').next().unwrap_or_default().to_owned()
}

/// The fewest steps of a session that still fail in the same way, found by leaving out ever
/// smaller pieces.
fn shrunk(plugin: &Path, seed: u64, wanted: &str) -> Vec<usize> {
    let fails = |steps: &[usize]| {
        let list: Vec<String> = steps.iter().map(usize::to_string).collect();
        let said = said(plugin, &[seed.to_string(), "--steps".to_owned(), list.join(",")]);
        said.failed && kind(&said.words) == kind(wanted)
    };
    let mut steps: Vec<usize> = (0..script(seed).len()).collect();
    let mut piece = steps.len().div_ceil(2);
    loop {
        let mut at = 0;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + piece).min(steps.len()));
            if !fewer.is_empty() && fails(&fewer) {
                steps = fewer;
            } else {
                at += piece;
            }
        }
        if piece == 1 {
            return steps;
        }
        piece = piece.div_ceil(2);
    }
}

#[test]
fn whatever_is_played_no_note_hangs_or_is_out_of_place() {
    judge(&locate::bundle().unwrap());
}

#[test]
fn nor_in_the_vst3() {
    judge(&locate::vst3().unwrap());
}

fn judge(plugin: &Path) {
    let sessions = std::env::var("CONTINUO_SESSIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(SESSIONS);
    let share = sessions.div_ceil(PROCESSES);
    let ranges = (0..PROCESSES).map(|n| format!("{}..{}", n * share, ((n + 1) * share).min(sessions)));
    let threads: Vec<_> = ranges
        .map(|range| {
            let plugin = plugin.to_owned();
            std::thread::spawn(move || said(&plugin, &[range]))
        })
        .collect();
    let said: Vec<Said> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    if let Some(bad) = said.iter().find(|said| said.failed) {
        let script = script(bad.seed);
        let steps: Vec<_> = shrunk(plugin, bad.seed, &bad.words)
            .into_iter()
            .map(|index| (index, script[index].clone()))
            .collect();
        panic!("seed {}: {}\nthe fewest steps that fail: {steps:#?}", bad.seed, bad.words);
    }
    let added: usize = said.iter().map(|said| said.added).sum();
    let judged: usize = said.iter().map(|said| said.judged).sum();
    println!("{sessions} sessions, {added} notes added, {judged} of them on the host's timeline");
    assert!(judged > NOTES_EACH * usize::try_from(sessions).unwrap(), "hardly a note was added: {judged}");
}
