//! Which plugin is asked about what, and what its answer means.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::*;
use crate::test_support::{definition, policy};
use crate::{ActionContext, SourceError, ValidationPlugin, Verdict};

/// Answers as the namespace says, and keeps what it was asked.
#[derive(Default)]
struct Scripted {
    asked: Mutex<Vec<(u64, String, String)>>,
}

/// Every name but `absent`.
#[derive(Clone)]
struct Named(Arc<Scripted>);

impl PluginSource for Named {
    fn of_block(&self) -> Arc<dyn ValidationPlugins> {
        Arc::new(self.clone())
    }
}

struct Under(Arc<Scripted>, String);

impl ValidationPlugins for Named {
    fn plugin(&self, name: &str) -> Option<Arc<dyn ValidationPlugin>> {
        let plugin = Under(Arc::clone(&self.0), name.to_owned());
        (name != "absent").then(|| Arc::new(plugin) as Arc<dyn ValidationPlugin>)
    }
}

impl ValidationPlugin for Under {
    fn validate(&self, action: ActionContext) -> Result<Verdict, SourceError> {
        let asked = (
            action.tx_position(),
            self.1.clone(),
            action.namespace().to_owned(),
        );
        self.0.asked.lock().push(asked);
        assert!(action.envelope().len() > action.response_payload().len());
        match action.namespace() {
            "broken" => Err("licence is over".into()),
            "refused" => Ok(Verdict::Invalid("never".into())),
            _ => Ok(Verdict::Valid),
        }
    }
}

fn defined(names: &[(&str, &str)]) -> FakeState {
    let mut state = FakeState::new();
    for (name, plugin) in names {
        let data = protos::peer::ChaincodeData {
            vscc: (*plugin).into(),
            ..definition(name, "1.0", "OR('Org1MSP.peer')")
        };
        state.define(&data);
    }
    state
}

fn run(state: &FakeState, envelopes: &[Envelope]) -> (Result<Vec<Code>, ValidationError>, Vec<String>) {
    let script = Arc::new(Scripted::default());
    let plugins = Arc::new(Named(Arc::clone(&script)));
    let codes = validate_with(plugins, &bundle(), state, &encoded(envelopes));
    let mut asked = std::mem::take(&mut *script.asked.lock());
    asked.sort();
    let shown = |(position, plugin, namespace)| format!("{position} {plugin} {namespace}");
    (codes, asked.into_iter().map(shown).collect())
}

fn of(chaincode: &str) -> TestTransaction {
    TestTransaction::new(proposal(chaincode), "1.0", &[])
}

#[test]
fn every_namespace_is_judged_by_the_plugin_of_its_definition() {
    let state = defined(&[("one", "special"), ("refused", "vscc")]);
    let both = of("one").write("mycc", "a", "1").write("one", "a", "1");
    let (codes, asked) = run(&state, &[both.sign(), of("refused").sign(), of("qscc").sign()]);
    assert_eq!(
        codes.unwrap(),
        [Code::Valid, Code::EndorsementPolicyFailure, Code::Valid]
    );
    assert_eq!(
        asked,
        ["0 special one", "0 vscc mycc", "1 vscc refused", "2 vscc qscc"]
    );
    // nobody asks about what is refused before
    let (codes, asked) = run(
        &state,
        &[of("refused").write("mycc", "a", "1").sign(), of("nowhere").sign()],
    );
    assert_eq!(
        codes.unwrap(),
        [Code::EndorsementPolicyFailure, Code::InvalidOtherReason]
    );
    assert_eq!(asked, ["0 vscc refused"]);
}

#[test]
fn no_verdict_stops_the_block_at_its_first_transaction_without() {
    let state = defined(&[("broken", "vscc"), ("lost", "absent")]);
    for _ in 0..20 {
        let (codes, _) = run(
            &state,
            &[of("mycc").sign(), of("broken").sign(), of("lost").sign()],
        );
        let error = protos::wire_message(&codes.unwrap_err());
        assert_eq!(
            error,
            "validation plugin vscc came to no verdict on transaction 1: licence is over"
        );
    }
    let (codes, _) = run(&state, &[of("lost").sign(), of("broken").sign()]);
    assert_eq!(
        codes.unwrap_err().to_string(),
        "plugin with name absent couldn't be used: plugin with name absent wasn't found"
    );
    // a version that has gone is invalid, whoever would have judged it
    let expired = TestTransaction::new(proposal("lost"), "0.9", &[]).sign();
    assert_eq!(run(&state, &[expired]).0.unwrap(), [Code::ExpiredChaincode]);
}

#[test]
fn a_ledger_that_fails_under_a_plugin_stops_the_block_whatever_the_plugin_says() {
    let state = FakeState {
        broken_metadata: true,
        ..FakeState::new()
    };
    let error = validate_under(&bundle(), &state, &encoded(&[good().sign()])).unwrap_err();
    assert!(
        matches!(error, ValidationError::Ledger { index: 0, .. }),
        "{error}"
    );
    // who does not ask does not hear of it
    assert_eq!(run(&state, &[good().sign()]).0.unwrap(), [Code::Valid]);
}

#[test]
fn a_verdict_does_not_hold_once_what_it_rests_on_has_changed_in_the_block() {
    let (state, node) = (FakeState::new(), &network().org1.node);
    let only_org1 = policy("OR('Org1MSP.peer')").encode_to_vec();
    let sets = |key: &str, endorsers: &[_]| {
        let transaction = TestTransaction::new(proposal("mycc"), "1.0", endorsers);
        transaction.set_policy("mycc", key, only_org1.clone()).sign()
    };
    let refused = Code::EndorsementPolicyFailure;
    // the plugin asks for the policy of `a` alone
    let codes = validate(&state, &[sets("b", &[node]), good().sign()]);
    assert_eq!(codes, [Code::Valid, Code::Valid]);
    let codes = validate(&state, &[sets("a", &[node]), good().sign(), good().sign()]);
    assert_eq!(codes, [Code::Valid, refused, refused]);
    // a change that is itself refused changes nothing
    assert_eq!(
        validate(&state, &[sets("a", &[]), good().sign()]),
        [refused, Code::Valid]
    );
    // what is wrong with the chaincode comes first
    let expired = TestTransaction::new(proposal("mycc"), "0.9", &[node]).sign();
    let codes = validate(&state, &[sets("a", &[node]), expired]);
    assert_eq!(codes, [Code::Valid, Code::ExpiredChaincode]);
    // one who does not ask does not depend on it
    assert_eq!(
        run(&state, &[sets("a", &[node]), good().sign()]).0.unwrap(),
        [Code::Valid, Code::Valid]
    );
}

#[test]
fn signers_that_two_namespaces_ask_for_are_the_same() {
    let state = FakeState::new();
    let (org1, org2) = (&network().org1.node, &network().org2.node);
    let write = |endorsers: &[_]| {
        TestTransaction::new(proposal("both"), "1.0", endorsers)
            .write("mycc", "b", "1")
            .write("both", "b", "1")
            .sign()
    };
    assert_eq!(code(&state, write(&[org1, org2])), Code::Valid);
    assert_eq!(code(&state, write(&[org1, org1])), Code::EndorsementPolicyFailure);
}

/// Exchanges its plugins whenever somebody looks.
struct Restless {
    script: Arc<Scripted>,
    sets: AtomicUsize,
}

struct Set(Arc<Scripted>, usize);

impl PluginSource for Restless {
    fn of_block(&self) -> Arc<dyn ValidationPlugins> {
        let set = self.sets.fetch_add(1, Ordering::Relaxed);
        Arc::new(Set(Arc::clone(&self.script), set))
    }
}

impl ValidationPlugins for Set {
    fn plugin(&self, name: &str) -> Option<Arc<dyn ValidationPlugin>> {
        Some(Arc::new(Under(
            Arc::clone(&self.0),
            format!("{name} of set {}", self.1),
        )))
    }
}

#[test]
fn a_block_is_judged_by_the_plugins_that_it_began_with() {
    let state = defined(&[("one", "vscc"), ("two", "own"), ("three", "vscc")]);
    let script = Arc::new(Scripted::default());
    let source = Arc::new(Restless {
        script: Arc::clone(&script),
        sets: AtomicUsize::new(0),
    });
    let block = [of("one").sign(), of("two").sign(), of("three").sign()];
    for _ in 0..2 {
        let plugins = Arc::clone(&source) as Arc<dyn PluginSource>;
        validate_with(plugins, &bundle(), &state, &encoded(&block)).unwrap();
    }
    let asked = std::mem::take(&mut *script.asked.lock());
    let by: Vec<&str> = asked.iter().map(|(_, plugin, _)| plugin.as_str()).collect();
    let of_set = |set: usize| {
        by.iter()
            .filter(|name| name.ends_with(&format!("set {set}")))
            .count()
    };
    assert_eq!((of_set(0), of_set(1), by.len()), (3, 3, 6), "{by:?}");
}
