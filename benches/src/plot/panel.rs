//! Lines over a parameter: a point is a median, a whisker the lowest and the highest round.

use super::{
    scale::{Ruled, Scale},
    style::{GRID, INK, LABEL, Look, MUTED, Marker, SMALL, TITLE, bold, fill, stroke, text},
};
use plotters::{
    chart::{ChartBuilder, ChartContext},
    coord::{Shift, cartesian::Cartesian2d},
    drawing::DrawingArea,
    element::{Circle, Cross, PathElement, Text, TriangleMarker},
    prelude::{DrawingBackend, LineSeries},
    style::text_anchor::{HPos, Pos, VPos},
};

/// One diagram.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) series: Vec<Series>,
}

#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// What is on it, and its unit.
    pub(super) label: String,
    pub(super) scale: Scale,
}

#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) look: Look,
    /// In the order of x.
    pub(super) points: Vec<Point>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) low: f64,
    pub(super) middle: f64,
    pub(super) high: f64,
}

type Chart<'a, B> = ChartContext<'a, B, Cartesian2d<Ruled, Ruled>>;

/// Lines of text below each other need so much.
const LINE: i32 = 16;
/// Width of a character, roughly: nobody knows the reader's font.
const CHARACTER: i32 = 7;

/// Draws a panel.
pub(super) fn draw<B: DrawingBackend>(area: &DrawingArea<B, Shift>, panel: &Panel) -> Result<(), String> {
    let points = || panel.series.iter().flat_map(|series| &series.points);
    if points().next().is_none() {
        return Err(format!("there is nothing to draw in \"{}\"", panel.title));
    }
    let mut chart = frame(area, panel)?;
    for Series { look, points, .. } in &panel.series {
        let line = points.iter().map(|point| (point.x, point.middle));
        chart.draw_series(LineSeries::new(line, stroke(look.colour, look.width))).map_err(said)?;
        let whiskers = points
            .iter()
            .map(|it| PathElement::new([(it.x, it.low), (it.x, it.high)], stroke(look.colour, 2)));
        chart.draw_series(whiskers).map_err(said)?;
        for point in points {
            mark(&chart, (point.x, point.middle), look)?;
        }
    }
    label(area, &chart, panel)
}

/// The title, the axes and their numbers.
fn frame<'a, B: DrawingBackend>(
    area: &'a DrawingArea<B, Shift>,
    panel: &Panel,
) -> Result<Chart<'a, B>, String> {
    let all = || panel.series.iter().flat_map(|series| &series.points);
    let mut at: Vec<f64> = all().map(|point| point.x).collect();
    at.sort_by(f64::total_cmp);
    at.dedup();
    if at.len() > 8 {
        at = panel.x.scale.ticks(at[0], at[at.len() - 1]);
    }
    let (low, high) =
        all().fold((f64::INFINITY, 0_f64), |(low, high), it| (low.min(it.low), high.max(it.high)));
    let x = Ruled { scale: panel.x.scale, ticks: at, room: 0.04 };
    let y = Ruled { scale: panel.y.scale, ticks: panel.y.scale.ticks(low, high), room: 0.0 };
    let longest = panel.series.iter().map(|it| it.name.chars().count()).max().unwrap_or(0) as i32;
    let untitled = panel.title.is_empty();
    let body = if untitled {
        area.clone()
    } else {
        area.titled(&panel.title, bold(LABEL + 1, INK)).map_err(said)?
    };
    let mut chart = ChartBuilder::on(&body)
        .margin(8)
        .margin_right(12 + CHARACTER * longest)
        .x_label_area_size(44)
        .y_label_area_size(58)
        .build_cartesian_2d(x, y)
        .map_err(said)?;
    chart
        .configure_mesh()
        .light_line_style(GRID)
        .bold_line_style(GRID)
        .axis_style(MUTED)
        .label_style(text(SMALL, INK))
        .axis_desc_style(text(SMALL, MUTED))
        .x_desc(panel.x.label.as_str())
        .y_desc(panel.y.label.as_str())
        .draw()
        .map_err(said)?;
    Ok(chart)
}

fn mark<B: DrawingBackend>(chart: &Chart<'_, B>, at: (f64, f64), look: &Look) -> Result<(), String> {
    let Look { colour, marker, .. } = *look;
    let area = chart.plotting_area();
    match marker {
        Marker::Disc => area.draw(&Circle::new(at, 4, fill(colour))),
        Marker::Ring => area
            .draw(&Circle::new(at, 4, fill(super::style::PAPER)))
            .and_then(|()| area.draw(&Circle::new(at, 4, stroke(colour, 2)))),
        Marker::Triangle => area.draw(&TriangleMarker::new(at, 5, fill(colour))),
        Marker::Cross => area.draw(&Cross::new(at, 4, stroke(colour, 2))),
    }
    .map_err(said)
}

/// Names at the ends of the lines, moved apart where the lines end together.
fn label<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    chart: &Chart<'_, B>,
    panel: &Panel,
) -> Result<(), String> {
    let (left, top) = area.get_base_pixel();
    let mut ends: Vec<_> = panel
        .series
        .iter()
        .filter_map(|series| {
            let last = series.points.last()?;
            let (x, y) = chart.backend_coord(&(last.x, last.middle));
            Some((series, x - left, y - top))
        })
        .collect();
    ends.sort_by_key(|(_, _, y)| *y);
    let wanted: Vec<i32> = ends.iter().map(|(_, _, y)| *y).collect();
    for ((series, x, _), y) in ends.iter().zip(apart(&wanted)) {
        let style = bold(SMALL, series.look.colour).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(series.name.as_str(), (x + 10, y), style)).map_err(said)?;
    }
    Ok(())
}

/// The heights nearest to those wanted, in their order, with a line between each two.
fn apart(wanted: &[i32]) -> Vec<i32> {
    // Groups of labels that touch: where the first one is, and where each member wants the first to be.
    let mut groups: Vec<(i32, Vec<i32>)> = Vec::new();
    for y in wanted {
        groups.push((*y, vec![*y]));
        while let [.., (above, members), (below, _)] = groups.as_slice()
            && above + LINE * members.len() as i32 > *below
        {
            let Some((_, moved)) = groups.pop() else { break };
            let Some((first, members)) = groups.last_mut() else { break };
            let count = members.len() as i32;
            members.extend(moved.iter().map(|it| it - LINE * count));
            *first = members.iter().sum::<i32>() / members.len() as i32;
        }
    }
    let heights = |(first, members): &(i32, Vec<i32>)| {
        let first = *first;
        (0..members.len() as i32).map(move |index| first + LINE * index)
    };
    groups.iter().flat_map(heights).collect()
}

/// A title over everything, and a line that says what is to be known.
pub(super) fn heading<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    title: &str,
    note: &str,
) -> Result<DrawingArea<B, Shift>, String> {
    area.draw(&Text::new(title, (14, 12), bold(TITLE, INK))).map_err(said)?;
    area.draw(&Text::new(note, (14, 38), text(SMALL, MUTED))).map_err(said)?;
    Ok(area.margin(58, 0, 0, 0))
}

pub(super) fn said(error: impl std::fmt::Display) -> String {
    format!("cannot draw: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_touch_are_moved_apart_and_stay_in_order() {
        assert_eq!(apart(&[10, 100]), [10, 100]);
        assert_eq!(apart(&[50, 50]), [42, 58]);
        let moved = apart(&[10, 12, 14, 40, 200]);
        assert!(moved.windows(2).all(|pair| pair[1] - pair[0] >= LINE), "{moved:?}");
        assert_eq!(moved[4], 200);
    }
}
