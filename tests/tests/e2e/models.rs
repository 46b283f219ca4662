//! Model folders that are missing or broken: the plugin loads, says nothing wrong,
//! and lets everything through.

#[cfg(target_os = "linux")]
use crate::scene::bundle;
use crate::scene::{RING, after_phrase, answer, ask, at, hanging, host};
#[cfg(target_os = "linux")]
use continuo_tests::host::Settings;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Run again by the tests below with `CONTINUO_MODEL` set, which a test cannot do
/// to its own process; by itself it runs with the model there is.
#[test]
fn the_phrase_passes_and_nothing_hangs() {
    let mut host = after_phrase(host(at(240.0)));
    ask(&mut host, 1, "bar");
    host.run_to_beat(8.0 + RING).unwrap();
    assert_eq!(host.played().iter().filter(|note| note.on.thru).count(), 4);
    assert!(hanging(&host).is_empty());
    let state = host.save().unwrap();
    host.load(&state).unwrap();
    if std::env::var_os("CONTINUO_MODEL").is_none() {
        assert!(!host.answered().is_empty());
    }
}

/// Names a file with a state to load, for the test below in a process of its own.
const STATE: &str = "CONTINUO_TEST_STATE";

#[test]
fn a_saved_answer_is_heard_again() {
    let state = match std::env::var_os(STATE) {
        Some(file) => fs::read(file).unwrap(),
        None => answer(host(at(240.0)), 1, 3).save().unwrap(),
    };
    let mut host = host(at(240.0));
    host.load(&state).unwrap();
    host.seek(3.875);
    host.play();
    host.run_to_beat(8.0 + RING).unwrap();
    assert!(!host.answered().is_empty());
    assert!(hanging(&host).is_empty());
}

#[test]
fn a_project_re_opens_without_its_model() {
    let folder = folder(&[("state", &answer(host(at(240.0)), 1, 3).save().unwrap())]);
    let absent = folder.path().join("absent");
    again("models::a_saved_answer_is_heard_again", &absent, Some(&folder.path().join("state")));
}

fn check(folder: &Path) {
    again("models::the_phrase_passes_and_nothing_hangs", folder, None);
}

/// Set for the test below in a process of its own, where nobody else takes memory.
#[cfg(target_os = "linux")]
const ALONE: &str = "CONTINUO_TEST_ALONE";

#[cfg(target_os = "linux")]
#[test]
fn ten_instances_share_their_weights() {
    if std::env::var_os(ALONE).is_none() {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "models::ten_instances_share_their_weights", "--nocapture"]).env(ALONE, "1");
        let output = command.output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && out.contains("1 passed"), "{out}\n{err}");
        return;
    }
    let bundle = bundle();
    let instance = || {
        let host = bundle.host(Settings::default(), at(240.0)).unwrap();
        let mut host = after_phrase(host);
        ask(&mut host, 1, "bar");
        host.run_to_beat(8.0).unwrap();
        assert!(!host.answered().is_empty());
        host
    };
    let before = resident();
    let first = instance();
    let one = resident() - before;
    let others: Vec<_> = (0..9).map(|_| instance()).collect();
    let nine = resident() - before - one;
    println!("one instance takes {one} kB, nine more take {nine} kB");
    // Each has the music it heard and gave, and windows on it; weights take some megabytes.
    assert!(nine / 9 < one / 4, "one instance takes {one} kB, nine more take {nine} kB");
    drop((first, others));
}

/// The memory of this process, in kB.
#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// Runs a test of this program in a process of its own.
fn again(test: &str, folder: &Path, state: Option<&Path>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env("CONTINUO_MODEL", folder);
    if let Some(state) = state {
        command.env(STATE, state);
    }
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", folder.display());
    assert!(out.contains("1 passed"), "{out}");
}

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

const CONFIG: &[u8] = br#"{"model_type":"gpt2","vocab_size":50257,"n_positions":64,"n_embd":32,
    "n_layer":1,"n_head":2}"#;

#[test]
fn a_missing_model_folder_does_no_harm() {
    let empty = folder(&[]);
    check(&empty.path().join("absent"));
    check(empty.path());
}

#[test]
fn a_file_in_place_of_a_model_folder_does_no_harm() {
    let files = folder(&[("model", b"not a folder")]);
    check(&files.path().join("model"));
}

#[test]
fn truncated_weights_do_no_harm() {
    // The header claims more than there is.
    let header = br#"{"wte.weight":{"dtype":"F32","shape":[50257,32],"data_offsets":[0,6432896]}}"#;
    let mut weights = (header.len() as u64).to_le_bytes().to_vec();
    weights.extend_from_slice(header);
    weights.extend_from_slice(&[0; 1000]);
    for weights in [&weights[..], &weights[..20], &[], &[0xFF; 64]] {
        check(folder(&[("config.json", CONFIG), ("model.safetensors", weights)]).path());
    }
}

#[test]
fn a_config_that_makes_no_sense_does_no_harm() {
    let configs: [&[u8]; 4] = [
        b"",
        b"{",
        br#"{"model_type":"gpt2","n_embd":0,"n_head":0,"n_layer":0,"n_positions":0,"vocab_size":0}"#,
        br#"{"model_type":"gpt2","n_embd":18446744073709551615,"n_head":7,"n_layer":1000000000}"#,
    ];
    for config in configs {
        check(folder(&[("config.json", config), ("model.safetensors", b"12345678")]).path());
    }
}
