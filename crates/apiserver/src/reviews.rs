//! Reviews: questions about tokens and permissions that are answered and not stored.

use crate::call::{Call, User};
use crate::object::{self, at, strings, text};
use crate::reply::{self, Body};
use crate::routes::Target;
use crate::server::Core;
use crate::status::{ApiError, ApiResult, Cause};
use crate::{decode, typed};
use http::Response;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Answers a review.
pub fn create(core: &Core, call: &Call) -> ApiResult<Response<Body>> {
    if call.verb != crate::routes::Verb::Create || !call.target.name.is_empty() {
        return Err(call.not_allowed());
    }
    let mut review = call.json_body()?;
    decode::check_type(call, &mut review)?;
    typed::conform(&call.api_version(), &call.resource.kind, &mut review).map_err(ApiError::bad_request)?;
    let status = match call.resource.kind.as_str() {
        "TokenReview" => token(core, &review)?,
        "SelfSubjectReview" => json!({"userInfo": user_info(&call.user)}),
        "SubjectAccessReview" => access(core, call, &subject(&review), &review)?,
        "LocalSubjectAccessReview" => local_access(core, call, &review)?,
        "SelfSubjectAccessReview" => access(core, call, &call.user, &review)?,
        _ => rules(core, call, &review),
    };
    object::meta_mut(&mut review);
    let mut review = crate::engine::update_managers(call, None, &review, &core.clock.now_text());
    if call.resource.kind == "SelfSubjectReview" {
        object::set_meta(&mut review, "creationTimestamp", Some(core.clock.now_text().into()));
    }
    review["status"] = status;
    Ok(reply::json(201, &review))
}

fn token(core: &Core, review: &Value) -> ApiResult<Value> {
    let token = text(review, &["spec", "token"]);
    if token.is_empty() {
        return Err(ApiError::bad_request(
            "token is required for TokenReview in authentication",
        ));
    }
    let audiences = strings(at(review, &["spec", "audiences"]));
    Ok(match core.tokens.verify(core, token, &audiences) {
        Some(verified) => {
            json!({"authenticated": true, "user": user_info(&verified.user), "audiences": verified.audiences})
        }
        None => json!({"user": {}, "error": "invalid bearer token"}),
    })
}

fn user_info(user: &User) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        info["uid"] = user.uid.as_str().into();
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    info
}

/// The user that a SubjectAccessReview names. Unlike a credential it gets no group that is not named.
fn subject(review: &Value) -> User {
    User {
        name: text(review, &["spec", "user"]).to_owned(),
        uid: text(review, &["spec", "uid"]).to_owned(),
        groups: strings(at(review, &["spec", "groups"]))
            .into_iter()
            .map(str::to_owned)
            .collect(),
        extra: BTreeMap::new(),
    }
}

fn local_access(core: &Core, call: &Call, review: &Value) -> ApiResult<Value> {
    let namespace = text(review, &["spec", "resourceAttributes", "namespace"]);
    if namespace != call.target.namespace {
        let detail = "must match metadata.namespace";
        let cause = Cause::invalid("spec.resourceAttributes.namespace", &namespace.into(), detail);
        return Err(call.invalid("", &[cause]));
    }
    access(core, call, &subject(review), review)
}

fn access(core: &Core, call: &Call, user: &User, review: &Value) -> ApiResult<Value> {
    let resource = at(review, &["spec", "resourceAttributes"]);
    let path = at(review, &["spec", "nonResourceAttributes"]);
    let mut causes = Vec::new();
    if resource.is_some() == path.is_some() {
        let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        causes.push(Cause::invalid("spec.resourceAttributes", &Value::Null, detail));
    }
    if user.name.is_empty() && user.groups.is_empty() {
        causes.push(Cause::invalid(
            "spec.user",
            &"".into(),
            "at least one of user or group must be specified",
        ));
    }
    if !causes.is_empty() {
        return Err(ApiError::invalid(&call.resource.group, "", "", &causes));
    }
    let allowed = match (resource, path) {
        (Some(resource), _) => {
            let target = Target {
                group: text(resource, &["group"]).into(),
                version: text(resource, &["version"]).into(),
                namespace: text(resource, &["namespace"]).into(),
                resource: text(resource, &["resource"]).into(),
                subresource: text(resource, &["subresource"]).into(),
                name: text(resource, &["name"]).into(),
            };
            core.rbac.reason(user, text(resource, &["verb"]), &target)
        }
        (None, path) => {
            let path = path.unwrap_or(&Value::Null);
            core.rbac
                .authorize_path(user, text(path, &["verb"]), text(path, &["path"]))
                .then(String::new)
        }
    };
    Ok(match allowed {
        None => json!({"allowed": false}),
        Some(reason) if reason.is_empty() => json!({"allowed": true}),
        Some(reason) => json!({"allowed": true, "reason": reason}),
    })
}

fn rules(core: &Core, call: &Call, review: &Value) -> Value {
    let namespace = text(review, &["spec", "namespace"]);
    let (resource_rules, path_rules) = core.rbac.rules_of(&call.user, namespace);
    json!({"resourceRules": resource_rules, "nonResourceRules": path_rules, "incomplete": false})
}
