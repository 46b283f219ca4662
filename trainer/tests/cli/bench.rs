//! `bench train`.

use std::path::Path;

use super::check;

fn tiny() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures/plain").display().to_string()
}

#[test]
fn learning_is_measured_and_the_model_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let weights = || std::fs::read(Path::new(&tiny()).join("model.safetensors")).unwrap();
    let before = weights();
    let arguments =
        ["bench", "train", "--model", &tiny(), "--batch", "2", "--context", "16", "--threads", "2"];
    let said = check(folder.path(), &[&arguments[..], &["--json"]].concat(), 0);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(said["tokens_per_second"].as_f64().unwrap() > 0.0, "{said}");
    assert_eq!(said["threads"], 2);
    if cfg!(target_os = "linux") {
        assert!(said["peak_memory_bytes"].as_u64().unwrap() > 0, "{said}");
    }
    assert!(check(folder.path(), &arguments, 0).contains("ids a second on 2 threads"));
    assert_eq!(weights(), before);
}

#[test]
fn a_row_longer_than_the_window_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let said = check(folder.path(), &["bench", "train", "--model", &tiny(), "--context", "9999"], 1);
    assert!(said.contains("9999"), "{said}");
}
