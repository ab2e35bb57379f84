//! Headers, signatures and the binding of proposal and response.

use prost::Message;
use protos::UnpackedEnvelope;
use protos::common::{ConfigEnvelope, Envelope, Payload};
use protos::peer::{ChaincodeActionPayload, ChaincodeId, ProposalResponsePayload, Transaction};

use super::*;

#[test]
fn a_good_transaction_is_valid() {
    assert_eq!(code(&FakeState::new(), good().sign()), Code::Valid);
    assert_eq!(code(&FakeState::new(), good().event("mycc").sign()), Code::Valid);
}

#[test]
fn what_is_wrong_with_headers_has_its_code() {
    let state = FakeState::new();
    let with = |change: fn(&mut TestProposal)| {
        let mut transaction = good();
        change(&mut transaction.proposal);
        code(&state, transaction.sign())
    };
    assert_eq!(with(|p| p.channel_header.r#type = 0), Code::BadCommonHeader);
    assert_eq!(with(|p| p.channel_header.r#type = 4), Code::BadCommonHeader);
    assert_eq!(with(|p| p.channel_header.r#type = 77), Code::BadCommonHeader);
    assert_eq!(with(|p| p.channel_header.r#type = 2), Code::UnsupportedTxPayload);
    assert_eq!(with(|p| p.channel_header.epoch = 1), Code::BadCommonHeader);
    assert_eq!(with(|p| p.signature_header.nonce.clear()), Code::BadCommonHeader);
    assert_eq!(
        with(|p| p.signature_header.creator.clear()),
        Code::BadCommonHeader
    );
    assert_eq!(
        with(|p| p.signature_header.creator = "junk".into()),
        Code::BadCreatorSignature
    );
    assert_eq!(with(|p| p.channel_header.tx_id.push('0')), Code::BadProposalTxid);
    assert_eq!(
        with(|p| p.channel_header.channel_id = "other".into()),
        Code::TargetChainNotFound
    );
    assert_eq!(
        with(|p| p.channel_header.extension = vec![0xff].into()),
        Code::BadHeaderExtension
    );
    assert_eq!(
        with(|p| p.channel_header.extension.clear()),
        Code::InvalidOtherReason
    );
}

#[test]
fn a_foreign_or_broken_signature_is_found() {
    let state = FakeState::new();
    let mut foreign = good();
    foreign.proposal.signer = network().org2.user.clone();
    assert_eq!(code(&state, foreign.sign()), Code::BadCreatorSignature);
    let proposal = TestProposal::new(&network().stranger.user, CHANNEL, "mycc", &[b"f"]);
    let stranger = TestTransaction::new(proposal, "1.0", &[&network().org1.node]);
    assert_eq!(code(&state, stranger.sign()), Code::BadCreatorSignature);
    let mut unsigned = good().sign();
    unsigned.signature.clear();
    assert_eq!(code(&state, unsigned), Code::BadCreatorSignature);
}

#[test]
fn bytes_that_are_no_transaction_have_their_codes() {
    let state = FakeState::new();
    let bundle = bundle();
    let raw = |bytes: Vec<u8>| validate_under(&bundle, &state, &[bytes.into()]).unwrap()[0];
    // no bytes are an empty envelope, not a missing one
    assert_eq!(raw(Vec::new()), Code::BadCommonHeader);
    assert_eq!(raw(vec![0xff; 9]), Code::InvalidOtherReason);
    let headless = Payload {
        data: "data".into(),
        ..Default::default()
    };
    let envelope = |payload: Vec<u8>| Envelope {
        payload: payload.into(),
        ..Default::default()
    };
    assert_eq!(code(&state, envelope(vec![0xff])), Code::BadPayload);
    assert_eq!(
        code(&state, envelope(headless.encode_to_vec())),
        Code::BadCommonHeader
    );
}

#[test]
fn a_field_of_another_wire_type_is_an_unknown_one() {
    let bundle = bundle();
    let mut transaction = good();
    transaction.action.response = None;
    let mut action = transaction.endorse();
    // a number where the action's header belongs
    let header_as_number = [0x08, 0x01];
    let bytes = [&header_as_number, transaction.sign().encode_to_vec().as_slice()].concat();
    let codes = validate_under(&bundle, &FakeState::new(), &[bytes.into()]).unwrap();
    assert_eq!(codes, [Code::Valid]);
    action.payload = [&header_as_number, action.payload.as_ref()].concat().into();
    let envelope = transaction.sign_actions(vec![action]);
    assert_eq!(code(&FakeState::new(), envelope), Code::Valid);
}

#[test]
fn exactly_one_action_that_answers_the_proposal() {
    let state = FakeState::new();
    let good = good();
    assert_eq!(
        code(&state, good.sign_actions(Vec::new())),
        Code::InvalidEndorserTransaction
    );
    let twice = vec![good.endorse(), good.endorse()];
    assert_eq!(
        code(&state, good.sign_actions(twice)),
        Code::InvalidEndorserTransaction
    );
    // the response of another proposal
    let other = TestTransaction::new(proposal("mycc"), "1.0", &[&network().org1.node]);
    assert_eq!(
        code(&state, good.sign_actions(vec![other.endorse()])),
        Code::InvalidEndorserTransaction
    );
    let mut action = good.endorse();
    action.payload = vec![0xff].into();
    assert_eq!(
        code(&state, good.sign_actions(vec![action])),
        Code::InvalidEndorserTransaction
    );
}

#[test]
fn the_action_names_the_chaincode_of_the_header() {
    let state = FakeState::new();
    let with = |name: &str, version: &str| {
        let mut transaction = good();
        let id = ChaincodeId {
            name: name.into(),
            version: version.into(),
            ..Default::default()
        };
        transaction.action.chaincode_id = Some(id);
        code(&state, transaction.sign())
    };
    assert_eq!(with("both", "1.0"), Code::InvalidOtherReason);
    assert_eq!(with("mycc", ""), Code::InvalidOtherReason);
    assert_eq!(with("mycc", "2.0"), Code::ExpiredChaincode);
    assert_eq!(
        code(&state, good().event("both").sign()),
        Code::InvalidOtherReason
    );
    let mut broken = good();
    broken.action.results = vec![0xff].into();
    assert_eq!(code(&state, broken.sign()), Code::BadRwset);
}

#[test]
fn a_response_without_action_is_a_bad_response() {
    let good = good();
    let mut action = good.endorse();
    let mut payload = ChaincodeActionPayload::decode(action.payload.clone()).unwrap();
    let endorsed = payload.action.as_mut().unwrap();
    let mut response = ProposalResponsePayload::decode(endorsed.proposal_response_payload.clone()).unwrap();
    response.extension.clear();
    endorsed.proposal_response_payload = response.encode_to_vec().into();
    action.payload = payload.encode_to_vec().into();
    assert_eq!(
        code(&FakeState::new(), good.sign_actions(vec![action])),
        Code::BadResponsePayload
    );
}

#[test]
fn an_id_counts_once() {
    let mut state = FakeState::new();
    let first = good().sign();
    assert_eq!(
        validate(&state, &[first.clone(), first.clone()]),
        [Code::Valid, Code::DuplicateTxid]
    );
    let old = with_capabilities(&[]);
    let bytes: Bytes = first.encode_to_vec().into();
    let codes = validate_under(&old, &state, &[bytes.clone(), bytes]).unwrap();
    assert_eq!(codes, [Code::Valid, Code::Valid]);
    state.committed.insert(tx_id(&first));
    assert_eq!(code(&state, first), Code::DuplicateTxid);
}

fn tx_id(envelope: &Envelope) -> TxId {
    UnpackedEnvelope::try_from(envelope.clone())
        .unwrap()
        .channel_header
        .tx_id
        .into()
}

#[test]
fn a_ledger_that_fails_stops_the_block() {
    let state = FakeState {
        broken: true,
        ..FakeState::new()
    };
    let bundle = bundle();
    let error = validate_under(&bundle, &state, &[good().sign().encode_to_vec().into()]).unwrap_err();
    assert!(
        matches!(error, ValidationError::Ledger { index: 0, .. }),
        "{error}"
    );
}

#[test]
fn configuration_must_follow_and_be_alone() {
    let network = network();
    let bundle = bundle();
    let state = FakeState::new();
    let change = |group: &mut protos::common::ConfigGroup| {
        let orderer = group.groups.get_mut("Orderer").unwrap();
        let size = protos::orderer::BatchSize {
            max_message_count: 7,
            absolute_max_bytes: 1 << 20,
            preferred_max_bytes: 1 << 19,
        };
        orderer.values.get_mut("BatchSize").unwrap().value = size.encode_to_vec().into();
    };
    let config = network.config_transaction(&bundle, change);
    assert_eq!(code(&state, config.clone()), Code::Valid);
    assert_eq!(
        validate(&state, &[config.clone(), good().sign()]),
        [Code::InvalidConfigTransaction, Code::Valid]
    );
    // applied twice: the sequence number has moved on
    let unpacked = UnpackedEnvelope::try_from(config.clone()).unwrap();
    let envelope = ConfigEnvelope::decode(unpacked.data).unwrap();
    let next = Arc::new(Bundle::from_config(CHANNEL, &envelope.config.unwrap()).unwrap());
    let codes = validate_under(&next, &state, &[config.encode_to_vec().into()]).unwrap();
    assert_eq!(codes, [Code::InvalidConfigTransaction]);
}

#[test]
fn a_configuration_that_is_agreed_on_but_not_supported_stops_the_block() {
    let network = network();
    let bundle = bundle();
    let config = network.unsupported_config_transaction(&bundle);
    let bytes = config.encode_to_vec().into();
    let stopped = validate_under(&bundle, &FakeState::new(), &[bytes]).unwrap_err();
    assert!(
        matches!(stopped, ValidationError::UnsupportedConfig(_)),
        "{stopped}"
    );
    // nobody agreed on this one
    let unpacked = UnpackedEnvelope::try_from(config).unwrap();
    let mut forged = ConfigEnvelope::decode(unpacked.data).unwrap();
    forged.last_update = None;
    let forged = network.ordered_config(&bundle, &forged);
    assert_eq!(code(&FakeState::new(), forged), Code::InvalidConfigTransaction);
}

#[test]
fn mutated_transactions_are_never_valid_and_never_panic() {
    let state = FakeState::new();
    let bundle = bundle();
    let bytes = good().sign().encode_to_vec();
    let variants: Vec<Bytes> = (0..bytes.len())
        .step_by(7)
        .map(|index| {
            let mut mutated = bytes.clone();
            mutated[index] ^= 0x15;
            mutated.into()
        })
        .collect();
    let codes = validate_under(&bundle, &state, &variants).unwrap();
    assert!(codes.iter().all(|code| *code != Code::Valid));
    let shortened: Vec<Bytes> = (0..bytes.len())
        .step_by(11)
        .map(|end| bytes[..end].to_vec().into())
        .collect();
    let codes = validate_under(&bundle, &state, &shortened).unwrap();
    assert!(codes.iter().all(|code| *code != Code::Valid));
}

#[test]
fn garbage_inside_of_a_transaction_is_invalid() {
    let state = FakeState::new();
    let good = good();
    let mut envelope = good.sign();
    let mut payload = Payload::decode(envelope.payload.clone()).unwrap();
    payload.data = Transaction {
        actions: vec![Default::default()],
    }
    .encode_to_vec()
    .into();
    envelope.payload = payload.encode_to_vec().into();
    envelope.signature = network().org1.user.sign(&[&envelope.payload]).unwrap();
    assert_eq!(code(&state, envelope), Code::InvalidEndorserTransaction);
}
