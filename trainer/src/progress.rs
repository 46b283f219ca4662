//! Progress for people: a bar with rate and time left on a terminal, plain lines
//! now and then where the output goes to a file.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Milliseconds between plain lines.
const PLAIN_EVERY: u64 = 10_000;

/// Progress through a known number of things. Shared between threads.
pub struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    /// What there is to do in all; none if it is told in hundredths.
    total: Option<u64>,
    done: AtomicU64,
    begun: Instant,
    /// When the next plain line is due, in milliseconds after it begun. No lock: threads come by
    /// here after each of thousands of files.
    next_line: AtomicU64,
}

impl Progress {
    /// Begins; `what` names the things in the plural ("files").
    #[must_use]
    pub fn new(what: &'static str, total: u64) -> Self {
        let style = format!("{{pos}}/{{len}} {what} {{per_sec}}, {{eta}} left");
        Self::styled(what, Some(total), &style)
    }

    /// Begins work whose share done is known in hundredths; `what` says so ("% done"). Rate and
    /// time left are the caller's to tell.
    #[must_use]
    pub fn percent(what: &'static str) -> Self {
        Self::styled(what, None, &format!("{{pos}} {what}"))
    }

    fn styled(what: &'static str, total: Option<u64>, numbers: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total.unwrap_or(100)), ProgressDrawTarget::stderr());
            bar.set_style(style(numbers));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let (done, next_line) = (AtomicU64::new(0), AtomicU64::new(PLAIN_EVERY));
        Self { bar, what, total, done, begun: Instant::now(), next_line }
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
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let due = self.next_line.load(Ordering::Relaxed);
        // Of several threads the one that moves the time on tells.
        let move_on = |next| self.next_line.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
        if now >= due && move_on(now.saturating_add(PLAIN_EVERY)).is_ok() {
            let of = self.total.map(|total| format!("of {total} ")).unwrap_or_default();
            crate::tell!("{}", format!("{done} {of}{} {message}", self.what).trim_end());
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

/// The bar, in numbers how far it is, and a few words.
fn style(numbers: &str) -> ProgressStyle {
    let template = format!("{{bar:32}} {numbers} {{msg}}");
    // The template is ours; should it ever be wrong, a plain bar does as well.
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
