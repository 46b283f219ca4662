//! The words of a text model's ids, from the tokenizer files beside its weights.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::ModelError;

/// An ordinary token, in GGUF.
const NORMAL: i32 = 1;
/// One that steers, and is no text.
const CONTROL: i32 = 3;
/// An id that nothing stands for.
const UNUSED: i32 = 5;

/// The token that ends a text in GPT-2.
const END: &str = "<|endoftext|>";

const REMEDY: &str = "correct or remove it; a model of music needs none";

/// What the ids of a model stand for, spelled as GPT-2's byte-level tokenizer spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    /// The token of each id.
    pub(super) tokens: Vec<String>,
    /// GGUF's kind of each.
    pub(super) kinds: Vec<i32>,
    /// Pairs of tokens that become one, a space between them, the first ones first.
    pub(super) merges: Vec<String>,
    /// The id that begins and ends a text.
    pub(super) end: u32,
}

#[derive(Deserialize)]
struct Tokenizer {
    model: Model,
    #[serde(default)]
    added_tokens: Vec<Added>,
}

#[derive(Deserialize)]
struct Model {
    vocab: HashMap<String, usize>,
    merges: Vec<Merge>,
}

/// A merge in either of the spellings that are in use.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Spaced(String),
    Pair([String; 2]),
}

#[derive(Deserialize)]
struct Added {
    id: usize,
    content: String,
    #[serde(default)]
    special: bool,
}

impl Vocabulary {
    /// The vocabulary in a folder's `tokenizer.json`, or `vocab.json` and `merges.txt`, for a
    /// model of `ids` ids; `None` where there is none, or one of another kind than GPT-2's.
    ///
    /// # Errors
    /// If a file is there and cannot be read.
    pub fn beside(folder: &Path, ids: usize) -> Result<Option<Self>, ModelError> {
        let file = folder.join("tokenizer.json");
        if let Some(bytes) = read(&file)? {
            let whole: Value = parse(&file, &bytes)?;
            if byte_level(&whole) {
                return Ok(Self::new(
                    serde_json::from_value(whole).map_err(|error| damaged(&file, &error))?,
                    ids,
                ));
            }
        }
        let (vocab, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
        let (Some(words), Some(pairs)) = (read(&vocab)?, read(&merges)?) else { return Ok(None) };
        let pairs = String::from_utf8(pairs).map_err(|error| damaged(&merges, &error))?;
        let lines = pairs.lines().filter(|line| !line.is_empty() && !line.starts_with("#version"));
        let merges = lines.map(|line| Merge::Spaced(line.to_owned())).collect();
        let model = Model { vocab: parse(&vocab, &words)?, merges };
        Ok(Self::new(Tokenizer { model, added_tokens: Vec::new() }, ids))
    }

    fn new(tokenizer: Tokenizer, ids: usize) -> Option<Self> {
        let Tokenizer { model, added_tokens } = tokenizer;
        let mut tokens: Vec<String> = (0..ids).map(|id| format!("[PAD{id}]")).collect();
        let mut kinds = vec![UNUSED; ids];
        let control = |token: &str, special| if special || token == END { CONTROL } else { NORMAL };
        let plain = model.vocab.into_iter().map(|(token, id)| (id, control(&token, false), token));
        let added = added_tokens.into_iter().map(|a| (a.id, control(&a.content, a.special), a.content));
        for (id, kind, token) in plain.chain(added) {
            // More tokens than the model has ids: it is not this model's tokenizer.
            *tokens.get_mut(id)? = token;
            kinds[id] = kind;
        }
        let end = tokens.iter().position(|token| token == END).unwrap_or(0);
        let merges = model.merges.into_iter().map(|merge| match merge {
            Merge::Spaced(both) => both,
            Merge::Pair([first, second]) => format!("{first} {second}"),
        });
        Some(Self { tokens, kinds, merges: merges.collect(), end: u32::try_from(end).ok()? })
    }

    /// Names for ids that are no text: there is none that a tokenizer would ever make.
    pub(super) fn placeholders(ids: usize) -> Self {
        let tokens = (0..ids).map(|id| format!("t{id}")).collect();
        Self { tokens, kinds: vec![NORMAL; ids], merges: vec!["t 0".to_owned()], end: 0 }
    }
}

/// Whether a `tokenizer.json` is one of GPT-2's kind; other programs use the name too.
fn byte_level(tokenizer: &Value) -> bool {
    let of_kind = |part: &Value| part["type"] == "ByteLevel";
    let pre = &tokenizer["pre_tokenizer"];
    let within = pre["pretokenizers"].as_array().is_some_and(|parts| parts.iter().any(of_kind));
    tokenizer["model"]["merges"].is_array() && (of_kind(pre) || within)
}

fn read(file: &Path) -> Result<Option<Vec<u8>>, ModelError> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ModelError::Io { file: file.to_owned(), source, remedy: REMEDY }),
    }
}

fn parse<T: serde::de::DeserializeOwned>(file: &Path, bytes: &[u8]) -> Result<T, ModelError> {
    serde_json::from_slice(bytes).map_err(|error| damaged(file, &error))
}

fn damaged(file: &Path, error: &dyn std::fmt::Display) -> ModelError {
    let problem = format!("not a tokenizer's file ({error}); {REMEDY}");
    ModelError::Damaged { file: file.display().to_string(), problem }
}
