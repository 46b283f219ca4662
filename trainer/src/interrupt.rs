//! Ctrl-C: the first one asks the work to stop at the next safe point, a second
//! one ends the program at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Signals this close to the first are the same wish: a shell or a supervisor may
/// signal both the program and its group.
const SAME_WISH: Duration = Duration::from_secs(1);

/// Listens for Ctrl-C and termination from here on.
pub fn install() {
    let mut first: Option<Instant> = None;
    let listening = ctrlc::set_handler(move || match first {
        Some(first) if first.elapsed() > SAME_WISH => std::process::exit(130),
        Some(_) => {}
        None => {
            first = Some(Instant::now());
            REQUESTED.store(true, Ordering::SeqCst);
            crate::tell!("\nstopping at the next safe point; press Ctrl-C again to end at once");
        }
    });
    if let Err(error) = listening {
        crate::tell!("note: Ctrl-C will end the program at once ({error})");
    }
}

/// Whether the user asked to stop.
#[must_use]
pub fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}
