//! This program again, as a process of its own: nobody inherits another's heap, threads or open files.

use crate::group::Figures;
use std::{
    io::{BufRead, BufReader, Lines, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

fn this(arguments: &[String]) -> Result<Command, String> {
    let program = std::env::current_exe().map_err(|error| format!("where is this program? {error}"))?;
    let mut command = Command::new(program);
    command.args(arguments).stderr(Stdio::inherit());
    Ok(command)
}

/// Runs a hidden subcommand, which prints its figures as one line of JSON.
pub(crate) fn figures(arguments: &[String]) -> Result<Figures, String> {
    let output =
        this(arguments)?.output().map_err(|error| format!("cannot run this program again: {error}"))?;
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

/// One that measures whenever it is asked, and rests in between. Killed when it is dropped.
pub(crate) struct Asked {
    process: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Asked {
    /// Starts a hidden subcommand that answers each line it reads with its figures.
    pub(crate) fn start(arguments: &[String]) -> Result<Self, String> {
        let failed = |error| format!("cannot run this program again: {error}");
        let mut process =
            this(arguments)?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let (Some(questions), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("a process without pipes".to_owned());
        };
        Ok(Self { process, questions, answers: BufReader::new(answers).lines() })
    }

    /// Asks, and waits for the answer.
    pub(crate) fn figures(&mut self) -> Result<Figures, String> {
        self.questions.write_all(b"\n").map_err(|error| format!("the process has ended: {error}"))?;
        let line = self.answers.next().ok_or("the process has ended")?.map_err(|error| error.to_string())?;
        serde_json::from_str(&line).map_err(|error| format!("{line:?} is no figures: {error}"))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
