//! A drawing of a run: throughput and latency over time.

use crate::report::Turn;
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (960, 640);
const FONT: &str = "sans-serif";

/// One line of a drawing: name, colour, points.
type Line = (&'static str, RGBColor, Vec<(f64, f64)>);

/// Draws the turns of the server one after the other, those of the floor left out unless there are no others.
pub fn draw(path: &Path, scenario: &str, turns: &[Turn]) -> Result<(), String> {
    let server = turns.iter().any(|turn| !turn.is_floor());
    let mut lines: [Line; 4] = [
        ("done a second", BLUE, Vec::new()),
        ("p50", RGBColor(0, 140, 60), Vec::new()),
        ("p99", RGBColor(230, 140, 0), Vec::new()),
        ("max", RED, Vec::new()),
    ];
    let (mut begin, mut bounds) = (0.0, Vec::new());
    for turn in turns.iter().filter(|turn| !server || !turn.is_floor()) {
        let stretches = &turn.tally.counted.stretches;
        for stretch in stretches {
            let at = begin + stretch.end;
            lines[0].2.push((at, stretch.rate));
            for (line, nanos) in lines[1..].iter_mut().zip(stretch.latency) {
                // Nothing came in this stretch: there is no latency to draw.
                if nanos > 0 {
                    line.2.push((at, nanos as f64 / 1_000.0));
                }
            }
        }
        begin += stretches.last().map_or(0.0, |stretch| stretch.end);
        bounds.push(begin);
    }
    if begin == 0.0 {
        return Err(format!("{}: the run was too short to be drawn", path.display()));
    }
    bounds.pop();
    render(path, scenario, begin, &lines, &bounds).map_err(|error| format!("{}: {error}", path.display()))
}

/// A number that people can read at a glance.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Microseconds in the unit that fits.
fn duration(micros: f64) -> String {
    let rounded = |value: f64| (value * 100.0).round() / 100.0;
    match micros {
        seconds if seconds >= 1e6 => format!("{} s", rounded(seconds / 1e6)),
        millis if millis >= 1e3 => format!("{} ms", rounded(millis / 1e3)),
        micros => format!("{} µs", rounded(micros)),
    }
}

/// `bounds` is where one turn ends and the next begins.
fn render(
    path: &Path,
    scenario: &str,
    end: f64,
    lines: &[Line; 4],
    bounds: &[f64],
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (above, below) = root.split_vertically(SIZE.1 / 2);
    let most = |lines: &[Line]| lines.iter().flat_map(|line| &line.2).fold(1.0_f64, |most, point| most.max(point.1));
    let grey = RGBColor(150, 150, 150);
    let top = most(&lines[..1]) * 1.1;
    let mut throughput = ChartBuilder::on(&above)
        .caption(format!("{scenario}: done a second"), (FONT, 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    throughput
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .y_label_formatter(&|number| grouped(*number))
        .x_desc("seconds")
        .draw()?;
    for at in bounds {
        throughput.draw_series(LineSeries::new([(*at, 0.0), (*at, top)], &grey))?;
    }
    throughput.draw_series(LineSeries::new(lines[0].2.iter().copied(), &lines[0].1))?;
    let least = lines[1..].iter().flat_map(|line| &line.2).fold(f64::MAX, |least, point| least.min(point.1));
    let (bottom, top) = (least.min(1e6) / 2.0, most(&lines[1..]) * 2.0);
    let mut latency = ChartBuilder::on(&below)
        .caption("latency", (FONT, 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..end, (bottom..top).log_scale())?;
    latency
        .configure_mesh()
        .light_line_style(RGBColor(235, 235, 235))
        .y_label_formatter(&|micros| duration(*micros))
        .x_desc("seconds")
        .draw()?;
    for at in bounds {
        latency.draw_series(LineSeries::new([(*at, bottom), (*at, top)], &grey))?;
    }
    for (at, (name, colour, points)) in lines[1..].iter().enumerate() {
        latency.draw_series(LineSeries::new(points.iter().copied(), colour))?;
        // Beside the caption: over the lines it would hide some of them.
        let place = (SIZE.0 as i32 - 190 + 60 * at as i32, 16);
        below.draw(&Text::new(*name, place, (FONT, 16).into_font().color(colour)))?;
    }
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(["0", "950", "1,000", "1,234,567"], [0.0, 950.0, 1_000.0, 1_234_567.0].map(grouped));
        assert_eq!(["20 µs", "0.5 µs", "1 ms", "2.5 s"], [20.0, 0.5, 1_000.0, 2_500_000.0].map(duration));
    }
}
