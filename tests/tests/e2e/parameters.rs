//! Parameters: what a user reads is what a user can type.

use crate::scene::{at, host};

const WORDS: [&str; 13] = [
    "trigger",
    "mode",
    "pause",
    "start",
    "bars",
    "takes",
    "take",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "no_repeat",
    "seed",
];

#[test]
fn every_parameter_is_there_under_its_word() {
    let host = host(at(120.0));
    for word in WORDS {
        host.param(word).unwrap();
    }
    for param in host.params() {
        assert!(!param.name.is_empty() && param.min < param.max, "{param:?}");
        assert!((param.min..=param.max).contains(&param.default), "{param:?}");
    }
}

#[test]
fn texts_read_back_as_the_values_they_show() {
    let mut host = host(at(120.0));
    for param in host.params().to_vec() {
        let steps = if param.stepped { param.max - param.min } else { 20.0 };
        let mut step = 0.0;
        while step <= steps.min(300.0) {
            let value = param.min + (param.max - param.min) * step / steps;
            let shown = host.text_of(&param.name, value).unwrap();
            assert!(!shown.trim().is_empty(), "{} = {value} shows nothing", param.name);
            let back = host.value_of(&param.name, &shown).unwrap();
            // A continuous value is shown rounded: its text must be stable.
            let again = host.text_of(&param.name, back).unwrap();
            assert_eq!(again, shown, "{} = {value}", param.name);
            if param.stepped {
                // nice-plug computes in f32.
                assert!((back - value).abs() < 1e-3, "{} = {shown:?}: {back} for {value}", param.name);
            }
            step += 1.0;
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused_or_stays_in_range() {
    let mut host = host(at(120.0));
    for param in host.params().to_vec() {
        for text in ["", "no such thing", "1e99", "-1e99", "NaN", "inf", "99999999999999999999"] {
            if let Ok(value) = host.value_of(&param.name, text) {
                let range = param.min..=param.max;
                assert!(range.contains(&value), "{}: {text:?} reads as {value}", param.name);
            }
        }
    }
}

#[test]
fn start_is_the_bar_unless_told_otherwise() {
    let mut host = host(at(120.0));
    assert!(host.text("start").unwrap().to_lowercase().contains("bar"));
    for word in ["now", "beat", "bar"] {
        host.choose("start", word).unwrap();
        host.run(64).unwrap();
        assert!(host.text("start").unwrap().to_lowercase().contains(word));
    }
}

#[test]
fn takes_are_counted_from_one_to_eight() {
    let mut host = host(at(120.0));
    let param = host.param("take").unwrap();
    assert_eq!(host.text_of("take", param.min).unwrap(), "1");
    assert_eq!(host.text_of("take", param.max).unwrap(), "8");
}
