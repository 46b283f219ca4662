//! Plays random sessions against the built plugin, each in this one process.
//!
//! ```text
//! cargo run -p continuo-tests --example session -- 7        # the session of seed 7
//! cargo run -p continuo-tests --example session -- 0..1000
//! cargo run -p continuo-tests --example session -- 7 --steps 0,1,5   # some of its steps
//! ```
//!
//! Prints each seed before it begins, so that who reads knows which one ended the process.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use continuo_tests::host::Bundle;
use continuo_tests::locate;
use continuo_tests::session::{Outcome, play, script};

fn main() -> ExitCode {
    match run() {
        Ok(sum) => {
            println!("added {} judged {}", sum.added, sum.judged);
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("error {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Outcome> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let seeds = args.first().context("which seed, or from..to?")?;
    let (from, to) = match seeds.split_once("..") {
        Some((from, to)) => (from.parse()?, to.parse()?),
        None => (seeds.parse()?, seeds.parse::<u64>()? + 1),
    };
    let kept: Option<Vec<usize>> = match args.iter().position(|arg| arg == "--steps") {
        Some(index) => {
            let list = args.get(index + 1).context("which steps?")?;
            Some(list.split(',').map(str::parse).collect::<Result<_, _>>()?)
        }
        None => None,
    };
    let bundle = Bundle::load(&locate::bundle()?)?;
    let mut sum = Outcome::default();
    for seed in from..to {
        println!("seed {seed}");
        let mut steps = script(seed);
        if let Some(kept) = &kept {
            steps = kept.iter().filter_map(|index| steps.get(*index).cloned()).collect();
        }
        let outcome = play(&bundle, &steps, seed)?;
        sum.added += outcome.added;
        sum.judged += outcome.judged;
    }
    Ok(sum)
}
