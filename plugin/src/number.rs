//! The few lossy conversions between numbers, with their bounds.

/// The nearest `u32`; what lies outside (or is no number) becomes the bound.
#[must_use]
pub fn to_u32(value: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, NaN is 0")]
    let number = value.round() as u32;
    number
}

/// A parameter's integer, not below 0.
#[must_use]
pub fn to_usize(value: i32) -> usize {
    usize::try_from(value).unwrap_or(0)
}

/// A MIDI velocity from the framework's 0 to 1; never 0, which would be a note-off.
#[must_use]
pub fn velocity(value: f32) -> u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=127")]
    let velocity = (value * 127.0).round().clamp(1.0, 127.0).max(1.0) as u8;
    velocity
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold() {
        assert_eq!((to_u32(-1.0), to_u32(f64::NAN), to_u32(1e12), to_u32(2.5)), (0, 0, u32::MAX, 3));
        assert_eq!((velocity(0.0), velocity(1.0), velocity(9.0), velocity(f32::NAN)), (1, 127, 127, 1));
        assert_eq!((to_usize(-3), to_usize(3)), (0, 3));
    }
}
