//! IEEE 754 binary16 numbers, used in files of other programs.

/// The value of a binary16 number; exact.
pub fn widen(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10) & 31, u32::from(bits & 0x3FF));
    match exponent {
        // Zero and subnormal numbers: integer multiples of 2^-24.
        0 => f32::from_bits(sign | (fraction as f32 * 2.0f32.powi(-24)).to_bits()),
        31 => f32::from_bits(sign | 0x7F80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// The nearest binary16 number, ties to even; infinite from 65520 on.
pub fn narrow(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    let magnitude = bits & 0x7FFF_FFFF;
    if magnitude > 0x7F80_0000 {
        return sign | 0x7E00;
    }
    let value = f32::from_bits(magnitude);
    if value >= 65520.0 {
        return sign | 0x7C00;
    }
    if value < 2.0f32.powi(-14) {
        // Adding this rounds to multiples of 2^-24, which end up in the last bits.
        let shifted = value + 0.5;
        return sign | (shifted.to_bits() - 0.5f32.to_bits()) as u16;
    }
    let rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
    sign | ((rounded >> 13) - (112 << 10)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back() {
        for bits in 0..=u16::MAX {
            let value = widen(bits);
            if value.is_nan() {
                assert!(widen(narrow(value)).is_nan());
            } else {
                assert_eq!(narrow(value), bits, "{value}");
            }
        }
        assert_eq!(widen(0x3C00), 1.0);
        assert_eq!(widen(0x7BFF), 65504.0);
        assert_eq!(widen(0x0001), 2.0f32.powi(-24));
    }

    #[test]
    fn the_nearest_is_taken_and_of_two_the_even() {
        for bits in 0..0x7BFFu16 {
            let (low, high) = (widen(bits), widen(bits + 1));
            let middle = (low + high) / 2.0;
            assert_eq!(narrow(middle), bits + (bits & 1), "{middle}");
            assert_eq!(narrow(f32::from_bits(middle.to_bits() - 1)), bits);
            assert_eq!(narrow(f32::from_bits(middle.to_bits() + 1)), bits + 1);
        }
        assert_eq!(narrow(65519.0), 0x7BFF);
        assert_eq!(narrow(-65520.0), 0xFC00);
    }
}
