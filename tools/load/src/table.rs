//! `compare A.json B.json`: two runs side by side.

use serde_json::Value;
use std::fs;
use std::path::Path;

/// Reads both and prints them.
pub fn print(first: &Path, second: &Path) -> Result<(), String> {
    let (a, b) = (read(first)?, read(second)?);
    println!("{:<34} {:>14} {:>14} {:>8}", "", name(first), name(second), "B ÷ A");
    for (what, path) in
        [("scenario", "/scenario"), ("users", "/load/users"), ("rate", "/load/rate"), ("window", "/load/window")]
    {
        println!("{what:<34} {:>14} {:>14}", plain(a.pointer(path)), plain(b.pointer(path)));
    }
    let mut rows = vec![
        ("done a second, median".to_owned(), "/median/a_second".to_owned()),
        ("server CPU for each, µs, median".to_owned(), "/median/server_us".to_owned()),
        ("floor CPU for each, µs, median".to_owned(), "/median/floor_us".to_owned()),
        ("the same with acks, µs, median".to_owned(), "/median/floor_acks_us".to_owned()),
        ("÷ floor, median".to_owned(), "/median/ratio".to_owned()),
        ("÷ floor with acks, median".to_owned(), "/median/ratio_acks".to_owned()),
        ("bytes a session".to_owned(), "/memory/bytes_a_session".to_owned()),
        ("bytes a session, all told".to_owned(), "/memory/bytes_a_session_all_told".to_owned()),
    ];
    let turn = |run: &Value| {
        let turns = run["turns"].as_array().cloned().unwrap_or_default();
        turns.into_iter().rfind(|turn| !is_floor(turn)).unwrap_or(Value::Null)
    };
    let (last_a, last_b) = (turn(&a), turn(&b));
    for (label, path) in rows.drain(..) {
        row(&label, a.pointer(&path), b.pointer(&path));
    }
    let both = last_a["latency_us"].as_object().into_iter().flatten();
    for (what, times) in both {
        for quantile in ["p50", "p99", "p99.9", "max"] {
            let other = &last_b["latency_us"][what][quantile];
            row(&format!("{what}, {quantile}, µs, last round"), Some(&times[quantile]), Some(other));
        }
    }
    for what in ["lost", "doubled"] {
        let sum = |run: &Value| {
            let turns = run["turns"].as_array().into_iter().flatten();
            Value::from(turns.filter(|turn| !is_floor(turn)).filter_map(|turn| turn[what].as_u64()).sum::<u64>())
        };
        println!("{what:<34} {:>14} {:>14}", plain(Some(&sum(&a))), plain(Some(&sum(&b))));
    }
    Ok(())
}

/// Reads a run.
pub fn read(path: &Path) -> Result<Value, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    if value["turns"].is_array() {
        return Ok(value);
    }
    Err(format!("{} is no run of oicq-load; --json writes one", path.display()))
}

/// Whether a turn is one of the floor, with acks or without.
fn is_floor(turn: &Value) -> bool {
    turn["who"].as_str().is_some_and(|who| who.starts_with("floor"))
}

fn name(path: &Path) -> String {
    path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().chars().take(14).collect())
}

fn plain(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".into(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

fn row(label: &str, a: Option<&Value>, b: Option<&Value>) {
    let (a, b) = (a.and_then(Value::as_f64), b.and_then(Value::as_f64));
    if a.is_none() && b.is_none() {
        return;
    }
    let number = |value: Option<f64>| {
        value.map_or_else(
            || "-".into(),
            |value| if value.abs() < 1_000.0 { format!("{value:.3}") } else { format!("{value:.0}") },
        )
    };
    let ratio = a.zip(b).filter(|(a, _)| *a != 0.0).map_or_else(String::new, |(a, b)| format!("{:.2}", b / a));
    println!("{label:<34} {:>14} {:>14} {ratio:>8}", number(a), number(b));
}
