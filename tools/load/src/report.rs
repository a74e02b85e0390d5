//! What a measurement prints: a table for people, or JSON for programs.

use crate::args::Load;
use crate::play::Tally;
use crate::stats::median;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::time::Duration;

/// A turn in which other programs had the cores for a larger share than this is no measurement: batches are smaller then,
/// on both sides, and two costs come closer to each other.
const DISTURBED: f64 = 0.05;
const QUANTILES: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// What the server's memory was before and after its users signed in.
pub struct Memory {
    /// Bytes.
    pub before: u64,
    /// Bytes.
    pub after: u64,
    /// How many signed in.
    pub sessions: u32,
}

impl Memory {
    fn each(&self) -> f64 {
        self.after.saturating_sub(self.before) as f64 / f64::from(self.sessions.max(1))
    }

    fn whole(&self) -> f64 {
        self.after as f64 / f64::from(self.sessions.max(1))
    }
}

/// One turn.
pub struct Turn {
    /// Which round, from 1.
    pub round: usize,
    /// Who was measured.
    pub who: &'static str,
    /// What came of it.
    pub tally: Tally,
    /// The floor's turns before it.
    pub beside: Option<Beside>,
}

/// Microseconds of CPU for each in the floor's turns.
#[derive(Debug, Clone, Copy)]
pub struct Beside {
    /// With the datagrams that every server has.
    pub floor: f64,
    /// With as many acks beside them as this one has, if it has any.
    pub with_acks: Option<f64>,
}

impl Turn {
    /// Whether it is one of the floor, with acks or without.
    pub fn is_floor(&self) -> bool {
        self.who.starts_with("floor")
    }

    fn ratio(&self) -> Option<f64> {
        Some(self.tally.micros()?[0] / self.beside?.floor)
    }

    fn ratio_acks(&self) -> Option<f64> {
        Some(self.tally.micros()?[0] / self.beside?.with_acks?)
    }
}

/// All of a run.
pub struct Report {
    scenario: &'static str,
    load: Load,
    signed_in: Option<(u32, Duration)>,
    /// The server's memory.
    pub memory: Option<Memory>,
    /// In their order.
    pub turns: Vec<Turn>,
    /// Further facts, as JSON and in words.
    pub facts: Vec<(&'static str, f64)>,
}

impl Report {
    /// An empty one.
    pub fn new(scenario: &'static str, load: &Load) -> Self {
        let load = load.clone();
        Self { scenario, load, signed_in: None, memory: None, turns: Vec::new(), facts: Vec::new() }
    }

    /// So many have signed in, within so long.
    pub fn signed_in(&mut self, users: u32, took: Duration) {
        self.signed_in = Some((users, took));
    }

    /// What is known before the first turn.
    pub fn begin(&self) {
        if self.load.json {
            return;
        }
        println!("{}: {}", self.scenario, self.load);
        if let Some((users, took)) = self.signed_in {
            let seconds = took.as_secs_f64();
            println!("{users} users signed in within {seconds:.1} s, {:.0} a second", f64::from(users) / seconds);
        }
        if let Some(memory) = &self.memory {
            println!(
                "resident: {:.1} MiB; {:.0} bytes more than before for each session, {:.0} all told",
                memory.after as f64 / 1_048_576.0,
                memory.each(),
                memory.whole()
            );
        }
        println!("CPU: of the server, µs for each (own code + kernel); datagrams: for each, to the server and from it");
        println!("latency: µs at p50/p90/p99/p99.9/max; other: share of the time for which others had these cores");
        println!(
            "{:>5} {:<10} {:>9} {:>21} {:>6} {:>10}  {:<32} {:<18} {:>5} {:>7} {:>6} {:>7} {:>6}",
            "round",
            "",
            "a second",
            "CPU",
            "busy",
            "datagrams",
            "latency",
            "",
            "lost",
            "doubled",
            "other",
            "÷ floor",
            "÷ acks"
        );
    }

    /// A turn is over.
    pub fn turn(&mut self, turn: Turn) {
        if !self.load.json {
            print_turn(&turn, self.load.rate.is_some());
        }
        self.turns.push(turn);
    }

    /// The end: prints what is left, and writes the plot. An error if a message was lost or doubled over the link.
    pub fn end(&self) -> Result<(), String> {
        if self.load.json {
            println!("{:#}", self.json());
        } else {
            self.conclude();
        }
        if let Some(path) = &self.load.plot {
            crate::plot::draw(path, self.scenario, &self.turns)?;
        }
        let (lost, doubled) = self.sum("oicqd");
        if lost + doubled > 0 {
            Err(format!("{lost} lost and {doubled} doubled; there should be none"))
        } else {
            Ok(())
        }
    }

    fn of<'a>(&'a self, who: &'a str) -> impl Iterator<Item = &'a Turn> {
        self.turns.iter().filter(move |turn| turn.who == who)
    }

    fn sum(&self, who: &str) -> (u64, u64) {
        self.turns
            .iter()
            .filter(|turn| turn.is_floor() == (who == "floor"))
            .fold((0, 0), |sum, turn| (sum.0 + turn.tally.counted.lost, sum.1 + turn.tally.counted.doubled))
    }

    fn median_of(&self, who: &str, what: impl Fn(&Turn) -> Option<f64>) -> Option<f64> {
        let values: Vec<f64> = self.of(who).filter_map(what).collect();
        (!values.is_empty()).then(|| median(values.into_iter()))
    }

    /// How much longer each thing took than over the floor: the median of the rounds' p50 and p99.
    fn latency_ratios(&self) -> Vec<(&'static str, [f64; 2])> {
        let Some(turn) = self.of("floor").next() else { return Vec::new() };
        let names = turn.tally.counted.latencies.iter().map(|(name, _)| *name);
        let at = |who, name: &str, quantile| {
            self.median_of(who, |turn| {
                let times = turn.tally.counted.latencies.iter().find(|(other, _)| *other == name)?;
                Some(times.1.value_at_quantile(quantile) as f64)
            })
        };
        names
            .filter_map(|name| {
                let ratio = |quantile| Some(at("oicqd", name, quantile)? / at("floor", name, quantile)?);
                Some((name, [ratio(0.5)?, ratio(0.99)?]))
            })
            .collect()
    }

    fn conclude(&self) {
        let micros = |turn: &Turn| turn.tally.micros().map(|micros| micros[0]);
        if let (Some(floor), Some(server), Some(ratio)) =
            (self.median_of("floor", micros), self.median_of("oicqd", micros), self.median_of("oicqd", Turn::ratio))
        {
            println!("median: oicqd {server:.3} µs; floor {floor:.3} µs: ÷ floor {ratio:.2}");
            let acks = self.median_of("floor+acks", micros).zip(self.median_of("oicqd", Turn::ratio_acks));
            if let Some((floor, ratio)) = acks {
                println!("        floor with the same datagrams {floor:.3} µs: ÷ acks {ratio:.2}");
            }
        }
        for (what, [p50, p99]) in self.latency_ratios() {
            println!("latency, {what}, oicqd ÷ floor, median: p50 {p50:.2}, p99 {p99:.2}");
        }
        for (what, value) in &self.facts {
            println!("{what}: {value:.2}");
        }
        let (lost, doubled) = self.sum("oicqd");
        if self.turns.iter().any(|turn| !turn.is_floor()) {
            println!("oicqd in all: {lost} lost, {doubled} doubled");
        }
        let open = self.load.rate.is_some();
        let slow = self.turns.iter().filter(|turn| !turn.is_floor() && turn.tally.driver_fault(open).is_some()).count();
        if slow > 0 {
            println!(
                "in {slow} turns the driver could not follow: latencies are its own in part, and the server can do more"
            );
        }
        let disturbed = self.turns.iter().filter(|turn| turn.tally.disturbance() > DISTURBED).count();
        if disturbed > 0 {
            println!(
                "{disturbed} of {} turns were disturbed: other programs had these cores for more than {:.0} % of the time. \
                 Do not trust these figures; measure again on a quiet machine",
                self.turns.len(),
                DISTURBED * 100.0
            );
        }
    }

    /// All of it.
    pub fn json(&self) -> Value {
        let Load { users, window, rate, seconds, text_bytes, loss, seed, .. } = &self.load;
        let micros = |turn: &Turn| turn.tally.micros().map(|micros| micros[0]);
        json!({
            "scenario": self.scenario,
            "load": {
                "users": users, "sockets": self.load.sockets(), "window": if rate.is_none() { *window } else { None },
                "rate": rate, "seconds": seconds, "text_bytes": text_bytes, "loss": loss, "seed": seed,
            },
            "signed_in": self.signed_in.map(|(users, took)| json!({ "users": users, "seconds": took.as_secs_f64() })),
            "memory": self.memory.as_ref().map(|memory| json!({
                "before": memory.before, "after": memory.after, "bytes_a_session": memory.each(),
                "bytes_a_session_all_told": memory.whole(),
            })),
            "turns": self.turns.iter().map(turn_json).collect::<Vec<_>>(),
            "median": {
                "floor_us": self.median_of("floor", micros), "server_us": self.median_of("oicqd", micros),
                "floor_acks_us": self.median_of("floor+acks", micros),
                "ratio": self.median_of("oicqd", Turn::ratio), "ratio_acks": self.median_of("oicqd", Turn::ratio_acks),
                "a_second": self.median_of("oicqd", |turn| Some(turn.tally.rate())),
            },
            "latency_ratio": self.latency_ratios().iter()
                .map(|(what, [p50, p99])| ((*what).to_owned(), json!({ "p50": p50, "p99": p99 })))
                .collect::<serde_json::Map<_, _>>(),
            "facts": self.facts.iter().map(|(what, value)| ((*what).to_owned(), json!(value)))
                .collect::<serde_json::Map<_, _>>(),
        })
    }
}

fn turn_json(turn: &Turn) -> Value {
    let (tally, counted) = (&turn.tally, &turn.tally.counted);
    let latencies: serde_json::Map<_, _> = counted
        .latencies
        .iter()
        .map(|(what, times)| {
            let mut at: serde_json::Map<_, _> = QUANTILES
                .iter()
                .map(|(name, quantile)| ((*name).to_owned(), json!(micros(times, *quantile))))
                .collect();
            at.insert("count".into(), json!(times.len()));
            ((*what).to_owned(), at.into())
        })
        .collect();
    let cpu = tally.micros().map(|[all, user, system]| json!({ "all": all, "user": user, "system": system }));
    let notes: serde_json::Map<_, _> =
        counted.notes.iter().map(|(what, count)| ((*what).to_owned(), json!(count))).collect();
    json!({
        "round": turn.round, "who": turn.who, "unit": counted.unit, "begun": counted.begun, "done": counted.done,
        "lost": counted.lost, "doubled": counted.doubled, "seconds": tally.wall.as_secs_f64(), "a_second": tally.rate(),
        "cpu_us": cpu, "busy": tally.busy(), "other": tally.disturbance(), "ratio": turn.ratio(),
        "ratio_acks": turn.ratio_acks(), "driver": tally.driver.map(|driver| json!({ "idle": driver.idle, "slow": driver.slow })),
        "datagrams": {
            "to_server": tally.datagrams.to_server, "from_server": tally.datagrams.from_server,
            "dropped": tally.datagrams.dropped,
        },
        "notes": notes, "latency_us": latencies,
        "over_time": counted.stretches.iter().map(|stretch| json!({
            "end": stretch.end, "a_second": stretch.rate,
            "p50": stretch.latency[0] as f64 / 1e3, "p99": stretch.latency[1] as f64 / 1e3,
            "max": stretch.latency[2] as f64 / 1e3,
        })).collect::<Vec<_>>(),
    })
}

fn print_turn(turn: &Turn, open: bool) {
    let (tally, counted) = (&turn.tally, &turn.tally.counted);
    let cpu =
        tally.micros().map_or_else(|| "-".into(), |[all, user, system]| format!("{all:.3} ({user:.2} + {system:.2})"));
    let busy = tally.busy().map_or_else(
        || "-".into(),
        |busy| {
            // A server at rest uses little, and that is what is to be seen.
            if busy < 0.1 { format!("{:.2} %", busy * 100.0) } else { format!("{:.0} %", busy * 100.0) }
        },
    );
    let each = counted.done.max(1) as f64;
    let datagrams =
        format!("{:.2} {:.2}", tally.datagrams.to_server as f64 / each, tally.datagrams.from_server as f64 / each);
    let first = counted.latencies.first().map_or_else(String::new, |(_, times)| quantiles(times, &QUANTILES));
    let second = match &counted.latencies[..] {
        [_, (what, times)] => format!("{what} {}", quantiles(times, &[QUANTILES[0], QUANTILES[2]])),
        _ => String::new(),
    };
    println!(
        "{:>5} {:<10} {:>9.0} {cpu:>21} {busy:>6} {datagrams:>10}  {first:<32} {second:<18} {:>5} {:>7} {:>6} {:>7} {:>6}",
        turn.round,
        turn.who,
        tally.rate(),
        counted.lost,
        counted.doubled,
        format!("{:.1} %", tally.disturbance() * 100.0),
        ratio(turn.ratio()),
        ratio(turn.ratio_acks()),
    );
    if counted.latencies.len() > 2 {
        for (what, times) in &counted.latencies {
            println!("{:>13} {what}: {} ({})", "", quantiles(times, &QUANTILES), times.len());
        }
    }
    let mut notes: Vec<String> =
        counted.notes.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{what}: {count}")).collect();
    if tally.datagrams.dropped > 0 {
        notes.push(format!("datagrams dropped on purpose: {}", tally.datagrams.dropped));
    }
    if !turn.is_floor() {
        notes.extend(tally.driver_fault(open).map(str::to_owned));
    }
    if !notes.is_empty() {
        println!("{:>13} {}", "", notes.join(", "));
    }
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"))
}

fn micros(times: &Histogram<u64>, quantile: f64) -> f64 {
    times.value_at_quantile(quantile) as f64 / 1_000.0
}

fn quantiles(times: &Histogram<u64>, which: &[(&str, f64)]) -> String {
    let values = which.iter().map(|(_, quantile)| {
        let micros = micros(times, *quantile);
        if micros < 10.0 { format!("{micros:.1}") } else { format!("{micros:.0}") }
    });
    values.collect::<Vec<_>>().join("/")
}
