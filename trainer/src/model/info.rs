//! `continuo model info`: what a model is.

use std::path::PathBuf;

use clap::Args;
use continuo_engine::source::spelling_of;
use continuo_model::Config;
use serde_json::json;

use crate::Outcome;

/// What `continuo model info` can be told.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  continuo model info model/\n  continuo model info model/ --json")]
pub struct InfoArgs {
    /// A model folder, or a model's file (safetensors, PyTorch, GGUF)
    #[arg(value_name = "IN")]
    pub model: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs `continuo model info`.
///
/// # Errors
/// One sentence that names the file and the remedy.
pub fn run(args: &InfoArgs) -> anyhow::Result<Outcome> {
    let source = super::open(&args.model)?;
    let encoding = spelling_of(&args.model, &source)?.map_or_else(|| "unknown".to_owned(), |it| it.encoding);
    let (bytes, format) = (source.bytes(), source.format().to_string().to_lowercase());
    let numbers = source.number_formats().first().map(|name| name.to_lowercase()).unwrap_or_default();
    let name = super::output::name_of(&source);
    let config = source.config();
    let count = parameters(config);
    if args.json {
        let about = json!({
            "name": name, "encoding": encoding, "parameters": count, "bytes": bytes, "ids": config.vocab_size,
            "positions": config.n_positions, "layers": config.n_layer, "heads": config.n_head, "width": config.n_embd,
            "format": format, "numbers": numbers,
        });
        crate::print(&format!("{about}\n"));
        return Ok(Outcome::Done);
    }
    crate::print(&format!(
        "{name}: {encoding} encoding, {count} parameters, {bytes} bytes ({format}, {numbers})\n\
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
