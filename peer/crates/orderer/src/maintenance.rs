//! How the type of an ordering service may change: in maintenance mode, which is entered and left by updates of their
//! own (Fabric orderer/common/msgprocessor, the maintenance filter).

use prost::DecodeError;
use protos::common::{ConfigGroup, ConfigUpdate, ConfigUpdateEnvelope};
use protos::orderer::ConsensusType;
use protos::orderer::consensus_type::State;
use protos::{UnpackedEnvelope, decode_as_go};

use crate::resources::OrdererValues;

/// The types that an ordering service may change to.
const TARGETS: [&str; 3] = ["etcdraft", "kafka", "solo"];

/// Why the ordering service may not be changed like this. The texts are Fabric's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MaintenanceError {
    #[error("next config attempted to change ConsensusType.State to {0}, but capability is disabled")]
    StateDisabled(&'static str),
    #[error("next config attempted to change ConsensusType.Type from {0}, but capability is disabled")]
    TypeDisabled(Change),
    #[error("config update unmarshalling error: {0}")]
    Undecodable(DecodeError),
    #[error("{0}")]
    NotAlone(&'static str),
    #[error(
        "attempted to change ConsensusType.Type from {kind}, but ConsensusType.State is changing from {state}"
    )]
    TypeWithState { kind: Change, state: Change },
    #[error("attempted to change ConsensusType.Metadata, but ConsensusType.State is changing from {0}")]
    MetadataWithState(Change),
    #[error(
        "attempted to change consensus type from {kind}, but {config} config ConsensusType.State is not in maintenance mode"
    )]
    NotInMaintenance { kind: Change, config: &'static str },
    #[error("attempted to change consensus type from {0}, transition not supported")]
    NotSupported(Change),
}

/// From one value to another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    from: String,
    to: String,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}

/// Checks an update that leads from one configuration of the ordering service to another.
pub(crate) fn check(
    present: &OrdererValues,
    next: &OrdererValues,
    update: &UnpackedEnvelope,
) -> Result<(), MaintenanceError> {
    let (from, to) = (&present.consensus_type, &next.consensus_type);
    if !present.consensus_type_migration {
        return check_unchanged(from, to);
    }
    if from.state() != to.state() {
        check_alone(update)?;
        check_state_change(from, to)?;
    }
    check_type_change(from, to)
}

fn check_unchanged(from: &ConsensusType, to: &ConsensusType) -> Result<(), MaintenanceError> {
    if to.state() != State::Normal {
        return Err(MaintenanceError::StateDisabled(to.state().as_str_name()));
    }
    match from.r#type == to.r#type {
        true => Ok(()),
        false => Err(MaintenanceError::TypeDisabled(types(from, to))),
    }
}

fn check_state_change(from: &ConsensusType, to: &ConsensusType) -> Result<(), MaintenanceError> {
    let state = Change {
        from: from.state().as_str_name().to_owned(),
        to: to.state().as_str_name().to_owned(),
    };
    if from.r#type != to.r#type {
        let kind = types(from, to);
        return Err(MaintenanceError::TypeWithState { kind, state });
    }
    match from.metadata == to.metadata {
        true => Ok(()),
        false => Err(MaintenanceError::MetadataWithState(state)),
    }
}

fn check_type_change(from: &ConsensusType, to: &ConsensusType) -> Result<(), MaintenanceError> {
    if from.r#type == to.r#type {
        return Ok(());
    }
    let kind = types(from, to);
    for (consensus, config) in [(from, "current"), (to, "next")] {
        if consensus.state() == State::Normal {
            return Err(MaintenanceError::NotInMaintenance { kind, config });
        }
    }
    match TARGETS.contains(&to.r#type.as_str()) {
        true => Ok(()),
        false => Err(MaintenanceError::NotSupported(kind)),
    }
}

fn types(from: &ConsensusType, to: &ConsensusType) -> Change {
    Change {
        from: from.r#type.clone(),
        to: to.r#type.clone(),
    }
}

/// Maintenance mode is entered and left by an update that writes nothing else.
fn check_alone(update: &UnpackedEnvelope) -> Result<(), MaintenanceError> {
    let envelope: ConfigUpdateEnvelope =
        decode_as_go(update.data.clone()).map_err(MaintenanceError::Undecodable)?;
    let update: ConfigUpdate = decode_as_go(envelope.config_update).map_err(MaintenanceError::Undecodable)?;
    let written = update.write_set.unwrap_or_default();
    not_alone(&written).map_or(Ok(()), |reason| Err(MaintenanceError::NotAlone(reason)))
}

fn not_alone(written: &ConfigGroup) -> Option<&'static str> {
    if written.groups.is_empty() {
        return Some("config update contains no changes");
    }
    if !written.values.is_empty() {
        return Some("config update contains changes to values in group Channel");
    }
    if written.groups.len() > 1 {
        return Some("config update contains changes to more than one group");
    }
    let Some(orderer) = written.groups.get("Orderer") else {
        return Some("update does not contain the Orderer group");
    };
    if !orderer.groups.is_empty() {
        return Some("config update contains changes to groups within the Orderer group");
    }
    if !orderer.values.contains_key("ConsensusType") {
        return Some("config update does not contain the ConsensusType value");
    }
    (orderer.values.len() > 1)
        .then_some("config update contain more then just the ConsensusType value in the Orderer group")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consensus(kind: &str, state: State, metadata: &'static str) -> ConsensusType {
        ConsensusType {
            r#type: kind.into(),
            state: state.into(),
            metadata: metadata.into(),
        }
    }

    #[test]
    fn a_type_changes_in_maintenance_only_and_to_known_ones_only() {
        let (normal, maintenance) = (State::Normal, State::Maintenance);
        let check = |from: (&str, State), to: (&str, State)| {
            check_type_change(&consensus(from.0, from.1, ""), &consensus(to.0, to.1, ""))
                .err()
                .map(|error| error.to_string())
        };
        assert_eq!(check(("solo", normal), ("solo", normal)), None);
        assert_eq!(check(("solo", maintenance), ("etcdraft", maintenance)), None);
        let refused = |text: &str| Some(format!("attempted to change consensus type from solo to {text}"));
        assert_eq!(
            check(("solo", normal), ("etcdraft", maintenance)),
            refused("etcdraft, but current config ConsensusType.State is not in maintenance mode")
        );
        assert_eq!(
            check(("solo", maintenance), ("etcdraft", normal)),
            refused("etcdraft, but next config ConsensusType.State is not in maintenance mode")
        );
        assert_eq!(
            check(("solo", maintenance), ("other", maintenance)),
            refused("other, transition not supported")
        );
    }

    #[test]
    fn state_changes_alone() {
        let from = consensus("solo", State::Normal, "m");
        let text = |to: &ConsensusType| check_state_change(&from, to).map_err(|error| error.to_string());
        assert_eq!(text(&consensus("solo", State::Maintenance, "m")), Ok(()));
        assert_eq!(
            text(&consensus("etcdraft", State::Maintenance, "m")).unwrap_err(),
            "attempted to change ConsensusType.Type from solo to etcdraft, but ConsensusType.State is changing from \
             STATE_NORMAL to STATE_MAINTENANCE"
        );
        assert_eq!(
            text(&consensus("solo", State::Maintenance, "n")).unwrap_err(),
            "attempted to change ConsensusType.Metadata, but ConsensusType.State is changing from STATE_NORMAL to \
             STATE_MAINTENANCE"
        );
    }

    #[test]
    fn without_the_capability_nothing_changes() {
        let from = consensus("solo", State::Normal, "");
        let check = |to: ConsensusType| check_unchanged(&from, &to);
        assert_eq!(check(from.clone()), Ok(()));
        assert!(check(consensus("solo", State::Maintenance, "")).is_err());
        assert!(check(consensus("etcdraft", State::Normal, "")).is_err());
    }

    #[test]
    fn an_update_of_the_state_writes_nothing_else() {
        let mut orderer = ConfigGroup::default();
        orderer.values.insert("ConsensusType".into(), Default::default());
        let mut good = ConfigGroup::default();
        good.groups.insert("Orderer".into(), orderer);
        assert_eq!(not_alone(&good), None);
        let refused = |change: fn(&mut ConfigGroup)| {
            let mut written = good.clone();
            change(&mut written);
            assert!(not_alone(&written).is_some());
        };
        fn orderer_of(written: &mut ConfigGroup) -> &mut ConfigGroup {
            written.groups.get_mut("Orderer").unwrap()
        }
        refused(|written| written.groups.clear());
        refused(|written| drop(written.values.insert("Capabilities".into(), Default::default())));
        refused(|written| drop(written.groups.insert("Application".into(), Default::default())));
        refused(|written| {
            let orderer = written.groups.remove("Orderer").unwrap();
            written.groups.insert("Application".into(), orderer);
        });
        refused(|written| {
            drop(
                orderer_of(written)
                    .groups
                    .insert("Org".into(), Default::default()),
            )
        });
        refused(|written| orderer_of(written).values.clear());
        refused(|written| {
            drop(
                orderer_of(written)
                    .values
                    .insert("BatchSize".into(), Default::default()),
            )
        });
    }
}
