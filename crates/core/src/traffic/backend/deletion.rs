//! A backend that is being deleted (networking 7.6): its endpoints go first. What holds that up is reported, with the right
//! that is missing.

use api::text::events::traffic as events;
use api::text::finalizers as fin;
use api::text::messages::backend as messages;
use api::text::reasons::networking as reasons;

use super::super::arm::{ProfileId, Subject};
use super::super::endpoints;
use super::super::observed::{Observed, delete_endpoint_call, read_call};
use super::super::pass::{ConditionValues, Pass, with_right};
use super::super::profile::{ProfileStage, State};
use super::BackendPass;

pub(super) fn run<'a>(pass: &mut Pass<'a>, stage: &ProfileStage<'a>, work: BackendPass<'a>) {
    let is_late = work.backend.meta.has_finalizer(fin::TRAFFIC_MANAGER_BACKEND);
    let Some(id) = stage.id.as_ref().filter(|_| is_late) else {
        return pass.remove_finalizers(work.object);
    };
    match &stage.state {
        State::Missing | State::Gone { .. } => return pass.remove_finalizers(work.object),
        // The endpoints go with the profile.
        State::Leaving { failed: false } => return,
        _ => {}
    }
    if let Some(failure) = pass.failure(id, &Subject::Read) {
        pass.call(read_call(id));
        let error = with_right(failure, &Subject::Read, id);
        let message = messages::azure_profile_unreadable(&id.name, &id.resource_group, &error);
        pass.warn(work.object, events::AZURE_API_ERROR, error);
        return report_pending(pass, work, id, message);
    }
    let reading = pass.observed(id).and_then(Observed::reading);
    let Some(reading) = reading.filter(|reading| !reading.is_due_in(id, pass.now).is_zero()) else {
        return pass.call(read_call(id));
    };
    let owned: Vec<_> = reading
        .profile
        .as_ref()
        .map(|held| endpoints::owned(work.backend, held).collect())
        .unwrap_or_default();
    if owned.is_empty() {
        // A write that is on its way may still make one.
        if !pass.slice.in_flight {
            pass.remove_finalizers(work.object);
        }
        return;
    }
    let mut failed = None;
    for endpoint in owned {
        pass.call(delete_endpoint_call(id, endpoint.name()));
        let subject = Subject::DeleteEndpoint(endpoint.name().to_ascii_lowercase());
        if let Some(failure) = pass.failure(id, &subject) {
            failed.get_or_insert((endpoint.name(), failure, subject));
        }
    }
    if let Some((name, failure, subject)) = failed {
        let message = messages::not_cleaned_up(name, &id.name, &with_right(failure, &subject, id));
        report_pending(pass, work, id, message);
    }
}

fn report_pending<'a>(pass: &mut Pass<'a>, work: BackendPass<'a>, id: &ProfileId, message: String) {
    let observed = pass.observed(id).and_then(Observed::reading);
    let held = observed.and_then(|reading| reading.profile.as_ref());
    let endpoints = match held {
        Some(held) => endpoints::served(work.backend, held, None),
        None => work.backend.status.endpoints.clone(),
    };
    work.report(pass, ConditionValues::unknown(reasons::PENDING, message), endpoints);
}
