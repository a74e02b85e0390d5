//! What a running server tells about itself and to everybody.

use super::{Done, Office, Show, say};
use crate::limits::TEXT_BYTES;
use crate::server::figures::Report;
use std::fmt::Write as _;

/// Tells everyone online.
pub(super) fn announce(office: &mut dyn Office, text: &str, show: Show<'_>) -> Done {
    if text.is_empty() || text.len() > TEXT_BYTES {
        return Err(format!("an announcement has 1 to {TEXT_BYTES} bytes"));
    }
    let reached = office.announce(text).ok_or("no server is running")?;
    let people = if reached == 1 { "person" } else { "people" };
    say(show, &format!("announced to {reached} {people} online"))
}

/// What the server has counted.
pub(super) fn stats(office: &mut dyn Office, json: bool, show: Show<'_>) -> Done {
    let figures = office.figures().ok_or("no server is running")?;
    let mut total = Report::default();
    for report in &figures.reports {
        total += report;
    }
    let server = [
        ("uptime_secs", figures.uptime_secs),
        ("accounts", u64::from(figures.accounts)),
        ("store_queue", figures.store_queue as u64),
        ("password_queue", figures.password_queue as u64),
        ("searches", figures.searches as u64),
        ("store_damages", figures.store_damages),
    ];
    if json {
        return say(show, &as_json(&server, &total, &figures.reports));
    }
    for (name, value) in server {
        say(show, &format!("{name:<20}{value:>14}"))?;
    }
    let mut head = format!("\n{:<20}{:>14}", "", "total");
    for report in &figures.reports {
        let _ = write!(head, "{:>14}", format!("shard {}", report.shard));
    }
    say(show, &head)?;
    for (at, (name, value)) in total.fields().into_iter().enumerate() {
        let mut line = format!("{name:<20}{value:>14}");
        for report in &figures.reports {
            let _ = write!(line, "{:>14}", report.fields()[at].1);
        }
        say(show, &line)?;
    }
    Ok(())
}

fn as_json(server: &[(&str, u64)], total: &Report, reports: &[Report]) -> String {
    let object = |fields: &[(&str, u64)]| {
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    };
    let shards: Vec<String> = reports.iter().map(|report| object(&report.fields())).collect();
    let server = object(server);
    format!(
        "{},\"total\":{},\"shards\":[{}]}}",
        server.trim_end_matches('}'),
        object(&total.fields()),
        shards.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_sound_json() {
        let report = Report::default();
        let json = as_json(&[("uptime_secs", 5)], &report, &[report, report]);
        let value: serde_json::Value = serde_json::from_str(&json).expect("sound");
        assert_eq!(value["uptime_secs"], 5);
        assert_eq!(value["total"]["wrong_shard"], 0);
        assert_eq!(value["shards"].as_array().map(Vec::len), Some(2));
    }
}
