//! The limits and timers of a scenario's `cluster` line, by name.

use std::time::Duration;
use vsr_core::Config;

type Limit = (&'static str, fn(&Config) -> u64, fn(&mut Config, u64));

macro_rules! limits {
    ($($group:ident.$name:ident),* $(,)?) => {
        const LIMITS: &[Limit] = &[$((
            stringify!($name),
            |config| config.$group.$name as u64,
            |config, value| config.$group.$name = value as _,
        )),*];
    };
}

limits! {
    limits.pipeline_ops_max,
    limits.pipeline_bytes_max,
    limits.entry_ops_max,
    limits.entry_bytes_max,
    limits.operation_bytes_max,
    limits.frame_bytes_max,
    limits.queue_ops_max,
    limits.queue_bytes_max,
    limits.forward_ops_max,
    limits.forward_bytes_max,
    limits.turn_ops_max,
    limits.snapshot_interval_ops,
    limits.snapshot_interval_bytes,
    limits.log_keep_ops,
    limits.log_keep_bytes,
    limits.log_ops_max,
    limits.snapshot_bytes_max,
    limits.transfer_bytes_max,
    limits.retransmit_bytes_max,
    replicated.sessions_max,
    replicated.window,
    replicated.session_reply_bytes_max,
    replicated.digest_interval_ops,
}

/// Sets a limit or a timer from the text behind its name.
pub(super) fn set(config: &mut Config, name: &str, value: &str) -> Result<(), String> {
    match name {
        "heartbeat_interval" => config.heartbeat_interval = duration(value)?,
        "heartbeat_timeout" => config.heartbeat_timeout = duration(value)?,
        "idle_heartbeat_interval" => config.idle_heartbeat_interval = Some(duration(value)?),
        _ => {
            let limit = LIMITS.iter().find(|(known, ..)| *known == name);
            let (_, _, set) = limit.ok_or_else(|| format!("{name} is no limit of scenarios"))?;
            set(config, value.parse().map_err(|_| format!("{value} is not a number"))?);
        }
    }
    Ok(())
}

/// What must be said of a configuration that is not the default, one option each.
pub(crate) fn options(config: &Config) -> Vec<String> {
    let usual = Config::new(config.replica, config.members.clone());
    let mut options = Vec::new();
    for (name, here, default) in [
        ("heartbeat_interval", config.heartbeat_interval, usual.heartbeat_interval),
        ("heartbeat_timeout", config.heartbeat_timeout, usual.heartbeat_timeout),
    ] {
        if here != default {
            options.push(format!("{name}={}", render(here)));
        }
    }
    if let Some(idle) = config.idle_heartbeat_interval {
        options.push(format!("idle_heartbeat_interval={}", render(idle)));
    }
    for (name, get, _) in LIMITS {
        if get(config) != get(&usual) {
            options.push(format!("{name}={}", get(config)));
        }
    }
    options
}

/// A time as scenarios write it, exactly.
pub(crate) fn render(time: Duration) -> String {
    let nanos = time.as_nanos();
    match nanos {
        _ if nanos.is_multiple_of(1_000_000) => format!("{}ms", nanos / 1_000_000),
        _ if nanos.is_multiple_of(1000) => format!("{}us", nanos / 1000),
        _ => format!("{nanos}ns"),
    }
}

/// A time with its unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or("a time needs a unit")?;
    let number: u64 = text[..split].parse().map_err(|_| format!("{text} is not a time"))?;
    match &text[split..] {
        "ns" => Ok(Duration::from_nanos(number)),
        "us" => Ok(Duration::from_micros(number)),
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        unit => Err(format!("{unit} is not a unit")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vsr_core::ReplicaId;

    #[test]
    fn options_make_the_same_configuration() {
        let mut config = Config::new(ReplicaId(0), vec![ReplicaId(0)]);
        config.heartbeat_interval = Duration::from_nanos(1_500);
        config.idle_heartbeat_interval = Some(Duration::from_millis(3));
        config.limits.turn_ops_max = 3;
        config.replicated.window = 7;
        let mut again = Config::new(ReplicaId(0), vec![ReplicaId(0)]);
        for option in options(&config) {
            let (name, value) = option.split_once('=').expect("an option has a value");
            set(&mut again, name, value).expect("an option is known");
        }
        assert_eq!(again, config);
        assert_eq!(options(&again).len(), 4, "the rest is as usual");
    }
}
