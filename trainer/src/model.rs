//! `continuo model`: a look at model folders.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use continuo_model::Config;
use serde_json::json;

use crate::Outcome;
use crate::train::eval::encoding_of;

/// What `continuo model` can be told.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ModelCommand,
}

/// The subcommands of `continuo model`.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Tell a model's encoding, shape and size
    #[command(after_help = "EXAMPLES:\n  continuo model info model/\n  continuo model info model/ --json")]
    Info(InfoArgs),
}

/// What `continuo model info` can be told.
#[derive(Debug, Args)]
pub struct InfoArgs {
    /// A model folder (config.json, model.safetensors)
    #[arg(value_name = "DIR")]
    pub model: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs `continuo model`.
///
/// # Errors
/// One sentence that names the file and the remedy.
pub fn run(args: &ModelArgs) -> anyhow::Result<Outcome> {
    let ModelCommand::Info(args) = &args.command;
    let config = Config::open(&args.model.join("config.json"))?;
    let encoding = encoding_of(&args.model)?.as_str();
    let weights = args.model.join("model.safetensors");
    let bytes = std::fs::metadata(&weights)
        .with_context(|| {
            format!("cannot read {}; a model folder holds its weights there", weights.display())
        })?
        .len();
    let name = args.model.canonicalize()?.file_name().map(|n| n.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let count = parameters(&config);
    if args.json {
        let about = json!({
            "name": name, "encoding": encoding, "parameters": count, "bytes": bytes, "ids": config.vocab_size,
            "positions": config.n_positions, "layers": config.n_layer, "heads": config.n_head, "width": config.n_embd,
        });
        crate::print(&format!("{about}\n"));
        return Ok(Outcome::Done);
    }
    crate::print(&format!(
        "{name}: {encoding} encoding, {count} parameters, {bytes} bytes\n\
         {} layers, {} heads, width {}, {} ids, {} positions\n",
        config.n_layer, config.n_head, config.n_embd, config.vocab_size, config.n_positions
    ));
    Ok(Outcome::Done)
}

/// How many weights a model of this shape has.
fn parameters(config: &Config) -> usize {
    let width = config.n_embd;
    let inner = config.inner();
    let attention = 4 * width * width + 4 * width;
    let feed_forward = 2 * width * inner + width + inner;
    let block = attention + feed_forward + 4 * width;
    let head = if config.tie_word_embeddings { 0 } else { config.vocab_size * width };
    (config.vocab_size + config.n_positions) * width + config.n_layer * block + 2 * width + head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpt2_small_has_its_published_number_of_parameters() {
        assert_eq!(parameters(&Config::default()), 124_439_808);
    }
}
