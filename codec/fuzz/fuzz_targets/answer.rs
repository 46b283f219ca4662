//! Fuzzes choices as answers within limits.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| continuo_codec_fuzz::answer(bytes));
