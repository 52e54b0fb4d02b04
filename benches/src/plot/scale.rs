//! From values to places on an axis, and the numbers along it.

use super::style::{human, human_binary};
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// From zero.
    Linear,
    Log,
    /// Logarithmic, its numbers written as powers of two.
    Bytes,
}

/// An axis from the first of its numbers to the last, or a little beyond them.
#[derive(Clone, Debug)]
pub(super) struct Ruled {
    pub(super) scale: Scale,
    pub(super) ticks: Vec<f64>,
    /// Room at both ends, as a part of the whole.
    pub(super) room: f64,
}

impl Ranged for Ruled {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let [low, high, at] = [self.ticks[0], self.ticks[self.ticks.len() - 1], *value];
        let [low, high, at] = [low, high, at].map(|it| self.scale.place(it));
        let part = if high > low { (at - low) / (high - low) } else { 0.5 };
        let part = (part + self.room) / (1.0 + 2.0 * self.room);
        from + (part * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // There are no lines between those with a number.
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.ticks[0]..self.ticks[self.ticks.len() - 1]
    }
}

impl ValueFormatter<f64> for Ruled {
    fn format_ext(&self, value: &f64) -> String {
        if self.scale == Scale::Bytes { human_binary(*value) } else { human(*value) }
    }
}

impl Scale {
    /// Where a value is on an axis that is linear.
    fn place(self, value: f64) -> f64 {
        if self == Self::Linear { value } else { value.max(f64::MIN_POSITIVE).log10() }
    }

    /// Round numbers that cover the values.
    pub(super) fn ticks(self, low: f64, high: f64) -> Vec<f64> {
        if self == Self::Linear {
            let step = nice(high / 5.0);
            return (0..=(high / step).ceil() as u32).map(|number| f64::from(number) * step).collect();
        }
        // Nothing is at zero here.
        let low = low.max(high / 1e9);
        let decades = high.log10() - low.log10();
        let within: &[f64] = if decades > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let all: Vec<f64> =
            (first..=last).flat_map(|decade| within.iter().map(move |it| it * 10_f64.powi(decade))).collect();
        let from = all.iter().rposition(|it| *it <= low).unwrap_or(0);
        let until = all.iter().position(|it| *it >= high).unwrap_or(all.len() - 1);
        all[from..=until].to_vec()
    }
}

/// The next of 1, 2, 5, 10, … that is not smaller.
fn nice(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|it| it * decade).find(|it| *it >= value * 0.999).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_values() {
        assert_eq!(Scale::Linear.ticks(3.0, 950.0), [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]);
        assert_eq!(Scale::Log.ticks(3.0, 40.0), [2.0, 5.0, 10.0, 20.0, 50.0]);
        assert_eq!(Scale::Log.ticks(30.0, 4e5), [10.0, 100.0, 1e3, 1e4, 1e5, 1e6]);
    }
}
