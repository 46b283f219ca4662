//! GPT-2 on the processor, made for one thing: the next id of a few takes, soon,
//! beside a host that plays audio.
//!
//! What that costs is reading the weights from memory, so they are kept small and in
//! the order they are read in (`pack`), and each is read once for all takes
//! (`matrix`), in pieces (`job`), by threads of which each can go on alone (`pool`). Takes share the pages
//! of what they have in common (`cache`). `network` is the model made of these; what
//! depends on the processor is in `kernel`.

mod attention;
mod cache;
mod job;
mod kernel;
mod matrix;
mod memory;
mod network;
mod pack;
mod pool;
mod priority;

pub use cache::CpuCache;
pub use kernel::Isa;
pub use network::{Cpu, Precision};
pub use priority::{Standing, give_way};
