//! GGUF files: configuration and weights in one, as llama.cpp has them
//! (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3).
//!
//! Tensors are handed out by the names that `transformers` gives them. The matrices of a
//! block are transposed: GGUF has a row for each output.

use super::reader::Reader;
use super::{Entry, Metadata, NumberFormat, Stored};
use crate::{Activation, Config};

/// More tensors or keys than any model has.
const MAX_ENTRIES: u64 = 1 << 16;

/// Longer texts, like templates, are passed over.
const MAX_TEXT: usize = 1 << 10;

/// Arrays of arrays are not nested deeper.
const MAX_DEPTH: u32 = 4;

/// The most dimensions a tensor has.
const MAX_DIMENSIONS: u32 = 4;

const CUT: &str = "the file is cut short or damaged; download or convert the model again";

/// What a file says of itself.
pub(super) struct Header {
    pub(super) metadata: Metadata,
    pub(super) tensors: Vec<(String, Entry)>,
}

/// Reads a file's header, or says what is wrong with it.
pub(super) fn parse(bytes: &[u8]) -> Result<Header, String> {
    let mut reader = Reader::new(bytes);
    reader.u32().ok_or(CUT)?;
    match reader.u32().ok_or(CUT)? {
        2 | 3 => {}
        1 => return Err("GGUF of version 1 is not read; convert the model again".to_owned()),
        version if version.swap_bytes() <= 3 => {
            return Err(
                "the file is made for big-endian machines; convert the model again without --bigendian"
                    .to_owned(),
            );
        }
        version => return Err(format!("GGUF of version {version} is not known; update Continuo")),
    }
    let (tensors, keys) = (reader.u64().ok_or(CUT)?, reader.u64().ok_or(CUT)?);
    if tensors > MAX_ENTRIES || keys > MAX_ENTRIES {
        return Err(CUT.to_owned());
    }
    let mut metadata = Metadata::new();
    for _ in 0..keys {
        let (key, value) = pair(&mut reader).ok_or(CUT)?;
        if let Some(value) = value {
            metadata.insert(key.to_owned(), value);
        }
    }
    match metadata.get("general.architecture").map(String::as_str) {
        Some("gpt2") => {}
        Some(other) => {
            return Err(format!(
                "general.architecture is `{other}`, but this runs gpt2; choose a model of that architecture"
            ));
        }
        None => return Err("general.architecture is missing; convert the model again".to_owned()),
    }
    if metadata.get("split.count").is_some_and(|count| count != "1" && count != "0") {
        return Err(
            "this is one of several parts of a model; join them with llama-gguf-split --merge".to_owned()
        );
    }
    let infos = (0..tensors).map(|_| info(&mut reader)).collect::<Option<Vec<_>>>().ok_or(CUT)?;
    let alignment = metadata.get("general.alignment").map_or(Some(32), |text| text.parse::<usize>().ok());
    let start = alignment
        .filter(|alignment| alignment.is_power_of_two())
        .and_then(|alignment| reader.position().checked_next_multiple_of(alignment))
        .ok_or(CUT)?;
    let tensors = infos.into_iter().map(|info| info.entry(start, bytes.len())).collect::<Result<_, _>>()?;
    Ok(Header { metadata, tensors })
}

/// A key with its value, if that is a number or a short text.
fn pair<'a>(reader: &mut Reader<'a>) -> Option<(&'a str, Option<String>)> {
    let key = text(reader)?;
    let kind = reader.u32()?;
    Some((key, value(reader, kind, 0)?))
}

fn text<'a>(reader: &mut Reader<'a>) -> Option<&'a str> {
    str::from_utf8(bytes(reader)?).ok()
}

fn bytes<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = reader.u64()?;
    reader.take(length)
}

/// A value in words; `Some(None)` for one that is passed over.
fn value(reader: &mut Reader<'_>, kind: u32, depth: u32) -> Option<Option<String>> {
    Some(Some(match kind {
        0 => reader.u8()?.to_string(),
        1 => reader.u8()?.cast_signed().to_string(),
        2 => reader.u16()?.to_string(),
        3 => reader.u16()?.cast_signed().to_string(),
        4 => reader.u32()?.to_string(),
        5 => reader.u32()?.cast_signed().to_string(),
        6 => reader.array().map(f32::from_le_bytes)?.to_string(),
        7 => (reader.u8()? != 0).to_string(),
        // Tokens may be any bytes.
        8 => {
            let text = bytes(reader)?;
            return Some(str::from_utf8(text).ok().filter(|_| text.len() <= MAX_TEXT).map(str::to_owned));
        }
        9 => {
            let (kind, count) = (reader.u32()?, reader.u64()?);
            match kind {
                0 | 1 | 7 => drop(reader.take(count)?),
                2 | 3 => drop(reader.take(count.checked_mul(2)?)?),
                4..=6 => drop(reader.take(count.checked_mul(4)?)?),
                10..=12 => drop(reader.take(count.checked_mul(8)?)?),
                8 => {
                    for _ in 0..count {
                        bytes(reader)?;
                    }
                }
                _ if depth < MAX_DEPTH => {
                    for _ in 0..count {
                        value(reader, kind, depth + 1)?;
                    }
                }
                _ => return None,
            }
            return Some(None);
        }
        10 => reader.u64()?.to_string(),
        11 => reader.u64()?.cast_signed().to_string(),
        12 => reader.array().map(f64::from_le_bytes)?.to_string(),
        _ => return None,
    }))
}

/// What the header says of a tensor.
struct Info<'a> {
    name: &'a str,
    /// Innermost first.
    dimensions: Vec<usize>,
    kind: u32,
    offset: u64,
}

fn info<'a>(reader: &mut Reader<'a>) -> Option<Info<'a>> {
    let name = text(reader)?;
    let count = reader.u32().filter(|&count| count <= MAX_DIMENSIONS)?;
    let dimensions = (0..count).map(|_| usize::try_from(reader.u64()?).ok()).collect::<Option<_>>()?;
    Some(Info { name, dimensions, kind: reader.u32()?, offset: reader.u64()? })
}

impl Info<'_> {
    fn entry(self, start: usize, end: usize) -> Result<(String, Entry), String> {
        let Self { name, dimensions, kind, offset } = self;
        let known = known_name(name);
        if known.is_none() && name.starts_with("blk.") {
            return Err(format!(
                "tensor `{name}` is no part of GPT-2; this is a model of another architecture"
            ));
        }
        let stored = match kind {
            0 => Stored::Numbers(NumberFormat::F32),
            1 => Stored::Numbers(NumberFormat::F16),
            8 => Stored::Numbers(NumberFormat::Q8),
            30 => Stored::Numbers(NumberFormat::Bf16),
            kind => Stored::Other(kind_name(kind)),
        };
        if matches!(stored, Stored::Numbers(NumberFormat::Q8))
            && dimensions.first().is_none_or(|n| n % 32 != 0)
        {
            return Err(format!("tensor `{name}` has rows that do not consist of blocks of 32; {CUT}"));
        }
        let transposed = known.as_deref().is_some_and(is_transposed);
        let mut shape = dimensions;
        if !transposed {
            shape.reverse();
        }
        let at = usize::try_from(offset).ok().and_then(|offset| start.checked_add(offset));
        let entry = at.and_then(|at| Entry::new(stored, shape, at).within(end));
        let entry = entry.ok_or_else(|| super::outside(name))?;
        Ok((known.unwrap_or_else(|| name.to_owned()), Entry { transposed, ..entry }))
    }
}

/// Parts of a model: what they are called here, and by `transformers`.
const WHOLE: [(&str, &str); 4] =
    [("token_embd", "wte"), ("position_embd", "wpe"), ("output_norm", "ln_f"), ("output", "lm_head")];

/// Parts of a block.
const BLOCK: [(&str, &str); 6] = [
    ("attn_norm", "ln_1"),
    ("attn_qkv", "attn.c_attn"),
    ("attn_output", "attn.c_proj"),
    ("ffn_norm", "ln_2"),
    ("ffn_up", "mlp.c_fc"),
    ("ffn_down", "mlp.c_proj"),
];

/// What `transformers` calls a tensor of GPT-2.
fn known_name(name: &str) -> Option<String> {
    let (path, kind) = name.rsplit_once('.').filter(|(_, kind)| matches!(*kind, "weight" | "bias"))?;
    let find = |parts: &[(&str, &'static str)], part| {
        parts.iter().find(|known| known.0 == part).map(|known| known.1)
    };
    match path.strip_prefix("blk.") {
        None => Some(format!("{}.{kind}", find(&WHOLE, path)?)),
        Some(rest) => {
            let (block, part) = rest.split_once('.')?;
            let block: u16 = block.parse().ok()?;
            Some(format!("h.{block}.{}.{kind}", find(&BLOCK, part)?))
        }
    }
}

/// What a tensor is called in a GGUF file.
pub(crate) fn stored_name(name: &str) -> String {
    let renamed = || {
        let (path, kind) = name.rsplit_once('.')?;
        let find = |parts: &[(&'static str, &str)], part| {
            parts.iter().find(|known| known.1 == part).map(|known| known.0)
        };
        match path.strip_prefix("h.") {
            None => Some(format!("{}.{kind}", find(&WHOLE, path)?)),
            Some(rest) => {
                let (block, part) = rest.split_once('.')?;
                Some(format!("blk.{block}.{}.{kind}", find(&BLOCK, part)?))
            }
        }
    };
    renamed().unwrap_or_else(|| name.to_owned())
}

/// Whether a tensor, by its name in `transformers`, is a matrix `(in, out)` there.
fn is_transposed(name: &str) -> bool {
    name.contains(".c_") && name.ends_with(".weight")
}

/// What a kind of numbers is called.
fn kind_name(kind: u32) -> String {
    let name = match kind {
        2 => "Q4_0",
        3 => "Q4_1",
        6 => "Q5_0",
        7 => "Q5_1",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        12 => "Q4_K",
        13 => "Q5_K",
        14 => "Q6_K",
        15 => "Q8_K",
        20 => "IQ4_NL",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        kind => return format!("type {kind}"),
    };
    name.to_owned()
}

/// The configuration that a file's metadata describes, or what is wrong with it: with an
/// id embedding of shape `wte`, and an output head that is `tied` to it or not.
///
/// The keys `continuo.activation_function`, `continuo.scale_attn_weights` and
/// `continuo.scale_attn_by_inverse_layer_idx` are Continuo's own, for what GGUF has none.
pub(super) fn config(metadata: &Metadata, wte: Option<&[usize]>, tied: bool) -> Result<Config, String> {
    let usual = Config::default();
    let number = |key| whole(metadata, key)?.ok_or_else(|| absent(key));
    let n_embd = number("gpt2.embedding_length")?;
    let inner = whole(metadata, "gpt2.feed_forward_length")?;
    let epsilon = metadata.get("gpt2.attention.layer_norm_epsilon").map(|text| text.parse::<f64>());
    let flag = |key: &str, usual| match metadata.get(key).map(String::as_str) {
        None => Ok(usual),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(other) => Err(format!("{key} is `{other}`, but must be a bool; convert the model again")),
    };
    let activation_function = match metadata.get("continuo.activation_function") {
        None => Activation::GeluNew,
        Some(name) => serde_json::from_value(name.as_str().into())
            .map_err(|error| format!("continuo.activation_function is not known: {error}"))?,
    };
    let &[vocab_size, _] =
        wte.ok_or("tensor `token_embd.weight` is missing; download or convert the model again")?
    else {
        return Err(format!("tensor `token_embd.weight` is no matrix; {CUT}"));
    };
    Ok(Config {
        vocab_size,
        n_positions: number("gpt2.context_length")?,
        n_embd,
        n_layer: number("gpt2.block_count")?,
        n_head: number("gpt2.attention.head_count")?,
        n_inner: inner.filter(|&inner| Some(inner) != n_embd.checked_mul(4)),
        activation_function,
        layer_norm_epsilon: epsilon.and_then(Result::ok).unwrap_or(usual.layer_norm_epsilon),
        scale_attn_weights: flag("continuo.scale_attn_weights", usual.scale_attn_weights)?,
        scale_attn_by_inverse_layer_idx: flag(
            "continuo.scale_attn_by_inverse_layer_idx",
            usual.scale_attn_by_inverse_layer_idx,
        )?,
        tie_word_embeddings: tied,
        ..usual
    })
}

fn whole(metadata: &Metadata, key: &str) -> Result<Option<usize>, String> {
    let Some(text) = metadata.get(key) else { return Ok(None) };
    let number =
        text.parse().map_err(|_| format!("{key} is `{text}`, which is no size; convert the model again"))?;
    Ok(Some(number))
}

fn absent(key: &str) -> String {
    format!("{key} is missing; download or convert the model again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for (stored, known) in [
            ("token_embd.weight", "wte.weight"),
            ("output_norm.bias", "ln_f.bias"),
            ("output.weight", "lm_head.weight"),
            ("blk.11.attn_qkv.weight", "h.11.attn.c_attn.weight"),
            ("blk.0.ffn_down.bias", "h.0.mlp.c_proj.bias"),
        ] {
            assert_eq!(known_name(stored).as_deref(), Some(known));
            assert_eq!(stored_name(known), stored);
        }
        assert_eq!(known_name("blk.0.attn_q.weight"), None);
        assert_eq!(known_name("rope_freqs"), None);
        assert_eq!(stored_name("other"), "other");
    }
}
