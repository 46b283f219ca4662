//! How much of a block's time the plugin takes on the audio thread, while eight takes are
//! made over and over beside it; and how soon it replies.
//!
//! ```text
//! cargo run --release -p continuo-tests --example audio_thread -- --seconds 30 --instances 1 [--idle]
//! cargo run --release -p continuo-tests --example audio_thread -- --reply
//! ```
//!
//! Blocks of 64 samples at 48 kHz in real time; the host's thread at real-time priority where
//! the system lets it. Use a release build of the plugin (`CONTINUO_BUNDLE` names another).

#[cfg(unix)]
mod unix;

#[cfg(unix)]
fn main() -> anyhow::Result<()> {
    unix::main()
}

#[cfg(not(unix))]
fn main() {
    eprintln!("a thread's own time is measured on Unix only");
}
