//! The training loop, in one piece.

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use anyhow::bail;
use continuo_hub::{Hub, Kind, RepoName, Watch};
use continuo_model::train::Trainer;
use serde_json::json;

use crate::Outcome;
use crate::device::Place;
use crate::files;
use crate::interrupt;
use crate::progress::Progress;
use crate::train::TrainArgs;
use crate::train::batches::{Batches, cut};
use crate::train::card;
use crate::train::checkpoints::{self, Best, State};
use crate::train::corpus::{self, Corpus};
use crate::train::measure;
use crate::train::metrics;
use crate::train::samples::Prompt;
use crate::train::settings::{Budget, Settings};
use crate::train::start;
use crate::train::stored;

/// Ids measured on during training: a few seconds' work, a hundredth of a nat exact.
const SAMPLE: usize = 32_768;
/// Steps between lines in metrics.jsonl.
const METRICS_EVERY: u64 = 10;
/// The running mean of the loss remembers about 50 steps.
const SMOOTHING: f64 = 0.98;

/// A run under way.
struct Run<'a> {
    out: &'a Path,
    state: State,
    trainer: Trainer,
    batches: Batches,
    /// Held-out chunks: all, and those measured on during training.
    held_out: Vec<Vec<u32>>,
    sample: Vec<Vec<u32>>,
    corpus: Corpus,
    /// What the model answers at each measurement.
    prompt: Option<Prompt>,
    place: Place,
    /// Nobody else trains into the folder as long as it is open.
    _lock: Option<File>,
    begun: Instant,
    elapsed_before: f64,
    progress: Progress,
}

/// Runs `continuo train`.
///
/// # Errors
/// One sentence that names the file or option and the remedy.
pub fn train(args: &TrainArgs) -> anyhow::Result<Outcome> {
    let mut run = Run::start(args)?;
    while run.fraction() < 1.0 {
        if interrupt::requested() {
            run.save()?;
            run.progress.finish();
            let out = args.out.display();
            crate::tell!("saved at step {}; go on with: continuo train --resume --out {out}", run.state.step);
            return Ok(Outcome::Interrupted);
        }
        run.step()?;
        if run.state.step.is_multiple_of(run.state.settings.eval_every) {
            run.measure()?;
        }
        if run.state.step.is_multiple_of(run.state.settings.checkpoint_every) {
            run.save()?;
        }
    }
    run.finish()
}

impl<'a> Run<'a> {
    /// Reads the music and makes or resumes the trainer.
    fn start(args: &'a TrainArgs) -> anyhow::Result<Self> {
        let out = args.out.as_path();
        if !args.resume && checkpoints::exists(out) {
            bail!(
                "{} holds a run already; give --resume to go on with it, or another --out folder",
                out.display()
            );
        }
        let (resumed, settings) = if args.resume {
            let (trainer, state) = checkpoints::load(out)?;
            let settings = state.settings.clone().resumed(args)?;
            (Some((trainer, state)), settings)
        } else {
            (None, Settings::new(args)?)
        };
        if !args.resume {
            start::check_out(out, &settings.folders)?;
        }
        // A card or a manifest that cannot be used is told now rather than later.
        let place = Place::open(settings.device, settings.precision)?;
        card::check(settings.manifest.as_deref())?;
        let encoding = settings.encoding.encoding();
        let corpus = if settings.data.is_empty() {
            corpus::read(&settings.folders, encoding.as_ref(), settings.held_out)?
        } else {
            stored::read(&settings.data, settings.encoding, settings.held_out)?
        };
        let lock = checkpoints::lock(out)?;
        let chunks = |held_out: bool| -> Vec<Vec<u32>> {
            corpus.part(held_out).flat_map(|p| cut(settings.encoding, &p.ids, settings.context + 1)).collect()
        };
        let (training, held_out) = (chunks(false), chunks(true));
        let music = files::fnv1a(training.iter().flatten().flat_map(|id| id.to_le_bytes()));
        let mut batches = Batches::new(
            training,
            settings.batch * settings.accumulate,
            settings.context,
            settings.seed,
            start::variation(&settings),
        )?;
        start::tell(&corpus, &batches, &place);
        let (trainer, state) = match resumed {
            Some((_, state)) if state.music != music => bail!(
                "the folders no longer hold the music this run was started with; \
                 put it back, or start a new run in another --out folder"
            ),
            Some((trainer, state)) => {
                (start::again(trainer, &settings, &place)?, State { settings, ..state })
            }
            None => start::new_run(settings, music, &mut batches, &place)?,
        };
        metrics::trim(out, state.step)?;
        start::tell_refused(out, &corpus)?;
        Ok(Self {
            out,
            trainer,
            batches,
            sample: measure::sample(&held_out, SAMPLE),
            held_out,
            prompt: Prompt::of(&corpus, encoding.as_ref()),
            corpus,
            place,
            _lock: lock,
            begun: Instant::now(),
            elapsed_before: state.elapsed,
            progress: Progress::percent("% trained,"),
            state,
        })
    }

    /// How much of the training is done; it ends at 1.
    #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
    fn fraction(&self) -> f64 {
        let steps = self.state.step as f64 / self.state.total.max(1) as f64;
        match self.state.settings.budget {
            Budget::Minutes(minutes) => steps.max(self.elapsed() / (minutes * 60.0)),
            Budget::Steps(_) | Budget::Epochs(_) => steps,
        }
    }

    fn elapsed(&self) -> f64 {
        self.elapsed_before + self.begun.elapsed().as_secs_f64()
    }

    /// One step of learning.
    fn step(&mut self) -> anyhow::Result<()> {
        let batch = self.batches.batch(self.state.step);
        let report = self.trainer.step(&batch)?;
        let loss = report.loss;
        self.state.step = report.step;
        self.state.elapsed = self.elapsed();
        let smoothed = self.state.smoothed.map_or(loss, |s| SMOOTHING * s + (1.0 - SMOOTHING) * loss);
        self.state.smoothed = Some(smoothed);
        self.show(smoothed);
        if self.state.step.is_multiple_of(METRICS_EVERY) {
            self.record(json!({
                "loss": loss, "smoothed": smoothed,
                "learning_rate": crate::shortest(report.learning_rate), "gradient_norm": report.gradient_norm,
                "tokens_per_second": self.tokens_per_second(), "elapsed": self.state.elapsed,
            }))?;
        }
        Ok(())
    }

    /// Shows where the run stands.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
    fn show(&self, smoothed: f64) {
        let fraction = self.fraction();
        let held_out = self.state.best.map_or(String::new(), |b| format!(", held out {:.3}", b.loss));
        self.progress.set(
            (fraction * 100.0) as u64,
            &format!(
                "step {}, loss {smoothed:.3}{held_out}, {:.0} tokens/s, {} left",
                self.state.step,
                self.tokens_per_second(),
                time_left(self.state.elapsed, fraction),
            ),
        );
    }

    #[expect(clippy::cast_precision_loss, reason = "a number for people")]
    fn tokens_per_second(&self) -> f64 {
        let Settings { batch, accumulate, context, .. } = self.state.settings;
        let a_step = batch * accumulate * context;
        (self.state.step * a_step as u64) as f64 / self.state.elapsed.max(1e-9)
    }

    /// Measures on held-out music; the best model so far goes into the model folder.
    fn measure(&mut self) -> anyhow::Result<()> {
        let Some(measured) = measure::model(&mut self.trainer, &self.sample, self.state.settings.batch)?
        else {
            return Ok(());
        };
        let loss = measured.loss();
        if measured.targets > 0 {
            self.progress.line(&format!("step {}: held-out loss {loss:.4}", self.state.step));
            self.record(json!({ "held_out_loss": loss, "elapsed": self.elapsed() }))?;
        }
        metrics::show(self.out)?;
        let better = measured.targets == 0 || self.state.best.is_none_or(|best| loss < best.loss);
        if !better && self.state.settings.samples == 0 {
            return Ok(());
        }
        let staged = checkpoints::stage(self.out, &self.trainer, self.state.settings.encoding)?;
        self.sample(&staged);
        if better {
            checkpoints::publish(self.out, &staged)?;
            if let Err(error) = self.push() {
                let (step, reason) = (self.state.step, crate::describe(&error));
                self.progress.line(&format!(
                    "step {step}: not pushed: {reason}; the next better model is tried again"
                ));
            }
            self.state.best = Some(Best { step: self.state.step, loss }).filter(|_| measured.targets > 0);
        } else {
            checkpoints::remove(&staged)?;
        }
        Ok(())
    }

    /// Has the model answer. A training that goes well is not ended by an answer that fails.
    fn sample(&self, model: &Path) {
        let (step, takes) = (self.state.step, self.state.settings.samples);
        let Some(prompt) = self.prompt.as_ref().filter(|_| takes > 0) else { return };
        if let Err(error) = prompt.answer(model, self.out, step, takes) {
            self.progress.line(&format!("step {step}: no sample: {}", crate::describe(&error)));
        }
    }

    /// Pushes the model folder, if the user wants it on the hub.
    fn push(&self) -> anyhow::Result<()> {
        let Some((name, private)) = &self.state.settings.hub else { return Ok(()) };
        let name: RepoName = name.parse()?;
        let pushed = Hub::from_environment()?.push(Kind::Model, &name, self.out, *private, &Quietly)?;
        self.progress.line(&format!("step {}: pushed to {}", self.state.step, pushed.address));
        Ok(())
    }

    fn save(&mut self) -> anyhow::Result<()> {
        self.state.elapsed = self.elapsed();
        checkpoints::save(self.out, &self.trainer, &self.state)
    }

    fn record(&self, values: serde_json::Value) -> anyhow::Result<()> {
        metrics::record(self.out, self.state.step, values)
    }

    /// What to do about a model that has learned nothing: one that gives each id the same chance
    /// has a loss of the logarithm of their number.
    #[expect(clippy::cast_precision_loss, reason = "vocabularies are far below 2^52")]
    fn no_better_than_chance(&self) -> Option<String> {
        let ids = self.state.settings.encoding.encoding().vocab_size();
        let (chance, best) = ((ids as f64).ln(), self.state.best?.loss);
        // Also where the loss is no number.
        let learned = best < chance;
        (!learned).then(|| {
            format!(
                "the best held-out loss, {best:.3}, is no better than chance ({chance:.3}, {ids} ids alike): train for \
                 longer, or with a smaller --lr"
            )
        })
    }

    /// The last measurement, the comparison, the card.
    fn finish(mut self) -> anyhow::Result<Outcome> {
        if !self.state.step.is_multiple_of(self.state.settings.eval_every) || self.state.best.is_none() {
            self.measure()?;
        }
        self.save()?;
        self.progress.finish();
        let settings = &self.state.settings;
        let compared = match card::compare(
            self.out,
            settings,
            &self.place,
            self.batches.chunks(),
            &self.held_out,
            &self.corpus,
        )? {
            Some(compared) => compared,
            None => return Ok(Outcome::Interrupted),
        };
        files::write(
            &self.out.join("README.md"),
            card::write(&self.state, &self.corpus, &compared)?.as_bytes(),
        )?;
        crate::tell!("{}", compared.table());
        let out = self.out.display();
        crate::tell!("the model is in {out}");
        if let Some(warning) = self.no_better_than_chance() {
            crate::tell!("note: {warning}");
        }
        if let (Err(error), Some((name, _))) = (self.push(), &self.state.settings.hub) {
            return Err(error.context(format!(
                "the model is not on the hub; push it with: continuo model push {name} --from {out}"
            )));
        }
        Ok(Outcome::Done)
    }
}

/// Pushes without a bar of its own, and stops at Ctrl-C.
struct Quietly;

impl Watch for Quietly {
    fn progress(&self, _: &continuo_hub::Progress) {}

    fn is_cancelled(&self) -> bool {
        interrupt::requested()
    }
}

/// The time left, if the rest goes as what is done.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole seconds, never negative")]
fn time_left(elapsed: f64, fraction: f64) -> String {
    if fraction <= 0.0 {
        return "unknown time".to_owned();
    }
    let left = (elapsed / fraction - elapsed).max(0.0) as u64;
    format!("{}:{:02}:{:02}", left / 3600, left / 60 % 60, left % 60)
}
