//! From results to what a picture is made of.

use super::{
    panel::{Axis, Point, Series},
    rows::Row,
    scale::Scale,
    style,
};
use vsr_benches::results::{Measured, median, spread};

pub(super) fn axis(label: &str, scale: Scale) -> Axis {
    Axis { label: label.to_owned(), scale }
}

/// As a reader is to see it.
pub(super) fn system(it: &Measured) -> String {
    match it.system.as_str() {
        "vsr" => "this project".to_owned(),
        "one-task" => "one task, not replicated".to_owned(),
        "floor" => "floor: no protocol".to_owned(),
        other => other.to_owned(),
    }
}

pub(super) fn rounds(all: &[Measured]) -> String {
    match all.iter().map(|it| it.round).max().unwrap_or(0) {
        1 => "1 round".to_owned(),
        count => format!("{count} rounds"),
    }
}

/// The names, in the order of their first appearance.
fn names(all: &[Measured], name: impl Fn(&Measured) -> String) -> Vec<String> {
    let mut names = Vec::new();
    for it in all.iter().map(name) {
        if !names.contains(&it) {
            names.push(it);
        }
    }
    names
}

/// A line for each name: the figure over the parameter.
pub(super) fn lines(
    all: &[Measured],
    parameter: &str,
    figure: &str,
    name: impl Fn(&Measured) -> String + Copy,
) -> Vec<Series> {
    let names = names(all, name);
    let looks = style::looks(&names);
    let line = |(of, look): (String, style::Look)| {
        let of_this = || all.iter().filter(|it| name(it) == of && it.figure(figure).is_finite());
        let x = |it: &Measured| it.parameters.get(parameter)?.parse::<f64>().ok();
        let mut at: Vec<f64> = of_this().filter_map(x).collect();
        at.sort_by(f64::total_cmp);
        at.dedup();
        let point = |at: f64| {
            let values: Vec<f64> =
                of_this().filter(|it| x(it) == Some(at)).map(|it| it.figure(figure)).collect();
            let (low, high) = spread(&values);
            Point { x: at, low, middle: median(values), high }
        };
        let points: Vec<Point> = at.into_iter().map(point).collect();
        Series { name: of, look, points }
    };
    names.into_iter().zip(looks).map(line).filter(|series| !series.points.is_empty()).collect()
}

/// A row for each name: all rounds of the figure.
pub(super) fn rows(all: &[Measured], figure: &str, name: impl Fn(&Measured) -> String + Copy) -> Vec<Row> {
    let names = names(all, name);
    let looks = style::looks(&names);
    let row = |(of, look): (String, style::Look)| {
        let values = all.iter().filter(|it| name(it) == of).map(|it| it.figure(figure));
        let values = values.filter(|it| it.is_finite()).collect();
        Row { name: of, colour: look.colour, values }
    };
    names.into_iter().zip(looks).map(row).filter(|row| !row.values.is_empty()).collect()
}
