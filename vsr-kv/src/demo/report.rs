//! The table at the end.

use super::{chaos::Failovers, figures::Figures, verify::Verdict};
use std::{fmt::Write, sync::atomic::Ordering, time::Duration};

const PROBLEMS_SHOWN: usize = 10;

/// A duration as a person reads it.
pub(super) fn duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0..1000 => format!("{micros} µs"),
        1000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

pub(super) fn text(figures: &Figures, verdict: &Verdict, failovers: Failovers, worked: Duration) -> String {
    let done = figures.done.load(Ordering::Relaxed);
    let Failovers { crashes, partitions, view } = failovers;
    let rows = [
        ("operations", done.to_string()),
        ("operations a second", format!("{:.0}", done as f64 / worked.as_secs_f64())),
        ("latency, median", duration(figures.latencies.percentile(50.0))),
        ("latency, 99 %", duration(figures.latencies.percentile(99.0))),
        (
            "failovers",
            format!("{} ({crashes} crashes, {partitions} partition; view {view})", crashes + partitions),
        ),
        ("longest pause", duration(figures.longest_pause())),
        ("unknown outcomes", figures.unknown.load(Ordering::Relaxed).to_string()),
        ("refused, not executed", figures.refused.load(Ordering::Relaxed).to_string()),
        ("writes checked", verdict.writes_checked.to_string()),
        ("linearizable history", format!("{} operations on {} keys", verdict.history, verdict.registers)),
    ];
    let mut text = String::new();
    for (name, value) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:<24}{value}");
    }
    match verdict.problems.as_slice() {
        [] => {
            text +=
                "\nEach acknowledged write is there exactly once, and all that clients saw is linearizable.\n"
        }
        problems => {
            let _ = writeln!(text, "\nFAILED, {} problems:", problems.len());
            for problem in problems.iter().take(PROBLEMS_SHOWN) {
                let _ = writeln!(text, "  {problem}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let shown = [(999, "999 µs"), (1500, "1.5 ms"), (2_345_000, "2.35 s")];
        for (micros, text) in shown {
            assert_eq!(duration(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn the_table_says_whether_it_failed() {
        let (figures, failovers) = (Figures::default(), Failovers { crashes: 3, partitions: 1, view: 4 });
        let good = text(&figures, &Verdict::default(), failovers, Duration::from_secs(1));
        assert!(
            good.contains("exactly once") && good.contains("4 (3 crashes, 1 partition; view 4)"),
            "{good}"
        );
        let problems = (0..20).map(|number| format!("problem {number}")).collect();
        let bad = Verdict { problems, ..Verdict::default() };
        let bad = text(&figures, &bad, failovers, Duration::from_secs(1));
        assert!(
            bad.contains("FAILED, 20 problems") && bad.contains("problem 9") && !bad.contains("problem 10")
        );
    }
}
