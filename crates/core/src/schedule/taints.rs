//! Taints and tolerations (hub-behaviour 4.10).

use api::cluster::v1beta1::Taint;
use api::placement::v1beta1::{Toleration, TolerationOperator};

/// The first taint that no toleration covers.
pub(super) fn untolerated<'a>(taints: &'a [Taint], tolerations: &[Toleration]) -> Option<&'a Taint> {
    taints.iter().find(|taint| !is_tolerated(taint, tolerations))
}

/// Whether a toleration covers the taint.
pub(super) fn is_tolerated(taint: &Taint, tolerations: &[Toleration]) -> bool {
    tolerations.iter().any(|toleration| covers(toleration, taint))
}

fn covers(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.is_none_or(|effect| effect == taint.effect);
    let key = toleration.key == taint.key;
    effect
        && match toleration.operator {
            Some(TolerationOperator::Exists) => key || toleration.key.is_empty(),
            None | Some(TolerationOperator::Equal) => key && toleration.value == taint.value,
        }
}
