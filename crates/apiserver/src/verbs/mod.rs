//! What each verb does with a resource.

pub mod create;
pub mod delete;
pub mod patch;
pub mod read;
pub mod scale;
pub mod update;

use crate::call::Call;
use crate::reply::{self, Body};
use crate::status::ApiResult;
use crate::storage::Stored;
use crate::{present, server::Core};
use http::Response;
use serde_json::Value;
use std::sync::Arc;

/// The outcome of a write.
pub struct Written {
    /// The object after it.
    pub object: Arc<Stored>,
    /// Whether it was created.
    pub created: bool,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

impl Written {
    /// The response for the call that wrote.
    pub fn respond(self, call: &Call) -> Response<Body> {
        let code = if self.created { 201 } else { 200 };
        let mut response = reply::json_bytes(code, present::bytes(call, &self.object));
        self.warnings.iter().for_each(|w| reply::warn(&mut response, w));
        response
    }
}

/// What a dry run answers with: the object as it would have been stored.
pub fn unstored(value: Value) -> Arc<Stored> {
    let rv = crate::object::meta_text(&value, "resourceVersion").parse().unwrap_or(0);
    Arc::new(Stored::new(value, rv))
}

/// Executes a call on a collection, object or subresource.
pub fn execute(core: &Arc<Core>, call: Call) -> ApiResult<Response<Body>> {
    use crate::routes::Verb;
    if call.resource.traits.virtual_create {
        return crate::reviews::create(core, &call);
    }
    let has_name = !call.target.name.is_empty();
    match (call.target.subresource.as_str(), call.verb) {
        ("", Verb::Get) => read::get(core, &call),
        ("status", Verb::Get) if call.version.status => read::get(core, &call),
        ("", Verb::List) => read::list(core, &call),
        ("", Verb::Watch) => crate::watch::watch(core, call),
        ("", Verb::Create) if !has_name => Ok(create::create(core, &call)?.respond(&call)),
        ("", Verb::Update) if has_name => Ok(update::replace(core, &call)?.respond(&call)),
        ("status", Verb::Update) if call.version.status => Ok(update::replace(core, &call)?.respond(&call)),
        ("", Verb::Patch) if has_name => Ok(patch::patch(core, &call)?.respond(&call)),
        ("status", Verb::Patch) if call.version.status => Ok(patch::patch(core, &call)?.respond(&call)),
        ("", Verb::Delete) => delete::delete(core, &call),
        ("", Verb::DeleteCollection) => delete::collection(core, &call),
        ("scale", verb) if call.version.scale.is_some() => scale::scale(core, &call, verb),
        ("token", Verb::Create) if &*call.resource.table == "serviceaccounts" => crate::tokens::create(core, &call),
        ("finalize", Verb::Update) if &*call.resource.table == "namespaces" => {
            Ok(update::replace(core, &call)?.respond(&call))
        }
        ("binding", Verb::Create) if &*call.resource.table == "pods" => crate::pods::bind(core, &call),
        ("eviction", Verb::Create) if &*call.resource.table == "pods" => crate::pods::evict(core, &call),
        ("", _) => Err(call.not_allowed()),
        _ if call.resource.crd.is_some() => Err(call.not_found(&call.target.name)),
        _ => Err(crate::status::ApiError::no_such_resource()),
    }
}
