//! Progress for people: a bar with rate and time left on a terminal, plain lines
//! now and then where the output goes to a file.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Progress through a known number of things. Shared between threads.
pub struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    total: u64,
    done: AtomicU64,
    last_line: Mutex<Instant>,
}

impl Progress {
    /// Begins; `what` names the things in the plural ("files").
    #[must_use]
    pub fn new(what: &'static str, total: u64) -> Self {
        Self::styled(what, total, "{per_sec}, {eta} left")
    }

    /// Begins work whose share done is known in hundredths; rate and time left are
    /// the caller's to tell.
    #[must_use]
    pub fn percent(what: &'static str) -> Self {
        Self::styled(what, 100, "")
    }

    fn styled(what: &'static str, total: u64, pace: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            bar.set_style(style(what, pace));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { bar, what, total, done: AtomicU64::new(0), last_line: Mutex::new(Instant::now()) }
    }

    /// One more is done.
    pub fn advance(&self) {
        let before = self.done.fetch_add(1, Ordering::Relaxed);
        self.set(before + 1, "");
    }

    /// Sets how many are done, with a few words on how it goes.
    pub fn set(&self, done: u64, message: &str) {
        let Some(bar) = &self.bar else {
            return self.set_plain(done, message);
        };
        bar.set_position(done);
        if !message.is_empty() {
            bar.set_message(message.to_owned());
        }
    }

    fn set_plain(&self, done: u64, message: &str) {
        let mut last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= PLAIN_EVERY {
            *last = Instant::now();
            crate::tell!("{}", format!("{done} of {} {} {message}", self.total, self.what).trim_end());
        }
    }

    /// A line that stays, above the bar.
    pub fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| crate::tell!("{text}")),
            None => crate::tell!("{text}"),
        }
    }

    /// Ends and leaves the screen clean.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A number of bytes as people say it.
#[must_use]
pub fn bytes(count: u64) -> String {
    indicatif::DecimalBytes(count).to_string()
}

fn style(what: &str, pace: &str) -> ProgressStyle {
    let template = format!("{{bar:32}} {{pos}}/{{len}} {what} {pace} {{msg}}");
    // The template is ours; should it ever be wrong, a plain bar does as well.
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
