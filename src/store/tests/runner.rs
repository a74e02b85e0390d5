//! The store's thread.

use super::*;
use crossbeam::channel::{bounded, unbounded};

#[test]
fn requests_are_answered_in_order_and_the_store_is_closed_at_the_end() {
    let store = populated();
    let (disk, index) = (store.disk().clone(), store.index().clone());
    let (requests, queue) = bounded(64);
    let (answered, answers) = unbounded();
    let sink = move |batch: &mut Vec<(u64, Answer)>| {
        batch.drain(..).for_each(|answer| answered.send(answer).expect("the test still listens"));
    };
    let thread = spawn(store, queue, sink, |event| panic!("nothing is wrong: {event:?}")).expect("a thread");
    for id in 0..5_000 {
        let words = Mail { flag: 1, from: 0, ..mail(id, "x") };
        let request = Request::Commit(vec![Change::AddMail(10_000, words)]);
        requests.send((id, request)).expect("it runs");
    }
    drop(requests);
    thread.join().expect("no panic").expect("closes");
    let answers: Vec<_> = answers.iter().collect();
    assert_eq!(answers.len(), 5_000);
    assert!(answers.iter().enumerate().all(|(at, answer)| answer.0 == at as u64 && answer.1.is_done()));
    assert_eq!(layout::Trust::read(&disk).expect("readable").state, layout::State::Closed);
    disk.crash();
    let store = Store::open(disk, index, "next boot", 9, &mut |_| {}).expect("opens");
    assert_eq!(super::model::Model::of(&store).mail[&10_000].len(), 5_000);
}

#[test]
fn a_failing_store_is_reported_and_recovers() {
    let store = populated();
    let index = store.index().clone();
    let (requests, queue) = bounded(64);
    let (answered, answers) = unbounded();
    let (report, reports) = unbounded();
    let sink = move |batch: &mut Vec<((), Answer)>| {
        batch.drain(..).for_each(|(_, answer)| answered.send(answer).expect("the test still listens"));
    };
    let thread = spawn(store, queue, sink, move |event| drop(report.send(event))).expect("a thread");
    let ask = |request| {
        requests.send(((), request)).expect("it runs");
        answers.recv().expect("an answer")
    };
    index.break_down();
    assert_eq!(ask(Request::Mail(10_001)), Answer::Failed);
    assert!(matches!(reports.recv(), Ok(StoreEvent::Fault(_))));
    // It was reported in the same step that mended it.
    assert!(matches!(ask(Request::Mail(10_001)), Answer::Mail(mail) if mail.len() == 1));
    drop(requests);
    thread.join().expect("no panic").expect("closes");
}
