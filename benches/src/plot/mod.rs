//! Figures as pictures: SVG from the JSON of earlier runs. What is drawn of which bench is a table in `catalogue.rs`.

mod catalogue;
mod panel;
mod rows;
mod scale;
mod series;
mod style;

use catalogue::Picture;
use plotters::{
    coord::Shift,
    drawing::{DrawingArea, IntoDrawingArea},
    prelude::SVGBackend,
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use vsr_benches::results::Results;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where the results are, and where the pictures go.
    #[arg(long, default_value = "../docs/performance")]
    directory: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<(), String> {
    draw_all(&options.directory)
}

/// Draws all that there are results for.
pub(crate) fn draw_all(directory: &Path) -> Result<(), String> {
    let cannot_read = |error| format!("cannot read {}: {error}", directory.display());
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .map_err(cannot_read)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .collect();
    files.sort();
    for file in &files {
        let text =
            fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        let results: Results = serde_json::from_str(&text)
            .map_err(|error| format!("{} holds no results: {error}", file.display()))?;
        for picture in catalogue::pictures(&results) {
            let path = directory.join(format!("{}.svg", picture.name));
            draw(&picture, &path)?;
            println!("{}", path.display());
        }
    }
    if files.is_empty() {
        println!("{} holds no results: run a bench with --json first", directory.display());
    }
    Ok(())
}

/// Width of all pictures, in pixels: twice a column of text.
const WIDTH: u32 = 1000;
const PANEL_HEIGHT: u32 = 380;
const HEADING_HEIGHT: u32 = 58;

fn draw(picture: &Picture, path: &Path) -> Result<(), String> {
    let (lines, tables) = (picture.panels.len().div_ceil(picture.columns), &picture.rows);
    let below: u32 = tables.iter().map(|rows| rows::height(rows.rows.len()) as u32).sum();
    let height = HEADING_HEIGHT + PANEL_HEIGHT * lines as u32 + below;
    let root = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    root.fill(&style::PAPER).map_err(panel::said)?;
    let body = panel::heading(&root, &picture.title, &picture.note)?;
    let (above, mut rest) = body.split_vertically(PANEL_HEIGHT * lines as u32);
    for (area, panel) in above.split_evenly((lines, picture.columns)).iter().zip(&picture.panels) {
        panel::draw(area, panel)?;
    }
    for rows in tables {
        let area: DrawingArea<_, Shift>;
        (area, rest) = rest.split_vertically(rows::height(rows.rows.len()) as u32);
        rows::draw(&area, rows)?;
    }
    root.present().map_err(panel::said)
}
