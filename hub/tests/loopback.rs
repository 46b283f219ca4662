//! Pulling and pushing against a hub on loopback, well-behaved and not.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use continuo_hub::loopback::{Fault, Loopback, TOKEN};
use continuo_hub::{Hub, HubError, Kind, Progress, RepoName, Watch};

const KEY: &str = "models/owner/tune";

/// Remembers how far it was, and stops after so many bytes.
#[derive(Default)]
struct Looker {
    seen: Mutex<Vec<Progress>>,
    stop_after: Option<u64>,
    done: AtomicU64,
}

impl Watch for Looker {
    fn progress(&self, progress: &Progress) {
        self.done.store(progress.done, Ordering::SeqCst);
        self.seen.lock().unwrap().push(progress.clone());
    }

    fn is_cancelled(&self) -> bool {
        self.stop_after.is_some_and(|most| self.done.load(Ordering::SeqCst) >= most)
    }
}

/// Something that looks like weights.
fn weights() -> Vec<u8> {
    (0..300_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn served() -> Loopback {
    let hub = Loopback::start().unwrap();
    hub.put(
        KEY,
        &[
            (".gitattributes", b"x"),
            ("README.md", b"# Tune"),
            ("config.json", b"{}"),
            ("continuo.json", b"{\"encoding\": \"beat\", \"version\": 3}"),
            ("model.safetensors", &weights()),
            ("optimizer.pt", b"not for others"),
            ("runs/events", b"nor this"),
        ],
    );
    hub
}

fn name(text: &str) -> RepoName {
    text.parse().unwrap()
}

fn pull(hub: &Loopback, into: &Path) -> Result<continuo_hub::Pulled, HubError> {
    Hub::at(&hub.endpoint(), "")?.pull(Kind::Model, &name("owner/tune"), into, &Looker::default())
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The model is there, whole, and nothing lies beside it.
#[track_caller]
fn assert_whole(into: &Path) {
    let expected = [".pulled.json", "README.md", "config.json", "continuo.json", "model.safetensors"];
    assert_eq!(files(into), expected);
    assert!(fs::read(into.join("model.safetensors")).unwrap() == weights());
    assert_eq!(files(into.parent().unwrap()), [into.file_name().unwrap().to_str().unwrap()]);
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("tune");
    (folder, into)
}

#[test]
fn a_model_comes_with_what_describes_it_and_its_progress_is_told() {
    let (hub, (_folder, into)) = (served(), place());
    let looker = Looker::default();
    let client = Hub::at(&hub.endpoint(), "").unwrap();
    let pulled = client.pull(Kind::Model, &name("owner/tune"), &into, &looker).unwrap();
    assert_whole(&into);
    assert!(!pulled.was_there);
    let total: u64 =
        files(&into).iter().skip(1).map(|file| fs::metadata(into.join(file)).unwrap().len()).sum();
    assert_eq!((pulled.files, pulled.bytes), (4, total));
    let seen = looker.seen.lock().unwrap();
    assert!(seen.iter().all(|progress| progress.total == total && progress.done <= total));
    assert!(seen.windows(2).all(|pair| pair[0].done <= pair[1].done), "it never goes back");
    assert_eq!(seen.last().unwrap().done, total);
}

#[test]
fn what_is_there_as_the_hub_has_it_is_not_fetched_again() {
    let (hub, (_folder, into)) = (served(), place());
    pull(&hub, &into).unwrap();
    let sent = hub.sent();
    assert!(pull(&hub, &into).unwrap().was_there);
    assert_eq!(hub.sent(), sent);
    hub.put(KEY, &[("README.md", b"# Another")]);
    assert!(!pull(&hub, &into).unwrap().was_there);
    assert_eq!(fs::read(into.join("README.md")).unwrap(), b"# Another");
    assert_eq!(files(into.parent().unwrap()), ["tune"]);
}

#[test]
fn a_pull_that_was_stopped_goes_on_where_it_was() {
    let (hub, (_folder, into)) = (served(), place());
    let looker = Looker { stop_after: Some(100_000), ..Looker::default() };
    hub.misbehave(Fault::Stall(120_000));
    let client = Hub::at(&hub.endpoint(), "").unwrap();
    let stopped = client.pull(Kind::Model, &name("owner/tune"), &into, &looker).unwrap_err();
    assert!(matches!(stopped, HubError::Cancelled), "{stopped}");
    assert!(!into.exists());
    hub.misbehave(Fault::None);
    let before = hub.sent();
    pull(&hub, &into).unwrap();
    assert_whole(&into);
    assert!(hub.sent() - before < 300_000 - 90_000, "{} bytes were sent again", hub.sent() - before);
}

#[test]
fn a_connection_that_breaks_now_and_then_is_taken_up_again() {
    let (hub, (_folder, into)) = (served(), place());
    hub.misbehave(Fault::Cut(70_000));
    pull(&hub, &into).unwrap();
    assert_whole(&into);
}

#[test]
fn a_connection_that_always_breaks_is_an_error_and_what_came_is_kept() {
    let (hub, (_folder, into)) = (served(), place());
    hub.misbehave(Fault::Cut(10_000));
    let broken = pull(&hub, &into).unwrap_err().to_string();
    assert!(broken.contains("what came so far is kept"), "{broken}");
    assert!(!into.exists());
    hub.misbehave(Fault::None);
    let before = hub.sent();
    pull(&hub, &into).unwrap();
    assert_whole(&into);
    assert!(hub.sent() - before <= 300_000 - 60_000);
}

#[test]
fn what_arrives_damaged_is_not_taken() {
    let (hub, (_folder, into)) = (served(), place());
    hub.misbehave(Fault::Damage);
    let damaged = pull(&hub, &into).unwrap_err().to_string();
    assert!(damaged.contains("model.safetensors damaged"), "{damaged}");
    assert!(!into.exists());
    hub.misbehave(Fault::None);
    pull(&hub, &into).unwrap();
    assert_eq!(fs::read(into.join("model.safetensors")).unwrap(), weights());
}

#[test]
fn a_hub_that_knows_no_ranges_sends_it_all_again() {
    let (hub, (_folder, into)) = (served(), place());
    hub.misbehave(Fault::Stall(50_000));
    let looker = Looker { stop_after: Some(50_000), ..Looker::default() };
    let client = Hub::at(&hub.endpoint(), "").unwrap();
    client.pull(Kind::Model, &name("owner/tune"), &into, &looker).unwrap_err();
    hub.misbehave(Fault::Whole);
    pull(&hub, &into).unwrap();
    assert_whole(&into);
}

#[test]
fn what_came_of_an_older_state_is_not_mixed_with_a_newer_one() {
    let (hub, (_folder, into)) = (served(), place());
    hub.misbehave(Fault::Stall(50_000));
    let looker = Looker { stop_after: Some(50_000), ..Looker::default() };
    let client = Hub::at(&hub.endpoint(), "").unwrap();
    client.pull(Kind::Model, &name("owner/tune"), &into, &looker).unwrap_err();
    hub.misbehave(Fault::None);
    let newer: Vec<u8> = weights().into_iter().rev().collect();
    hub.put(KEY, &[("model.safetensors", &newer)]);
    pull(&hub, &into).unwrap();
    assert!(fs::read(into.join("model.safetensors")).unwrap() == newer);
}

#[test]
fn errors_say_what_to_do() {
    let (hub, (folder, into)) = (served(), place());
    hub.put("models/owner/secret", &[("config.json", b"{}"), ("model.safetensors", b"x")]);
    hub.hide("models/owner/secret");
    hub.put("models/owner/text", &[("README.md", b"words")]);
    let said = |name_text: &str, token: &str| {
        let client = Hub::at(&hub.endpoint(), token).unwrap();
        client.pull(Kind::Model, &name(name_text), &into, &Looker::default()).unwrap_err().to_string()
    };
    for (name, token, part) in [
        ("owner/nothing", TOKEN, "the hub has no model `owner/nothing`"),
        ("owner/secret", "", "set HF_TOKEN"),
        ("owner/tune", "hf_wrong", "Invalid credentials"),
        ("owner/tune@v9", "", "no revision `v9`"),
        ("owner/text", "", "no model that can be read"),
    ] {
        let said = said(name, token);
        assert!(said.contains(part), "{name}: {said}");
    }
    hub.misbehave(Fault::Status(503));
    let tired = said("owner/tune", "");
    assert!(tired.contains("answers with an error (503") && tired.contains("try again"), "{tired}");
    assert!(!into.exists());
    let client = Hub::at("http://127.0.0.1:9", "").unwrap();
    let down =
        client.pull(Kind::Model, &name("owner/tune"), &into, &Looker::default()).unwrap_err().to_string();
    assert!(down.contains("http://127.0.0.1:9 cannot be reached") && down.contains("HF_ENDPOINT"), "{down}");
    let own = folder.path().join("own");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("song.mid"), "mine").unwrap();
    let full = pull(&hub, &own).unwrap_err().to_string();
    assert!(full.contains("holds other things"), "{full}");
    assert_eq!(files(&own), ["song.mid"]);
    assert!(matches!(Hub::at("nonsense", ""), Err(HubError::Other(_))));
}

#[test]
fn a_private_model_comes_with_the_token() {
    let (hub, (_folder, into)) = (served(), place());
    hub.hide(KEY);
    let client = Hub::at(&hub.endpoint(), TOKEN).unwrap();
    client.pull(Kind::Model, &name("owner/tune"), &into, &Looker::default()).unwrap();
    assert_whole(&into);
}

#[test]
fn two_do_not_pull_to_one_place_at_once() {
    let (hub, (_folder, into)) = (served(), place());
    hub.misbehave(Fault::Stall(50_000));
    let looker = Looker::default();
    let stop = Stopper { looker: &looker, wish: AtomicBool::new(false) };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let client = Hub::at(&hub.endpoint(), "").unwrap();
            client.pull(Kind::Model, &name("owner/tune"), &into, &stop)
        });
        while looker.done.load(Ordering::SeqCst) < 50_000 {
            std::thread::yield_now();
        }
        let second = pull(&hub, &into).unwrap_err().to_string();
        assert!(second.contains("another program is pulling"), "{second}");
        stop.wish.store(true, Ordering::SeqCst);
        assert!(matches!(first.join().unwrap(), Err(HubError::Cancelled)));
    });
}

/// Stops when it is wanted.
struct Stopper<'a> {
    looker: &'a Looker,
    wish: AtomicBool,
}

impl Watch for Stopper<'_> {
    fn progress(&self, progress: &Progress) {
        self.looker.progress(progress);
    }

    fn is_cancelled(&self) -> bool {
        self.wish.load(Ordering::SeqCst)
    }
}

#[test]
fn what_is_pushed_can_be_pulled_and_is_as_private_as_was_wanted() {
    let (hub, (folder, into)) = (Loopback::start().unwrap(), place());
    let own = folder.path().join("own");
    fs::create_dir_all(own.join("data")).unwrap();
    fs::write(own.join("README.md"), "# Mine").unwrap();
    fs::write(own.join("data/train.parquet"), weights()).unwrap();
    let client = Hub::at(&hub.endpoint(), TOKEN).unwrap();
    let push = |private| client.push(Kind::Dataset, &name("me/set"), &own, private, &Looker::default());
    let pushed = push(true).unwrap();
    assert_eq!(pushed.address, format!("{}/datasets/me/set", hub.endpoint()));
    assert_eq!((pushed.files, pushed.bytes), (2, 300_006));
    assert_eq!(hub.is_private("datasets/me/set"), Some(true));
    fs::write(own.join("README.md"), "# Mine, again").unwrap();
    push(true).unwrap();
    client.pull(Kind::Dataset, &name("me/set"), &into, &Looker::default()).unwrap();
    assert_eq!(fs::read(into.join("README.md")).unwrap(), b"# Mine, again");
    assert!(fs::read(into.join("data/train.parquet")).unwrap() == weights());
}

#[test]
fn who_may_not_write_is_told_so() {
    let (hub, (folder, _)) = (served(), place());
    for file in ["config.json", "model.safetensors"] {
        fs::write(folder.path().join(file), "x").unwrap();
    }
    for token in ["", "hf_wrong"] {
        let client = Hub::at(&hub.endpoint(), token).unwrap();
        let refused = client
            .push(Kind::Model, &name("me/new"), folder.path(), false, &Looker::default())
            .unwrap_err()
            .to_string();
        assert!(refused.contains("does not let this machine write `me/new`"), "{refused}");
        assert!(refused.contains("HF_TOKEN"), "{refused}");
    }
    assert!(hub.files("models/me/new").is_empty());
}

#[test]
fn a_folder_without_a_model_is_not_pushed() {
    let (hub, (folder, _)) = (served(), place());
    let client = Hub::at(&hub.endpoint(), TOKEN).unwrap();
    let push = |from: &Path| {
        let watch = Looker::default();
        client.push(Kind::Model, &name("me/new"), from, false, &watch).unwrap_err().to_string()
    };
    assert!(push(folder.path()).contains("no model that can be read"));
    assert!(push(&folder.path().join("nowhere")).contains("nowhere cannot be read"));
    assert_eq!(hub.is_private("models/me/new"), None, "no empty repository is left behind");
}
