//! Signing up and in, what stands in the way of that, and one's own profile.

use super::*;

#[test]
fn a_draft_is_kept_when_somebody_signs_in_again() {
    let mut model = talking(&EN, (80, 24));
    write(&mut model, "half");
    model.act(crate::tui::popup::Action::SignIn(false));
    assert!(screen(&model).contains("> 10000"), "who it was is known");
    press(&mut model, KeyCode::Enter);
    write(&mut model, "secret");
    press(&mut model, KeyCode::Enter);
    let effects = effects(&mut model);
    assert_eq!(effects[..2], [Effect::Draft { to: HONG, text: "half".into() }, Effect::Begin(10_000)]);
    model.update(Message::Known(10_000, Box::default()));
    write(&mut model, "Li");
    assert!(screen(&model).contains("search: Li"), "no key goes where nobody sees it");
}

#[test]
fn the_first_start_asks_one_thing_at_a_time() {
    let mut model = model(&EN, (80, 24));
    model.ask_server(None);
    assert!(screen(&model).contains("> 127.0.0.1:8000"));
    press(&mut model, KeyCode::Enter);
    let line: oicq::client::ServerLine = "127.0.0.1:8000".parse().unwrap();
    assert_eq!(effects(&mut model), [Effect::Server(line.clone())]);
    model.update(Message::Server(Ok(line)));
    assert!(screen(&model).contains("1  Sign in"));
    press(&mut model, KeyCode::Char('3'));
    write(&mut model, "小明");
    press(&mut model, KeyCode::Enter);
    write(&mut model, "secret");
    assert!(!screen(&model).contains("secret"));
    press(&mut model, KeyCode::Enter);
    write(&mut model, "other");
    press(&mut model, KeyCode::Enter);
    assert!(screen(&model).contains("two different passwords"));
    for _ in 0..2 {
        write(&mut model, "secret");
        press(&mut model, KeyCode::Enter);
    }
    let asked = effects(&mut model);
    let [Effect::Ask { request: Request::SignUp { profile, invite: None }, form: true }] = &asked[..] else {
        panic!("{asked:?}")
    };
    assert_eq!((profile.nickname.as_str(), profile.password.as_str()), ("小明", "secret"));
    let request = Request::SignUp { profile: profile.clone(), invite: None };
    model.update(Message::Done { request: request.clone(), form: true, result: Err("too fast".into()) });
    assert!(screen(&model).contains("too fast") && screen(&model).contains("Nickname: 小明"), "{}", screen(&model));
    let answer = Answer::Registered { number: 10_000, password: "secret".into() };
    model.update(Message::Done { request, form: true, result: Ok(answer) });
    assert!(screen(&model).contains("Your number is 10000."));
    let password = Some("secret".to_owned());
    assert_eq!(
        effects(&mut model),
        [Effect::Begin(10_000), Effect::SignIn { number: 10_000, password, hidden: false }]
    );
}

#[test]
fn a_wrong_password_is_asked_for_again() {
    let mut model = model(&EN, (80, 24));
    model.ask_account();
    press(&mut model, KeyCode::Char('1'));
    for answer in ["9", "10000", "wrong"] {
        model.update(Message::Key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL)));
        write(&mut model, answer);
        press(&mut model, KeyCode::Enter);
    }
    assert_eq!(model.link, Link::Connecting);
    let error = Some("wrong number or password".to_owned());
    model.update(Message::NeedPassword { number: 10_000, hidden: false, error });
    let shown = screen(&model);
    assert!(shown.contains("! wrong number or password") && shown.contains("Number: 10000"), "{shown}");
}

#[test]
fn another_key_is_a_loud_question() {
    let mut model = signed_in(&EN, (80, 24));
    effects(&mut model);
    model.update(Message::KeyChanged { number: 10_000, pinned: [1; 32], shown: [2; 32], hidden: false });
    let shown = screen(&model);
    for words in ["THE SERVER'S KEY HAS CHANGED", "kept:  01010101", "shown: 02020202", "trust"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    write(&mut model, "yes");
    press(&mut model, KeyCode::Enter);
    assert!(effects(&mut model).is_empty(), "only the right word accepts it");
    model.update(Message::Key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL)));
    write(&mut model, "trust");
    press(&mut model, KeyCode::Enter);
    assert_eq!(effects(&mut model), [Effect::Trust { key: [2; 32], number: 10_000, hidden: false }]);
}

#[test]
fn a_server_that_is_away_is_said_plainly() {
    let mut model = talking(&EN, (100, 24));
    model.update(Message::News(News::Event(Event::Silent)));
    assert!(screen(&model).contains("the server does not answer; what you write waits"));
    model.update(Message::News(News::Event(Event::Heard)));
    assert!(screen(&model).contains("the server answers again"));
    let reason = "signed in elsewhere".to_owned();
    model.update(Message::News(News::Event(Event::SignInAgain { reason })));
    assert!(screen(&model).contains("Signed out; Ctrl-R signs in again: signed in elsewhere"));
    effects(&mut model);
    model.update(Message::Key(KeyEvent::new(KeyCode::Char('r'), KeyModifiers::CONTROL)));
    assert_eq!(effects(&mut model), [Effect::SignIn { number: 10_000, password: None, hidden: false }]);
    model.update(Message::News(News::Trouble("the disk is full".into())));
    assert!(screen(&model).contains("! the disk is full"));
}

#[test]
fn a_field_is_changed_from_what_it_is() {
    let mut model = talking(&ZH, (80, 24));
    let mut profile = oicq::client::OwnedProfile::new("小明", "");
    (profile.city, profile.sex) = ("深圳".into(), 1);
    let answer = Answer::Mine { number: 10_000, profile: Box::new(profile.clone()), authorization: Some(1) };
    model.update(Message::Done { request: Request::Mine { privacy: false }, form: false, result: Ok(answer) });
    let shown = screen(&model);
    assert!(shown.contains("性别                 男") && shown.contains("谁可以加我           需要验证"), "{shown}");
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Enter);
    assert!(screen(&model).contains("> 深圳"));
    write(&mut model, "市");
    press(&mut model, KeyCode::Enter);
    let request = Request::SetField { field: "city".into(), value: "深圳市".into() };
    assert_eq!(effects(&mut model), [Effect::Ask { request: request.clone(), form: true }]);
    model.update(Message::Done { request, form: true, result: Ok(Answer::Done) });
    profile.nickname = "大明".into();
    let answer = Answer::Mine { number: 10_000, profile: Box::new(profile), authorization: None };
    model.update(Message::Done { request: Request::Mine { privacy: false }, form: false, result: Ok(answer) });
    let shown = screen(&model);
    assert!(shown.contains("大明 (10000)"), "{shown}");
    let Some(crate::tui::popup::Popup::Menu(menu)) = model.popups.last() else { panic!("{shown}") };
    assert_eq!(menu.at, 2, "the mark is where it was");
}

#[test]
fn a_sign_in_that_the_server_lets_wait_is_no_dead_screen() {
    for (words, waits, why) in
        [(&EN, "the server makes us wait…", "Wrong passwords were tried"), (&ZH, "服务器要求等待…", "有人试过错误密码")]
    {
        let mut model = model(words, (80, 24));
        model.update(Message::Known(10_000, Box::default()));
        model.update(Message::News(News::Event(Event::SignInDelayed { number: 10_000 })));
        let shown = screen(&model);
        assert!(shown.contains(waits) && shown.contains(why), "{shown}");
        model.update(Message::SignedIn { number: 10_000, groups: Vec::new(), hidden: false });
        assert!(!screen(&model).contains(waits));
    }
}

#[test]
fn whoever_is_too_fast_is_told_and_sees_how_much_waits() {
    for (words, told, bar) in [
        (&EN, "The server asks us to slow down: 12 wait", "slow down: 12 wait"),
        (&ZH, "服务器要求放慢：12 条消息等待中", "请慢一点：12 条等待中"),
    ] {
        let mut model = talking(words, (100, 24));
        model.update(Message::Waiting(12));
        let event = Event::Notice { about: 0, code: 6, text: "too many in a short time".into() };
        model.update(Message::News(News::Event(event)));
        let shown = screen(&model);
        assert!(shown.contains(told) && shown.contains(bar), "{shown}");
        press(&mut model, KeyCode::Tab);
        model.update(Message::Tick { up: true, tcp: false, trip: None, waiting: 3 });
        assert!(screen(&model).contains(&bar.replace("12", "3")), "{}", screen(&model));
        model.update(Message::Tick { up: true, tcp: false, trip: None, waiting: 0 });
        assert!(screen(&model).contains("UDP"), "{}", screen(&model));
    }
}

#[test]
fn what_the_server_cannot_do_now_is_no_refusal() {
    for (words, told) in
        [(&EN, "cannot take messages now (storage failed): 1 wait"), (&ZH, "暂时收不了消息（存储失败）：1 条")]
    {
        let mut model = talking(words, (100, 24));
        model.update(Message::Newer(HONG, vec![entry(5, true, "later", State::Waiting)]));
        model.update(Message::Waiting(1));
        let text = "the server could not store this".to_owned();
        model.update(Message::News(News::Event(Event::Notice { about: 3, code: 10, text })));
        let shown = screen(&model);
        assert!(shown.contains(told) && shown.contains("later …"), "{shown}");
    }
}

#[test]
fn a_ban_is_a_page_with_the_operators_words() {
    let text = "banned until 2026-12-05 10:00 UTC: spam".to_owned();
    for (words, title, said) in [
        (&EN, " Banned ", "banned until 2026-12-05 10:00 UTC: spam"),
        (&ZH, " 已被封禁 ", "封禁到 2026-12-05 10:00 UTC：spam"),
    ] {
        let mut model = talking(words, (80, 24));
        model.update(Message::News(News::Event(Event::Notice { about: 0, code: 19, text: text.clone() })));
        model.update(Message::News(News::Event(Event::SignInAgain { reason: text.clone() })));
        let shown = screen(&model);
        assert!(shown.contains(title) && shown.contains(said), "{shown}");
    }
}

#[test]
fn whoever_is_not_let_in_yet_is_told_what_to_do() {
    for (words, title, told) in [
        (&EN, " Not let in yet ", "10000 is yours, and the operator has to let it in first:"),
        (&ZH, " 等待批准 ", "10000 是你的号码"),
    ] {
        let mut model = model(words, (80, 24));
        model.update(Message::Known(10_000, Box::default()));
        let text = "this account waits for the operator's approval".to_owned();
        model.update(Message::Barred { number: 10_000, code: 18, text });
        let shown = screen(&model);
        assert!(shown.contains(title) && shown.contains(told) && shown.contains("Ctrl-R"), "{shown}");
        press(&mut model, KeyCode::Esc);
        effects(&mut model);
        model.update(Message::Key(KeyEvent::new(KeyCode::Char('r'), KeyModifiers::CONTROL)));
        assert_eq!(effects(&mut model), [Effect::SignIn { number: 10_000, password: None, hidden: false }]);
    }
}

/// Answers the questions of a sign-up.
fn sign_up(model: &mut Model) -> Request {
    model.ask_account();
    press(model, KeyCode::Char('3'));
    for answer in ["小明", "secret", "secret"] {
        write(model, answer);
        press(model, KeyCode::Enter);
    }
    asked(model)
}

/// The one request of a form.
fn asked(model: &mut Model) -> Request {
    let effects = effects(model);
    let [Effect::Ask { request, form: true }] = &effects[..] else { panic!("{effects:?}") };
    request.clone()
}

#[test]
fn an_invite_code_is_asked_for_where_the_server_wants_one() {
    for (words, needed, wrong) in [
        (&EN, "! an invite code is needed", "! this invite code is not good"),
        (&ZH, "! 注册需要邀请码", "! 邀请码无效，或已经用过"),
    ] {
        let mut model = model(words, (80, 24));
        let mut request = sign_up(&mut model);
        for (text, shown) in [("an invite code is needed", needed), ("this invite code is not good", wrong)] {
            let answer = Answer::NotOpen { invite: true, text: text.into() };
            model.update(Message::Done { request, form: true, result: Ok(answer) });
            let screen = screen(&model);
            assert!(screen.contains(&format!("{} (4/4)", words.invite)) && screen.contains(shown), "{screen}");
            model.update(Message::Key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL)));
            write(&mut model, "KRDT-93QM");
            press(&mut model, KeyCode::Enter);
            request = asked(&mut model);
            let Request::SignUp { profile, invite } = &request else { panic!("{request:?}") };
            assert_eq!((profile.nickname.as_str(), invite.as_deref()), ("小明", Some("KRDT-93QM")));
        }
    }
}

#[test]
fn who_cannot_sign_up_is_told_whom_to_ask() {
    for (words, told) in [(&EN, "registration is closed."), (&ZH, "注册已关闭。")] {
        let mut model = model(words, (80, 24));
        let request = sign_up(&mut model);
        let answer = Answer::NotOpen { invite: false, text: "registration is closed".into() };
        model.update(Message::Done { request, form: true, result: Ok(answer) });
        let shown = screen(&model);
        assert!(shown.contains(words.closed_title) && shown.contains(told), "{shown}");
        press(&mut model, KeyCode::Esc);
        assert!(screen(&model).contains(words.sign_in), "whoever has a number signs in");
    }
}

#[test]
fn the_password_is_changed_with_the_present_one() {
    let mut model = talking(&EN, (80, 24));
    model.command("set password").unwrap();
    write(&mut model, "secret");
    press(&mut model, KeyCode::Enter);
    write(&mut model, "short");
    press(&mut model, KeyCode::Enter);
    assert!(screen(&model).contains("! a password has at least 6 letters"), "{}", screen(&model));
    write(&mut model, "er one");
    press(&mut model, KeyCode::Enter);
    write(&mut model, "shorter one");
    press(&mut model, KeyCode::Enter);
    let request = asked(&mut model);
    assert_eq!(request, Request::SetPassword { old: "secret".into(), new: "shorter one".into() });
    model.update(Message::Done { request: request.clone(), form: true, result: Ok(Answer::OtherPassword) });
    let shown = screen(&model);
    assert!(shown.contains("Present password (1/3)") && shown.contains("not your present password"), "{shown}");
    assert!(!shown.contains("secret") && !shown.contains("shorter"));
    model.update(Message::Done { request, form: true, result: Ok(Answer::Done) });
    assert!(screen(&model).contains("Your password is changed."), "{}", screen(&model));
}

#[test]
fn what_others_may_do_is_chosen_from_a_menu() {
    for (words, reach, nobody) in
        [(&EN, "Who may write to me  everybody", "nobody but me"), (&ZH, "谁可以给我发消息     任何人", "只有我自己")]
    {
        let mut model = talking(words, (80, 24));
        model.act(crate::tui::popup::Action::Privacy);
        assert_eq!(effects(&mut model), [Effect::Ask { request: Request::Mine { privacy: true }, form: false }]);
        let mut profile = oicq::client::OwnedProfile::new("小明", "");
        profile.privacy = Some(oicq::client::Privacy::default());
        let answer = Answer::Mine { number: 10_000, profile: Box::new(profile), authorization: Some(1) };
        let request = Request::Mine { privacy: true };
        model.update(Message::Done { request: request.clone(), form: false, result: Ok(answer) });
        let shown = screen(&model);
        assert!(shown.contains(reach) && shown.contains(words.listed) && shown.contains(words.ask_first), "{shown}");
        press(&mut model, KeyCode::Down);
        press(&mut model, KeyCode::Down);
        press(&mut model, KeyCode::Enter);
        assert!(screen(&model).contains(nobody), "{}", screen(&model));
        press(&mut model, KeyCode::Down);
        press(&mut model, KeyCode::Enter);
        let change = Request::SetField { field: "details".into(), value: "nobody".into() };
        assert_eq!(effects(&mut model), [Effect::Ask { request: change.clone(), form: false }]);
        model.update(Message::Done { request: change, form: false, result: Ok(Answer::Done) });
        assert!(effects(&mut model).contains(&Effect::Ask { request, form: false }), "it is shown as it is now");
    }
}
