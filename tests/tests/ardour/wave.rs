//! How loud a sound file is, piece by piece.

/// The greatest sample in each of `pieces` equal pieces of a 16-bit WAVE file.
pub(crate) fn loudness(file: &[u8], pieces: usize) -> Vec<u16> {
    assert_eq!((&file[..4], &file[8..12], &file[34..36]), (&b"RIFF"[..], &b"WAVE"[..], &[16, 0][..]));
    let begin = 8 + file.windows(4).position(|word| word == b"data").expect("a WAVE file has data");
    let samples: Vec<_> = file[begin..]
        .chunks_exact(2)
        .map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]]).unsigned_abs())
        .collect();
    let piece = samples.len().div_ceil(pieces).max(1);
    samples.chunks(piece).map(|piece| piece.iter().copied().max().unwrap_or(0)).collect()
}
