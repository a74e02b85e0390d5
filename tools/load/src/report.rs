//! What a measurement prints.

use crate::drive::Tally;
use hdrhistogram::Histogram;

/// The first line of the table.
pub fn head() {
    println!(
        "CPU of the server in µs a message (own code + kernel); datagrams a message, in and out; latency in µs from the \
         sending to the recipient, and to receipt 2"
    );
    println!(
        "{:>5} {:<6} {:>9} {:>22} {:>5} {:>11} {:>31} {:>21} {:>4} {:>7} {:>6} {:>6}",
        "round",
        "",
        "a second",
        "CPU",
        "busy",
        "datagrams",
        "p50/p90/p99/p99.9/max",
        "receipt p50/p99",
        "lost",
        "doubled",
        "other",
        "ratio"
    );
}

/// One turn.
pub fn row(round: usize, who: &str, tally: &Tally, floor: Option<&Tally>) {
    let cpu =
        tally.micros().map_or_else(|| "-".into(), |[all, user, system]| format!("{all:.3} ({user:.2} + {system:.2})"));
    let busy = tally.busy().map_or_else(|| "-".into(), |busy| format!("{:.0} %", busy * 100.0));
    let messages = tally.arrivals.max(1) as f64;
    let datagrams = format!(
        "{:.2} {:.2}",
        tally.datagrams.to_server as f64 / messages,
        tally.datagrams.from_server as f64 / messages
    );
    let ratio = floor
        .and_then(|floor| Some(tally.micros()?[0] / floor.micros()?[0]))
        .map_or_else(String::new, |ratio| format!("{ratio:.2}"));
    println!(
        "{round:>5} {who:<6} {:>9.0} {cpu:>22} {busy:>5} {datagrams:>11} {:>31} {:>21} {:>4} {:>7} {:>6} {ratio:>6}",
        tally.rate(),
        quantiles(&tally.to_recipient, &[0.5, 0.9, 0.99, 0.999, 1.0]),
        quantiles(&tally.to_receipt, &[0.5, 0.99]),
        tally.lost,
        tally.doubled,
        format!("{:.1} %", tally.disturbance() * 100.0),
    );
    if tally.stored + tally.refused + tally.datagrams.dropped > 0 {
        println!(
            "{:>12} {} stored on their way, {} refused, {} datagrams dropped on purpose",
            "", tally.stored, tally.refused, tally.datagrams.dropped
        );
    }
}

fn quantiles(histogram: &Histogram<u64>, which: &[f64]) -> String {
    let values = which.iter().map(|quantile| {
        let micros = histogram.value_at_quantile(*quantile) as f64 / 1_000.0;
        if micros < 10.0 { format!("{micros:.1}") } else { format!("{micros:.0}") }
    });
    values.collect::<Vec<_>>().join("/")
}
