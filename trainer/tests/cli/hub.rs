//! `model pull`, `model push`, `dataset pull` and `dataset push`, against a hub on loopback.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use continuo_hub::loopback::{Fault, Loopback, TOKEN};

#[cfg(unix)]
use super::interrupt;
use super::{melody, write_midi};

/// A machine with a hub: the program is run on it as a user runs it.
struct Machine {
    hub: Loopback,
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        Self { hub: Loopback::start().unwrap(), folder: tempfile::tempdir().unwrap() }
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_continuo"));
        command
            .args(arguments)
            .current_dir(self.root())
            .env("HF_ENDPOINT", self.hub.endpoint())
            .env("HF_HOME", self.root().join("hf"))
            .env_remove("HF_TOKEN")
            .env("CONTINUO_HOME", self.root().join("home"));
        command
    }

    #[track_caller]
    fn check(&self, token: &str, arguments: &[&str], code: i32) -> String {
        let mut command = self.command(arguments);
        if !token.is_empty() {
            command.env("HF_TOKEN", token);
        }
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(output.status.code(), Some(code), "continuo {}:\n{said}", arguments.join(" "));
        assert!(!said.contains("panicked"), "{said}");
        said
    }

    /// A tiny model in a folder.
    fn model(&self) {
        let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures/plain");
        fs::create_dir(self.root().join("model")).unwrap();
        for name in ["config.json", "model.safetensors"] {
            fs::copy(tiny.join(name), self.root().join("model").join(name)).unwrap();
        }
        fs::write(self.root().join("model/README.md"), "# A tiny model\n").unwrap();
        fs::write(self.root().join("model/checkpoint.safetensors"), "not for others").unwrap();
    }
}

#[test]
fn a_model_that_is_pushed_is_pulled_elsewhere_and_found_by_its_name() {
    let machine = Machine::new();
    machine.model();
    let said = machine.check(TOKEN, &["model", "push", "me/tiny", "--from", "model", "--private"], 0);
    assert!(said.contains(&format!("are at {}/me/tiny", machine.hub.endpoint())), "{said}");
    assert_eq!(machine.hub.files("models/me/tiny"), ["README.md", "config.json", "model.safetensors"]);
    assert_eq!(machine.hub.is_private("models/me/tiny"), Some(true));

    let said = machine.check("", &["model", "info", "me/tiny"], 1);
    assert!(said.contains("`continuo model pull me/tiny`"), "{said}");
    assert_eq!(said.lines().count(), 1);
    let said = machine.check(TOKEN, &["model", "pull", "me/tiny"], 0);
    assert!(said.contains("me/tiny is here") && said.contains("--model me/tiny"), "{said}");
    let info = machine.check("", &["model", "info", "me/tiny", "--json"], 0);
    assert!(info.contains("\"name\":\"tiny\""), "{info}");
    let said = machine.check(TOKEN, &["model", "pull", "me/tiny"], 0);
    assert!(said.contains("is there already"), "{said}");
}

#[test]
fn the_token_of_hf_auth_login_is_found() {
    let machine = Machine::new();
    machine.model();
    machine.check(TOKEN, &["model", "push", "me/tiny", "--from", "model", "--private"], 0);
    fs::create_dir(machine.root().join("hf")).unwrap();
    fs::write(machine.root().join("hf/token"), TOKEN).unwrap();
    machine.check("", &["model", "pull", "me/tiny", "--out", "here"], 0);
    assert!(machine.root().join("here/model.safetensors").is_file());
}

#[test]
fn a_data_set_goes_and_comes_whole() {
    let machine = Machine::new();
    write_midi(&machine.root().join("music/a.mid"), &melody(1, 40));
    fs::write(machine.root().join("music/README.md"), "# Tunes").unwrap();
    machine.check(TOKEN, &["dataset", "push", "me/tunes", "--from", "music"], 0);
    assert_eq!(machine.hub.is_private("datasets/me/tunes"), Some(false));
    machine.check("", &["dataset", "pull", "me/tunes", "--out", "again"], 0);
    let read = |place: &str| fs::read(machine.root().join(place)).unwrap();
    assert_eq!(read("music/a.mid"), read("again/a.mid"));
    machine.check("", &["dataset", "pull", "me/tunes"], 0);
    assert_eq!(read("home/datasets/me/tunes/a.mid"), read("music/a.mid"));
}

#[test]
fn what_goes_wrong_is_one_sentence_with_a_remedy() {
    let machine = Machine::new();
    machine.model();
    for (arguments, part) in [
        (vec!["model", "pull", "me/nothing"], "HF_TOKEN"),
        (vec!["model", "push", "me/tiny", "--from", "model"], "HF_TOKEN"),
        (vec!["model", "push", "me/tiny", "--from", "nowhere"], "nowhere cannot be read"),
        (vec!["dataset", "pull", "me/nothing"], "me/nothing"),
    ] {
        let said = machine.check("", &arguments, 1);
        assert!(said.contains(part), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let said = machine.check("", &["model", "pull", "nonsense"], 2);
    assert!(said.contains("write owner/name"), "{said}");
    let mut command = machine.command(&["model", "pull", "me/tiny"]);
    let output = command.env("HF_ENDPOINT", "http://127.0.0.1:9").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("cannot be reached") && said.contains("HF_ENDPOINT"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let output = command.env("HF_ENDPOINT", "nonsense").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("HF_ENDPOINT"));
}

#[cfg(unix)]
#[test]
fn an_interrupted_pull_goes_on_where_it_was() {
    let machine = Machine::new();
    let weights: Vec<u8> = (0..400_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    machine.hub.put("models/me/big", &[("config.json", b"{}"), ("model.safetensors", &weights)]);
    machine.hub.misbehave(Fault::Stall(250_000));
    let mut child = machine
        .command(&["model", "pull", "me/big"])
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let part = machine.root().join("home/models/me/big.part/model.safetensors.incomplete");
    while fs::metadata(&part).map_or(0, |about| about.len()) < 250_000 {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(String::from_utf8_lossy(&output.stderr).contains("pull again to go on"));
    machine.hub.misbehave(Fault::None);
    let before = machine.hub.sent();
    machine.check("", &["model", "pull", "me/big"], 0);
    assert_eq!(machine.hub.sent() - before, 150_000);
    assert!(fs::read(machine.root().join("home/models/me/big/model.safetensors")).unwrap() == weights);
}

#[test]
fn a_model_is_pushed_while_it_is_trained_and_a_hub_that_is_down_ends_nothing() {
    let machine = Machine::new();
    for seed in 0..12 {
        write_midi(&machine.root().join(format!("music/piece{seed}.mid")), &melody(seed, 90));
    }
    let run = |out: &str, token: &str, code: i32| {
        let shape =
            ["train", "music", "--size", "nano", "--context", "64", "--steps", "4", "--eval-every", "2"];
        let hub = ["--held-out", "0.3", "--out", out, "--push-to-hub", "me/learnt", "--private"];
        machine.check(token, &[&shape[..], &hub].concat(), code)
    };
    let said = run("refused", "", 1);
    assert!(said.contains("step 2: not pushed"), "{said}");
    assert!(said.contains("continuo model push me/learnt --from refused"), "{said}");
    assert!(machine.root().join("refused/model.safetensors").exists(), "{said}");

    let said = run("pushed", TOKEN, 0);
    assert!(said.contains("step 2: pushed to"), "{said}");
    let files = machine.hub.files("models/me/learnt");
    for name in ["README.md", "config.json", "continuo.json", "model.safetensors"] {
        assert!(files.iter().any(|file| file == name), "{files:?}");
    }
    assert!(!files.iter().any(|file| file.contains("checkpoint")), "{files:?}");
    assert_eq!(machine.hub.is_private("models/me/learnt"), Some(true));
}
