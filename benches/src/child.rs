//! This program again, as a process of its own: nobody inherits another's heap, threads or open files.

use crate::group::Figures;
use std::process::{Command, Stdio};

/// Runs a hidden subcommand, which prints its figures as one line of JSON.
pub(crate) fn figures(arguments: &[String]) -> Result<Figures, String> {
    let program = std::env::current_exe().map_err(|error| format!("where is this program? {error}"))?;
    let output = Command::new(program).args(arguments).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cannot run this program again: {error}"))?;
    if !output.status.success() {
        return Err(format!("{} failed: {}", arguments.join(" "), output.status));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{} printed no figures: {error}", arguments.join(" ")))
}

/// What such a subcommand does with its figures.
pub(crate) fn tell(figures: &Figures) -> Result<(), String> {
    println!("{}", serde_json::to_string(figures).map_err(|error| error.to_string())?);
    Ok(())
}
