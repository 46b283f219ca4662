//! Token ids of the text against those of GPT-2's own tokenizer.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fs;
use std::path::{Path, PathBuf};

use continuo_codec::text::{END_OF_TEXT, TextError, from_ids, ids};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn sets() -> Vec<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/text");
    let names = ["synthetic", "freedoom_bsd3", "mutopia_pd", "pianobooster_ccby"];
    let mut sets: Vec<PathBuf> = names.iter().map(|name| fixtures.join(name)).collect();
    if let Some(shared) = std::env::var_os("CONTINUO_SHARED") {
        let more = fs::read_dir(Path::new(&shared).join("golden/shared_only")).unwrap();
        sets.extend(more.map(|entry| entry.unwrap().path()));
    }
    sets
}

#[test]
fn every_golden_text_has_the_ids_of_gpt2() {
    let mut compared = 0;
    for set in sets() {
        let expected: Value = serde_json::from_slice(&fs::read(set.join("gpt2_ids.json")).unwrap()).unwrap();
        for (name, expected) in expected.as_object().unwrap() {
            let text = fs::read_to_string(set.join(name)).unwrap();
            let ids = ids(&text).unwrap();
            assert_eq!(u64::try_from(ids.len()).unwrap(), expected["n"].as_u64().unwrap(), "{name}");
            if let Some(listed) = expected["ids"].as_array() {
                let listed: Vec<u64> = listed.iter().map(|id| id.as_u64().unwrap()).collect();
                assert_eq!(ids.iter().map(|&id| u64::from(id)).collect::<Vec<_>>(), listed, "{name}");
            }
            let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
            let sum: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(sum, expected["sha256_le_u32"].as_str().unwrap(), "{name}");
            assert_eq!(from_ids(&ids).unwrap(), text, "{name}");
            compared += 1;
        }
    }
    assert!(compared >= 107, "{compared}");
}

#[test]
fn odd_texts_have_the_ids_of_gpt2_too() {
    // From the tokenizer that Hugging Face publishes for GPT-2.
    for (text, expected) in CASES {
        assert_eq!(ids(text).as_deref(), Ok(*expected), "{text:?}");
        assert_eq!(from_ids(expected).as_deref(), Ok(*text));
    }
}

const CASES: &[(&str, &[u32])] = &[
    ("", &[]),
    (" ", &[220]),
    ("  ", &[220, 220]),
    ("   57", &[220, 220, 7632]),
    ("57  61", &[3553, 220, 8454]),
    ("57_0.0_", &[3553, 62, 15, 13, 15, 62]),
    ("._", &[13557]),
    ("_._", &[62, 13557]),
    ("5._3", &[20, 13557, 18]),
    (" ._ ..", &[47540, 11485]),
    ("....", &[1106]),
    ("______", &[25947]),
    ("57   ", &[3553, 220, 220, 220]),
    ("007", &[25816]),
    ("1234567890", &[10163, 2231, 30924, 3829]),
    ("12345678901234567890", &[10163, 2231, 3134, 4531, 486, 1954, 2231, 30924, 3829]),
    ("000000000000000000000000", &[25645, 8269]),
    ("20000200000 00200000", &[2167, 36490, 3571, 33470]),
    ("1000 1000 10000 100000", &[12825, 8576, 33028, 1802, 830]),
    ("9999.99 521.5 1023_2047", &[24214, 13, 2079, 642, 2481, 13, 20, 838, 1954, 62, 1238, 2857]),
    ("666666666666.0", &[41977, 19060, 13, 15]),
    (" ........", &[20004]),
    ("_ . 5 _5 .5 __5..6", &[62, 764, 642, 4808, 20, 764, 20, 11593, 20, 492, 21]),
];

#[test]
fn what_is_no_text_of_music_is_refused_with_the_place() {
    assert_eq!(ids("57_0.0\n"), Err(TextError::Character { offset: 6, found: '\n' }));
    assert_eq!(ids("57_\u{660}"), Err(TextError::Character { offset: 3, found: '\u{660}' }));
    assert_eq!(ids(&format!("5 {}", "7".repeat(1001))), Err(TextError::Run { offset: 1 }));
    assert_eq!(from_ids(&[3553, END_OF_TEXT]), Err(TextError::Id { id: END_OF_TEXT, position: 1 }));
    assert_eq!(from_ids(&[0]), Err(TextError::Id { id: 0, position: 0 }));
    assert_eq!(from_ids(&[u32::MAX]), Err(TextError::Id { id: u32::MAX, position: 0 }));
}
