//! Monitoring (protocol.md 4.3): copies of somebody's messages, for an account to which the operator has granted it.
//!
//! Nothing is copied before the start is in the audit log.

use super::messages::Kind;
use super::notice::{Code, Refused};
use super::pending::Pending;
use super::sending::SYSTEM;
use super::user::{Asker, Session};
use super::wheel::SessionKey;
use super::{Cx, Now, Peer, Shard, sending};
use crate::store::{Answer, AuditAction, AuditEvent, Request};
use crate::wire::Server;

/// What a session monitors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Monitoring {
    pub target: u32,
    /// When the grant ends, in ms since 1970 UTC.
    pub until_ms: u64,
}

/// Where a session is with monitoring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Monitor {
    /// The grant is looked up, or the start is being logged; which request asked for it.
    Starting {
        serial: u32,
        target: u32,
    },
    On(Monitoring),
}

impl Monitor {
    /// What is being monitored.
    pub fn running(&self) -> Option<Monitoring> {
        if let Self::On(monitoring) = self { Some(*monitoring) } else { None }
    }

    /// Whom it is about.
    pub fn target(&self) -> u32 {
        match *self {
            Self::Starting { target, .. } | Self::On(Monitoring { target, .. }) => target,
        }
    }
}

/// How often it is looked whether a grant has ended, by the clock on the wall, which may be set.
const LOOK_MS: u64 = 60_000;

impl Shard {
    pub(super) fn monitor(&mut self, cx: &mut Cx<'_>, asker: Asker, target: u32) {
        let next = (target != 0).then(|| Box::new(Monitor::Starting { serial: asker.serial, target }));
        let Some(session) = self.session_mut(asker.number) else { return };
        let earlier = std::mem::replace(&mut session.monitor, next);
        self.stop_monitoring(cx, asker.number, earlier.as_deref().and_then(Monitor::running), "stopped by the monitor");
        if target != 0 {
            let request = Request::Grant { monitor: asker.number, target };
            self.ask_store(cx, request, Pending::Grant { asker, target });
        }
    }

    /// The session, if the start that this request asked for is still wanted.
    fn starting(&mut self, asker: Asker) -> Option<&mut Session> {
        self.asking(asker)
            .filter(|session| matches!(session.monitor.as_deref(), Some(Monitor::Starting { serial, .. }) if *serial == asker.serial))
    }

    pub(super) fn monitor_granted(&mut self, cx: &mut Cx<'_>, asker: Asker, target: u32, answer: Answer) {
        let Some(session) = self.starting(asker) else { return };
        let why = match answer {
            Answer::Grant(Some(grant)) if grant.until_ms > cx.now.unix_ms => {
                let monitoring = Monitoring { target, until_ms: grant.until_ms };
                let event = event(cx, AuditAction::Start, asker.number, target, &grant.reason);
                return self.ask_store(cx, event, Pending::AuditStart { asker, monitoring });
            }
            Answer::Grant(Some(_)) => "the grant has ended",
            Answer::Grant(None) => "there is no grant",
            Answer::Refused(_) => "the audit log was broken, and the operator has not acknowledged it",
            _ => {
                session.monitor = None;
                return self.refuse(cx, asker, &Refused::storage());
            }
        };
        session.monitor = None;
        let text = format!("monitoring {target} is not permitted: {why}");
        let event = event(cx, AuditAction::Refuse, asker.number, target, why);
        self.ask_store(cx, event, Pending::AuditRefuse { asker, text });
    }

    /// The refusal is in the audit log.
    pub(super) fn monitor_refused(&mut self, cx: &mut Cx<'_>, asker: Asker, text: String, answer: &Answer) {
        let logged = *answer == Answer::Done;
        let why = if logged { Refused::new(Code::NotPermitted, text) } else { Refused::storage() };
        self.refuse(cx, asker, &why);
    }

    /// The start is in the audit log.
    pub(super) fn monitor_started(&mut self, cx: &mut Cx<'_>, asker: Asker, monitoring: Monitoring, answer: &Answer) {
        let logged = *answer == Answer::Done;
        let now_ms = cx.now.mono_ms;
        let Some(session) = self.starting(asker) else {
            // Stopped, taken back or signed out while it was being logged: nothing was copied.
            if logged {
                self.stop_monitoring(cx, asker.number, Some(monitoring), "ended before it began");
            }
            return;
        };
        if !logged {
            session.monitor = None;
            return self.refuse(cx, asker, &Refused::storage());
        }
        session.monitor = Some(Box::new(Monitor::On(monitoring)));
        let key = SessionKey { number: asker.number, session: session.id };
        let Monitoring { target, until_ms } = monitoring;
        self.wheel.soon(now_ms + LOOK_MS.min(until_ms.saturating_sub(cx.now.unix_ms)), key);
        self.peer(cx, target, Peer::Monitor { monitor: asker.number, until_ms });
    }

    /// Ends what a session monitored, and says so in the audit log.
    pub(super) fn stop_monitoring(&mut self, cx: &mut Cx<'_>, number: u32, monitoring: Option<Monitoring>, why: &str) {
        let Some(Monitoring { target, .. }) = monitoring else { return };
        self.peer(cx, target, Peer::Unmonitor { monitor: number });
        let event = event(cx, AuditAction::Stop, number, target, why);
        self.ask_store(cx, event, Pending::Nothing);
    }

    /// Ends monitoring whose grant has run out; looks again later if it has not.
    pub(super) fn check_monitoring_end(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        let Now { mono_ms, unix_ms } = cx.now;
        let Some(session) = self.session_mut(key.number).filter(|session| session.id == key.session) else { return };
        let Some(monitoring) = session.monitor.as_deref().and_then(Monitor::running) else { return };
        if monitoring.until_ms > unix_ms {
            let wait = LOOK_MS.min(monitoring.until_ms - unix_ms);
            return self.wheel.soon(mono_ms + wait, key);
        }
        session.monitor = None;
        let text = format!("the grant to monitor {} has ended", monitoring.target);
        session.way.send(cx, &sending::words(&text));
        self.stop_monitoring(cx, key.number, Some(monitoring), "the grant has ended");
    }

    /// The operator has taken a grant back.
    pub(super) fn revoke(&mut self, cx: &mut Cx<'_>, monitor: u32, target: u32) {
        if !self.territory.owns(monitor) {
            return;
        }
        let about = |session: &&mut Session| session.monitor.as_ref().is_some_and(|one| one.target() == target);
        let Some(session) = self.session_mut(monitor).filter(about) else {
            return;
        };
        let ended = std::mem::take(&mut session.monitor);
        session.way.send(cx, &sending::words("the grant to monitor was taken back"));
        self.stop_monitoring(cx, monitor, ended.as_deref().and_then(Monitor::running), "the grant was taken back");
    }

    pub(super) fn monitor_on(&mut self, target: u32, monitor: u32, until_ms: u64) {
        self.monitor_off(target, monitor);
        self.monitored.entry(target).or_default().push((monitor, until_ms));
    }

    pub(super) fn monitor_off(&mut self, target: u32, monitor: u32) {
        let Some(monitors) = self.monitored.get_mut(&target) else { return };
        monitors.retain(|one| one.0 != monitor);
        if monitors.is_empty() {
            self.monitored.remove(&target);
        }
    }

    /// A message from or to `target`, a user of this shard, was taken.
    #[inline]
    pub(super) fn copy_to_monitors(&mut self, cx: &mut Cx<'_>, target: u32, from: u32, text: &str) {
        if self.monitored.is_empty() {
            return;
        }
        let Some(monitors) = self.monitored.get(&target).cloned() else { return };
        let unix_ms = cx.now.unix_ms;
        for (monitor, _) in monitors.into_iter().filter(|(_, until_ms)| *until_ms > unix_ms) {
            self.peer(cx, monitor, Peer::Copy { target, from, text: text.into() });
        }
    }

    pub(super) fn monitored_copy(&mut self, cx: &mut Cx<'_>, to: u32, target: u32, from: u32, text: &str) {
        let Some(session) = self.session_mut(to) else { return };
        if session.monitor.as_deref().and_then(Monitor::running).is_some_and(|one| one.target == target) {
            let kind = Kind::MonitoredCopy as u8;
            let frame = Server::Message { flag: SYSTEM, sender: from, text, kind, id: None, time: None };
            session.way.send(cx, &frame);
        }
    }
}

fn event(cx: &Cx<'_>, action: AuditAction, monitor: u32, target: u32, detail: &str) -> Request {
    Request::Audit(AuditEvent { time_ms: cx.now.unix_ms, action, monitor, target, detail: detail.into() })
}
