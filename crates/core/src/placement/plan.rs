//! One pass over one placement: the order of its stages.

use api::names;
use jiff::Timestamp;

use super::trace::Trace;
use super::world::World;
use super::{Pass, Settings, Slice, cleanup, finish, stages, status};
use crate::trace::Recorder;

/// Decides everything about one placement: writes, events, and when the next pass is due.
///
/// `nonce` makes the names of new objects fresh; equal arguments give equal passes. Applying the writes of a pass and
/// planning again gives no further writes, unless something else happened.
pub fn plan(slice: &Slice<'_>, settings: &Settings, now: Timestamp, nonce: u64) -> Pass {
    plan_observed(slice, settings, now, nonce, &mut |_| {})
}

/// A moment within a pass, for shells that measure its parts. Nothing is decided by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The scheduling cycle begins.
    SchedulingBegins,
    /// It has ended.
    SchedulingEnds,
}

/// Decides as [`plan`] does, and calls `observe` at each moment while the pass is at it.
pub fn plan_observed(
    slice: &Slice<'_>,
    settings: &Settings,
    now: Timestamp,
    nonce: u64,
    observe: &mut dyn FnMut(Moment),
) -> Pass {
    pass(slice, (settings, now, nonce), Recorder::off(), observe)
}

/// Decides as [`plan`] does, and says why.
pub fn explain(slice: &Slice<'_>, settings: &Settings, now: Timestamp, nonce: u64) -> (Pass, Trace) {
    let mut trace = Trace::default();
    let pass = pass(slice, (settings, now, nonce), Recorder::on(&mut trace), &mut |_| {});
    (pass, trace)
}

fn pass(
    slice: &Slice<'_>,
    (settings, now, nonce): (&Settings, Timestamp, u64),
    trace: Recorder<'_, Trace>,
    observe: &mut dyn FnMut(Moment),
) -> Pass {
    let Some(placement) = &slice.placement else {
        return cleanup::leftovers(slice, settings.stages);
    };
    let mut world = World::new(slice, placement, (settings, now, nonce), trace);
    if placement.meta.is_deleting() {
        return cleanup::deletion(world);
    }
    if settings.stages.placement
        && let Err(message) = names::check_placement(&placement.meta.name)
    {
        return status::refuse_name(world, &message);
    }
    let selected = stages::select_and_snapshot(&mut world);
    observe(Moment::SchedulingBegins);
    stages::schedule(&mut world);
    observe(Moment::SchedulingEnds);
    let works = stages::roll_out_and_render(&mut world);
    let teardown = cleanup::teardown(&mut world);
    let report = status::report(&mut world, &selected);
    finish::order(world, works, teardown, report)
}
