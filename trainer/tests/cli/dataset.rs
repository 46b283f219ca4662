//! `dataset build`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use continuo_codec::{Encoding as _, Score, beat, midi, text};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};

use super::{check, files_below, melody, write_midi};

/// A folder `music` of melodies.
fn music(count: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..count {
        write_midi(&folder.path().join(format!("music/{}/tune{n}.mid", n % 3)), &melody(n, 60 + n % 40));
    }
    folder
}

fn rows(data: &Path, part: &str) -> Vec<Row> {
    let names = files_below(data).into_iter().filter(|name| name.to_string_lossy().starts_with(part));
    names
        .flat_map(|name| {
            let reader = SerializedFileReader::new(fs::File::open(data.join(name)).unwrap()).unwrap();
            reader.get_row_iter(None).unwrap().map(Result::unwrap).collect::<Vec<_>>()
        })
        .collect()
}

fn column<'a>(row: &'a Row, name: &str) -> &'a Field {
    row.get_column_iter().find(|(column, _)| *column == name).unwrap().1
}

fn string(row: &Row, name: &str) -> String {
    match column(row, name) {
        Field::Str(text) => text.clone(),
        other => panic!("{other:?}"),
    }
}

fn ids(row: &Row, name: &str) -> Vec<u32> {
    match column(row, name) {
        Field::ListInternal(list) => list
            .elements()
            .iter()
            .map(|id| match id {
                Field::Int(id) => u32::try_from(*id).unwrap(),
                other => panic!("{other:?}"),
            })
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    files_below(folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

#[test]
fn rows_are_the_music_of_the_files() {
    let folder = music(30);
    let root = folder.path();
    let said = check(root, &["dataset", "build", "music", "--out", "data", "--license", "CC0-1.0"], 0);
    assert!(said.contains("rows of") && said.contains("to train on"), "{said}");
    let expected = [
        "README.md",
        "continuo.json",
        "data/test-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet",
        "dropped.jsonl",
        "histograms.png",
        "similar.jsonl",
    ];
    assert_eq!(files_below(&root.join("data")), expected.map(PathBuf::from));
    let mut by_file: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for row in [rows(&root.join("data/data"), "train"), rows(&root.join("data/data"), "test")].concat() {
        assert_eq!((string(&row, "license"), string(&row, "source")), ("CC0-1.0".into(), "music".into()));
        by_file.entry(string(&row, "file")).or_default().extend(ids(&row, "input_ids"));
    }
    assert_eq!(by_file.len(), 30);
    for (file, ids) in by_file {
        let score = midi::read(&fs::read(root.join(&file)).unwrap()).unwrap();
        assert_eq!(ids, beat::Beat.encode(&score).unwrap(), "{file}");
    }
    let card = fs::read_to_string(root.join("data/README.md")).unwrap();
    assert!(
        card.starts_with("---\n") && card.contains("split: train") && card.contains("| CC0-1.0 | 30 |"),
        "{card}"
    );
}

#[test]
fn the_same_files_give_the_same_bytes_from_a_folder_or_an_archive() {
    let folder = music(24);
    let root = folder.path();
    check(root, &["dataset", "build", "music", "--out", "one"], 0);
    check(root, &["dataset", "build", "music", "--out", "two"], 0);
    assert_eq!(contents(&root.join("one")), contents(&root.join("two")));
    let mut zip = zip::ZipWriter::new(fs::File::create(root.join("music.zip")).unwrap());
    let gz = flate2::write::GzEncoder::new(
        fs::File::create(root.join("music.tar.gz")).unwrap(),
        flate2::Compression::fast(),
    );
    let mut tar = tar::Builder::new(gz);
    for name in files_below(&root.join("music")) {
        let bytes = fs::read(root.join("music").join(&name)).unwrap();
        zip.start_file_from_path(&name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&bytes).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, &name, bytes.as_slice()).unwrap();
    }
    zip.finish().unwrap();
    tar.into_inner().unwrap().finish().unwrap();
    for archive in ["music.zip", "music.tar.gz"] {
        let out = format!("of-{archive}");
        check(root, &["dataset", "build", archive, "--out", &out], 0);
        assert_eq!(contents(&root.join(&out)), contents(&root.join("one")), "{archive}");
    }
}

/// A copy that was transposed, played slower and otherwise, and lost its second bar.
fn disguised(original: &Score) -> Score {
    let mut copy = original.clone();
    let bar = 4 * u32::from(copy.ticks_per_beat);
    copy.notes.retain(|note| !(bar..2 * bar).contains(&note.start));
    for note in &mut copy.notes {
        note.start = note.start * 103 / 100;
        note.pitch += 3;
        note.velocity = 50 + note.pitch % 40;
    }
    copy.normalize();
    copy
}

#[test]
fn what_is_nearly_the_same_is_found_and_stays_in_one_part() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for n in 0..60 {
        let tune = melody(n, 200);
        write_midi(&root.join(format!("music/original{n}.mid")), &tune);
        write_midi(&root.join(format!("music/copy-of-{n}.mid")), &disguised(&tune));
    }
    fs::copy(root.join("music/original7.mid"), root.join("music/zz.mid")).unwrap();
    check(root, &["dataset", "build", "music", "--out", "data", "--test", "0.5"], 0);
    let pairs = fs::read_to_string(root.join("data/similar.jsonl")).unwrap();
    assert_eq!(pairs.lines().count(), 60, "{pairs}");
    let part = |part: &str| -> std::collections::BTreeSet<String> {
        rows(&root.join("data/data"), part).iter().map(|row| string(row, "file")).collect()
    };
    let (train, test) = (part("train"), part("test"));
    assert_eq!(train.len() + test.len(), 120);
    assert!(!train.is_empty() && !test.is_empty());
    for n in 0..60 {
        let [original, copy] = [format!("music/original{n}.mid"), format!("music/copy-of-{n}.mid")];
        assert_eq!(train.contains(&original), train.contains(&copy), "{n}");
    }
    let dropped = fs::read_to_string(root.join("data/dropped.jsonl")).unwrap();
    assert_eq!(dropped, "{\"file\":\"music/zz.mid\",\"reason\":\"the same as music/original7.mid\"}\n");
    check(root, &["dataset", "build", "music", "--out", "fewer", "--near", "drop"], 0);
    assert_eq!(fs::read_to_string(root.join("fewer/dropped.jsonl")).unwrap().lines().count(), 61);
}

#[test]
fn seed_data_sets_have_whole_texts_and_filled_up_ids() {
    let folder = music(12);
    let root = folder.path();
    let seed = ["--encoding", "text", "--layout"];
    check(root, &[&["dataset", "build", "music", "--out", "texts"], &seed[..], &["files"]].concat(), 0);
    let all = [rows(&root.join("texts/data"), "train"), rows(&root.join("texts/data"), "test")].concat();
    assert_eq!(all.len(), 12);
    for row in all {
        let bytes = fs::read(root.join(string(&row, "file"))).unwrap();
        assert_eq!(string(&row, "text"), text::encode_midi(&bytes).unwrap());
    }
    let padded = ["padded", "--columns", "ids", "--context", "1024"];
    check(root, &[&["dataset", "build", "music", "--out", "ids"], &seed[..], &padded].concat(), 0);
    for row in rows(&root.join("ids/data"), "train") {
        let (ids, mask) = (ids(&row, "input_ids"), ids(&row, "attention_mask"));
        assert_eq!((ids.len(), mask.len()), (1024, 1024));
        let bytes = fs::read(root.join(string(&row, "file"))).unwrap();
        let whole = text::ids(&text::encode_midi(&bytes).unwrap()).unwrap();
        let music = whole.len().min(1024);
        assert_eq!(ids[..music], whole[..music]);
        assert!(ids[music..].iter().all(|&id| id == 50_256));
        assert_eq!(mask.iter().sum::<u32>(), u32::try_from(music).unwrap());
    }
}

#[test]
fn files_that_are_no_use_are_left_out_with_reasons() {
    let folder = music(8);
    let root = folder.path();
    fs::write(root.join("music/broken.mid"), b"MThd\0\0").unwrap();
    write_midi(&root.join("music/tiny.mid"), &melody(99, 5));
    write_midi(&root.join("music/long.mid"), &melody(98, 400));
    check(root, &["dataset", "build", "music", "--out", "data", "--max-notes", "300"], 0);
    let dropped = fs::read_to_string(root.join("data/dropped.jsonl")).unwrap();
    for part in
        ["broken.mid\",\"reason\":\"broken: ", "tiny: 5 notes, 32 are asked for", "overlong: 400 notes"]
    {
        assert!(dropped.contains(part), "no {part:?} in {dropped}");
    }
}

#[test]
fn wrong_input_is_one_sentence_and_touches_nothing() {
    let folder = music(2);
    let root = folder.path();
    fs::create_dir(root.join("empty")).unwrap();
    fs::create_dir(root.join("full")).unwrap();
    fs::write(root.join("full/mine"), "x").unwrap();
    fs::write(root.join("cut.zip"), b"PK\x03\x04").unwrap();
    for (arguments, part) in [
        (vec!["empty", "--out", "o"], "has no file ending in .mid"),
        (vec!["nowhere", "--out", "o"], "does not exist"),
        (vec!["music/0/tune0.mid", "--out", "o"], "neither a folder nor an archive"),
        (vec!["cut.zip", "--out", "o"], "no whole zip archive"),
        (vec!["music", "--out", "full"], "is not empty"),
        (vec!["music", "music", "--out", "o"], "rename one"),
        (vec!["music", "--out", "o", "--columns", "text"], "only the text encoding has text"),
        (vec!["music", "--out", "o", "--test", "1.5"], "--test is 1.5"),
        (vec!["music", "--out", "o", "--layout", "padded"], "--encoding text --columns ids"),
        (vec!["music", "--out", "o", "--min-notes", "9000"], "none of the 2 files can be used"),
    ] {
        let said = check(root, &[&["dataset", "build"], &arguments[..]].concat(), 1);
        assert!(said.contains(part), "no {part:?} in: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!root.join("o").exists());
    }
    assert_eq!(files_below(&root.join("full")), [PathBuf::from("mine")]);
}

#[cfg(unix)]
#[test]
fn a_build_that_is_killed_goes_on_and_gives_the_same_bytes() {
    // Three pieces, so that some are there when it is killed.
    let folder = music(4300);
    let root = folder.path();
    check(root, &["dataset", "build", "music", "--out", "whole"], 0);
    for pieces in [1, 2, 4] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_continuo"))
            .args(["dataset", "build", "music", "--out", "killed"])
            .current_dir(root)
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let done = || {
            fs::read_dir(root.join("killed/.build")).map_or(0, |entries| {
                entries
                    .filter(|entry| {
                        entry.as_ref().is_ok_and(|e| e.path().extension().is_some_and(|e| e == "json"))
                    })
                    .count()
            })
        };
        // One of them tells the settings.
        while done() <= pieces && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let _ = child.kill();
        child.wait().unwrap();
    }
    // On a slow machine the last one may have come to its end before it was killed.
    if root.join("killed/.build").exists() {
        let said = check(root, &["dataset", "build", "music", "--out", "killed", "--test", "0.3"], 1);
        assert!(said.contains("other files or options"), "{said}");
        let said = check(root, &["dataset", "build", "music", "--out", "killed"], 0);
        assert!(said.contains("going on with the build"), "{said}");
    }
    assert_eq!(contents(&root.join("killed")), contents(&root.join("whole")));
}

/// Options of a run that is over in seconds.
const TRY: [&str; 9] = ["--size", "nano", "--context", "64", "--batch", "2", "--steps", "3", "--out"];

#[test]
fn a_model_learns_from_a_data_set_and_answers() {
    let folder = music(30);
    let root = folder.path();
    check(root, &["dataset", "build", "music", "--out", "data", "--license", "CC0-1.0", "--test", "0.3"], 0);
    let said = check(root, &[&["train", "--data", "data"], &TRY[..], &["model"]].concat(), 0);
    assert!(said.contains("the model is in model"), "{said}");
    let card = fs::read_to_string(root.join("model/README.md")).unwrap();
    assert!(card.contains("| music | CC0-1.0 | 30 |"), "{card}");
    assert!(!card.contains("nothing was held out"), "{card}");
    fs::copy(root.join("music/0/tune0.mid"), root.join("phrase.mid")).unwrap();
    let answer = ["generate", "phrase.mid", "-o", "answer.mid", "--model", "model", "--bars", "1"];
    check(root, &answer, 0);
    midi::read(&fs::read(root.join("answer.mid")).unwrap()).unwrap();
}

#[test]
fn the_card_counts_files_where_a_data_set_has_many_rows_of_each() {
    let folder = music(30);
    let root = folder.path();
    check(
        root,
        &["dataset", "build", "music", "--out", "data", "--context", "64", "--license", "CC0-1.0"],
        0,
    );
    let said = check(root, &[&["train", "--data", "data=2"], &TRY[..], &["model"]].concat(), 0);
    let learned = u64::try_from(rows(&root.join("data/data"), "train").len()).unwrap() * 2;
    assert!(said.contains(&format!("{learned} rows of ")), "{said}");
    let card = fs::read_to_string(root.join("model/README.md")).unwrap();
    assert!(card.contains("| music | CC0-1.0 | 30 |"), "{card}");
}

#[test]
fn a_data_set_as_midi_gen_ai_published_them_is_learned_from() {
    let folder = music(12);
    let root = folder.path();
    check(
        root,
        &["dataset", "build", "music", "--out", "seed", "--encoding", "text", "--layout", "files"],
        0,
    );
    fs::remove_file(root.join("seed/continuo.json")).unwrap();
    check(root, &[&["train", "--data", "seed"], &TRY[..], &["model"]].concat(), 0);
    let info = check(root, &["model", "info", "model"], 0);
    assert!(info.contains("text encoding"), "{info}");
}

#[test]
fn data_sets_are_mixed_by_their_weights() {
    let folder = music(30);
    let root = folder.path();
    check(root, &["dataset", "build", "music", "--out", "data"], 0);
    let ids = |data: &str| -> u64 {
        let out = format!("of-{data}");
        let said = check(root, &[&["train", "--data", data], &TRY[..], &[&out]].concat(), 0);
        let line = said.lines().find(|line| line.contains("ids an epoch")).unwrap();
        line.split(' ').next().unwrap().parse().unwrap()
    };
    let once = ids("data");
    assert_eq!(ids("data=2"), 2 * once);
    assert!((once / 4..once).contains(&ids("data=0.5")));
    let said = check(root, &[&["train", "--data", "data=0"], &TRY[..], &["model"]].concat(), 2);
    assert!(said.contains("above 0"), "{said}");
}

#[test]
fn data_sets_that_do_not_fit_are_one_sentence() {
    let folder = music(12);
    let root = folder.path();
    check(root, &["dataset", "build", "music", "--out", "beats"], 0);
    check(
        root,
        &["dataset", "build", "music", "--out", "texts", "--encoding", "text", "--columns", "ids"],
        0,
    );
    fs::create_dir(root.join("none")).unwrap();
    let run = |arguments: &[&str]| {
        let said = check(root, &[&["train"], arguments, &TRY[..], &["model"]].concat(), 1);
        let errors = said.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "{said}");
        assert!(!root.join("model/model.safetensors").exists());
        said
    };
    let said = run(&["--data", "beats", "--data", "texts"]);
    assert!(said.contains("beats is in the encoding beat, but texts in text"), "{said}");
    let said = run(&["--data", "beats", "--encoding", "text"]);
    assert!(said.contains("--encoding asks for the encoding text, but --data is in beat"), "{said}");
    assert!(run(&["--data", "beats=2", "--data", "./beats"]).contains("beats is named twice"));
    assert!(run(&["--data", "none"]).contains("has no Parquet file"));
    assert!(run(&["--data", "nowhere"]).contains("is no folder"));
    assert!(run(&["--data", "me/nothing"]).contains("continuo dataset pull me/nothing"));
    fs::copy(
        root.join("texts/data/train-00000-of-00001.parquet"),
        root.join("beats/data/train-00000-of-00001.parquet"),
    )
    .unwrap();
    assert!(run(&["--data", "beats"]).contains("is it another encoding's?"));
}

/// The recipe in `recipes/accelerate`, on two processes. `CONTINUO_PYTHON` names a Python that has
/// torch, transformers, accelerate and datasets; without one nothing is checked, and that is said.
#[test]
fn the_recipe_for_accelerate_makes_a_model_that_answers() {
    let python = std::env::var("CONTINUO_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = ["-c", "import torch, transformers, accelerate, datasets"];
    let there =
        Command::new(&python).args(has).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !there {
        println!(
            "note: {python} has no torch, transformers, accelerate and datasets, so the recipe was NOT checked"
        );
        return;
    }
    let folder = music(40);
    let root = folder.path();
    check(root, &["dataset", "build", "music", "--out", "data", "--context", "64"], 0);
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/accelerate/train.py");
    let output = Command::new(&python)
        .args(["-m", "accelerate.commands.launch", "--num_processes", "2", "--cpu"])
        .arg(recipe)
        .args([
            "--data",
            "data",
            "--out",
            "model",
            "--size",
            "nano",
            "--context",
            "64",
            "--steps",
            "3",
            "--accumulate",
            "2",
        ])
        .current_dir(root)
        .env("HF_HOME", root.join("hf"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::copy(root.join("music/0/tune0.mid"), root.join("phrase.mid")).unwrap();
    check(root, &["generate", "phrase.mid", "-o", "answer.mid", "--model", "model", "--bars", "1"], 0);
}

/// What tells the encoding lies in the data set's folder: a part of it, or a folder around it, was
/// once read as `text` whatever it was.
#[test]
fn a_part_of_a_data_set_and_a_folder_around_one_are_not_taken_for_one() {
    let folder = music(12);
    let root = folder.path();
    check(root, &["dataset", "build", "music", "--out", "sets/beat"], 0);
    let cases = [
        (["train", "--data", "sets"], "holds one; name each"),
        (["train", "--data", "sets/beat/data"], "is a part of a data set; name the whole"),
        (["train", "--data", "music"], "leave out --data"),
        (["train", "sets/beat", "--size"], "is a data set, not a folder of MIDI files"),
        (["dataset", "build", "music"], "built to its end"),
    ];
    for (arguments, expected) in cases {
        let more: &[&str] = match arguments {
            ["dataset", ..] => &["--out", "sets/beat"],
            [.., "--size"] => &["nano", "--out", "model"],
            _ => &["--size", "nano", "--out", "model"],
        };
        let said = check(root, &[&arguments, more].concat(), 1);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    check(root, &[&["train", "--data", "sets/beat"], &TRY[..], &["model"]].concat(), 0);
    let said = check(root, &["train", "music", "--resume", "--out", "model"], 1);
    assert!(said.contains("learns from data sets"), "{said}");
    std::fs::rename(root.join("sets"), root.join("moved")).unwrap();
    let said = check(root, &["train", "--resume", "--out", "model"], 1);
    assert!(said.contains("sets/beat is not here; say where it is with --data"), "{said}");
    check(root, &["train", "--resume", "--out", "model", "--data", "moved/beat"], 0);
}
