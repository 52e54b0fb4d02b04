//! One line of the picture for each system: a bar with its spread, or all that was measured as dots.

use super::{
    panel::said,
    scale::{Ruled, Scale},
    style::{GRID, INK, LABEL, MUTED, PAPER, SMALL, bold, fill, human, stroke, text},
};
use plotters::{
    coord::{Shift, ranged1d::Ranged},
    drawing::DrawingArea,
    element::{Circle, PathElement, Rectangle, Text},
    prelude::DrawingBackend,
    style::{
        Color, RGBColor, ShapeStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};
use vsr_benches::results::{median, spread};

/// Values side by side, each with a name.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub(super) title: String,
    /// What the values are, and their unit.
    pub(super) label: String,
    pub(super) scale: Scale,
    pub(super) shape: Shape,
    pub(super) rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// To the median, with a whisker from the lowest to the highest.
    Bars,
    /// Each value by itself, and a stroke at the median.
    Dots,
}

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) colour: RGBColor,
    pub(super) values: Vec<f64>,
}

pub(super) const ROW: i32 = 30;
/// Where the rows begin, below the title.
const TOP: i32 = 34;
/// For the numbers of the axis and what they are.
const BOTTOM: i32 = 56;
const CHARACTER: i32 = 7;

/// How high a picture of so many rows is.
pub(super) fn height(rows: usize) -> i32 {
    TOP + ROW * rows as i32 + BOTTOM
}

/// Where a value is, in pixels.
struct Ruler {
    along: Ruled,
    left: i32,
    right: i32,
}

impl Ruler {
    fn x(&self, value: f64) -> i32 {
        self.along.map(&value, (self.left, self.right))
    }
}

pub(super) fn draw<B: DrawingBackend>(area: &DrawingArea<B, Shift>, rows: &Rows) -> Result<(), String> {
    let all: Vec<f64> = rows.rows.iter().flat_map(|row| row.values.iter().copied()).collect();
    if all.is_empty() {
        return Err(format!("there is nothing to draw in \"{}\"", rows.title));
    }
    let (low, high) = spread(&all);
    let (width, _) = area.dim_in_pixel();
    let longest = rows.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0) as i32;
    let ruler = Ruler {
        along: Ruled { scale: rows.scale, ticks: rows.scale.ticks(low, high), room: 0.0 },
        left: 24 + CHARACTER * longest,
        right: width as i32 - 76,
    };
    area.draw(&Text::new(rows.title.as_str(), (14, 6), bold(LABEL + 1, INK))).map_err(said)?;
    let bottom = TOP + ROW * rows.rows.len() as i32;
    for tick in &ruler.along.ticks {
        let x = ruler.x(*tick);
        area.draw(&PathElement::new([(x, TOP), (x, bottom)], stroke(GRID, 1))).map_err(said)?;
        let style = text(SMALL, INK).pos(Pos::new(HPos::Center, VPos::Top));
        area.draw(&Text::new(human(*tick), (x, bottom + 6), style)).map_err(said)?;
    }
    let middle = (ruler.left + ruler.right) / 2;
    let style = text(SMALL, MUTED).pos(Pos::new(HPos::Center, VPos::Top));
    area.draw(&Text::new(rows.label.as_str(), (middle, bottom + 25), style)).map_err(said)?;
    for (index, row) in rows.rows.iter().enumerate().filter(|(_, row)| !row.values.is_empty()) {
        let y = TOP + ROW * index as i32 + ROW / 2;
        let style = text(LABEL, INK).pos(Pos::new(HPos::Right, VPos::Center));
        area.draw(&Text::new(row.name.as_str(), (ruler.left - 10, y), style)).map_err(said)?;
        match rows.shape {
            Shape::Bars => bar(area, &ruler, row, y)?,
            Shape::Dots => dots(area, &ruler, row, y)?,
        }
        let (_, most) = spread(&row.values);
        let style = bold(SMALL, INK).pos(Pos::new(HPos::Left, VPos::Center));
        let told = Text::new(human(median(row.values.clone())), (ruler.x(most) + 9, y), style);
        area.draw(&told).map_err(said)?;
    }
    Ok(())
}

fn bar<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    ruler: &Ruler,
    row: &Row,
    y: i32,
) -> Result<(), String> {
    let (low, high) = spread(&row.values);
    let end = ruler.x(median(row.values.clone()));
    area.draw(&Rectangle::new([(ruler.left, y - 9), (end, y + 9)], fill(row.colour))).map_err(said)?;
    let whisker =
        |colour, width| PathElement::new([(ruler.x(low), y), (ruler.x(high), y)], stroke(colour, width));
    // Seen on the bar and beside it.
    area.draw(&whisker(PAPER, 4)).map_err(said)?;
    area.draw(&whisker(INK, 2)).map_err(said)
}

fn dots<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    ruler: &Ruler,
    row: &Row,
    y: i32,
) -> Result<(), String> {
    let faint = ShapeStyle { color: row.colour.mix(0.45), filled: true, stroke_width: 0 };
    for (index, value) in row.values.iter().enumerate() {
        // A little up and down, the same in every run, so that equal values are all seen.
        let shift = [0, -5, 4, -2, 6, -7, 2][index % 7];
        area.draw(&Circle::new((ruler.x(*value), y + shift), 4, faint)).map_err(said)?;
    }
    let x = ruler.x(median(row.values.clone()));
    area.draw(&PathElement::new([(x, y - 12), (x, y + 12)], stroke(row.colour, 3))).map_err(said)
}
