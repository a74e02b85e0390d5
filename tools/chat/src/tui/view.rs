//! Draws the model: nothing is remembered between two times.

use super::lang::fill;
use super::model::{Areas, FileLine, Focus, LEAST, Link, Model, Row};
use super::popup::{Form, Popup};
use super::text::{self, cut, fit, wrap, wrap_under};
use crate::show::{clean, is_harmful};
use oicq::client::Status;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Borders, Clear, Paragraph};

/// Columns of a transfer's bar.
const BAR: usize = 10;

fn dim() -> Style {
    Style::new().fg(Color::DarkGray)
}

fn chosen() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

/// Draws everything.
pub fn view(model: &Model, frame: &mut Frame<'_>) {
    if model.size.0 < LEAST.0 || model.size.1 < LEAST.1 {
        let lines = wrap(model.words.too_small, usize::from(model.size.0)).into_iter().map(Line::raw);
        return frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), frame.area());
    }
    let areas = model.areas();
    title(model, frame, areas.title);
    // Before there is an account, there is nothing to see behind the questions.
    if model.me.is_some() || model.popups.is_empty() {
        if let Some(area) = areas.list {
            list(model, frame, area);
        }
        if areas.talk.width > 0 {
            talk(model, frame, &areas);
        }
    }
    keys(model, frame, areas.keys);
    if let Some(popup) = model.popups.last() {
        self::popup(model, popup, frame);
    }
    disarm(frame.buffer_mut());
    mark_composed(frame.buffer_mut());
}

/// Whatever was drawn, and by whom: nothing gets to the terminal that it would obey.
fn disarm(buffer: &mut Buffer) {
    let harmful = buffer.content.iter_mut().filter(|cell| cell.symbol().contains(is_harmful));
    for cell in harmful {
        cell.set_symbol("\u{fffd}");
    }
}

/// A flag is two letters for some terminals, each in a cell of its own, and a blank over the first leaves the second. The
/// cell behind one is marked, where nobody sees it: so it counts as changed, and is drawn, when the flag goes.
fn mark_composed(buffer: &mut Buffer) {
    let composed = |at: usize| buffer.content[at - 1].symbol().chars().nth(1).is_some();
    let behind: Vec<usize> = (1..buffer.content.len())
        .filter(|at| composed(*at) && text::width(buffer.content[at - 1].symbol()) > 1)
        .collect();
    for at in behind {
        buffer.content[at].set_fg(Color::Black);
    }
}

fn sign(status: Option<Status>) -> (&'static str, Style) {
    match status {
        Some(Status::Online) => ("●", Style::new().fg(Color::Green)),
        Some(Status::Busy) => ("◐", Style::new().fg(Color::Yellow)),
        Some(Status::Hidden) => ("◌", dim()),
        Some(Status::Offline) => ("○", dim()),
        None => ("·", dim()),
    }
}

fn title(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let words = model.words;
    let mut spans =
        vec![Span::styled(" oicq ", Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED)), Span::raw(" ")];
    if let Some(me) = model.me {
        let up = matches!(model.link, Link::Up { .. } | Link::Silent);
        let status = if up { model.status } else { Status::Offline };
        let (sign, style) = sign(Some(status));
        spans.push(Span::raw(format!("{} ", model.person(me))));
        spans.push(Span::styled(sign, style));
        spans.push(Span::raw(format!(" {}", words.status(status))));
    }
    let (link, style) = match &model.link {
        Link::Out if model.me.is_none() => (words.signed_out.to_owned(), Style::new().fg(Color::Yellow)),
        Link::Out => (words.no_session.to_owned(), Style::new().fg(Color::Yellow)),
        Link::Connecting => (words.connecting.to_owned(), Style::new().fg(Color::Yellow)),
        Link::Delayed => (words.delayed.to_owned(), Style::new().fg(Color::Yellow)),
        Link::Away => (words.no_answer.to_owned(), Style::new().fg(Color::Red)),
        Link::Silent => (words.silent.to_owned(), Style::new().fg(Color::Red)),
        Link::OtherKey => (words.key_title.to_owned(), Style::new().fg(Color::White).bg(Color::Red)),
        Link::Up { .. } if model.slowed => {
            (fill(words.slowed, &[&model.waiting.to_string()]), Style::new().fg(Color::Yellow))
        }
        Link::Up { tcp, trip } => {
            let way = if *tcp { "TCP" } else { "UDP" };
            let trip = trip.map_or(String::new(), |trip| format!(" {} ms", trip.max(1)));
            (format!("{way}{trip} · {}", model.place), dim())
        }
    };
    let used: usize = spans.iter().map(|span| text::width(&span.content)).sum();
    let room = usize::from(area.width).saturating_sub(used + 2);
    let link = cut(&link, room);
    spans.push(Span::raw(" ".repeat(room.saturating_sub(text::width(&link)) + 1)));
    spans.push(Span::styled(link, style));
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}

/// The part of the list in which its rows stand.
pub fn list_body(area: Rect) -> Rect {
    Rect::new(area.x, area.y + 1, area.width.saturating_sub(1), area.height.saturating_sub(1))
}

fn list(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let words = model.words;
    let focused = model.focus == Focus::List && model.popups.is_empty();
    let border = if focused { Style::new().fg(Color::Cyan) } else { dim() };
    frame.render_widget(Block::new().borders(Borders::RIGHT).border_style(border), area);
    let body = list_body(area);
    let width = usize::from(body.width);
    let search = fit(&format!("{}{}", words.search, model.filter.text()), width);
    let style = if focused { Style::new().fg(Color::Cyan) } else { dim() };
    frame.render_widget(Paragraph::new(Line::styled(search, style)), Rect::new(area.x, area.y, body.width, 1));
    if focused {
        let typed = text::width(words.search) + text::width(model.filter.text());
        let column = u16::try_from(typed).unwrap_or(0).min(body.width.saturating_sub(1));
        frame.set_cursor_position(Position::new(area.x + column, area.y));
    }
    let rows = model.rows();
    let top = model.list_top(usize::from(body.height));
    let mut lines: Vec<Line<'_>> = Vec::new();
    for row in rows.iter().skip(top).take(usize::from(body.height)) {
        lines.push(match row {
            Row::Group(name, _, 0) => Line::styled(fit(name, width), Style::new().add_modifier(Modifier::BOLD)),
            Row::Group(name, here, all) => {
                let count = format!(" {here}/{all}");
                let name = cut(name, width.saturating_sub(count.len()));
                let bold = Span::styled(name, Style::new().add_modifier(Modifier::BOLD));
                Line::from(vec![bold, Span::styled(count, dim())])
            }
            Row::Person(number) => person(model, *number, width, focused),
        });
    }
    if model.groups.iter().all(|group| group.friends.is_empty()) && model.others.is_empty() && model.me.is_some() {
        lines.push(Line::raw(""));
        lines.extend(wrap(words.no_friends, width).into_iter().map(|line| Line::styled(line, dim())));
    } else if rows.is_empty() && !model.filter.text().is_empty() {
        lines.push(Line::styled(cut(words.nobody, width), dim()));
    }
    frame.render_widget(Paragraph::new(lines), body);
}

fn person(model: &Model, number: u32, width: usize, focused: bool) -> Line<'static> {
    let (sign, style) = sign(model.status_of(number));
    let unread = model.unread.get(&number).map_or(String::new(), |count| format!(" {count}"));
    let room = width.saturating_sub(3 + unread.len());
    let name = fit(&model.name(number), room);
    let is_open = model.chat.as_ref().is_some_and(|chat| chat.peer == number);
    let mut name_style = if is_open { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() };
    if model.chosen == Some(number) && focused {
        name_style = chosen();
    } else if model.status_of(number) == Some(Status::Offline) && !is_open {
        name_style = dim();
    }
    Line::from(vec![
        Span::raw(if is_open { "▸" } else { " " }),
        Span::styled(sign, style),
        Span::raw(" "),
        Span::styled(name, name_style),
        Span::styled(unread, Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD)),
    ])
}

fn talk(model: &Model, frame: &mut Frame<'_>, areas: &Areas) {
    let words = model.words;
    let Some(chat) = &model.chat else {
        let area = Rect { x: areas.talk.x + 1, width: areas.talk.width.saturating_sub(1), ..areas.talk };
        let lines = wrap(words.nobody_open, usize::from(area.width));
        let lines: Vec<Line<'_>> = lines.into_iter().map(|line| Line::styled(line, dim())).collect();
        return frame.render_widget(Paragraph::new(lines), area);
    };
    let width = usize::from(areas.head.width.saturating_sub(1));
    let status = model.status_of(chat.peer).map_or(String::new(), |status| format!(" · {}", words.status(status)));
    let head = cut(&format!("{}{status}", model.person(chat.peer)), width);
    let head_area = Rect { x: areas.head.x + 1, width: areas.head.width.saturating_sub(1), ..areas.head };
    frame.render_widget(Paragraph::new(Line::styled(head, Style::new().add_modifier(Modifier::BOLD))), head_area);

    let files: Vec<Line<'static>> = model
        .files
        .iter()
        .filter(|file| file.peer == chat.peer && !file.ended)
        .map(|file| transfer(file, width))
        .collect();
    let files_height = u16::try_from(files.len()).unwrap_or(0).min(areas.talk.height / 2);
    let x = areas.talk.x + 1;
    let height = areas.talk.height - files_height;
    let body = Rect::new(x, areas.talk.y, areas.talk.width.saturating_sub(1), height);
    let mut lines = model.in_sight(usize::from(height));
    if chat.entries.is_empty() {
        lines = vec![Line::styled(cut(words.nothing_said, width), dim())];
    }
    // The newest stands at the bottom, and what little there is at the top.
    frame.render_widget(Paragraph::new(lines), body);
    frame.render_widget(Paragraph::new(files), Rect::new(x, body.bottom(), body.width, files_height));
    if chat.scroll > 0 || !chat.at_end {
        let mark = Rect::new(areas.talk.right().saturating_sub(4), areas.talk.bottom().saturating_sub(1), 3, 1);
        frame.render_widget(Paragraph::new(Line::styled(" ↓ ", chosen())), mark);
    }

    let focused = model.focus == Focus::Input && model.popups.is_empty();
    let border = if focused { Style::new().fg(Color::Cyan) } else { dim() };
    frame.render_widget(Block::new().borders(Borders::TOP).border_style(border), areas.input);
    let (lines, (column, row)) = model.input.lines(usize::from(areas.input.width.saturating_sub(3)));
    let height = usize::from(areas.input.height - 1);
    let top = (row + 1).saturating_sub(height);
    let shown = lines.into_iter().skip(top).take(height).enumerate();
    let shown: Vec<Line<'_>> =
        shown.map(|(at, line)| Line::raw(format!("{}{line}", if at + top == 0 { "> " } else { "  " }))).collect();
    let area = Rect::new(areas.input.x, areas.input.y + 1, areas.input.width, areas.input.height - 1);
    frame.render_widget(Paragraph::new(shown), area);
    if focused {
        let (column, row) = (u16::try_from(column).unwrap_or(0), u16::try_from(row - top).unwrap_or(0));
        frame.set_cursor_position(Position::new(area.x + 2 + column, area.y + row));
    }
}

fn transfer(file: &FileLine, width: usize) -> Line<'static> {
    let done = u64::from(file.done) * BAR as u64 / u64::from(file.size.max(1));
    let done = usize::try_from(done).unwrap_or(BAR).min(BAR);
    let percent = u64::from(file.done) * 100 / u64::from(file.size.max(1));
    let arrow = if file.incoming { "↓" } else { "↑" };
    let bar = format!("{}{}", "█".repeat(done), "░".repeat(BAR - done));
    let of = format!("{} / {}", text::bytes(file.done.into()), text::bytes(file.size.into()));
    let speed = if file.speed > 0 { format!("  {}/s", text::bytes(file.speed)) } else { String::new() };
    let line = format!("{arrow} {} {bar} {percent} %  {of}{speed}", cut(&file.name, width / 3));
    Line::styled(cut(&line, width), Style::new().fg(Color::Magenta))
}

/// Which keys do something now.
pub fn hints(model: &Model) -> &'static str {
    let words = model.words;
    match model.popups.last() {
        Some(Popup::Form(form)) if form.at + 1 < form.questions.len() => words.keys_form,
        Some(Popup::Form(_)) => words.keys_last,
        Some(Popup::Confirm(_)) => words.keys_confirm,
        Some(Popup::Page(_)) => words.keys_text,
        Some(_) => words.keys_popup,
        None if model.focus == Focus::List && model.chat.is_some() => words.keys_list,
        None => words.keys,
    }
}

fn keys(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let width = usize::from(area.width);
    let (line, style) = match (&model.trouble, &model.flash) {
        (Some(trouble), _) => (format!("! {}", clean(trouble)), Style::new().fg(Color::White).bg(Color::Red)),
        (None, Some(flash)) => (clean(flash), Style::new().fg(Color::Yellow)),
        (None, None) => (hints(model).to_owned(), dim()),
    };
    let unseen = if model.unseen > 0 { format!(" [{}]", model.unseen) } else { String::new() };
    let line = fit(&line, width.saturating_sub(unseen.len()));
    let spans = vec![Span::styled(line, style), Span::styled(unseen, Style::new().fg(Color::Yellow))];
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}

/// Where a popup stands: in the middle, as high as it has lines.
fn place(model: &Model, lines: usize, widest: usize) -> Rect {
    let (width, height) = model.size;
    let most = width.saturating_sub(2);
    let wide = u16::try_from(widest + 4).unwrap_or(width).clamp(40.min(most), most);
    let high = u16::try_from(lines + 2).unwrap_or(height).min(height.saturating_sub(2));
    Rect::new((width - wide) / 2, 1 + (height.saturating_sub(2) - high) / 2, wide, high)
}

fn frame_of(frame: &mut Frame<'_>, area: Rect, title: &str, style: Style) -> Rect {
    frame.render_widget(Clear, area);
    // A wide character that begins left of it would cover its border.
    for row in area.top()..area.bottom() {
        let left = area.x.checked_sub(1).and_then(|column| frame.buffer_mut().cell_mut((column, row)));
        if let Some(cell) = left.filter(|cell| text::width(cell.symbol()) > 1) {
            cell.set_symbol(" ");
        }
    }
    let title = cut(title, usize::from(area.width.saturating_sub(4)));
    let block = Block::new()
        .borders(Borders::ALL)
        .border_type(BorderType::Rounded)
        .border_style(style)
        .title(Line::styled(format!(" {title} "), style.add_modifier(Modifier::BOLD)));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

/// A list with a mark: its lines, which one is marked, and its title.
fn choices(model: &Model, popup: &Popup) -> Option<(String, Vec<String>, usize)> {
    let words = model.words;
    Some(match popup {
        Popup::Menu(menu) => {
            let numbered =
                |at: usize, label: &str| if menu.stays { format!("{}  {label}", at + 1) } else { label.to_owned() };
            let lines = menu.items.iter().enumerate().map(|(at, (label, _))| numbered(at, label)).collect();
            (menu.title.clone(), lines, menu.at)
        }
        Popup::People(people) => {
            let line = |person: &oicq::client::Person| {
                format!("{:<10} {}  {}", person.number, fit(&clean(&person.nickname), 16), clean(&person.city))
            };
            let mut lines: Vec<String> = people.people.iter().map(line).collect();
            if lines.is_empty() {
                lines.push(words.nobody.to_owned());
            } else if people.more {
                lines.push(words.more.to_owned());
            }
            (people.title.clone(), lines, people.at)
        }
        Popup::Search(search) => {
            let line = |entry: &crate::history::Entry| {
                let who = model.name(entry.peer);
                let arrow = if entry.mine { "→" } else { "←" };
                let time = format!("{} {}", model.zone.day(entry.time), model.zone.minute(entry.time));
                format!("{time} {arrow} {}  {}", fit(&who, 10), clean(&entry.text))
            };
            (words.find_history.to_owned(), search.found.iter().map(line).collect(), search.at)
        }
        _ => return None,
    })
}

/// Where a list stands, where its rows begin, and the first one in sight.
fn list_place(model: &Model, popup: &Popup, lines: &[String], at: usize) -> (Rect, u16, usize) {
    let widest = lines.iter().map(|line| text::width(line)).max().unwrap_or(0);
    let (area, skip) = match popup {
        // It does not jump about while one types.
        Popup::Search(_) => (place(model, usize::from(model.size.1), usize::from(model.size.0)), 2),
        Popup::Menu(menu) => (place(model, lines.len(), widest.max(text::width(&menu.title) + 1)), 0),
        _ => (place(model, lines.len(), widest), 0),
    };
    let height = usize::from(area.height.saturating_sub(2 + skip));
    (area, skip, (at + 1).saturating_sub(height))
}

/// The row of a list in a popup on which somebody has clicked.
pub fn popup_row(model: &Model, at: Position) -> Option<usize> {
    let popup = model.popups.last()?;
    let (_, lines, marked) = choices(model, popup)?;
    let (area, skip, top) = list_place(model, popup, &lines, marked);
    let first = area.y + 1 + skip;
    let inside = at.x > area.x && at.x < area.right() - 1 && at.y >= first && at.y < area.bottom() - 1;
    inside.then(|| top + usize::from(at.y - first)).filter(|row| *row < lines.len())
}

/// Where a page stands, and its lines. What does not fit goes on under where its explanation begins.
fn page_place(model: &Model, text: &str) -> (Rect, Vec<String>) {
    let most = usize::from(model.size.0.saturating_sub(6)).max(8);
    let lines: Vec<String> = text.lines().flat_map(|line| wrap_under(line, most)).collect();
    let widest = lines.iter().map(|line| text::width(line)).max().unwrap_or(0);
    (place(model, lines.len(), widest), lines)
}

/// How far a page can be scrolled.
pub fn page_end(model: &Model, text: &str) -> usize {
    let (area, lines) = page_place(model, text);
    lines.len().saturating_sub(usize::from(area.height.saturating_sub(2)))
}

/// Marks in a frame that there is more above or below.
fn more(frame: &mut Frame<'_>, area: Rect, above: bool, below: bool, style: Style) {
    for (there, mark, y) in [(above, "↑", area.y), (below, "↓", area.bottom().saturating_sub(1))] {
        if there && area.width > 4 {
            let at = Rect::new(area.right() - 4, y, 3, 1);
            frame.render_widget(Paragraph::new(Line::styled(format!(" {mark} "), style)), at);
        }
    }
}

fn popup(model: &Model, popup: &Popup, frame: &mut Frame<'_>) {
    let style = Style::new().fg(Color::Cyan);
    if let Some((title, lines, at)) = choices(model, popup) {
        let (area, skip, top) = list_place(model, popup, &lines, at);
        let inner = frame_of(frame, area, &title, style);
        let width = usize::from(inner.width);
        if let Popup::Search(search) = popup {
            let typed = format!("> {}", search.editor.text());
            frame.render_widget(Paragraph::new(cut(&typed, width)), Rect { height: 1, ..inner });
            let column = u16::try_from(text::width(&typed)).unwrap_or(0).min(inner.width.saturating_sub(1));
            frame.set_cursor_position(Position::new(inner.x + column, inner.y));
        }
        let body = Rect::new(inner.x, inner.y + skip, inner.width, inner.height.saturating_sub(skip));
        let shown = lines.iter().enumerate().skip(top).take(usize::from(body.height));
        let shown: Vec<Line<'_>> = shown
            .map(|(row, line)| {
                let style = if row == at { chosen() } else { Style::new() };
                Line::styled(fit(&format!(" {line}"), width), style)
            })
            .collect();
        frame.render_widget(Paragraph::new(shown), body);
        return more(frame, area, top > 0, lines.len() > top + usize::from(body.height), style);
    }
    match popup {
        Popup::Form(form) => self::form(model, form, frame),
        Popup::Page(page) => {
            let (area, lines) = page_place(model, &page.text);
            let inner = frame_of(frame, area, &page.title, style);
            let (count, height) = (lines.len(), usize::from(inner.height));
            let top = page.scroll.min(count.saturating_sub(height));
            let shown = lines.into_iter().skip(top).map(|line| Line::raw(format!(" {line}")));
            frame.render_widget(Paragraph::new(shown.collect::<Vec<_>>()), inner);
            more(frame, area, top > 0, count > top + height, style);
        }
        Popup::Confirm(confirm) => {
            let lines = [confirm.text.as_str(), "", model.words.keys_confirm];
            let widest = lines.iter().map(|line| text::width(line)).max().unwrap_or(0);
            let inner = frame_of(frame, place(model, 3, widest), "?", Style::new().fg(Color::Yellow));
            let lines: Vec<Line<'_>> = lines.into_iter().map(|line| Line::raw(format!(" {line}"))).collect();
            frame.render_widget(Paragraph::new(lines), inner);
        }
        Popup::Menu(_) | Popup::People(_) | Popup::Search(_) => {}
    }
}

fn form(model: &Model, form: &Form, frame: &mut Frame<'_>) {
    let loud = form.title == model.words.key_title;
    let style = if loud { Style::new().fg(Color::Red) } else { Style::new().fg(Color::Cyan) };
    let widest = if loud { 90 } else { 64 };
    let most = usize::from(model.size.0.saturating_sub(6)).min(widest);
    let mut lines: Vec<Line<'_>> = Vec::new();
    if !form.about.is_empty() {
        lines.extend(form.about.lines().flat_map(|line| wrap(line, most)).map(Line::raw));
        lines.push(Line::raw(""));
    }
    // What was answered already is in sight as far as there is room.
    let answered = form.questions[..form.at].iter().filter(|question| !question.answer.is_empty());
    let answered: Vec<String> = answered
        .map(|question| {
            let answer = if question.is_secret() { "••••••••" } else { &question.answer };
            format!("{}: {answer}", question.label)
        })
        .collect();
    let room = usize::from(model.size.1.saturating_sub(12));
    let skip = answered.len().saturating_sub(room.saturating_sub(lines.len()));
    lines.extend(answered.into_iter().skip(skip).map(|line| Line::styled(cut(&line, most), dim())));
    let question = &form.questions[form.at];
    let count =
        if form.questions.len() > 1 { format!(" ({}/{})", form.at + 1, form.questions.len()) } else { String::new() };
    lines.push(Line::styled(format!("{}{count}", question.label), Style::new().add_modifier(Modifier::BOLD)));
    let (rows, (column, row)) = match question.is_secret() {
        true => {
            let letters = form.editor.text().chars().count();
            super::editor::Editor::new(&"•".repeat(letters)).lines(most.saturating_sub(2))
        }
        false => form.editor.lines(most.saturating_sub(2)),
    };
    let first = lines.len();
    lines.extend(
        rows.into_iter().enumerate().map(|(at, row)| Line::raw(format!("{}{row}", if at == 0 { "> " } else { "  " }))),
    );
    lines.push(Line::raw(""));
    match &form.error {
        Some(error) => {
            let error = fill("! {}", &[&clean(error)]);
            lines.extend(wrap(&error, most).into_iter().map(|line| Line::styled(line, Style::new().fg(Color::Red))));
        }
        None => lines.extend(wrap(&question.hint, most).into_iter().map(|line| Line::styled(line, dim()))),
    }
    let inner = frame_of(frame, place(model, lines.len(), most), &form.title, style);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(1), ..inner };
    frame.render_widget(Paragraph::new(lines), inner);
    let (column, row) = (u16::try_from(column + 2).unwrap_or(0), u16::try_from(first + row).unwrap_or(0));
    if row < inner.height {
        frame.set_cursor_position(Position::new(inner.x + column.min(inner.width), inner.y + row));
    }
}
