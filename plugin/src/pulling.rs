//! A model on its way from the hub, on a thread of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use continuo_hub::{Hub, HubError, Kind, Progress, RepoName, Watch};
use parking_lot::Mutex;

/// How a pull ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The model is here.
    Here,
    /// The musician stopped it.
    Stopped,
    /// It failed, and why.
    Failed(String),
}

/// What the thread tells, and is told.
#[derive(Default)]
struct State {
    progress: Mutex<Progress>,
    ended: Mutex<Option<Ended>>,
    stop: AtomicBool,
}

impl Watch for State {
    fn progress(&self, progress: &Progress) {
        self.progress.lock().clone_from(progress);
    }

    fn is_cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A model on its way. Dropping it stops it and waits for that: the thread must not outlive
/// the plugin's code.
pub struct Pull {
    name: RepoName,
    begin: Instant,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl Pull {
    /// Begins to pull a model to a folder.
    #[must_use]
    pub fn begin(name: RepoName, into: PathBuf) -> Self {
        Self::begin_from(name, into, Hub::from_environment)
    }

    fn begin_from(
        name: RepoName,
        into: PathBuf,
        hub: impl FnOnce() -> Result<Hub, HubError> + Send + 'static,
    ) -> Self {
        let mut pull = Self::standing(name, Progress::default(), Duration::ZERO);
        let (state, name) = (Arc::clone(&pull.state), pull.name.clone());
        pull.thread = Some(std::thread::spawn(move || {
            let outcome = hub().and_then(|hub| hub.pull(Kind::Model, &name, &into, &*state));
            *state.ended.lock() = Some(match outcome {
                Ok(_) => Ended::Here,
                Err(HubError::Cancelled) => Ended::Stopped,
                Err(error) => Ended::Failed(error.to_string()),
            });
        }));
        pull
    }

    /// One that stands still, for pictures: so far in so much time.
    #[must_use]
    pub fn standing(name: RepoName, progress: Progress, spent: Duration) -> Self {
        let now = Instant::now();
        let state = State { progress: Mutex::new(progress), ..State::default() };
        Self { name, begin: now.checked_sub(spent).unwrap_or(now), state: Arc::new(state), thread: None }
    }

    /// The model's name.
    #[must_use]
    pub fn name(&self) -> &RepoName {
        &self.name
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.state.ended.lock().clone()
    }

    /// Stops it; what came so far is kept.
    pub fn stop(&self) {
        self.state.stop.store(true, Ordering::Relaxed);
    }

    /// The share that is here, from 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share to be drawn")]
    pub fn share(&self) -> f32 {
        let progress = self.state.progress.lock();
        if progress.total == 0 { 0.0 } else { progress.done as f32 / progress.total as f32 }
    }

    /// How it goes, in words.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "numbers to be read")]
    pub fn words(&self) -> String {
        let progress = self.state.progress.lock().clone();
        if progress.total == 0 {
            return format!("Downloading {}: asking the hub", self.name);
        }
        let (done, total) = (progress.done as f64 / 1e6, progress.total as f64 / 1e6);
        let spent = self.begin.elapsed().as_secs_f64();
        let left = if done > 0.0 { spent * (total - done) / done } else { 0.0 };
        let left = if spent < 2.0 { String::new() } else { format!(", about {left:.0} s left") };
        format!("Downloading {}: {done:.1} of {total:.1} MB{left}", self.name)
    }
}

impl Drop for Pull {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // A panic has been reported by its hook.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use continuo_hub::loopback::{Fault, Loopback};

    use super::*;

    fn served() -> Loopback {
        let hub = Loopback::start().unwrap();
        let weights = vec![7; 200_000];
        hub.put("models/owner/tune", &[("config.json", b"{}"), ("model.safetensors", &weights)]);
        hub
    }

    fn begin(hub: &Loopback, name: &str, into: PathBuf) -> Pull {
        let endpoint = hub.endpoint();
        Pull::begin_from(name.parse().unwrap(), into, move || Hub::at(&endpoint, ""))
    }

    fn end(pull: &Pull) -> Ended {
        loop {
            match pull.ended() {
                Some(ended) => return ended,
                None => std::thread::yield_now(),
            }
        }
    }

    #[test]
    fn a_model_arrives() {
        let (hub, home) = (served(), tempfile::tempdir().unwrap());
        let pull = begin(&hub, "owner/tune", home.path().join("tune"));
        assert_eq!(end(&pull), Ended::Here);
        assert!((pull.share() - 1.0).abs() < f32::EPSILON);
        assert!(pull.words().starts_with("Downloading owner/tune: 0.2 of 0.2 MB"), "{}", pull.words());
        assert!(home.path().join("tune/model.safetensors").is_file());
    }

    #[test]
    fn it_can_be_stopped_at_any_time_and_a_dropped_one_leaves_no_thread() {
        let (hub, home) = (served(), tempfile::tempdir().unwrap());
        hub.misbehave(Fault::Stall(50_000));
        let pull = begin(&hub, "owner/tune", home.path().join("tune"));
        while pull.share() < 0.2 {
            std::thread::yield_now();
        }
        pull.stop();
        assert_eq!(end(&pull), Ended::Stopped);
        let again = begin(&hub, "owner/tune", home.path().join("tune"));
        let state = Arc::downgrade(&again.state);
        drop(again);
        assert_eq!(state.strong_count(), 0);
        assert!(!home.path().join("tune").exists());
    }

    #[test]
    fn why_it_failed_is_said() {
        let (hub, home) = (served(), tempfile::tempdir().unwrap());
        let Ended::Failed(why) = end(&begin(&hub, "owner/nothing", home.path().join("x"))) else {
            panic!("there is nothing to pull")
        };
        assert!(why.contains("owner/nothing"), "{why}");
    }
}
