//! Fuzzes bytes as text.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| continuo_codec_fuzz::text(bytes));
