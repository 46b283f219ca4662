//! Continuo's own encoding, by its properties.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod answers;
mod canonical;
mod files;
mod random;
mod scores;
mod shortening;
mod spelled;
mod training;
