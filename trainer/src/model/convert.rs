//! `continuo model convert` and `continuo model quantize`: the same model in other files.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use continuo_model::export::Numbers;
use serde_json::json;

use super::output::{self, Form};
use crate::Outcome;

/// What `continuo model convert --help` begins with.
pub(super) const ABOUT_CONVERT: &str = "\
    Write a model as a GGUF file, which llama.cpp and programs built on it read, or as a safetensors folder. \
    OUT's name tells which: one that ends in .gguf is a file, any other a folder. What lies beside the model and \
    describes it (continuo.json, README.md, tokenizer files) is taken along to a folder; a GGUF file says what \
    the encoding is.";

/// What `continuo model quantize --help` begins with.
pub(super) const ABOUT_QUANTIZE: &str = "\
    Write a model as a small GGUF file, which llama.cpp and programs built on it read: with q8_0 about a third of \
    its size in f32, with f16 somewhat more than half. Vectors and the positions stay f32, and the embedding \
    stands there a second time as the output head.";

/// What `continuo model convert` can be told.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
        continuo model convert model/ model.gguf\n  \
        continuo model convert model/ model.gguf --to f16\n  \
        continuo model convert model/ half-as-large/ --to f16")]
pub struct ConvertArgs {
    /// A model folder, or a model's file (safetensors, PyTorch, GGUF)
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// The file (a name that ends in .gguf) or folder to write
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
    /// The numbers to store: f32 loses nothing, f16 takes half the room
    #[arg(long, value_enum, default_value_t = Whole::F32)]
    pub to: Whole,
    /// Replace OUT where it exists
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What `continuo model quantize` can be told.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
        continuo model quantize model/ model.gguf\n  \
        continuo model quantize model/ model.gguf --to f16 --force")]
pub struct QuantizeArgs {
    /// A model folder, or a model's file (safetensors, PyTorch, GGUF)
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// The file to write; its name ends in .gguf
    #[arg(value_name = "OUT.gguf")]
    pub output: PathBuf,
    /// The numbers to store matrices as
    #[arg(long, value_enum, default_value_t = Small::Q8_0)]
    pub to: Small,
    /// Replace OUT where it exists
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The numbers of a converted model, as they are typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Whole {
    /// Four bytes each
    F32,
    /// Two bytes each
    F16,
}

/// The numbers of a quantised model, as they are typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Small {
    /// A byte each, with a common factor for every 32
    #[value(name = "q8_0")]
    Q8_0,
    /// Two bytes each
    F16,
}

/// Runs `continuo model convert`.
///
/// # Errors
/// One sentence that names the file and the remedy.
pub fn convert(args: &ConvertArgs) -> anyhow::Result<Outcome> {
    let numbers = match args.to {
        Whole::F32 => Numbers::F32,
        Whole::F16 => Numbers::F16,
    };
    let form = Form::of(&args.output)?;
    write(&args.input, &args.output, form, numbers, args.force, args.json)
}

/// Runs `continuo model quantize`.
///
/// # Errors
/// One sentence that names the file and the remedy.
pub fn quantize(args: &QuantizeArgs) -> anyhow::Result<Outcome> {
    let numbers = match args.to {
        Small::Q8_0 => Numbers::Q8_0,
        Small::F16 => Numbers::F16,
    };
    if Form::of(&args.output)? != Form::Gguf {
        let output = args.output.display();
        anyhow::bail!(
            "{output} does not end in .gguf, as a quantised model's file does; name it {output}.gguf"
        );
    }
    write(&args.input, &args.output, Form::Gguf, numbers, args.force, args.json)
}

fn write(
    input: &Path,
    output: &Path,
    form: Form,
    numbers: Numbers,
    force: bool,
    json: bool,
) -> anyhow::Result<Outcome> {
    let source = super::open(input)?;
    output::check(input, &source, output, form, force)?;
    let Some(bytes) = output::write(&source, output, form, numbers)? else {
        return Ok(Outcome::Interrupted);
    };
    let (format, numbers, output) = (form.as_str(), numbers.as_str(), output.display());
    crate::print(&if json {
        let about =
            json!({ "output": output.to_string(), "bytes": bytes, "format": format, "numbers": numbers });
        format!("{about}\n")
    } else {
        format!("{output}: {bytes} bytes ({format}, {numbers})\n")
    });
    Ok(Outcome::Done)
}
