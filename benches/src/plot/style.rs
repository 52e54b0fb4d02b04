//! What all charts have in common: colours that colour-blind readers tell apart, fonts, how numbers are written.

use plotters::style::{Color, FontFamily, FontStyle, IntoFont, RGBColor, ShapeStyle, TextStyle};

pub(super) const INK: RGBColor = RGBColor(34, 34, 34);
pub(super) const MUTED: RGBColor = RGBColor(110, 110, 110);
pub(super) const GRID: RGBColor = RGBColor(226, 226, 226);
pub(super) const PAPER: RGBColor = RGBColor(255, 255, 255);
/// This project is the same blue in all charts.
pub(super) const OURS: RGBColor = RGBColor(0, 114, 178);
/// What bounds everybody and competes with nobody.
const BOUND: RGBColor = RGBColor(120, 120, 120);
/// Of Okabe and Ito, without the yellow that is too light for lines, and without [`OURS`].
const OTHERS: [RGBColor; 6] = [
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 60, 30),
];

pub(super) const TITLE: i32 = 19;
pub(super) const LABEL: i32 = 14;
pub(super) const SMALL: i32 = 13;

/// How a system is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Look {
    pub(super) colour: RGBColor,
    pub(super) marker: Marker,
    /// Width of its line, in pixels.
    pub(super) width: u32,
}

/// Its points: colours alone are not enough on a printer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    Disc,
    Ring,
    Triangle,
    Cross,
}

/// One look for each system, in the order of the names.
pub(super) fn looks(systems: &[String]) -> Vec<Look> {
    let mut others = 0;
    let look = |name: &String| {
        if is_ours(name) {
            Look { colour: OURS, marker: Marker::Disc, width: 3 }
        } else if is_bound(name) {
            Look { colour: BOUND, marker: Marker::Cross, width: 2 }
        } else {
            others += 1;
            let marker = [Marker::Ring, Marker::Triangle][others % 2];
            Look { colour: OTHERS[(others - 1) % OTHERS.len()], marker, width: 2 }
        }
    };
    systems.iter().map(look).collect()
}

fn is_ours(name: &str) -> bool {
    name.starts_with("this project") || name.starts_with("vsr-kv") || name == "2 workers"
}

fn is_bound(name: &str) -> bool {
    name.contains("floor") || name.starts_with("one task")
}

pub(super) fn text(size: i32, colour: RGBColor) -> TextStyle<'static> {
    // The first family that the reader's machine has.
    let family = FontFamily::Name("Helvetica, Arial, DejaVu Sans, sans-serif");
    TextStyle { color: colour.to_backend_color(), ..TextStyle::from((family, size).into_font()) }
}

pub(super) fn bold(size: i32, colour: RGBColor) -> TextStyle<'static> {
    let mut style = text(size, colour);
    style.font = style.font.style(FontStyle::Bold);
    style
}

pub(super) fn stroke(colour: RGBColor, width: u32) -> ShapeStyle {
    ShapeStyle { color: colour.into(), filled: false, stroke_width: width }
}

pub(super) fn fill(colour: RGBColor) -> ShapeStyle {
    ShapeStyle { color: colour.into(), filled: true, stroke_width: 0 }
}

/// A number for people: three digits, and a letter for thousands and millions once there would be more than four.
pub(super) fn human(value: f64) -> String {
    let (scaled, letter) = match value.abs() {
        it if it >= 1e9 => (value / 1e9, "G"),
        it if it >= 1e6 => (value / 1e6, "M"),
        it if it >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let decimals = match scaled.abs() {
        it if it >= 100.0 || it == 0.0 => 0,
        it if it >= 10.0 => 1,
        it if it >= 0.1 => 2,
        _ => 3,
    };
    let text = format!("{scaled:.decimals$}");
    let text = if decimals > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{letter}")
}

/// The same for bytes and other powers of two.
pub(super) fn human_binary(value: f64) -> String {
    match value {
        it if it >= 1048576.0 => format!("{}Mi", human(it / 1048576.0)),
        it if it >= 1024.0 => format!("{}Ki", human(it / 1024.0)),
        it => human(it),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let written = [0.0, 0.052, 1.06, 20.0, 1290.4, 46_000.0, 2_711_000.0].map(human);
        assert_eq!(written, ["0", "0.052", "1.06", "20", "1290", "46k", "2.71M"]);
        assert_eq!([16.0, 4096.0, 65_536.0].map(human_binary), ["16", "4Ki", "64Ki"]);
    }
}
