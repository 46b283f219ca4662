//! Where threads that compute stand beside those that play audio.
//!
//! A host's audio threads have priority as a rule, and a thread may inherit it from the
//! one that starts it. Ours must not: they compute for seconds, and audio would stop.

use thread_priority::ThreadPriority;

/// What a thread computes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Somebody waits for it, who pressed a key.
    Asking,
    /// It helps one that asks, and makes way for all others.
    Helping,
}

/// Gives this thread its place: below audio threads, whoever started it. Where the
/// system refuses, it stays as it is.
pub fn give_way(standing: Standing) {
    let value = match standing {
        Standing::Asking => ASKING,
        Standing::Helping => HELPING,
    };
    if let Ok(value) = value.try_into() {
        // A system that refuses knows why; the answer comes all the same.
        let _ = set(standing, ThreadPriority::Crossplatform(value));
    }
}

/// On a scale of 0 to 99 on which the system's usual priority is 47, or 31 on Apple's;
/// a hair less makes helpers no slower on cores that are free.
const ASKING: u8 = if cfg!(target_vendor = "apple") { 31 } else { 47 };
const HELPING: u8 = if cfg!(target_os = "linux") { 45 } else { 30 };

#[cfg(target_os = "linux")]
fn set(standing: Standing, priority: ThreadPriority) -> Result<(), thread_priority::Error> {
    use thread_priority::{
        NormalThreadSchedulePolicy as Normal, ThreadSchedulePolicy, set_thread_priority_and_policy,
        thread_native_id,
    };
    // Batch work never takes a core from somebody who is at work on it.
    let policy = if standing == Standing::Helping { Normal::Batch } else { Normal::Other };
    set_thread_priority_and_policy(thread_native_id(), priority, ThreadSchedulePolicy::Normal(policy))
}

#[cfg(all(unix, not(target_os = "linux")))]
fn set(_: Standing, priority: ThreadPriority) -> Result<(), thread_priority::Error> {
    use thread_priority::{
        NormalThreadSchedulePolicy as Normal, ThreadSchedulePolicy, set_thread_priority_and_policy,
        thread_native_id,
    };
    let policy = ThreadSchedulePolicy::Normal(Normal::Other);
    set_thread_priority_and_policy(thread_native_id(), priority, policy)
}

#[cfg(not(unix))]
fn set(_: Standing, priority: ThreadPriority) -> Result<(), thread_priority::Error> {
    thread_priority::set_current_thread_priority(priority)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use thread_priority::{
        NormalThreadSchedulePolicy as Normal, ThreadSchedulePolicy, thread_schedule_policy,
    };

    /// This thread's nice value: the 19th field, of which the second ends with `)`.
    fn nice() -> Option<i32> {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").ok()?;
        let (_, rest) = stat.rsplit_once(") ")?;
        rest.split(' ').nth(16)?.parse().ok()
    }

    #[test]
    fn helpers_stand_behind_all_others() {
        let own = nice().unwrap();
        for (standing, policy, expected) in
            [(Standing::Asking, Normal::Other, 0), (Standing::Helping, Normal::Batch, 1)]
        {
            let seen = std::thread::spawn(move || {
                give_way(standing);
                (thread_schedule_policy().unwrap(), nice().unwrap())
            });
            // Who runs with less priority cannot give itself more.
            assert_eq!(seen.join().unwrap(), (ThreadSchedulePolicy::Normal(policy), expected.max(own)));
        }
    }
}
