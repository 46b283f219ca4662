//! Continuo's own encoding, by its properties.

mod answers;
mod canonical;
mod random;
mod scores;
mod shortening;
mod training;
