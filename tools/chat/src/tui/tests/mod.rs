//! The full screen drawn into text, and driven by keys: without a terminal, without a server.

mod account;

use super::effect::{Answer, Effect, Known, Message, Request};
use super::lang::{EN, Words, ZH};
use super::model::{Link, Model};
use super::text::Zone;
use super::view::view;
use crate::engine::{FileState, News};
use crate::history::{Entry, State};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use oicq::client::{AddOutcome, Event, Friend, Group, ReceiptState, Status};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use unicode_width::UnicodeWidthStr;

/// 2026-11-24 12:00 UTC.
const NOON: i64 = 1_795_521_600_000;
const HONG: u32 = 10_001;

/// The screen as text, each row without the blanks at its end.
fn screen(model: &Model) -> String {
    let mut terminal = Terminal::new(TestBackend::new(model.size.0, model.size.1)).unwrap();
    terminal.draw(|frame| view(model, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for row in buffer.content.chunks(usize::from(model.size.0)) {
        let (mut line, mut column) = (String::new(), 0);
        while let Some(cell) = row.get(column) {
            line.push_str(cell.symbol());
            column += cell.symbol().width().max(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn model(words: &'static Words, size: (u16, u16)) -> Model {
    let mut model = Model::new(words, Zone::Utc, size, NOON);
    model.place = "127.0.0.1:8000".into();
    model
}

/// Somebody with two friends who is signed in.
fn signed_in(words: &'static Words, size: (u16, u16)) -> Model {
    let mut model = model(words, size);
    let friend = |number, nickname: &str, status| Friend { number, nickname: nickname.into(), portrait: 0, status };
    let groups = vec![
        Group {
            number: 1,
            name: "My Friends".into(),
            friends: vec![friend(10_002, "Li Lei", Status::Offline), friend(HONG, "小红", Status::Online)],
        },
        Group { number: 2, name: "同学".into(), friends: vec![friend(10_003, "老王", Status::Busy)] },
    ];
    let known = Known { names: vec![(10_000, "小明".into())], unread: vec![(10_003, 2)], ..Known::default() };
    model.update(Message::Known(10_000, Box::new(known)));
    model.update(Message::SignedIn { number: 10_000, groups, hidden: false });
    model.update(Message::Tick { up: true, tcp: false, trip: Some(12), waiting: 0 });
    model
}

fn entry(row: i64, mine: bool, text: &str, state: State) -> Entry {
    Entry { row, peer: HONG, mine, id: row as u64, time: NOON + row * 60_000, text: text.into(), state }
}

/// The same with an open conversation.
fn talking(words: &'static Words, size: (u16, u16)) -> Model {
    let mut model = signed_in(words, size);
    model.open(HONG);
    let entries = vec![
        entry(1, false, "你好！今天天气很好 👍", State::Read),
        entry(2, true, "hello", State::Delivered),
        entry(3, true, "are you there?", State::Stored),
        entry(4, true, "spam", State::Refused(5)),
    ];
    model.update(Message::Opened { peer: HONG, entries, draft: String::new() });
    model.effects.clear();
    model
}

fn press(model: &mut Model, code: KeyCode) {
    model.update(Message::Key(KeyEvent::new(code, KeyModifiers::NONE)));
}

fn write(model: &mut Model, text: &str) {
    text.chars().for_each(|letter| press(model, KeyCode::Char(letter)));
}

/// What there is to do since the last time.
fn effects(model: &mut Model) -> Vec<Effect> {
    std::mem::take(&mut model.effects)
}

#[test]
fn a_conversation_at_80_by_24() {
    let mut model = talking(&EN, (80, 12));
    write(&mut model, "see you");
    assert_eq!(
        screen(&model),
        " oicq  小明 (10000) ● online                         UDP 12 ms · 127.0.0.1:8000
search:              │ 小红 (10001) · online
Friends 1/2          │ ── 2026-11-24 ──
▸● 小红              │ 12:01 小红 你好！今天天气很好 👍
 ○ Li Lei            │ 12:02 me hello ✓✓
同学 1/1             │ 12:03 me are you there? ✓
 ◐ 老王             2│ 12:04 me spam ✗
                     │          refused: not accepted by the other side
                     │
                     │──────────────────────────────────────────────────────────
                     │> see you
F1 Help  F2 Menu  F3 Search  F4 Notices  Tab Friends  ^N Unread  ^Q Quit
"
    );
}

#[test]
fn the_same_in_chinese_and_narrow() {
    let mut model = talking(&ZH, (40, 10));
    assert_eq!(
        screen(&model),
        " oicq  小明 (10000) ● 在线 UDP 12 ms ·…
 小红 (10001) · 在线
 12:01 小红 你好！今天天气很好 👍
 12:02 我 hello ✓✓
 12:03 我 are you there? ✓
 12:04 我 spam ✗
          被拒绝：对方不接收
────────────────────────────────────────
>
F1 帮助  F2 菜单  F3 搜索  F4 通知  Tab…
"
    );
    press(&mut model, KeyCode::Tab);
    let list = screen(&model);
    assert!(list.contains("好友 1/2") && list.contains("▸● 小红"), "{list}");
    assert!(!list.contains("hello"), "{list}");
}

#[test]
fn every_row_fits_its_screen() {
    for size in [(80, 24), (200, 50), (24, 8), (60, 10), (10, 3)] {
        for words in [&EN, &ZH] {
            let mut model = talking(words, size);
            for key in [1, 2, 3, 4] {
                press(&mut model, KeyCode::F(key));
                for row in screen(&model).lines() {
                    assert!(row.width() <= usize::from(size.0), "{size:?} F{key}: {row}");
                }
                press(&mut model, KeyCode::Esc);
            }
        }
    }
}

#[test]
fn what_is_written_is_said_and_comes_back_if_it_cannot_be() {
    let mut model = talking(&EN, (80, 24));
    write(&mut model, "one");
    model.update(Message::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::ALT)));
    model.update(Message::Paste("two\r\nthree".into()));
    press(&mut model, KeyCode::Enter);
    let said = effects(&mut model);
    assert_eq!(said[0], Effect::Say { to: HONG, text: "one\ntwo\nthree".into() });
    write(&mut model, "next");
    let error = "the history cannot be written: the disk is full".to_owned();
    model.update(Message::NotSaid { to: HONG, text: "one".into(), error: error.clone() });
    assert_eq!(model.input.text(), "one\nnext", "nothing that was written is lost");
    assert!(screen(&model).contains(&error));
    model.update(Message::Newer(HONG, vec![entry(5, true, "later", State::Waiting)]));
    assert!(screen(&model).contains("later …"));
    let state = ReceiptState::Delivered;
    model.update(Message::News(News::Event(Event::Receipt { to: HONG, id: 5, state })));
    assert!(screen(&model).contains("later ✓✓"));
}

#[test]
fn drafts_stay_with_their_conversation() {
    let mut model = talking(&EN, (80, 24));
    write(&mut model, "half a thou");
    model.open(10_002);
    assert!(effects(&mut model).contains(&Effect::Draft { to: HONG, text: "half a thou".into() }));
    assert_eq!(model.input.text(), "");
    model.open(HONG);
    model.update(Message::Opened { peer: HONG, entries: Vec::new(), draft: String::new() });
    assert_eq!(model.input.text(), "half a thou");
}

#[test]
fn unread_counts_go_up_and_away() {
    let mut model = talking(&EN, (80, 24));
    let message = |from| Event::Message { from, text: "hi".into(), id: 9, time: 1 };
    model.update(Message::News(News::Event(message(10_002))));
    model.update(Message::News(News::Event(message(10_777))));
    assert!(effects(&mut model).contains(&Effect::LookUp(10_777)), "a stranger's name is asked for");
    let shown = screen(&model);
    assert!(shown.contains("○ Li Lei           1│") && shown.contains("Others"), "{shown}");
    model.update(Message::News(News::Event(message(HONG))));
    assert_eq!(effects(&mut model), [Effect::Newer { peer: HONG, after: 4 }, Effect::Seen(HONG)]);
    model.update(Message::Key(KeyEvent::new(KeyCode::Char('n'), KeyModifiers::CONTROL)));
    assert_eq!(model.chat.as_ref().map(|chat| chat.peer), Some(10_002));
}

#[test]
fn the_list_is_searched_as_one_types() {
    let mut model = talking(&EN, (80, 24));
    press(&mut model, KeyCode::Tab);
    write(&mut model, "老");
    let shown = screen(&model);
    assert!(shown.contains("search: 老") && shown.contains("老王") && !shown.contains("Li Lei"), "{shown}");
    press(&mut model, KeyCode::Enter);
    assert_eq!(model.chat.as_ref().map(|chat| chat.peer), Some(10_003));
    assert!(screen(&model).contains("Li Lei"), "the search is over");
}

#[test]
fn a_search_that_finds_nobody_says_so_and_is_taken_back() {
    let mut model = talking(&EN, (80, 24));
    press(&mut model, KeyCode::Tab);
    write(&mut model, "xyz");
    let shown = screen(&model);
    assert!(shown.contains("search: xyz") && shown.contains("nobody"), "{shown}");
    model.update(Message::Key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL)));
    assert!(screen(&model).contains("Li Lei"));
}

#[test]
fn adding_a_friend_tells_every_outcome() {
    let mut model = signed_in(&EN, (80, 24));
    effects(&mut model);
    for (outcome, words) in [
        (AddOutcome::Done, "10009 is your friend."),
        (AddOutcome::Nobody, "10009 lets nobody add them."),
        (AddOutcome::NeedsAuthorization, "10009 wants to be asked first."),
        (AddOutcome::NeedsAuthorizationOffline, "is offline: the answer may"),
    ] {
        let request = Request::Add(10_009);
        model.update(Message::Done { request, form: false, result: Ok(Answer::Added(outcome)) });
        assert!(screen(&model).contains(words), "{words}: {}", screen(&model));
    }
    effects(&mut model);
    write(&mut model, "classmates");
    press(&mut model, KeyCode::Enter);
    let request = Request::AskFor { number: 10_009, reason: "classmates".into() };
    assert_eq!(effects(&mut model), [Effect::Ask { request, form: true }]);
}

#[test]
fn requests_are_kept_and_answered() {
    let mut model = signed_in(&EN, (80, 24));
    effects(&mut model);
    model.update(Message::News(News::Event(Event::Asked { from: 10_009, reason: "it's\x1b me".into() })));
    assert!(effects(&mut model).contains(&Effect::KeepRequests("10009 ?it's\u{fffd} me".into())));
    press(&mut model, KeyCode::F(2));
    assert!(screen(&model).contains("Requests (1)"));
    press(&mut model, KeyCode::Esc);
    model.command("accept 10009").unwrap();
    let request = Request::Answer { number: 10_009, agree: true };
    assert_eq!(effects(&mut model), [Effect::Ask { request: request.clone(), form: false }]);
    model.update(Message::Done { request, form: false, result: Ok(Answer::Done) });
    assert_eq!(model.requests, [(10_009, None)], "they can be added now");
}

#[test]
fn a_file_has_a_bar_and_a_checksum() {
    let mut model = talking(&EN, (80, 24));
    let news = |state| News::File { peer: HONG, id: 1, incoming: true, name: "photo.jpg".into(), state };
    model.update(Message::News(news(FileState::Moving(0, 2_000_000))));
    model.now += 2_000;
    model.update(Message::News(news(FileState::Moving(1_000_000, 2_000_000))));
    let shown = screen(&model);
    assert!(shown.contains("↓ photo.jpg █████░░░░░ 50 %  1.0 MB / 2.0 MB  500.0 kB/s"), "{shown}");
    let done = FileState::Done { path: "photo.jpg".into(), size: 2_000_000, checksum: "abc123".into() };
    model.update(Message::News(news(done)));
    assert!(screen(&model).contains("photo.jpg: done, photo.jpg, SHA-256 abc123"));
    assert!(!screen(&model).contains('█'));
}

#[test]
fn several_files_of_one_person_are_kept_apart() {
    let mut model = talking(&EN, (80, 24));
    for (offer, name) in [(7, "one.jpg"), (8, "two.jpg")] {
        model.update(Message::News(News::Event(Event::FileOffered { from: HONG, name: name.into(), size: 10, offer })));
    }
    assert!(screen(&model).contains("offers a file: one.jpg"), "{}", screen(&model));
    press(&mut model, KeyCode::Enter);
    let request = Request::TakeFile(HONG, Some(7));
    assert!(effects(&mut model).contains(&Effect::Ask { request: request.clone(), form: false }));
    model.update(Message::Done { request, form: false, result: Ok(Answer::Done) });
    assert!(screen(&model).contains("offers a file: two.jpg"), "the next one is asked about: {}", screen(&model));
    press(&mut model, KeyCode::Enter);
    effects(&mut model);
    // One name, two transfers.
    let news = |id, state| News::File { peer: HONG, id, incoming: true, name: "one.jpg".into(), state };
    model.update(Message::News(news(7, FileState::Moving(5, 10))));
    model.update(Message::News(news(8, FileState::Moving(2, 10))));
    let shown = screen(&model);
    assert!(shown.contains("50 %") && shown.contains("20 %"), "{shown}");
    model.update(Message::News(news(7, FileState::Failed("x".into()))));
    let shown = screen(&model);
    assert!(!shown.contains("50 %") && shown.contains("20 %"), "{shown}");
}

#[test]
fn the_mouse_opens_and_scrolls() {
    let mut model = talking(&EN, (80, 12));
    let at = |kind, column, row| MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
    model.update(Message::Mouse(at(MouseEventKind::Down(MouseButton::Left), 3, 6)));
    assert_eq!(model.chat.as_ref().map(|chat| chat.peer), Some(10_003), "{}", screen(&model));
    let entries = (1..=50).map(|row| Entry { peer: 10_003, ..entry(row, false, "line", State::Read) }).collect();
    model.update(Message::Opened { peer: 10_003, entries, draft: String::new() });
    model.update(Message::Mouse(at(MouseEventKind::ScrollUp, 40, 5)));
    assert_eq!(model.chat.as_ref().map(|chat| chat.scroll), Some(3));
    assert!(screen(&model).contains('↓'));
    model.update(Message::Mouse(at(MouseEventKind::Down(MouseButton::Left), 1, 11)));
    assert!(screen(&model).contains("Keys"), "the hints can be clicked: {}", screen(&model));
}

#[test]
fn scrolling_reads_what_is_older_and_stays_in_place() {
    let mut model = talking(&EN, (80, 12));
    let entries = (1_001..=1_200).map(|row| entry(row, false, &format!("line {row}"), State::Read)).collect();
    model.update(Message::Opened { peer: HONG, entries, draft: String::new() });
    effects(&mut model);
    for _ in 0..40 {
        press(&mut model, KeyCode::PageUp);
    }
    assert_eq!(effects(&mut model), [Effect::Older { peer: HONG, before: 1_001 }]);
    let before = screen(&model);
    let older = (801..=1_000).map(|row| entry(row, false, &format!("line {row}"), State::Read)).collect();
    model.update(Message::Older(HONG, older));
    let line = |screen: &str| screen.lines().nth(4).unwrap_or_default().to_owned();
    assert_eq!(line(&screen(&model)), line(&before));
    press(&mut model, KeyCode::PageUp);
    assert!(screen(&model).contains("line 99"), "{}", screen(&model));
}

#[test]
fn nothing_from_others_is_obeyed() {
    let mut model = talking(&EN, (80, 24));
    let text = "red\x1b[31m\u{202e}";
    model.update(Message::Newer(HONG, vec![entry(9, false, text, State::Read)]));
    model.update(Message::Name(HONG, "evil\x1b[2J".into()));
    let shown = screen(&model);
    assert!(!shown.contains('\x1b') && !shown.contains('\u{202e}'), "{shown}");
}

#[test]
fn nothing_of_a_flag_stays_behind() {
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let mut model = talking(&EN, (80, 24));
    model.update(Message::Paste("x🇨🇳".into()));
    let with = terminal.draw(|frame| view(&model, frame)).unwrap().buffer.clone();
    press(&mut model, KeyCode::Backspace);
    let without = terminal.draw(|frame| view(&model, frame)).unwrap().buffer.clone();
    let drawn: Vec<u16> = with.diff(&without).iter().map(|(x, ..)| *x).collect();
    assert_eq!(drawn, [25, 26], "the flag, and the cell behind it where some terminals have its second letter");
}

#[test]
fn pages_fit_and_scroll_to_their_end() {
    for line in [&EN, &ZH].iter().flat_map(|words| words.help.lines().chain(words.commands.lines())) {
        assert!(line.width() <= 74, "no line is broken at 80 columns: {line}");
    }
    for (words, size) in [(&EN, (80, 24)), (&ZH, (80, 24)), (&EN, (40, 12)), (&ZH, (30, 10))] {
        let mut model = talking(words, size);
        for page in ["help", "commands"] {
            model.act(super::popup::Action::Help);
            if let (Some(super::popup::Popup::Page(shown)), "commands") = (model.popups.last_mut(), page) {
                shown.text = words.commands.to_owned();
            }
            let top = screen(&model);
            assert!(top.contains(" ↓ ╮") || top.contains(" ↓ ╯"), "there is more below: {top}");
            press(&mut model, KeyCode::End);
            let bottom = screen(&model);
            assert!(bottom.contains(" ↑ ╮") && !bottom.contains(" ↓ ╯"), "{bottom}");
            press(&mut model, KeyCode::Up);
            assert_ne!(screen(&model), bottom, "a key at the end is not lost");
            press(&mut model, KeyCode::Esc);
        }
    }
}

#[test]
fn a_hint_that_is_clicked_is_its_key() {
    let click = |model: &mut Model, words: &str| {
        let shown = screen(model);
        let row = shown.lines().last().unwrap();
        let column = row[..row.find(words).unwrap_or_else(|| panic!("{words}: {row}"))].width() as u16;
        let kind = MouseEventKind::Down(MouseButton::Left);
        model.update(Message::Mouse(MouseEvent { kind, column, row: 23, modifiers: KeyModifiers::NONE }));
    };
    for (words, menu, back) in [(&EN, "F2 Menu", "Esc Back"), (&ZH, "F2 菜单", "Esc 返回")] {
        let mut model = talking(words, (80, 24));
        press(&mut model, KeyCode::Tab);
        click(&mut model, menu);
        assert!(screen(&model).contains(words.m_broadcast));
        click(&mut model, back);
        assert!(model.popups.is_empty());
    }
}

#[test]
fn the_first_group_cannot_be_chosen_for_deletion() {
    let mut model = talking(&ZH, (80, 24));
    model.act(super::popup::Action::PickDelete);
    let Some(super::popup::Popup::Menu(menu)) = model.popups.last() else { panic!() };
    let labels: Vec<&str> = menu.items.iter().map(|(label, _)| label.as_str()).collect();
    assert_eq!(labels, ["同学"]);
    model.act(super::popup::Action::PickRename);
    assert!(screen(&model).contains("│ 好友"), "{}", screen(&model));
}

#[test]
fn letters_that_come_together_are_searched_once() {
    let mut model = talking(&EN, (80, 24));
    press(&mut model, KeyCode::F(3));
    write(&mut model, "天气");
    assert_eq!(effects(&mut model), [Effect::Search("天气".into())]);
}

#[test]
fn a_conversation_is_exported_as_text_or_json() {
    let mut model = talking(&EN, (80, 24));
    model.act(super::popup::Action::Export(HONG));
    assert!(screen(&model).contains("Export this conversation · 小红 (10001)"), "{}", screen(&model));
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Enter);
    assert_eq!(effects(&mut model), [Effect::Export { peer: HONG, json: true }]);
}

#[test]
fn a_notice_gives_the_hints_back() {
    let mut model = talking(&EN, (80, 24));
    model.notice("{}", &["something"]);
    let tick = || Message::Tick { up: true, tcp: false, trip: None, waiting: 0 };
    model.now += 3_000;
    model.update(tick());
    assert!(screen(&model).contains("something"));
    model.now += 20_000;
    model.update(tick());
    assert!(screen(&model).contains("F1 Help"));
    let reason = "signed in from another place: this session has ended".to_owned();
    model.update(Message::News(News::Event(Event::SignInAgain { reason })));
    model.now += 20_000;
    model.update(tick());
    let shown = screen(&model);
    assert!(
        shown.contains("signed out (Ctrl-R)") && shown.contains("Ctrl-R signs in again: signed in from an"),
        "{shown}"
    );
}

#[test]
fn a_popup_has_its_border_over_wide_characters() {
    for width in 70..90 {
        let mut model = talking(&ZH, (width, 24));
        let entries = (1..20).map(|id| entry(id, false, &"天气".repeat(15), State::Read)).collect();
        model.update(Message::Opened { peer: HONG, entries, draft: String::new() });
        press(&mut model, KeyCode::F(1));
        let shown = screen(&model);
        let at = |line: &str, column| line.char_indices().find(|(at, _)| line[..*at].width() >= column).map(|(_, c)| c);
        let mut rows = shown.lines().skip_while(|line| !line.contains('╭'));
        let column = rows.next().unwrap().split('╭').next().unwrap().width();
        let borders: Vec<char> = rows.map_while(|row| at(row, column)).collect();
        assert!(borders.iter().take_while(|c| **c != '╰').all(|c| *c == '│'), "{shown}");
        assert!(borders.contains(&'╰'), "{shown}");
    }
}
