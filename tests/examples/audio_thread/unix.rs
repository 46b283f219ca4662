//! The measurements.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "counts and shares"
)]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use continuo_tests::host::{Bundle, Host, Pacing, Render, Settings, Stopwatch};
use continuo_tests::locate;
use continuo_tests::message::Message;
use continuo_tests::timeline::Timeline;

const BLOCK: u32 = 64;
const RATE: f64 = 48_000.0;
/// About what a call of the plugin takes.
const TYPICAL: Duration = Duration::from_micros(10);
/// The pause that is answered, in beats, at 120 beats a minute.
const PAUSE: f64 = 1.0;

pub(crate) fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, default: u64| -> Result<u64> {
        match args.iter().position(|arg| arg == name) {
            Some(at) => args
                .get(at + 1)
                .with_context(|| format!("{name} needs a number"))?
                .parse()
                .map_err(Into::into),
            None => Ok(default),
        }
    };
    let bundle = Bundle::load(&locate::bundle()?)?;
    if args.iter().any(|arg| arg == "--reply") {
        return reply(&bundle, number("--rounds", 10)?);
    }
    let idle = args.iter().any(|arg| arg == "--idle");
    audio(&bundle, Duration::from_secs(number("--seconds", 30)?), number("--instances", 1)?, idle)
}

fn host(bundle: &Bundle, pacing: Pacing) -> Result<Host> {
    let settings = Settings { blocks: vec![BLOCK], render: Render::Realtime, pacing, ..Settings::default() };
    bundle.host(settings, Timeline::new(RATE).with_tempo(0.0, 120.0))
}

/// A phrase of a bar from the transport's beat on.
fn phrase(host: &mut Host) {
    let from = host.beat();
    for (n, key) in [60_u8, 64, 67, 72, 71, 67, 64, 62].into_iter().enumerate() {
        let at = from + f64::from(u8::try_from(n).unwrap_or(0)) / 2.0;
        host.send_at_beat(at, Message::on(0, key, 90));
        host.send_at_beat(at + 0.4, Message::off(0, key));
    }
}

fn audio(bundle: &Bundle, time: Duration, instances: u64, idle: bool) -> Result<()> {
    let log = Log::default();
    let mut hosts: Vec<Host> = (0..instances).map(|_| host(bundle, Pacing::Free)).collect::<Result<_>>()?;
    for host in &mut hosts {
        host.set("takes", "8")?;
        host.set("bars", "16 bars")?;
        host.set("start", "Now")?;
        host.measure(Box::new(Meter { log: Rc::clone(&log), began: (Waits::default(), Duration::ZERO) }));
        host.play();
        if !idle {
            phrase(host);
        }
    }
    let priority =
        thread_priority::ThreadPriority::Crossplatform(50_u8.try_into().map_err(anyhow::Error::msg)?);
    let policy = thread_priority::unix::ThreadSchedulePolicy::Realtime(
        thread_priority::unix::RealtimeThreadSchedulePolicy::Fifo,
    );
    let id = thread_priority::unix::thread_native_id();
    let real_time = thread_priority::unix::set_thread_priority_and_policy(id, priority, policy).is_ok();
    let block = Duration::from_secs_f64(f64::from(BLOCK) / RATE);
    let empty = Loop::as_long_as(TYPICAL);
    let (begin, mut blocks, mut late) = (Instant::now(), 0_u32, 0_u32);
    let mut loops = Vec::new();
    while begin.elapsed() < time {
        let due = block * blocks;
        std::thread::sleep(due.saturating_sub(begin.elapsed()));
        let woken = Instant::now();
        // Ask again and again, in the middle of what is being made.
        if !idle && blocks % 1500 == 1499 {
            for host in &mut hosts {
                host.press("trigger")?;
            }
        }
        for host in &mut hosts {
            host.run(u64::from(BLOCK))?;
        }
        late += u32::from(woken.elapsed() > block);
        loops.push(empty.run());
        blocks += 1;
    }
    let notes: usize = hosts.iter().map(|host| host.answered().len()).sum();
    ensure!(idle || notes > 0, "the plugin answered nothing");
    println!("{instances} instances, {blocks} blocks, {notes} notes, real-time priority: {real_time}");
    println!("of a block's time, on the thread's own clock:");
    let log = log.borrow();
    let mut calls: Vec<_> = log.iter().map(|call| call.0).collect();
    println!("  the plugin's process: {}", shares(&mut calls, block));
    println!("  an empty loop beside: {}", shares(&mut loops, block));
    let of = |least: Duration| {
        log.iter().filter(|call| call.0 > least).fold(Waits::default(), |sum, call| sum.plus(call.1))
    };
    println!("  in all its calls: {}", of(Duration::ZERO));
    println!("  in those over 10 %: {}", of(block / 10));
    println!("blocks not done by their end: {late}");
    Ok(())
}

/// The time this thread has run so far.
fn own_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// What each call of the plugin took, and what the system had to do in it.
type Log = Rc<RefCell<Vec<(Duration, Waits)>>>;

struct Meter {
    log: Log,
    began: (Waits, Duration),
}

impl Stopwatch for Meter {
    fn start(&mut self) {
        let waits = Waits::so_far();
        self.began = (waits, own_time());
    }

    fn stop(&mut self) {
        let spent = own_time().saturating_sub(self.began.1);
        let waits = Waits::so_far().since(self.began.0);
        self.log.borrow_mut().push((spent, waits));
    }
}

/// How often the system had to do something for this thread, as Linux counts it.
#[derive(Clone, Copy, Default)]
struct Waits {
    /// The thread waited of its own accord: for a lock, for data, in a system call.
    waits: u64,
    /// The thread was taken off its core.
    preempted: u64,
    /// Memory was touched that had to be found first.
    faults: u64,
}

impl Waits {
    fn so_far() -> Self {
        let read =
            |name: &str| std::fs::read_to_string(format!("/proc/thread-self/{name}")).unwrap_or_default();
        let status = read("status");
        let count = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
        };
        // Minor and major faults are the tenth and the twelfth word; the second, in brackets,
        // can hold spaces.
        let stat = read("stat");
        let words: Vec<u64> = stat
            .rsplit(')')
            .next()
            .into_iter()
            .flat_map(|rest| rest.split_whitespace().map(|word| word.parse().unwrap_or(0)))
            .collect();
        Self {
            waits: count("voluntary_ctxt_switches:"),
            preempted: count("nonvoluntary_ctxt_switches:"),
            faults: words.get(7).unwrap_or(&0) + words.get(9).unwrap_or(&0),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            waits: self.waits - before.waits,
            preempted: self.preempted - before.preempted,
            faults: self.faults - before.faults,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            waits: self.waits + other.waits,
            preempted: self.preempted + other.preempted,
            faults: self.faults + other.faults,
        }
    }
}

impl std::fmt::Display for Waits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} waits, {} preemptions, {} page faults", self.waits, self.preempted, self.faults)
    }
}

/// A loop that touches no memory: what it takes beyond its usual time is the machine's doing.
struct Loop(u64);

impl Loop {
    fn as_long_as(time: Duration) -> Self {
        const ROUNDS: u64 = 1_000_000;
        let once = Self(ROUNDS).run();
        Self((time.as_secs_f64() / once.as_secs_f64() * 1e6) as u64)
    }

    fn run(&self) -> Duration {
        let begin = own_time();
        for round in 0..self.0 {
            std::hint::black_box(round);
        }
        own_time().saturating_sub(begin)
    }
}

/// Median, high and greatest among times, in hundredths of a block's.
fn shares(times: &mut [Duration], block: Duration) -> String {
    times.sort_unstable();
    let part = |share: f64| {
        let index = ((times.len() - 1) as f64 * share) as usize;
        times[index].as_secs_f64() / block.as_secs_f64() * 100.0
    };
    let over = times.iter().filter(|time| **time > block / 10).count();
    format!(
        "median {:.2} %, 99.9 % {:.2} %, worst {:.2} %, {over} of {} over 10 %",
        part(0.5),
        part(0.999),
        part(1.0),
        times.len()
    )
}

fn reply(bundle: &Bundle, rounds: u64) -> Result<()> {
    let beat = Duration::from_millis(500);
    let mut worst = Duration::ZERO;
    for round in 0..rounds {
        let mut host = host(bundle, Pacing::Realtime)?;
        host.choose("mode", "reply")?;
        host.set("pause", &PAUSE.to_string())?;
        host.set("start", "Now")?;
        host.play();
        phrase(&mut host);
        let end = host.clock_at_beat(3.5 + 0.4);
        host.run_to_beat(9.0)?;
        let first = host.answered().first().map(|note| note.on.clock).context("no reply")?;
        ensure!(first >= end, "a reply inside the phrase");
        let after = Duration::from_secs_f64(f64::from(u32::try_from(first - end)?) / RATE);
        println!(
            "round {round}: {:.1} ms after the pause was long enough",
            (after.as_secs_f64() - beat.as_secs_f64() * PAUSE) * 1e3
        );
        worst = worst.max(after.saturating_sub(beat.mul_f64(PAUSE)));
    }
    println!("worst {:.1} ms", worst.as_secs_f64() * 1e3);
    Ok(())
}
