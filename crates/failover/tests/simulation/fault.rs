//! What goes wrong in a run, drawn from its seed.

use std::time::Duration;

use failover::configuration::Availability;
use failover::machine::settings::{Preemption, Requests, Settings};
use failover::member::MemberId;
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use crate::world::World;

/// When faults stop, and when a run ends.
pub const CALM: Duration = Duration::from_secs(300);
pub const END: Duration = Duration::from_secs(720);

/// One fault, or the end of one.
#[derive(Clone, Debug)]
pub enum Fault {
    Start(usize),
    Crash {
        node: usize,
        back: Duration,
    },
    Pause {
        node: usize,
        length: Duration,
    },
    Resume(usize),
    Block {
        pairs: Vec<(usize, usize)>,
        length: Duration,
    },
    Unblock(Vec<(usize, usize)>),
    Network {
        loss: f64,
        latency: Duration,
    },
    Api {
        node: usize,
        length: Duration,
    },
    ApiBack(usize),
    Rank {
        node: usize,
        rank: i64,
    },
    Payload {
        node: usize,
        fence: Duration,
    },
    Promote {
        node: usize,
    },
    PauseMember {
        node: usize,
        paused: bool,
    },
    Delete(usize),
    Create(usize),
    SwitchHub,
    Heal,
}

/// Draws a fleet and its faults.
pub fn draw(world: &mut World) {
    let size = *[2, 2, 2, 3, 3, 3, 4, 5, 7].choose(&mut world.rng).unwrap_or(&3);
    let has_hub = world.rng.random_bool(if size == 2 { 0.7 } else { 0.4 });
    let lease = Duration::from_secs(*[5, 5, 15, 15, 30, 100].choose(&mut world.rng).unwrap_or(&15));
    let preemption = *[
        Preemption::AfterStable,
        Preemption::AfterStable,
        Preemption::Immediate,
        Preemption::Never,
    ]
    .choose(&mut world.rng)
    .unwrap_or(&Preemption::AfterStable);
    let hub = MemberId::from("hub");
    for node in 0..size {
        let fence = Duration::from_secs(*[10, 20, 40].choose(&mut world.rng).unwrap_or(&10));
        let rank = world.rng.random_range(if node == 0 { 1..10 } else { -1..10 });
        world.add_node(Settings {
            rank,
            ready: node == 0,
            address: Some(format!("n{node}")),
            seeds: if node == 0 {
                Vec::new()
            } else {
                vec!["n0".to_owned(), "n1".to_owned()]
            },
            lease,
            renew: (lease / 3).min(Duration::from_secs(5)),
            fence,
            handover_timeout: Duration::from_secs(60),
            preemption,
            stable: Duration::from_secs(5),
            availability: Availability::Consistent,
            hub: has_hub.then(|| hub.clone()),
            has_fence_hook: false,
            payload: 1,
            payload_hash: String::new(),
            is_paused: false,
            is_deleted: false,
            requests: Requests::default(),
        });
        let at = Duration::from_millis(if node == 0 {
            0
        } else {
            world.rng.random_range(0..20_000)
        });
        world.at(at, Fault::Start(node));
    }
    if has_hub {
        world.add_hub(hub, lease);
    }
    world.watchdog = world.rng.random_bool(0.85);
    let mut at = Duration::from_secs(25);
    let pace = world.rng.random_range(4..40);
    while at < CALM {
        let fault = draw_fault(world, size, has_hub, lease);
        world.at(at, fault);
        at += Duration::from_millis(world.rng.random_range(200..pace * 1000));
    }
    world.at(CALM, Fault::Heal);
}

fn draw_fault(world: &mut World, size: usize, has_hub: bool, lease: Duration) -> Fault {
    let node = world.rng.random_range(0..size);
    let span = |world: &mut World, least: f64, most: f64| {
        lease
            .mul_f64(world.rng.random_range(least..most))
            .max(Duration::from_millis(50))
    };
    loop {
        return match world.rng.random_range(0..19) {
            0..=2 => {
                let mut all: Vec<usize> = (0..size + usize::from(has_hub)).collect();
                all.shuffle(&mut world.rng);
                let cut = world.rng.random_range(1..all.len());
                let (left, right) = all.split_at(cut);
                let one_way = world.rng.random_bool(0.3);
                let mut pairs = Vec::new();
                for a in left {
                    for b in right {
                        pairs.push((*a, *b));
                        if !one_way {
                            pairs.push((*b, *a));
                        }
                    }
                }
                if world.rng.random_bool(0.3) {
                    pairs.truncate(2);
                }
                Fault::Block {
                    pairs,
                    length: span(world, 0.2, 5.0),
                }
            }
            3..=5 if world.watchdog => Fault::Crash {
                node,
                back: span(world, 0.05, 4.0),
            },
            6 | 7 if world.watchdog => Fault::Pause {
                node,
                length: span(world, 0.1, 6.0),
            },
            8 => {
                let loss = *[0.0, 0.1, 0.5].choose(&mut world.rng).unwrap_or(&0.0);
                let latency = *[20, 200, 1000].choose(&mut world.rng).unwrap_or(&20);
                Fault::Network {
                    loss,
                    latency: Duration::from_millis(latency),
                }
            }
            9 => Fault::Api {
                node,
                length: span(world, 0.1, 3.0),
            },
            10 => Fault::Rank {
                node,
                rank: world.rng.random_range(-1..10),
            },
            11 => Fault::Payload {
                node,
                fence: Duration::from_secs(world.rng.random_range(10..50)),
            },
            12 => Fault::Promote { node },
            13 => Fault::PauseMember {
                node,
                paused: world.rng.random_bool(0.5),
            },
            14 => Fault::Delete(node),
            15 if has_hub => Fault::SwitchHub,
            16 | 17 if world.watchdog => Fault::Crash {
                node,
                back: span(world, 0.005, 0.03),
            },
            _ => continue,
        };
    }
}

impl World {
    /// Lets a fault happen.
    pub fn inject(&mut self, fault: Fault) {
        self.note(format!("fault: {fault:?}"));
        let now = self.now;
        match fault {
            Fault::Start(node) => self.start(node),
            Fault::Crash { node, back } => {
                self.stop(node);
                self.at(now + back, Fault::Start(node));
            }
            Fault::Pause { node, length } => {
                if self.nodes[node].machine.is_some() {
                    self.nodes[node].paused = true;
                    self.at(now + length, Fault::Resume(node));
                }
            }
            Fault::Resume(node) => self.resume(node),
            Fault::Block { pairs, length } => {
                self.blocked.extend(pairs.iter().copied());
                self.at(now + length, Fault::Unblock(pairs));
            }
            Fault::Unblock(pairs) => {
                for pair in pairs {
                    self.blocked.remove(&pair);
                }
            }
            Fault::Network { loss, latency } => {
                self.loss = loss;
                self.latency = latency;
            }
            Fault::Api { node, length } => {
                self.set_api(node, false);
                self.at(now + length, Fault::ApiBack(node));
            }
            Fault::ApiBack(node) => self.set_api(node, true),
            Fault::Rank { node, rank } => self.edit(node, |settings| settings.rank = rank),
            Fault::Payload { node, fence } => self.edit(node, |settings| {
                settings.payload += 1;
                settings.fence = fence;
            }),
            Fault::Promote { node } => {
                let value = format!("request-{}", now.as_millis());
                self.edit(node, |settings| settings.requests.promote = Some(value));
            }
            Fault::PauseMember { node, paused } => self.edit(node, |settings| settings.is_paused = paused),
            Fault::Delete(node) => {
                self.edit(node, |settings| settings.is_deleted = true);
                let after = Duration::from_secs(self.rng.random_range(5..90));
                self.at(now + after, Fault::Create(node));
            }
            Fault::Create(node) => self.create(node),
            Fault::SwitchHub => {
                let lease = self.nodes[0].settings.lease;
                self.switch_hub(lease);
            }
            Fault::Heal => self.heal(),
        }
    }

    /// Creates the object again, once the deleted one is gone.
    fn create(&mut self, node: usize) {
        if self.nodes[node].exists {
            if self.nodes[node].settings.is_deleted {
                let now = self.now;
                self.at(now + Duration::from_secs(5), Fault::Create(node));
            }
            return;
        }
        self.nodes[node].exists = true;
        self.nodes[node].settings.is_deleted = false;
        self.start(node);
    }

    /// Everything works again and every member may lead.
    fn heal(&mut self) {
        self.blocked.clear();
        self.loss = 0.0;
        self.latency = Duration::from_millis(20);
        for node in 0..self.nodes.len() {
            self.resume(node);
            if !self.nodes[node].api {
                self.set_api(node, true);
            }
            self.edit(node, |settings| {
                settings.is_paused = false;
                settings.rank = settings.rank.max(1);
            });
            self.create(node);
            self.start(node);
        }
    }
}
