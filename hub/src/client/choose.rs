//! What of a repository is wanted: one form of a model's weights, and what describes them.

use super::listing::Listed;
use crate::name::Kind;

/// What belongs to a model beside its weights.
const BESIDE: [&str; 14] = [
    "README.md",
    "LICENSE",
    "LICENSE.md",
    "LICENSE.txt",
    "added_tokens.json",
    "config.json",
    "continuo.json",
    "eval.json",
    "generation_config.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
];

/// The files wanted, in order; what is missing otherwise, and the remedy.
pub(super) fn wanted(kind: Kind, files: &[Listed]) -> Result<Vec<Listed>, String> {
    let keep =
        |which: &dyn Fn(&str) -> bool| files.iter().filter(|f| which(&f.path)).cloned().collect::<Vec<_>>();
    if kind == Kind::Dataset {
        let all = keep(&|path| !path.rsplit('/').next().unwrap_or(path).starts_with('.'));
        return if all.is_empty() { Err("is empty: there is nothing in it".to_owned()) } else { Ok(all) };
    }
    let forms: [&dyn Fn(&str) -> bool; 3] = [
        &|path| {
            path.starts_with("model")
                && (path.ends_with(".safetensors") || path.ends_with(".safetensors.index.json"))
        },
        &|path| {
            path.starts_with("pytorch_model") && (path.ends_with(".bin") || path.ends_with(".bin.index.json"))
        },
        &|path| path.ends_with(".gguf"),
    ];
    let top = |form: &dyn Fn(&str) -> bool| keep(&|path| !path.contains('/') && form(path));
    let Some(mut weights) = forms.iter().map(|form| top(form)).find(|weights| !weights.is_empty()) else {
        return Err(
            "holds no model that can be read (safetensors, PyTorch or GGUF weights); is it a data set, or \
                    weights for another program?"
                .to_owned(),
        );
    };
    if weights[0].path.ends_with(".gguf") {
        if weights.len() > 1 {
            let names: Vec<_> = weights.iter().map(|file| file.path.as_str()).collect();
            return Err(format!(
                "holds several GGUF files ({}); only one can be meant: take that one by itself",
                names.join(", ")
            ));
        }
    } else if !files.iter().any(|file| file.path == "config.json") {
        return Err(
            "holds weights but no config.json, so their shape is not known; it must be added".to_owned()
        );
    }
    weights.extend(keep(&|path| BESIDE.contains(&path)));
    weights.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(kind: Kind, paths: &[&str]) -> Result<Vec<String>, String> {
        let listed: Vec<_> =
            paths.iter().map(|path| Listed { path: (*path).to_owned(), size: 1, large: false }).collect();
        Ok(wanted(kind, &listed)?.into_iter().map(|file| file.path).collect())
    }

    #[test]
    fn a_model_comes_in_one_form_with_what_describes_it() {
        let all = [
            ".gitattributes",
            "README.md",
            "checkpoint-500/model.safetensors",
            "config.json",
            "flax_model.msgpack",
            "model.safetensors",
            "optimizer.pt",
            "pytorch_model.bin",
            "runs/events.out",
            "tokenizer.json",
            "training_args.bin",
        ];
        let expected = ["README.md", "config.json", "model.safetensors", "tokenizer.json"];
        assert_eq!(chosen(Kind::Model, &all).unwrap(), expected);
        assert_eq!(
            chosen(Kind::Model, &["config.json", "pytorch_model.bin", "training_args.bin"]).unwrap(),
            ["config.json", "pytorch_model.bin"]
        );
        let sharded = [
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
        ];
        assert_eq!(chosen(Kind::Model, &sharded).unwrap(), sharded);
        assert_eq!(chosen(Kind::Model, &["small.gguf", "x.txt"]).unwrap(), ["small.gguf"]);
    }

    #[test]
    fn what_is_no_model_says_why() {
        for (paths, part) in [
            (vec!["README.md"], "no model that can be read"),
            (vec!["model.safetensors"], "no config.json"),
            (vec!["a.gguf", "b.gguf"], "several GGUF files (a.gguf, b.gguf)"),
        ] {
            let why = chosen(Kind::Model, &paths).unwrap_err();
            assert!(why.contains(part), "{why}");
        }
        assert!(chosen(Kind::Dataset, &[".gitattributes"]).unwrap_err().contains("empty"));
    }

    #[test]
    fn a_data_set_comes_whole() {
        let all = [".gitattributes", "README.md", "data/train-00000-of-00001.parquet"];
        assert_eq!(chosen(Kind::Dataset, &all).unwrap(), all[1..]);
    }
}
