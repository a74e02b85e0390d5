//! Where scenes are played: the server, its users, the floor beside it, in turns.

use crate::args::{Load, Target};
use crate::carrier::{Carrier, Linked};
use crate::child::{Running, resident};
use crate::clock::Clock;
use crate::crowd::Crowd;
use crate::failure::Failure;
use crate::floor::Bare;
use crate::play::{Player, Scene, Tally};
use crate::progress::Bar;
use crate::report::{Beside, Memory, Report, Turn};
use crate::scenes::comeback::{Comeback, Knocker, follow};
use crate::target::{End, Floor, Server, sign_in};
use std::time::{Duration, Instant};

/// Each round begins with so much that does not count: caches and queues fill.
const WARM_UP: Duration = Duration::from_millis(300);

/// All of it.
pub struct Stage {
    /// Users over the link.
    pub crowd: Crowd,
    /// Plays for the server.
    pub player: Player,
    /// What is measured.
    pub report: Report,
    /// The floor has turns with the acks of the server, too.
    pub acks: bool,
    load: Load,
    server: Server,
    server_cpu: Vec<usize>,
    /// The floor and its users, if it is wanted.
    floor: Option<(Floor, Bare)>,
}

impl Stage {
    /// Starts what is to be started. `floor_users` is how many users the floor knows; `watchers` list the first account, if
    /// accounts are made for this.
    pub fn set(scenario: &'static str, target: &Target, load: &Load, watchers: usize) -> Result<Self, String> {
        let clock = Clock::start();
        let mut server = Server::get(target, load, watchers)?;
        let floor = load.with_floor.then(|| Floor::start(&target.server_cpu)).transpose()?;
        crate::pin(&target.cpu())?;
        let crowd = server.crowd(load, clock)?;
        let floor = floor.map(|floor| {
            let bare = Bare::new(crowd.net().share(floor.at), load.users, load.text_bytes)?;
            crowd.net().aim()?;
            Ok::<_, String>((floor, bare))
        });
        let player = Player { clock, pid: server.pid };
        let report = Report::new(scenario, load);
        let (load, server_cpu) = (load.clone(), target.server_cpu.clone());
        Ok(Self { crowd, player, report, acks: false, load, server, server_cpu, floor: floor.transpose()? })
    }

    /// Signs the users in up to this one, exclusive, and notes what each takes.
    pub fn sign_in(&mut self, users: u32) -> Result<(), Failure> {
        let before = self.server.pid.and_then(resident);
        let took = sign_in(&mut self.crowd, self.player.clock, 0, users)
            .map_err(|error| error.explained(|error| self.server.explain(error)))?;
        self.server.check_cores(&self.server_cpu)?;
        let after = self.server.pid.and_then(resident);
        self.report.signed_in(users, took);
        if let Some((before, after)) = before.zip(after) {
            self.report.memory = Some(Memory { before, after, sessions: users });
        }
        self.crowd.lose(self.load.loss, self.load.seed);
        self.report.begin();
        // What signing in has left to be told.
        let mut linked = Linked { crowd: &mut self.crowd, text: String::new() };
        Ok(self.player.rest(&mut linked, WARM_UP)?)
    }

    /// Plays the rounds: `bare` over the floor, if there is one, then `scene` over the link.
    pub fn rounds<'a, S, B>(&'a mut self, scene: &mut S, bare: Option<&mut B>) -> Result<(), String>
    where
        S: Scene<Linked<'a>>,
        B: Scene<Bare>,
    {
        let Self { crowd, player, report, load, server, floor, acks, .. } = self;
        let mut linked = Linked { crowd, text: "x".repeat(load.text_bytes) };
        let mut floor = floor.as_mut().zip(bare);
        // Acks of the server with nothing to ride along with, for each: as of its turn before, or for the first of a moment.
        let mut alone = [0.0; 2];
        if *acks && floor.is_some() {
            alone = play(*player, &mut linked, scene, WARM_UP, server.running.as_mut())?.acks();
        }
        for round in 1..=load.rounds() {
            let mut beside = None;
            if let Some(((floor, bare), scene)) = &mut floor {
                let player = Player { pid: Some(floor.running.pid()), ..*player };
                bare.set_acks([0.0; 2]);
                let tally = measure(player, bare, *scene, load, Some(&mut floor.running))?;
                let plain = tally.micros().map(|micros| micros[0]);
                report.turn(Turn { round, who: "floor", tally, beside: None });
                let mut with_acks = None;
                if alone != [0.0; 2] {
                    bare.set_acks(alone);
                    let tally = measure(player, bare, *scene, load, Some(&mut floor.running))?;
                    with_acks = tally.micros().map(|micros| micros[0]);
                    report.turn(Turn { round, who: "floor+acks", tally, beside: None });
                }
                beside = plain.map(|floor| Beside { floor, with_acks });
                // So that it has heard of its users again before they are asked to do something.
                player.rest(&mut linked, WARM_UP / 3)?;
            }
            let tally = measure(*player, &mut linked, scene, load, server.running.as_mut())?;
            if *acks {
                alone = tally.acks();
            }
            report.turn(Turn { round, who: "oicqd", tally, beside });
        }
        Ok(())
    }

    /// Ends the server, starts it again, and follows its users until they have heard of it; tells how long it took to end.
    pub fn come_back(&mut self, round: usize, how: End, users: u32) -> Result<(Duration, Comeback), String> {
        let mut knocker = Knocker::new(self.server.at)?;
        self.crowd.be_patient();
        let ending = Instant::now();
        self.server.end(how)?;
        let ended = ending.elapsed();
        let since_ns = self.player.clock.ns();
        self.server.start_again()?;
        self.player.pid = self.server.pid;
        let Self { crowd, player, server, .. } = self;
        let runs = || server.running.as_mut().is_some_and(Running::runs);
        let comeback = follow(crowd, *player, &mut knocker, users, since_ns, runs)
            .map_err(|error| server.explain(format!("round {round}: {error}")))?;
        // What they have to tell each other after it.
        let mut linked = Linked { crowd, text: String::new() };
        player.rest(&mut linked, 2 * WARM_UP)?;
        Ok((ended, comeback))
    }

    /// Bytes of memory that the server has in use, if its process is known.
    pub fn resident(&self) -> Option<u64> {
        self.server.pid.and_then(resident)
    }

    /// Plays a scene once to its end, without a warm-up.
    pub fn once<'a, S: Scene<Linked<'a>>>(
        &'a mut self,
        round: usize,
        who: &'static str,
        length: Duration,
        scene: &mut S,
    ) -> Result<(), String> {
        let Self { crowd, player, report, load, server, .. } = self;
        let mut linked = Linked { crowd, text: "x".repeat(load.text_bytes) };
        let tally = play(*player, &mut linked, scene, length, server.running.as_mut())?;
        report.turn(Turn { round, who, tally, beside: None });
        Ok(())
    }
}

fn measure<C: Carrier, S: Scene<C>>(
    player: Player,
    carrier: &mut C,
    scene: &mut S,
    load: &Load,
    mut running: Option<&mut Running>,
) -> Result<Tally, String> {
    play(player, carrier, scene, WARM_UP, running.as_deref_mut())?;
    play(player, carrier, scene, Duration::from_secs_f64(load.seconds), running)
}

fn play<C: Carrier, S: Scene<C>>(
    player: Player,
    carrier: &mut C,
    scene: &mut S,
    length: Duration,
    running: Option<&mut Running>,
) -> Result<Tally, String> {
    let (bar, start) = (Bar::of_round(length.as_secs_f64()), Instant::now());
    let tally = player.play(carrier, scene, length, &mut |done| bar.round(start.elapsed(), done));
    drop(bar);
    match running {
        Some(running) => tally.map_err(|error| running.explain(error)),
        None => tally,
    }
}

/// Plays the floor alone: started here unless `server` is one that runs already.
pub fn floor_alone(
    server: Option<(std::net::SocketAddr, Option<u32>)>,
    server_cpu: &[usize],
    load: &Load,
    scene: &mut impl Scene<Bare>,
) -> Result<Report, String> {
    let mut started = match server {
        None => Some(Floor::start(server_cpu)?),
        Some(_) => None,
    };
    let (at, pid) = match (&started, server) {
        (Some(floor), _) => (floor.at, Some(floor.running.pid())),
        (None, Some(server)) => server,
        (None, None) => return Err("there is no floor".into()),
    };
    let net = crate::net::Net::connect(at, load.sockets())?;
    let mut bare = Bare::new(net, load.users, load.text_bytes)?;
    let player = Player { clock: Clock::start(), pid };
    let mut report = Report::new("floor", load);
    report.begin();
    for round in 1..=load.rounds() {
        let tally = measure(player, &mut bare, scene, load, started.as_mut().map(|floor| &mut floor.running))?;
        report.turn(Turn { round, who: "floor", tally, beside: None });
    }
    Ok(report)
}
