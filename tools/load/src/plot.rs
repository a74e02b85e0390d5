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
        ("p50", GREEN, Vec::new()),
        ("p99", RGBColor(230, 140, 0), Vec::new()),
        ("max", RED, Vec::new()),
    ];
    let mut begin = 0.0;
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
    }
    if begin == 0.0 {
        return Err(format!("{}: the run was too short to be drawn", path.display()));
    }
    render(path, scenario, begin, &lines).map_err(|error| format!("{}: {error}", path.display()))
}

fn render(path: &Path, scenario: &str, end: f64, lines: &[Line; 4]) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (above, below) = root.split_vertically(SIZE.1 / 2);
    let most = |lines: &[Line]| lines.iter().flat_map(|line| &line.2).fold(1.0_f64, |most, point| most.max(point.1));
    let mut throughput = ChartBuilder::on(&above)
        .caption(format!("{scenario}: done a second"), (FONT, 18))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..end, 0.0..most(&lines[..1]) * 1.1)?;
    throughput.configure_mesh().x_desc("seconds").draw()?;
    throughput.draw_series(LineSeries::new(lines[0].2.iter().copied(), &lines[0].1))?;
    let least = lines[1..].iter().flat_map(|line| &line.2).fold(f64::MAX, |least, point| least.min(point.1));
    let mut latency = ChartBuilder::on(&below)
        .caption("latency in µs", (FONT, 18))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..end, (least.min(1e6) / 2.0..most(&lines[1..]) * 2.0).log_scale())?;
    latency.configure_mesh().x_desc("seconds").draw()?;
    for (name, colour, points) in &lines[1..] {
        let colour = *colour;
        latency
            .draw_series(LineSeries::new(points.iter().copied(), &colour))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
    }
    latency.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    root.present()?;
    Ok(())
}
